# SPDX-License-Identifier: Apache-2.0
"""
The submit on a worker.

It is separate from the operator module, which every DAG file imports.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_vidu.costs import estimated_within, prices_of
from airflow_provider_vidu.durable.attempt import Attempt, Step, decide
from airflow_provider_vidu.durable.state_store import SUBMIT_KEY, SubmitRecord
from airflow_provider_vidu.durable.stored_files import StoredFiles
from airflow_provider_vidu.exceptions import ViduError, ViduSubmissionUncertainError
from airflow_provider_vidu.protocol.capabilities import notes
from airflow_provider_vidu.protocol.pauses import MAX_POSTS, resend_after
from airflow_provider_vidu.protocol.polling import Outcome, Watch, how_to_resume
from airflow_provider_vidu.protocol.request import Body, Request, fingerprint
from airflow_provider_vidu.protocol.response import Submission
from airflow_provider_vidu.protocol.texts import first_few
from airflow_provider_vidu.reporting import count_submission
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.storage.input_files import with_files_read

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.protocol.prices import GivenPrices


class SubmitOptions(NamedTuple):
    """
    The arguments of the submit operator that control the submit.

    :param vidu_conn_id: the operator's argument of the same name.
    :param durable: the operator's argument of the same name.
    :param on_uncertain: the operator's argument of the same name.
    :param max_cost: the operator's argument of the same name.
    :param prices: the operator's argument of the same name.
    """

    vidu_conn_id: str
    durable: bool
    on_uncertain: str
    max_cost: float | None
    prices: str | GivenPrices | None


class Resends:
    """
    Counts the POSTs of one submit.

    :param log: the operator's logger.
    :param name: prefix of the log lines, empty for none.
    """

    def __init__(self, log: Logger, name: str = "") -> None:
        self._log = log
        self._begin = f"{name}: " if name else ""
        self._posts = 0

    def pause_after(self, error: ViduError) -> float | None:
        """
        Return the pause before the next POST.

        Only a submit that was certainly not accepted is sent again. The pause is logged as a warning.

        :param error: error of the last POST.
        :return: seconds to wait, ``None`` if the submit is not sent again.
        """
        self._posts += 1
        pause = resend_after(error, self._posts, random.random())  # noqa: S311 - a jitter
        if pause is not None:
            self._log.warning(
                "%s%s Retrying in %.1f s, POST %d of %d.", self._begin, error, pause, self._posts + 1, MAX_POSTS
            )
        return pause


class Submit:
    """
    One try of a submit: it re-attaches to an earlier try's task, or sends a POST.

    :param request: the request to submit.
    :param options: the operator's arguments that control the submit.
    :param context: Airflow's context of the task instance.
    :param log: the operator's logger.
    :param before_post: called before the submit; raises if a paid video could not be used.
    """

    def __init__(
        self, request: Request, options: SubmitOptions, context: Context, log: Logger, before_post: Callable[[], None]
    ) -> None:
        self._request = request
        self._options = options
        self._log = log
        self._before_post = before_post
        self._context, self._ti = context, context["ti"]
        self._record = SubmitRecord(context, durable=options.durable, log=log)

    def run(self) -> tuple[SubmitRecord, Attempt]:
        """
        Submit, or re-attach to the task of an earlier try.

        :return: the record of the submit, and the attempt.
        :raises AirflowFailException: if the task of an earlier try has failed or no longer exists.
        :raises ViduSubmissionUncertainError: if the outcome of a submit is unknown; it may be paid.
        :raises ViduError: for any other fault; nothing was paid.
        """
        ti, record = self._ti, self._record
        earlier = record.read()
        body = self._body_if_it_can_be_built() if earlier else self._body()
        if earlier and self._attaches_to(earlier, body):
            attempt = earlier._replace(max_tries=ti.max_tries, delivered=False)
            record.write(attempt)
            self._push(attempt.xcoms)
            return record, attempt
        return record, self._submit_anew(body or self._body(), earlier)

    def _body_if_it_can_be_built(self) -> Body | None:
        try:
            return self._body()
        except Exception as error:
            # A missing picture must not lose a paid task.
            self._log.warning("Could not rebuild the request of an earlier try: %s", error)
            return None

    def _attaches_to(self, earlier: Attempt, body: Body | None) -> bool:
        from airflow_provider_vidu.hooks.poll import poll

        options = self._options
        watch = Watch(earlier.vidu_task_id, poll_interval=1, started_at=earlier.begun_at, deadline=float("inf"))
        verdict = poll(watch, options.vidu_conn_id, self._log) if earlier.vidu_task_id else None
        files = StoredFiles(self._context, self._log).files_of(earlier.vidu_task_id)
        step, why = decide(
            earlier,
            max_tries=self._ti.max_tries,
            fingerprint=fingerprint(body, options.vidu_conn_id) if body else None,
            now=time.time(),
            answer=watch.last_answer,
            believed=isinstance(verdict, Outcome),
            files=files,
        )
        if files and step in (Step.FAIL, Step.MISSING) and manifests.are_there(files):
            # Its files are stored, so expired links do not matter, nor does a server that has forgotten the task.
            step, why = Step.ATTACH, f"Vidu task {earlier.vidu_task_id} is stored at {first_few(files)} already."
        if step is Step.MISSING:
            why = f"{why} To pay for it again instead, delete the task state {SUBMIT_KEY} and clear this task."
        if step is Step.UNCERTAIN and options.on_uncertain == "resubmit":
            step = Step.NEW
        if step is Step.UNCERTAIN:
            raise ViduSubmissionUncertainError(why)
        if step in (Step.FAIL, Step.MISSING):
            raise AirflowFailException(why)
        self._log.warning("%s", why)
        return step is Step.ATTACH

    def _submit_anew(self, body: Body, earlier: Attempt | None) -> Attempt:
        options = self._options
        for note in notes(body):
            self._log.warning("%s", note)
        prices = prices_of(options.prices)
        cost = estimated_within(self._request, options.max_cost, prices)
        price = cost.missing or f"about ¥{cost.price_cny:g} (an estimate by {prices.source})"
        self._before_post()
        self._log.info("Submitting %s with %s: %s", self._request.vidu_type, self._request.model, price)
        xcoms = {
            "expected_seconds": cost.typical_seconds,
            "estimated_cost": cost.price_cny,
            "vidu_request": {
                **self._request.as_asked(),
                "estimated_cost": cost.price_cny,
                "estimated_by": prices.source,
            },
        }
        # These XComs are pushed before the POST, so that little can fail between the POST and the return.
        self._push(xcoms)
        mark = fingerprint(body, options.vidu_conn_id)
        attempt = Attempt(mark, self._ti.max_tries, time.time(), xcoms)
        submission = self._post(body, attempt, earlier)
        vidu_task_id, known = submission.task_id, {"request_id": submission.request_id}
        attempt = attempt._replace(begun_at=time.time(), vidu_task_id=vidu_task_id, xcoms=xcoms | known)
        stored = self._record.keep(
            attempt,
            f"Vidu task {vidu_task_id} was accepted, but could not be stored in Airflow's task state store. Clearing "
            f"this task would submit and pay again. {how_to_resume(vidu_task_id)}",
        )
        try:
            self._log.info("Accepted as Vidu task %s, request id %s", vidu_task_id, submission.request_id or "none")
            self._push(known if stored else {"vidu_task_id": vidu_task_id, **known})
            count_submission(cost.price_cny)
        except (Exception, AirflowTaskTimeout):
            self._log.exception("Could not push the request id of Vidu task %s", vidu_task_id)
        return attempt

    def _post(self, body: Body, attempt: Attempt, earlier: Attempt | None) -> Submission:
        """
        Submit, with the intent stored before each POST.

        The POST is repeated only after a passing fault with which the API certainly accepted nothing.
        """
        from airflow_provider_vidu.hooks.vidu import ViduHook

        hook, resends = ViduHook(self._options.vidu_conn_id), Resends(self._log)
        while True:
            try:
                self._record.write(attempt._replace(begun_at=time.time()))
                return hook.submit(body)
            except ViduSubmissionUncertainError:
                raise
            except ViduError as error:
                self._record.withdraw(earlier)
                if (pause := resends.pause_after(error)) is None:
                    raise
            except (Exception, AirflowTaskTimeout):
                self._record.withdraw(earlier)
                raise
            time.sleep(pause)

    def _body(self) -> Body:
        return with_files_read(self._request, self._log.warning).body()

    def _push(self, xcoms: Mapping[str, Any]) -> None:
        for key, value in xcoms.items():
            self._ti.xcom_push(key=key, value=value)
