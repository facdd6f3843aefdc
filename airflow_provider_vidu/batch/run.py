# SPDX-License-Identifier: Apache-2.0
"""The run of a batch on a worker, apart from the module that every DAG imports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout, TaskDeferred

from airflow_provider_vidu.arguments import seconds_of, seconds_of_wait
from airflow_provider_vidu.batch.items import Item, read_items
from airflow_provider_vidu.batch.messages import NO_RETRY, failure, naming_tasks, paid_by_earlier_tries, without_video
from airflow_provider_vidu.batch.records import Records
from airflow_provider_vidu.batch.recover import Recovery
from airflow_provider_vidu.batch.results import LastAnswer, collect, poll_all
from airflow_provider_vidu.batch.resume import left_by_first_visit, refuse_to_forget, tasks_of
from airflow_provider_vidu.batch.submits import Submits
from airflow_provider_vidu.costs import check_cost, prices_of
from airflow_provider_vidu.durable.batch_record import BatchRecord
from airflow_provider_vidu.durable.state_store import no_blind_retry
from airflow_provider_vidu.durable.stored_files import StoredFiles
from airflow_provider_vidu.exceptions import ViduEventError, ViduRequestError
from airflow_provider_vidu.protocol import batch
from airflow_provider_vidu.protocol.capabilities import notes
from airflow_provider_vidu.protocol.polling import FAILED, SUCCESS
from airflow_provider_vidu.reporting import announce, count_failure, count_success
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.storage.manifest import Record
from airflow_provider_vidu.storage.places import located, probe, refuse_taken
from airflow_provider_vidu.storage.video_store import VideoStore
from airflow_provider_vidu.triggers.batch import ViduBatchTrigger
from airflow_provider_vidu.triggers.vidu import defer_timeout

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.batch.options import BatchOptions
    from airflow_provider_vidu.hooks.loop import HookLoop
    from airflow_provider_vidu.protocol.prices import Estimate

_WAITING = ".waiting"
"""Suffix of the file that lists the submitted tasks until the manifest is written."""
_WAITING_SHARE = 0.9
"""Share of ``execution_timeout`` that a wait on the worker may take; the rest is for storing."""


class Hop(NamedTuple):
    """
    The resources of one visit to a worker.

    :param memory: the record of the batch across tries.
    :param loop: the loop that sends the requests.
    :param store: the store of the videos.
    :param stored: the record of the stored files.
    :param path: path or URI of the manifest.
    :param waiting: path of the file that lists the submitted tasks until the manifest is written.
    """

    memory: BatchRecord
    loop: HookLoop
    store: VideoStore
    stored: StoredFiles
    path: str
    waiting: str


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
        with self._hop(self._options.destination, self._manifest_path()) as hop:
            hop.memory.read()
            if not hop.memory.remembers:
                refuse_to_forget(hop.waiting, self._options.retries, self._context, self._log)
            records = self._records_of(items, hop)
            recovery, self._submits = Recovery(records, hop.loop, hop.store, hop.stored), Submits(records, hop.loop)
            if self._stopped_by:
                self._submits.stop(self._stopped_by)
            try:
                recovery.take_up(
                    hop.path,
                    resubmit=self._options.on_uncertain == "resubmit",
                    resubmit_missing=self._options.on_missing == "resubmit",
                )
                new = records.new
                if new:
                    self._before_post()
                    recovery.refuse_taken_places(hop.path)
                refuse_taken(located(hop.path))
                estimates = self._estimates(new)
            except ViduRequestError as error:
                raise AirflowFailException(f"{error}{paid_by_earlier_tries(hop.memory, self._log)}") from error
            recovery.attach()
            for note in sorted({note for item in new for note in notes(item.request.as_asked())}):
                self._log.warning("%s", note)
            with naming_tasks(records, self._log):
                for path in (hop.path, hop.waiting):
                    # Nothing may be paid if no manifest can be written.
                    probe(located(path))
                manifests.write(hop.waiting, records)
                if new:
                    self._is_submitted = True
                    try:
                        self._submits.submit(new, estimates)
                    finally:
                        # The second visit may run on another worker.
                        manifests.write(hop.waiting, records)
            if records.running:
                self._wait(hop, records, began)
                records.answers.clear()
            return self._finish(hop, list(records), records.answers)

    def _records_of(self, items: Sequence[Item], hop: Hop) -> Records:
        return Records(items, hop.memory, self._options.vidu_conn_id, self._log)

    def _items(self) -> list[Item]:
        try:
            self._options.check()
            return read_items(self._options.requests, self._options.destination, rendered=True)
        except ViduRequestError as error:
            memory = BatchRecord(self._context, log=self._log)
            memory.read()
            raise AirflowFailException(f"{error}{paid_by_earlier_tries(memory, self._log)}") from error

    def _estimates(self, new: Sequence[Item]) -> dict[str, Estimate]:
        if not new:
            # A missing price table must not stop a batch that submits nothing more.
            return {}
        prices = prices_of(self._options.prices)
        estimates = {item.custom_id: item.estimate(prices) for item in new}
        check_cost(estimates, self._options.max_cost, prices)
        return estimates

    def _manifest_path(self) -> str:
        return self._options.manifest or manifests.default_name(self._options.destination, self._context)

    @contextmanager
    def _hop(self, destination: str, path: str) -> Iterator[Hop]:
        """Open the resources of a visit; without a state store, prevent paid retries."""
        from airflow_provider_vidu.hooks.loop import HookLoop

        memory = BatchRecord(self._context, log=self._log)
        with (
            no_blind_retry(lambda: memory.remembers or not self._is_submitted, NO_RETRY),
            HookLoop(self._options.vidu_conn_id) as loop,
        ):
            stored = StoredFiles(self._context, self._log)
            store = VideoStore(destination, self._options.vidu_conn_id, self._log, stored)
            # Several batches may share one manifest; the lists of their submitted tasks must stay separate.
            waiting = manifests.default_name(destination, self._context) + _WAITING
            yield Hop(memory, loop, store, stored, path, waiting)

    def _wait(self, hop: Hop, records: Records, began: float) -> None:
        bound = self._options.execution_timeout
        if bound and not self._options.deferrable:
            bound *= _WAITING_SHARE
        trigger = ViduBatchTrigger(
            groups=records.groups(),
            vidu_conn_id=self._options.vidu_conn_id,
            poll_interval=seconds_of(self._options.poke_interval),
            submitted_at=min(began, records.first_submit),
            deadline=began + seconds_of_wait(self._options.timeout, bound),
        )
        if self._options.deferrable:
            raise TaskDeferred(
                trigger=trigger,
                method_name="execute_complete",
                kwargs={
                    "path": hop.path,
                    "destination": self._options.destination,
                    "mark": manifests.mark_of(records),
                    **({} if hop.memory.remembers else {"tasks": tasks_of(records)}),
                },
                timeout=defer_timeout(trigger.deadline),
            )
        try:
            ended = hop.loop.run(lambda hook: trigger.wait(hook, self._log))
        except AirflowTaskTimeout as error:
            # The videos that are ready are stored nevertheless.
            self._log.warning("The wait timed out: %s", error)
            hop.loop.finish(0)
            return
        self._log.info("%s", ended.message)

    def complete(
        self,
        event: Any,
        path: str | None,
        destination: str | None,
        mark: str | None,
        tasks: Mapping[str, str] | None,
    ) -> dict[str, Any]:
        """
        Store the videos and write the manifest.

        :param event: the payload of the trigger's event, ``None`` if Airflow ended the trigger.
        :param path: path or URI of the manifest, ``None`` for the default.
        :param destination: destination of the videos, ``None`` for the operator's.
        :param mark: hash of the records that the first visit wrote, ``None`` if it passed none.
        :param tasks: the tasks of the wait by custom id, if Airflow has no task state store that holds them.
        :return: the manifest's URI and totals.
        """
        try:
            self._log.info("%s", batch.BatchEvent.from_event(event).message)
        except ViduEventError as error:
            # The visit polls each task in any case.
            self._log.warning("%s", error)
        path, destination = path or self._manifest_path(), destination or self._options.destination
        self._is_submitted = True
        with self._hop(destination, path) as hop:
            hop.memory.read()
            records = left_by_first_visit(
                hop.waiting, hop.memory, mark, tasks, self._items, lambda: self._recovered(hop), self._log
            )
            hop.memory.catch_up(records)
            return self._finish(hop, records, {})

    def _recovered(self, hop: Hop) -> list[Record]:
        records = self._records_of(self._items(), hop)
        return Recovery(records, hop.loop, hop.store, hop.stored).recovered(hop.path)

    def stop(self, reason: str) -> None:
        """
        Stop the submits.

        :param reason: the reason to log.
        """
        # Airflow may call this before the submits exist.
        self._stopped_by = reason
        if self._submits:
            self._submits.stop(reason)

    def _finish(self, hop: Hop, records: list[Record], answers: dict[str, LastAnswer]) -> dict[str, Any]:
        asked_for = {
            record.task_id: 0.0
            for record in records
            if record.outcome == batch.SUBMITTED and record.task_id not in answers
        }
        answers = answers | hop.loop.run(lambda hook: poll_all(hook, asked_for))
        found = collect(records, answers, hop.store, self._log.info)
        with naming_tasks(found, self._log):
            uri = manifests.write(hop.path, found)
        manifests.remove(hop.waiting)
        for before, after in zip(records, found, strict=True):
            if before.outcome == batch.SUBMITTED and after.outcome == SUCCESS:
                count_success(after.video_seconds)
            elif before.outcome == batch.SUBMITTED and after.outcome == FAILED:
                count_failure()
        totals = manifests.totals(uri, found)
        counts, seconds, cost = totals["counts"], totals["video_seconds"], totals["estimated_cost"]
        summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no items"
        price = "an unknown price" if cost is None else f"about ¥{cost:g}"
        self._log.info("%s, %s. The manifest is %s", summary, price, uri)
        if batch.is_failure(counts, self._options.fail_on):
            if self._options.do_xcom_push:
                self._push(totals)
            raise failure(found, summary, uri, resubmit=self._options.on_uncertain == "resubmit")
        if missed := len(found) - counts.get(SUCCESS, 0):
            self._log.warning("%d of %d items have no video: %s", missed, len(found), without_video(found))
        announce(self._context, seconds=seconds, cost=cost, manifest=uri, counts=counts)
        hop.memory.deliver([record.custom_id for record in found if record.outcome != SUCCESS])
        return totals

    def _push(self, totals: dict[str, Any]) -> None:
        """Push a failed batch's totals, for the UI and tasks that run in any case."""
        try:
            self._context["ti"].xcom_push(key="return_value", value=totals)
        except Exception:
            self._log.exception("Could not push the totals: %s", totals)
