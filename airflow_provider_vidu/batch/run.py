# SPDX-License-Identifier: Apache-2.0
"""The run of a batch on a worker, apart from the module that every DAG imports."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.arguments import seconds_of_wait
from airflow_provider_vidu.batch.finish import finish
from airflow_provider_vidu.batch.items import Item, read_items
from airflow_provider_vidu.batch.messages import NO_RETRY, naming_tasks, paid_by_earlier_tries
from airflow_provider_vidu.batch.paying import Paying
from airflow_provider_vidu.batch.records import Records
from airflow_provider_vidu.batch.recover import Recovery
from airflow_provider_vidu.batch.resume import left_by_first_visit, refuse_to_forget, refuse_waves
from airflow_provider_vidu.batch.slots import Slots
from airflow_provider_vidu.batch.submits import Submits
from airflow_provider_vidu.batch.visit import Visit
from airflow_provider_vidu.batch.waves import OVER, Waves
from airflow_provider_vidu.costs import check_cost, prices_of
from airflow_provider_vidu.durable.batch_record import BatchRecord
from airflow_provider_vidu.durable.reuse import Reusable
from airflow_provider_vidu.durable.state_store import no_blind_retry
from airflow_provider_vidu.durable.stored_files import StoredFiles
from airflow_provider_vidu.exceptions import ViduError, ViduEventError, ViduRequestError
from airflow_provider_vidu.protocol import batch
from airflow_provider_vidu.protocol.notes import notes
from airflow_provider_vidu.protocol.polling import PROGRESS_KEY, TIMEOUT
from airflow_provider_vidu.reporting import show
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.storage.copies import copied
from airflow_provider_vidu.storage.manifest import Record
from airflow_provider_vidu.storage.places import located
from airflow_provider_vidu.storage.probe import nothing_paid, probe, refuse_taken
from airflow_provider_vidu.storage.sidecar import Origin
from airflow_provider_vidu.storage.video_store import VideoStore

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.batch.options import BatchOptions
    from airflow_provider_vidu.protocol.prices import Estimate

_WAITING = ".waiting"
"""Suffix of the file that lists the submitted tasks until the manifest is written."""
_SHOWN = {batch.PENDING: batch.UNSUBMITTED}
"""Outcomes that Airflow's UI shows as another."""
_WAITING_SHARE = 0.9
"""Share of ``execution_timeout`` that a wait on the worker may take; the rest is for storing."""


