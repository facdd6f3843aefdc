# SPDX-License-Identifier: Apache-2.0
"""
The submit on a worker.

It is separate from the operator module, which every DAG file imports.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_vidu.costs import estimated, estimated_within, prices_of
from airflow_provider_vidu.durable.attempt import Attempt, Step, decide
from airflow_provider_vidu.durable.entries import EntryName
from airflow_provider_vidu.durable.resends import Resends
from airflow_provider_vidu.durable.reuse import Reusable, Reuse
from airflow_provider_vidu.durable.reused import note_reuse
from airflow_provider_vidu.durable.spending import Planned, Spending, entry_of
from airflow_provider_vidu.durable.state_store import SUBMIT_KEY, SubmitRecord
from airflow_provider_vidu.durable.stored_files import StoredFiles
from airflow_provider_vidu.exceptions import ViduError, ViduSubmissionUncertainError
from airflow_provider_vidu.protocol.notes import notes
from airflow_provider_vidu.protocol.polling import Outcome, Watch, how_to_resume
from airflow_provider_vidu.protocol.request import Prepared, Request
from airflow_provider_vidu.protocol.response import Submission
from airflow_provider_vidu.protocol.texts import first_few
from airflow_provider_vidu.reporting import count_submission
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.storage.input_files import prepared

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
    :param reuse: the operator's argument of the same name.
    """

    vidu_conn_id: str
    durable: bool
    on_uncertain: str
    max_cost: float | None
    prices: str | GivenPrices | None
    reuse: bool


class Submitted(NamedTuple):
    """
    The result of a submit.

    :param record: its record across tries.
    :param attempt: the attempt, with Vidu's id of the task.
    :param reused: the task of an earlier submit whose stored files serve this one, ``None`` if there is a task to
        wait for.
    """

    record: SubmitRecord
    attempt: Attempt
    reused: Reusable | None = None


