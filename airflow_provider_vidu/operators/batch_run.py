# SPDX-License-Identifier: Apache-2.0
"""What a batch does on the worker. It stands apart from the operator, which every DAG file imports."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowTaskTimeout

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduEventError, ViduRequestError
from airflow_provider_vidu.operators import manifest as manifests
from airflow_provider_vidu.operators.collect import Answer, ask_all, collect
from airflow_provider_vidu.operators.first_hop import FirstHop
from airflow_provider_vidu.operators.items import Item, check_cost, read_items
from airflow_provider_vidu.operators.ledger import Ledger
from airflow_provider_vidu.operators.literals import seconds_of
from airflow_provider_vidu.operators.manifest import Record
from airflow_provider_vidu.operators.report import announce, count_failure, count_success, prices_of
from airflow_provider_vidu.protocol import batch
from airflow_provider_vidu.protocol.capabilities import notes
from airflow_provider_vidu.protocol.polling import FAILED, SUCCESS
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
_SHOWN_ITEMS = 5


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
        path = self._manifest_path()
        with self._hop_of_batch() as (ledger, loop):
            ledger.read()
            self._first_hop = hop = FirstHop(items, estimates, ledger, loop, self._operator.vidu_conn_id, self._log)
            if self._stopped_by:
                hop.stop(self._stopped_by)
            try:
                hop.take_up(path, resubmit=self._operator.on_uncertain == "resubmit")
                new = hop.new
                check_cost({item.custom_id: estimates[item.custom_id] for item in new}, self._operator.max_cost, prices)
            except ViduRequestError as error:
                raise AirflowFailException(f"{error}{_paid(ledger, self._log)}") from error
            hop.attach()
            for note in sorted({note for item in new for note in notes(item.asked())}):
                self._log.warning("%s", note)
            waiting = self._waiting_path(self._operator.destination)
            # Where nothing can be written, nothing shall be paid.
            manifests.write(waiting, hop.records.values())
            if new:
                self._is_submitted = True
                try:
                    hop.submit(new)
                finally:
                    manifests.write(waiting, hop.records.values())
            if hop.running:
                self._wait(hop, loop, path, began)
                hop.answers.clear()
            return self._finish(ledger, loop, list(hop.records.values()), hop.answers, store, path, waiting)

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
    def _hop_of_batch(self) -> Iterator[tuple[Ledger, HookLoop]]:
        """Give a hop what it needs; where nothing is remembered, let no error of it be retried once all is paid."""
        from airflow_provider_vidu.hooks.loop import HookLoop

        ledger = Ledger(self._context, log=self._log)
        try:
            with HookLoop(self._operator.vidu_conn_id) as loop:
                yield ledger, loop
        except AirflowFailException:
            raise
        except (Exception, AirflowTaskTimeout) as error:
            if ledger.remembers or not self._is_submitted:
                raise
            raise AirflowFailException(
                f"{error} This Airflow remembers nothing of a try, so a retry would pay again: it is not retried. What "
                "was accepted stands in the manifest, or in the file beside it, or in the log."
            ) from error

    def _wait(self, hop: FirstHop, loop: HookLoop, path: str, began: float) -> None:
        timeout = seconds_of(self._operator.timeout)
        if self._operator.execution_timeout:
            # Airflow applies execution_timeout to each hop alone; the wait as a whole has to respect it.
            bound = self._operator.execution_timeout.total_seconds()
            timeout = min(timeout, bound if self._operator.deferrable else bound * _WAITING_SHARE)
        trigger = ViduBatchTrigger(
            groups=hop.groups(),
            vidu_conn_id=self._operator.vidu_conn_id,
            poll_interval=seconds_of(self._operator.poke_interval),
            submitted_at=min(began, hop.first_submit),
            deadline=began + timeout,
        )
        if self._operator.deferrable:
            self._operator.defer(
                trigger=trigger,
                method_name=self._operator.execute_complete.__name__,
                kwargs={"path": path, "destination": self._operator.destination},
                timeout=timedelta(seconds=max(0.0, trigger.deadline - time.time())) + DEFER_MARGIN,
            )
        try:
            ended = loop.run(lambda hook: trigger.wait(hook, self._log))
        except AirflowTaskTimeout as error:
            # What is ready is stored all the same.
            self._log.warning("The wait is over: %s", error)
            loop.finish(0)
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
        waiting = self._waiting_path(destination)
        self._is_submitted = True
        with self._hop_of_batch() as (ledger, loop):
            records = manifests.read(waiting)
            if not records:
                raise ViduDownloadError(f"What was submitted stood in {waiting}, which has gone.")
            ledger.read()
            if ledger.remembers and (strange := [record for record in records if not ledger.knows(record)]):
                raise ViduDownloadError(
                    f"{waiting} tells of Vidu task {strange[0].task_id} for {strange[0].custom_id!r}, which this task "
                    "did not submit. A retry takes up what it did submit, at no cost."
                )
            store = VideoStore(destination, self._operator.vidu_conn_id, self._log)
            return self._finish(ledger, loop, records, {}, store, path, waiting)

    def stop(self, reason: str) -> None:
        """
        Submit nothing more.

        :param reason: why.
        """
        # It may come before there is anything to stop.
        self._stopped_by = reason
        if self._first_hop:
            self._first_hop.stop(reason)

    def _finish(
        self,
        ledger: Ledger,
        loop: HookLoop,
        records: list[Record],
        answers: dict[str, Answer],
        store: VideoStore,
        path: str,
        waiting: str,
    ) -> dict[str, Any]:
        asked_for = {
            record.task_id: 0.0
            for record in records
            if record.outcome == batch.SUBMITTED and record.task_id not in answers
        }
        answers = answers | loop.run(lambda hook: ask_all(hook, asked_for))
        found = collect(records, answers, store, self._log.info)
        uri = manifests.write(path, found)
        manifests.remove(waiting)
        for before, after in zip(records, found, strict=True):
            if before.outcome == batch.SUBMITTED and after.outcome == SUCCESS:
                count_success(after.video_seconds)
            elif before.outcome == batch.SUBMITTED and after.outcome == FAILED:
                count_failure()
        counts = Counter(record.outcome for record in found)
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no items"
        self._log.info("%s. The manifest is %s", told, uri)
        if batch.is_failure(counts, self._operator.fail_on):
            raise self._failure(found, told, uri)
        seconds = sum(record.video_seconds or 0.0 for record in found if record.outcome == SUCCESS)
        costs = [record.estimated_cost for record in found if record.task_id]
        cost = None if None in costs else round(sum(filter(None, costs)), 5)
        announce(self._context, files=[], seconds=seconds, cost=cost, manifest=uri, counts=dict(counts))
        ledger.deliver([record.custom_id for record in found if record.outcome != SUCCESS])
        return {"manifest": uri, "counts": dict(counts), "video_seconds": seconds, "estimated_cost": cost}

    def _failure(self, found: Sequence[Record], told: str, uri: str) -> AirflowException:
        missed = [record for record in found if record.outcome != SUCCESS]
        helped = Counter(
            record.outcome
            for record in missed
            if batch.retry_can_help(record.outcome, record.reason, resubmit=self._operator.on_uncertain == "resubmit")
        )
        paid = sum(count for outcome, count in helped.items() if outcome in batch.PAID_ANEW)
        first = "; ".join(f"{record.custom_id}: {record.outcome}: {record.reason}" for record in missed[:_SHOWN_ITEMS])
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
    first = ", ".join(f"{name}: {vidu_task_id}" for name, vidu_task_id in list(paid.items())[:_SHOWN_ITEMS])
    return (
        f" Earlier tries have submitted {len(paid)} Vidu tasks, which are ready or run on and are billed: {first}; the "
        "log names all. Once the batch is mended, clear the task: it takes them up under the same custom ids, at no "
        "cost. Or fetch each with ViduTaskSensor(vidu_task_id=…)."
    )
