# SPDX-License-Identifier: Apache-2.0
"""What a batch does on the worker. It stands apart from the operator, which every DAG file imports."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowTaskTimeout

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduEventError, ViduRequestError
from airflow_provider_vidu.operators import manifest as manifests
from airflow_provider_vidu.operators.collect import Answer, ask_all, collect
from airflow_provider_vidu.operators.costs import check_cost, prices_of
from airflow_provider_vidu.operators.first_hop import FirstHop
from airflow_provider_vidu.operators.items import Item, read_items
from airflow_provider_vidu.operators.ledger import Ledger
from airflow_provider_vidu.operators.literals import seconds_of, seconds_of_wait
from airflow_provider_vidu.operators.manifest import Record
from airflow_provider_vidu.operators.memory import no_blind_retry
from airflow_provider_vidu.operators.report import announce, count_failure, count_success
from airflow_provider_vidu.protocol import batch
from airflow_provider_vidu.protocol.capabilities import notes
from airflow_provider_vidu.protocol.polling import FAILED, SUCCESS
from airflow_provider_vidu.protocol.texts import few
from airflow_provider_vidu.transfers.store import VideoStore
from airflow_provider_vidu.triggers.batch import ViduBatchTrigger
from airflow_provider_vidu.triggers.vidu import DEFER_MARGIN

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.hooks.loop import HookLoop
    from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
    from airflow_provider_vidu.protocol.prices import Estimate, Prices

_WAITING = ".waiting"
"""What ends the name of the file that holds what was submitted, while the batch is on its way."""
_WAITING_SHARE = 0.9
"""How much of ``execution_timeout`` a wait on the worker may take; the rest is for storing."""
_NOT_RETRIED = (
    "This Airflow remembers nothing of a try, so a retry would pay again: it is not retried. What was accepted stands "
    "in the manifest, or in the file beside it, or in the log."
)


class Hop(NamedTuple):
    """
    What a hop works with.

    :param ledger: what earlier tries left.
    :param loop: where requests are sent from.
    :param store: stores the videos.
    :param path: where the manifest is written.
    :param waiting: where is noted what was submitted, until the manifest is written.
    """

    ledger: Ledger
    loop: HookLoop
    store: VideoStore
    path: str
    waiting: str


class BatchRun:
    """
    One hop of a batch.

    :param operator: what is to be made and how.
    :param context: Airflow's context of the task instance.
    """

    def __init__(self, operator: ViduGenerateBatchOperator, context: Context) -> None:
        self._operator = operator
        self._context = context
        self._log = operator.log
        self._first_hop: FirstHop | None = None
        self._is_submitted = False
        self._stopped_by = ""

    def begin(self) -> dict[str, Any]:
        """
        Submit what no earlier try has submitted, and wait: on the worker, or in the triggerer, for which this raises
        ``TaskDeferred``.

        :return: the manifest's URI and totals.
        """
        began = time.time()
        items, estimates, prices, store = self._checked()
        waiting = self._waiting_path(self._operator.destination)
        with self._hop(store, self._manifest_path(), waiting) as hop:
            hop.ledger.read()
            first = FirstHop(items, estimates, hop.ledger, hop.loop, self._operator.vidu_conn_id, self._log)
            self._first_hop = first
            if self._stopped_by:
                first.stop(self._stopped_by)
            try:
                first.take_up(hop.path, resubmit=self._operator.on_uncertain == "resubmit")
                new = first.new
                check_cost({item.custom_id: estimates[item.custom_id] for item in new}, self._operator.max_cost, prices)
            except ViduRequestError as error:
                raise AirflowFailException(f"{error}{_paid(hop.ledger, self._log)}") from error
            first.attach()
            for note in sorted({note for item in new for note in notes(item.asked())}):
                self._log.warning("%s", note)
            try:
                manifests.write(waiting, first.records.values())
            except ViduDownloadError as error:
                # Where nothing can be written, nothing shall be paid.
                raise ViduDownloadError(f"{error} Nothing was sent: nothing was paid, a retry can help.") from error
            if new:
                self._is_submitted = True
                try:
                    first.submit(new)
                finally:
                    manifests.write(waiting, first.records.values())
            if first.running:
                self._wait(hop, first, began)
                first.answers.clear()
            return self._finish(hop, list(first.records.values()), first.answers)

    def _checked(self) -> tuple[list[Item], dict[str, Estimate], Prices, VideoStore]:
        try:
            self._operator._check_options()
            items = read_items(self._operator.requests, self._operator.destination)
            prices = prices_of(self._operator.prices)
            estimates = {item.custom_id: item.estimate(prices) for item in items}
            return (
                items,
                estimates,
                prices,
                VideoStore(self._operator.destination, self._operator.vidu_conn_id, self._log),
            )
        except ViduRequestError as error:
            ledger = Ledger(self._context, log=self._log)
            ledger.read()
            raise AirflowFailException(f"{error}{_paid(ledger, self._log)}") from error

    def _manifest_path(self) -> str:
        operator = self._operator
        return operator.manifest or manifests.default_name(operator.destination, self._context)

    def _waiting_path(self, destination: str) -> str:
        # Several batches may be given one manifest; what each of them has on its way must not be mixed up.
        return manifests.default_name(destination, self._context) + _WAITING

    @contextmanager
    def _hop(self, store: VideoStore, path: str, waiting: str) -> Iterator[Hop]:
        """Give a hop what it needs; where nothing is remembered, let no error of it be retried once all is paid."""
        from airflow_provider_vidu.hooks.loop import HookLoop

        ledger = Ledger(self._context, log=self._log)
        with (
            no_blind_retry(lambda: ledger.remembers or not self._is_submitted, _NOT_RETRIED),
            HookLoop(self._operator.vidu_conn_id) as loop,
        ):
            yield Hop(ledger, loop, store, path, waiting)

    def _wait(self, hop: Hop, first: FirstHop, began: float) -> None:
        bound = self._operator.execution_timeout
        if bound and not self._operator.deferrable:
            bound *= _WAITING_SHARE
        trigger = ViduBatchTrigger(
            groups=first.groups(),
            vidu_conn_id=self._operator.vidu_conn_id,
            poll_interval=seconds_of(self._operator.poke_interval),
            submitted_at=min(began, first.first_submit),
            deadline=began + seconds_of_wait(self._operator.timeout, bound),
        )
        if self._operator.deferrable:
            self._operator.defer(
                trigger=trigger,
                method_name=self._operator.execute_complete.__name__,
                kwargs={"path": hop.path, "destination": self._operator.destination},
                timeout=timedelta(seconds=max(0.0, trigger.deadline - time.time())) + DEFER_MARGIN,
            )
        try:
            ended = hop.loop.run(lambda hook: trigger.wait(hook, self._log))
        except AirflowTaskTimeout as error:
            # What is ready is stored all the same.
            self._log.warning("The wait is over: %s", error)
            hop.loop.finish(0)
            return
        self._log.info("%s", ended.message)

    def complete(self, event: Any, path: str | None, destination: str | None) -> dict[str, Any]:
        """
        Store the videos and write the manifest.

        :param event: the payload of the trigger's event, ``None`` where Airflow gave the trigger up.
        :param path: where the manifest is written, the default where none is given.
        :param destination: where the videos are stored, the operator's where none is given.
        :return: the manifest's URI and totals.
        """
        try:
            self._log.info("%s", batch.BatchEvent.from_event(event).message)
        except ViduEventError as error:
            # Each task is asked for in any case.
            self._log.warning("%s", error)
        path, destination = path or self._manifest_path(), destination or self._operator.destination
        store = VideoStore(destination, self._operator.vidu_conn_id, self._log)
        waiting = self._waiting_path(destination)
        self._is_submitted = True
        with self._hop(store, path, waiting) as hop:
            records = manifests.read(waiting)
            if not records:
                raise ViduDownloadError(f"What was submitted stood in {waiting}, which has gone.")
            hop.ledger.read()
            if hop.ledger.remembers and (strange := [record for record in records if not hop.ledger.knows(record)]):
                raise ViduDownloadError(
                    f"{waiting} tells of Vidu task {strange[0].task_id} for {strange[0].custom_id!r}, which this task "
                    "did not submit. A retry takes up what it did submit, at no cost."
                )
            return self._finish(hop, records, {})

    def stop(self, reason: str) -> None:
        """
        Submit nothing more.

        :param reason: why.
        """
        # It may come before there is anything to stop.
        self._stopped_by = reason
        if self._first_hop:
            self._first_hop.stop(reason)

    def _finish(self, hop: Hop, records: list[Record], answers: dict[str, Answer]) -> dict[str, Any]:
        asked_for = {
            record.task_id: 0.0
            for record in records
            if record.outcome == batch.SUBMITTED and record.task_id not in answers
        }
        answers = answers | hop.loop.run(lambda hook: ask_all(hook, asked_for))
        found = collect(records, answers, hop.store, self._log.info)
        uri = manifests.write(hop.path, found)
        manifests.remove(hop.waiting)
        for before, after in zip(records, found, strict=True):
            if before.outcome == batch.SUBMITTED and after.outcome == SUCCESS:
                count_success(after.video_seconds)
            elif before.outcome == batch.SUBMITTED and after.outcome == FAILED:
                count_failure()
        totals = manifests.totals(uri, found)
        counts, seconds, cost = totals["counts"], totals["video_seconds"], totals["estimated_cost"]
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no items"
        price = "an unknown price" if cost is None else f"about ¥{cost:g}"
        self._log.info("%s, %s. The manifest is %s", told, price, uri)
        if batch.is_failure(counts, self._operator.fail_on):
            self._push(totals)
            raise self._failure(found, told, uri)
        announce(self._context, files=[], seconds=seconds, cost=cost, manifest=uri, counts=counts)
        hop.ledger.deliver([record.custom_id for record in found if record.outcome != SUCCESS])
        return totals

    def _push(self, totals: dict[str, Any]) -> None:
        """Let tasks that run in any case, and Airflow's UI, know of a failed batch what they know of others."""
        try:
            self._context["ti"].xcom_push(key="return_value", value=totals)
        except Exception:
            self._log.exception("The totals could not be pushed: %s", totals)

    def _failure(self, found: Sequence[Record], told: str, uri: str) -> AirflowException:
        missed = [record for record in found if record.outcome != SUCCESS]
        helped = Counter(
            record.outcome
            for record in missed
            if batch.retry_can_help(record.outcome, record.reason, resubmit=self._operator.on_uncertain == "resubmit")
        )
        paid = sum(count for outcome, count in helped.items() if outcome in batch.PAID_ANEW)
        first = few([f"{record.custom_id}: {record.outcome}: {record.reason}" for record in missed], "; ")
        retry = (
            f"A retry can help {helped.total()} of them, and submits and pays {paid} anew."
            if helped
            else "No retry can help any of them, so Airflow does not make one."
        )
        kind = AirflowException if helped else AirflowFailException
        return kind(f"{len(missed)} of {len(found)} items have no video ({told}). {retry} {uri} tells of all: {first}")


def _paid(ledger: Ledger, log: Logger) -> str:
    """Say what earlier tries have paid for, where a try goes no further."""
    paid = {name: attempt.vidu_task_id for name, attempt in ledger.attempts.items() if attempt.vidu_task_id}
    if not paid:
        return ""
    log.error("Submitted by earlier tries, by custom id: %s", paid)
    first = few([f"{name}: {vidu_task_id}" for name, vidu_task_id in paid.items()])
    return (
        f" Earlier tries have submitted {len(paid)} Vidu tasks, which are ready or run on and are billed: {first}; the "
        "log names all. Once the batch is mended, clear the task: it takes them up under the same custom ids, at no "
        "cost. Or fetch each with ViduTaskSensor(vidu_task_id=…)."
    )