class Submit:
    """
    One try of a submit: it re-attaches to an earlier try's task, or sends a POST.

    :param request: the request to submit.
    :param options: the operator's arguments that control the submit.
    :param context: Airflow's context of the task instance.
    :param log: the operator's logger.
    :param before_post: called before the submit; raises if a paid video could not be used.
    :param takes_files: whether the operator can use stored files of an earlier submit in place of a task.
    """

    def __init__(
        self,
        request: Request,
        options: SubmitOptions,
        context: Context,
        log: Logger,
        before_post: Callable[[], None],
        *,
        takes_files: bool = False,
    ) -> None:
        self._request = request
        self._options = options
        self._log = log
        self._before_post = before_post
        self._takes_files = takes_files
        self._context, self._ti = context, context["ti"]
        self._record = SubmitRecord(context, durable=options.durable, log=log)

    @cached_property
    def _spending(self) -> Spending:
        # Only for a submit: a wrong configuration must not keep a try from its paid task.
        return Spending(self._log)

    def run(self) -> Submitted:
        """
        Submit, re-attach to the task of an earlier try, or reuse an equal request's video.

        :return: the record of the submit, and the attempt.
        :raises AirflowFailException: if the task of an earlier try has failed or no longer exists.
        :raises ViduSubmissionUncertainError: if the outcome of a submit is unknown; it may be paid.
        :raises ViduError: for any other fault; nothing was paid.
        """
        ti, record = self._ti, self._record
        earlier = record.read()
        asked = self._prepared_if_possible() if earlier else self._prepared()
        if earlier and self._attaches_to(earlier, asked):
            attempt = earlier._replace(max_tries=ti.max_tries, delivered=False)
            record.write(attempt)
            self._push(attempt.xcoms)
            return Submitted(record, attempt)
        asked = asked or self._prepared()
        if self._options.reuse and (found := self._reuse.find([asked.fingerprint("")])[0]):
            return self._reused(asked, found)
        return self._submit_anew(asked, earlier)

    @cached_property
    def _reuse(self) -> Reuse:
        ledger = self._spending.ledger
        return Reuse(ledger, self._options.vidu_conn_id, self._log, takes_files=self._takes_files)

    def _reused(self, asked: Prepared, found: Reusable) -> Submitted:
        """Take the video of an earlier submit of the same request, which costs nothing."""
        self._log.info("Reusing Vidu task %s of the same request; %s.", found.vidu_task_id, found.where)
        xcoms = {
            "expected_seconds": estimated(self._request, self._options.prices).typical_seconds,
            "estimated_cost": 0.0,
            "reused_from": found.vidu_task_id,
            "vidu_request": {**self._request.as_asked(), "estimated_cost": 0.0, "reused_from": found.vidu_task_id},
        }
        entry = entry_of(self._ti, self._options.vidu_conn_id, self._request.as_asked())
        note_reuse(self._spending.ledger, entry, asked.fingerprint(""), found, self._log)
        mark = asked.fingerprint(self._options.vidu_conn_id)
        attempt = Attempt(mark, self._ti.max_tries, time.time(), xcoms, found.vidu_task_id)
        self._push(xcoms)
        if found.files:
            return Submitted(self._record, attempt, found)  # The next try finds the same files.
        self._record.write(attempt)
        return Submitted(self._record, attempt)

    def _prepared_if_possible(self) -> Prepared | None:
        try:
            return self._prepared()
        except Exception as error:
            # A missing image must not lose a paid task.
            self._log.warning("Could not rebuild the request of an earlier try: %s", error)
            return None

    def _attaches_to(self, earlier: Attempt, asked: Prepared | None) -> bool:
        from airflow_provider_vidu.hooks.poll import poll

        options = self._options
        watch = Watch(earlier.vidu_task_id, poll_interval=1, started_at=earlier.begun_at, deadline=float("inf"))
        verdict = poll(watch, options.vidu_conn_id, self._log) if earlier.vidu_task_id else None
        files = StoredFiles(self._context, self._log).files_of(earlier.vidu_task_id)
        step, why = decide(
            earlier,
            max_tries=self._ti.max_tries,
            fingerprint=asked.fingerprint(options.vidu_conn_id) if asked else None,
            now=time.time(),
            answer=watch.last_answer,
            believed=isinstance(verdict, Outcome),
            files=files,
            resubmit_uncertain=options.on_uncertain == "resubmit",
        )
        if files and step in (Step.FAIL, Step.MISSING) and manifests.are_there(files):
            # Its files are stored, so expired links do not matter, nor does a server that has forgotten the task.
            step, why = (
                Step.ATTACH,
                f"The video of Vidu task {earlier.vidu_task_id} is already stored at {first_few(files)}.",
            )
        if step is Step.MISSING:
            why = f"{why} To pay for it again instead, delete the task state {SUBMIT_KEY} and clear this task."
        if step is Step.UNCERTAIN:
            raise ViduSubmissionUncertainError(why)
        if step in (Step.FAIL, Step.MISSING):
            raise AirflowFailException(why)
        self._log.warning("%s", why)
        return step is Step.ATTACH

    def _submit_anew(self, asked: Prepared, earlier: Attempt | None) -> Submitted:
        options = self._options
        for note in notes(asked.body):
            self._log.warning("%s", note)
        prices = prices_of(options.prices)
        cost = estimated_within(self._request, options.max_cost, prices)
        self._spending.check_prices({"": cost.missing} if cost.missing else {})
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
        mark = asked.fingerprint(options.vidu_conn_id)
        attempt = Attempt(mark, self._ti.max_tries, time.time(), xcoms)
        entry = self._intend(asked, cost.price_cny)
        if entry and options.reuse and (found := self._of_rival(entry, asked.fingerprint(""))):
            return self._reused(asked, found)
        submission = self._post(asked, attempt, earlier, entry)
        vidu_task_id, known = submission.task_id, {"request_id": submission.request_id}
        attempt = attempt._replace(begun_at=time.time(), vidu_task_id=vidu_task_id, xcoms=xcoms | known)
        stored = self._record.keep(
            attempt,
            f"Vidu task {vidu_task_id} was accepted, but could not be stored in Airflow's task state store. Clearing "
            f"this task would submit and pay again. {how_to_resume(vidu_task_id)}",
        )
        try:
            self._log.info("Accepted as Vidu task %s, request id %s", vidu_task_id, submission.request_id or "none")
            # First, since the API server of the others may be down: without it, the submit stays uncertain.
            self._spending.accept({entry: vidu_task_id} if entry else {})
            self._push(known if stored else {"vidu_task_id": vidu_task_id, **known})
            count_submission(cost.price_cny)
        except (Exception, AirflowTaskTimeout):
            self._log.exception("Could not record the request id of Vidu task %s", vidu_task_id)
        return Submitted(self._record, attempt)

    def _of_rival(self, entry: EntryName, request: str) -> Reusable | None:
        """Find the task of an equal submit that came first, and withdraw the intent where there is one."""
        found = None
        try:
            found = self._reuse.of_rivals({entry: request}).get(entry)
        except BaseException:
            self._withdraw(entry)
            raise
        if found:
            self._withdraw(entry)
        return found

    def _intend(self, asked: Prepared, price: float | None) -> EntryName | None:
        """Write the intent into the ledger, within the budgets."""
        if self._spending.ledger is None:
            return None
        content = entry_of(self._ti, self._options.vidu_conn_id, self._request.as_asked())
        names, refused = self._spending.intend({"": Planned(asked.fingerprint(""), price, content)})
        if refused:
            raise refused
        return names.get("")

    def _post(self, asked: Prepared, attempt: Attempt, earlier: Attempt | None, entry: EntryName | None) -> Submission:
        """
        Submit, with the intent stored before each POST.

        The POST is repeated only after a temporary fault, if the API certainly did not accept it.
        """
        from airflow_provider_vidu.hooks.vidu import ViduHook

        hook, resends = ViduHook(self._options.vidu_conn_id), Resends(self._log)
        while True:
            try:
                self._record.write(attempt._replace(begun_at=time.time()))
                return hook.submit(asked.body)
            except ViduSubmissionUncertainError:
                raise
            except ViduError as error:
                self._record.withdraw(earlier)
                if (pause := resends.pause_after(error)) is None:
                    self._withdraw(entry)
                    raise
            except (Exception, AirflowTaskTimeout):
                self._record.withdraw(earlier)
                self._withdraw(entry)
                raise
            time.sleep(pause)

    def _withdraw(self, entry: EntryName | None) -> None:
        if entry:
            self._spending.withdraw(entry)

    def _prepared(self) -> Prepared:
        return prepared(self._request, self._log.warning)

    def _push(self, xcoms: Mapping[str, Any]) -> None:
        for key, value in xcoms.items():
            self._ti.xcom_push(key=key, value=value)