class BatchRun:
    """
    One visit of a batch to a worker.

    :param options: the arguments of the operator.
    :param context: Airflow's context of the task instance.
    :param log: the operator's logger.
    :param before_post: called before the first submit; raises if paid videos could not be used.
    """

    def __init__(self, options: BatchOptions, context: Context, log: Logger, before_post: Callable[[], None]) -> None:
        self._options = options
        self._context = context
        self._log = log
        self._before_post = before_post
        self._submits: Submits | None = None
        self._is_submitted = False
        self._stopped_by = ""

    def begin(self) -> dict[str, Any]:
        """
        Submit the items that no earlier try has submitted, and wait for all.

        :return: the manifest's URI and totals.
        :raises TaskDeferred: to wait in the triggerer instead of on the worker.
        """
        began = time.time()
        items = self._items()
        with self._visit(self._options.destination, self._manifest_path()) as visit:
            visit.memory.read()
            if not visit.memory.remembers:
                refuse_to_forget(visit.waiting, self._options.retries, self._context, self._log)
                refuse_waves(self._options.max_in_flight)
            records = self._records_of(items, visit)
            recovery = Recovery(records, visit.loop, visit.store, visit.stored)
            paying = self._paying(visit, records)
            # Whatever this try refuses, the rescue then finds what a killed worker paid for.
            paying.mend()
            try:
                with nothing_paid():
                    refuse_taken(located(visit.path))
                submits, waves = self._waves(visit, records, paying, began, self._deadline(began), {})
                recovery.take_up(
                    visit.path,
                    resubmit=self._options.on_uncertain == "resubmit",
                    resubmit_missing=self._options.on_missing == "resubmit",
                )
                new = records.new
                if new:
                    self._before_post()
                    recovery.refuse_taken_places(visit.path, sidecars=self._options.sidecar)
                estimates = self._estimates(new, paying)
            except ViduRequestError as error:
                raise AirflowFailException(f"{error}{paid_by_earlier_tries(visit.memory, self._log)}") from error
            recovery.attach()
            for note in sorted({note for item in new for note in notes(item.request.as_asked())}):
                self._log.warning("%s", note)
            with naming_tasks(records, self._log):
                for path in (visit.path, visit.waiting):
                    # Nothing may be paid if no manifest can be written.
                    probe(located(path))
                waves.list_tasks(is_vital=bool(new))
                self._is_submitted = bool(new)
                records.queue()
                waves.run(estimates)
            return self._finished(visit, records, submits)

    def _waves(
        self,
        visit: Visit,
        records: Records,
        paying: Paying,
        began: float,
        deadline: float,
        left: Mapping[str, Any],
    ) -> tuple[Submits, Waves]:
        most = self._options.max_in_flight
        self._submits = submits = Submits(
            records, visit.loop, paying, lambda: self._show_submits(records), in_waves=most is not None
        )
        if self._stopped_by:
            submits.stop(self._stopped_by)
        slots = Slots(most or len(records.by_id), self._log, left)
        return submits, Waves(visit, self._options, records, submits, slots, began, deadline)

    def _show_submits(self, records: Records) -> None:
        shown = [record._replace(outcome=_SHOWN.get(record.outcome, record.outcome)) for record in records]
        found = manifests.totals("", shown)
        show(self._context, batch.SUBMITS_KEY, {name: found[name] for name in ("counts", "estimated_cost")})

    def _finished(self, visit: Visit, records: Records, submits: Submits) -> dict[str, Any]:
        found, answers = list(records), records.answers
        return finish(visit, self._options, self._context, self._log, found, answers, submits.budget_resets_at)

    def _deadline(self, began: float) -> float:
        bound = self._options.execution_timeout
        if bound and not self._options.deferrable:
            bound *= _WAITING_SHARE
        return began + seconds_of_wait(self._options.timeout, bound)

    def _paying(self, visit: Visit, records: Records) -> Paying:
        def copy(found: Reusable, item: Item) -> list[str]:
            origin = Origin(item.request.as_asked(), "", self._options.vidu_conn_id, 0.0, found.vidu_task_id)
            place = (self._options.destination, found.result(), item.custom_id, item.index)
            return copied(found.files, *place, origin if self._options.sidecar else None, visit.stored)

        return Paying(records, reuse=self._options.reuse, context=self._context, copy=copy)

    def _records_of(self, items: Sequence[Item], visit: Visit, left: Iterable[Record] | None = None) -> Records:
        return Records(items, visit.memory, self._options.vidu_conn_id, self._log, left)

    def _items(self) -> list[Item]:
        try:
            self._options.check()
            return read_items(self._options.requests, self._options.destination, rendered=True)
        except ViduRequestError as error:
            memory = BatchRecord(self._context, log=self._log)
            memory.read()
            raise AirflowFailException(f"{error}{paid_by_earlier_tries(memory, self._log)}") from error

    def _estimates(self, new: Sequence[Item], paying: Paying) -> dict[str, Estimate]:
        if not new:
            # A missing price table must not stop a batch that submits nothing more.
            return {}
        prices = prices_of(self._options.prices)
        estimates = {item.custom_id: item.estimate(prices) for item in new}
        check_cost(estimates, self._options.max_cost, prices)
        paying.check({name: cost.missing for name, cost in estimates.items() if cost.missing})
        return estimates

    def _manifest_path(self) -> str:
        return self._options.manifest or manifests.default_name(self._options.destination, self._context)

    @contextmanager
    def _visit(self, destination: str, path: str) -> Iterator[Visit]:
        """Open the resources of a visit; without a state store, prevent paid retries."""
        from airflow_provider_vidu.hooks.loop import HookLoop

        memory = BatchRecord(self._context, log=self._log)
        with (
            no_blind_retry(lambda: memory.remembers or not self._is_submitted, NO_RETRY),
            HookLoop(self._options.vidu_conn_id) as loop,
        ):
            stored = StoredFiles(self._context, self._log)
            origins: dict[str, Origin] = {}
            origin_of = origins.__getitem__ if self._options.sidecar else None
            store = VideoStore(destination, self._options.vidu_conn_id, self._log, stored, origin_of)
            # Several batches may share one manifest; the lists of their submitted tasks must stay separate.
            waiting = manifests.default_name(destination, self._context) + _WAITING
            yield Visit(memory, loop, store, stored, path, waiting, origins)

    def complete(
        self,
        event: Any,
        path: str | None,
        destination: str | None,
        mark: str | None,
        tasks: Mapping[str, str] | None,
        budget_resets_at: float | None,
        wave: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        """
        Store the videos, and write the manifest unless items still wait for their turn.

        :param event: the payload of the trigger's event, ``None`` if Airflow ended the trigger.
        :param path: path or URI of the manifest, ``None`` for the default.
        :param destination: destination of the videos, ``None`` for the operator's.
        :param mark: hash of the records that the previous visit wrote, ``None`` if it passed none.
        :param tasks: the tasks of the wait by custom id, if Airflow has no task state store that holds them.
        :param budget_resets_at: epoch seconds at which the budget that stopped the submits resets, if one did.
        :param wave: the deadline of the batch, the marks of the items that wait for their turn or have a copy of an
            earlier video, and the state of the slots; ``None`` if there are no such items.
        :return: the manifest's URI and totals.
        :raises TaskDeferred: to wait for the next wave.
        """
        began = time.time()
        deadline = self._deadline_after(event, wave)
        self._options = self._options._replace(destination=destination or self._options.destination)
        self._is_submitted = True
        with self._visit(self._options.destination, path or self._manifest_path()) as visit:
            visit.memory.read()
            left = left_by_first_visit(
                visit.waiting,
                visit.memory,
                mark,
                tasks,
                self._items,
                lambda: self._recovered(visit, (wave or {}).get("planned", ())),
                self._log,
            )
            visit.memory.catch_up(left)
            if all(record.outcome != batch.PENDING for record in left):
                return finish(visit, self._options, self._context, self._log, left, {}, budget_resets_at)
            records = self._records_of((), visit, left)
            paying = self._paying(visit, records)
            submits, waves = self._waves(visit, records, paying, began, deadline, wave or {})
            if not waves.is_over:
                waves.settle()
                waves.run(self._estimates_now(records, paying, submits))
            waves.leave(OVER)
            return self._finished(visit, records, submits)

    def _deadline_after(self, event: Any, wave: Mapping[str, Any] | None) -> float:
        """Return the end of the wait: the past if it has ended, or if the trigger could not wait."""
        try:
            ended = batch.BatchEvent.from_event(event)
            # The next wave has tasks of its own.
            counts = ended.counts if not wave or wave.get("is_last") else {}
            show(self._context, PROGRESS_KEY, batch.waited_for(sum(ended.counts.values()), counts))
        except ViduEventError as error:
            # The visit polls each task in any case.
            self._log.warning("%s", error)
            return 0.0
        self._log.info("%s", ended.message)
        if not ended.counts or ended.status == TIMEOUT:
            return 0.0
        # ``dag.test()`` passes the event alone.
        return float(wave["deadline"]) if wave else self._deadline(time.time())

    def _estimates_now(self, records: Records, paying: Paying, submits: Submits) -> dict[str, Estimate]:
        try:
            records.take_up(read_items(self._options.requests, self._options.destination, rendered=True))
            return self._estimates(records.pending, paying)
        except ViduError as error:
            # The batch still waits for the tasks that were accepted before.
            submits.stop(error)
            return {}

    def _recovered(self, visit: Visit, planned: Collection[str]) -> list[Record]:
        records = self._records_of(self._items(), visit)
        return Recovery(records, visit.loop, visit.store, visit.stored).recovered(visit.path, planned)

    def stop(self, reason: str) -> None:
        """
        Stop the submits.

        :param reason: the reason to log.
        """
        # Airflow may call this before the submits exist.
        self._stopped_by = reason
        if self._submits:
            self._submits.stop(reason)
