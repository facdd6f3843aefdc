# SPDX-License-Identifier: Apache-2.0
"""What a submit does on the worker. It stands apart from the operator, which every DAG file imports."""

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
from airflow_provider_vidu.protocol.texts import few
from airflow_provider_vidu.reporting import count_submission
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.storage.input_files import with_files_read

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.protocol.prices import Key


class SubmitOptions(NamedTuple):
    """
    The arguments of the submit operator that say how to submit, by their own names.

    :param vidu_conn_id: as the operator's, as all that follow.
    :param durable: as the operator's.
    :param on_uncertain: as the operator's.
    :param max_cost: as the operator's.
    :param prices: as the operator's.
    """

    vidu_conn_id: str
    durable: bool
    on_uncertain: str
    max_cost: float | None
    prices: str | Mapping[Key, float] | None


class Resends:
    """
    Counts the POSTs of one submit.

    :param log: the operator's logger.
    :param name: what a line in the log begins with, empty for nothing.
    """

    def __init__(self, log: Logger, name: str = "") -> None:
        self._log = log
        self._begin = f"{name}: " if name else ""
        self._posts = 0

    def pause_after(self, error: ViduError) -> float | None:
        """
        Say when to send again what was surely not accepted, and tell of it.

        :param error: what came of the last POST.
        :return: seconds to wait, ``None`` where it is not sent again.
        """
        self._posts += 1
        pause = resend_after(error, self._posts, random.random())  # noqa: S311 - a jitter
        if pause is not None:
            self._log.warning(
                "%s%s Sending it again in %.1f s, POST %d of %d.", self._begin, error, pause, self._posts + 1, MAX_POSTS
            )
        return pause


class Submit:
    """
    One try of a submit: it attaches to what an earlier try submitted, or POSTs.

    :param request: what is to be submitted.
    :param options: how.
    :param context: Airflow's context of the task instance.
    :param log: the operator's logger.
    :param before_post: called before anything is submitted; refuses where what is paid could not be used.
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
        Submit, or attach to the task of an earlier try.

        :return: what remembers the submit, and the submit.
        :raises AirflowFailException: if the task of an earlier try has failed or is gone.
        :raises ViduSubmissionUncertainError: if an outcome is unknown; it may be paid.
        :raises ViduError: any other kind: nothing was paid.
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
            # What was paid is not lost because its picture has gone.
            self._log.warning("The request of an earlier try cannot be made again: %s", error)
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
            # With its files it needs no links, and no server that knows it.
            step, why = Step.ATTACH, f"Vidu task {earlier.vidu_task_id} is stored at {few(files)} already."
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
        # All that is known before the POST is pushed before it, so that little can fail between it and the return.
        self._push(xcoms)
        mark = fingerprint(body, options.vidu_conn_id)
        attempt = Attempt(mark, self._ti.max_tries, time.time(), xcoms)
        submission = self._post(body, attempt, earlier)
        vidu_task_id, known = submission.task_id, {"request_id": submission.request_id}
        attempt = attempt._replace(begun_at=time.time(), vidu_task_id=vidu_task_id, xcoms=xcoms | known)
        stored = self._record.keep(
            attempt,
            f"Vidu task {vidu_task_id} was accepted, but could not be remembered: clearing this task would submit and "
            f"pay anew. {how_to_resume(vidu_task_id)}",
        )
        try:
            self._log.info("Accepted as Vidu task %s, request id %s", vidu_task_id, submission.request_id or "none")
            self._push(known if stored else {"vidu_task_id": vidu_task_id, **known})
            count_submission(cost.price_cny)
        except (Exception, AirflowTaskTimeout):
            self._log.exception("The request id of Vidu task %s could not be pushed", vidu_task_id)
        return attempt

    def _post(self, body: Body, attempt: Attempt, earlier: Attempt | None) -> Submission:
        """Submit, with the intent stored before each POST; again only what was surely not accepted and may pass."""
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
