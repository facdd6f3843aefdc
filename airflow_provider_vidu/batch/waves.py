# SPDX-License-Identifier: Apache-2.0
"""The submits and waits of a batch, wave after wave; without ``max_in_flight`` there is one wave."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowTaskTimeout, TaskDeferred

from airflow_provider_vidu.arguments import seconds_of
from airflow_provider_vidu.batch.finish import count, settle
from airflow_provider_vidu.batch.resume import tasks_of
from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.protocol.batch import SUBMITTED, UNCERTAIN
from airflow_provider_vidu.protocol.errors import Family
from airflow_provider_vidu.protocol.texts import first_few
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.storage.places import located
from airflow_provider_vidu.storage.probe import probe
from airflow_provider_vidu.triggers.batch import ViduBatchTrigger
from airflow_provider_vidu.triggers.vidu import defer_timeout

if TYPE_CHECKING:
    from airflow_provider_vidu.batch.options import BatchOptions
    from airflow_provider_vidu.batch.records import Records
    from airflow_provider_vidu.batch.slots import Slots
    from airflow_provider_vidu.batch.submits import Submits
    from airflow_provider_vidu.batch.visit import Visit
    from airflow_provider_vidu.protocol.prices import Estimate

OVER = "The wait ended before its turn came. Nothing was sent or paid for it."


class Waves:
    """
    Submit and wait on a worker, as many generations at a time as there are slots.

    :param visit: the resources of this run on a worker.
    :param options: the arguments of the operator.
    :param records: the records of the items.
    :param submits: the submits of this run.
    :param slots: the slots.
    :param began: epoch seconds of the start of this run.
    :param deadline: epoch seconds of the end of the wait.
    """

    def __init__(
        self,
        visit: Visit,
        options: BatchOptions,
        records: Records,
        submits: Submits,
        slots: Slots,
        began: float,
        deadline: float,
    ) -> None:
        self._visit = visit
        self._options = options
        self._records = records
        self._submits = submits
        self._slots = slots
        self._began = began
        self._deadline = deadline
        self._log = records.log
        self._is_listed = False

    @property
    def is_over(self) -> bool:
        """Whether the wait has ended."""
        return time.time() >= self._deadline

    def run(self, estimates: Mapping[str, Estimate]) -> None:
        """
        Submit and wait until no task runs or the wait has ended.

        :param estimates: the estimate of each item that waits for its turn, by custom id.
        :raises TaskDeferred: to wait in the triggerer instead of on the worker.
        """
        self._submit(estimates)
        while self._records.running:
            if not self._is_listed:
                # The next visit may run on another worker.
                self.list_tasks(is_vital=False)
            self._wait()
            self._records.answers.clear()
            if self.is_over or not self._records.waiting:
                break
            self.settle()
            self._submit(estimates)
        self.leave(OVER)

    def list_tasks(self, *, is_vital: bool) -> None:
        """
        Write the file that lists the submitted tasks.

        If the state store holds them too, log a fault, unless the file is vital.

        :param is_vital: whether nothing may be paid without the file.
        """
        self._is_listed = True
        try:
            manifests.write(self._visit.waiting, self._records)
        except ViduDownloadError as error:
            if is_vital or not self._visit.memory.remembers:
                raise
            # Some stores let write a name once.
            self._log.warning("%s After the wait, the operator takes the tasks from the task state store.", error)

    def leave(self, reason: object) -> None:
        """
        Leave the items unsubmitted that still wait for their turn.

        :param reason: the reason, unless the submits have stopped for another one.
        """
        if waiting := self._records.waiting:
            self._submits.stop(reason)
            self._log.error("%d items stay unsubmitted: %s", len(waiting), self._submits.stopped_by)
        for custom_id in waiting:
            self._submits.set_outcome(custom_id)

    def settle(self) -> None:
        """Store the videos that are ready, and free the slots of the tasks that have ended."""
        self._is_listed = False
        before, after = settle(self._visit, self._options, self._log, self._records, {}, is_end=False)
        self._records.by_id = {record.custom_id: record for record in after}
        count(before, after, self._log)
        refused = [
            new.custom_id
            for old, new in zip(before, after, strict=True)
            if old.outcome == SUBMITTED and new.family == Family.CAPACITY
        ]
        if refused:
            self._slots.lower(f"the service was short of capacity for {first_few(refused)}")
        try:
            for path in (self._visit.path, self._visit.waiting):
                probe(located(path))
        except ViduDownloadError as error:
            # Nothing more is paid if nothing can be stored.
            self._submits.stop(error)

    def _submit(self, estimates: Mapping[str, Estimate]) -> None:
        if not self._records.waiting:
            return
        self._is_listed = False
        try:
            if not self._submits.stopped_by:
                self._fill(estimates)
            if limit := self._submits.rate_limit:
                self._slots.lower(limit)
                if not self._records.running:
                    self.leave(limit)
            if self._submits.stopped_by:
                self.leave(self._submits.stopped_by)
            self._submits.rate_limit = ""
        finally:
            self.list_tasks(is_vital=False)

    def _fill(self, estimates: Mapping[str, Estimate]) -> None:
        """Submit items until the slots are full."""
        uncertain = 0
        while not (self._submits.stopped_by or self._submits.rate_limit):
            chunk = self._records.pending[: self._slots.free(self._records.in_flight + uncertain)]
            if not chunk:
                return
            self._submits.submit(chunk, estimates)
            # These may be in flight.
            uncertain += sum(self._records.by_id[item.custom_id].outcome == UNCERTAIN for item in chunk)

    def _wait(self) -> None:
        records, waiting = self._records, len(self._records.waiting)
        self._submits.show()
        trigger = ViduBatchTrigger(
            groups=records.groups(),
            vidu_conn_id=self._options.vidu_conn_id,
            poll_interval=seconds_of(self._options.poke_interval),
            submitted_at=min(self._began, records.first_submit),
            deadline=self._deadline,
            enough=self._slots.enough(records.in_flight, waiting),
        )
        if waiting:
            self._log.info("%d generations in flight; %d items wait for their turn", records.in_flight, waiting)
        if self._options.deferrable:
            # The next visit may be on another worker.
            self._visit.stored.flush()
            raise TaskDeferred(
                trigger=trigger,
                method_name="execute_complete",
                kwargs=self._for_next_visit(),
                timeout=defer_timeout(trigger.deadline),
            )
        try:
            ended = self._visit.loop.run(lambda hook: trigger.wait(hook, self._log))
        except AirflowTaskTimeout as error:
            # The videos that are ready are stored nevertheless.
            self._log.warning("The wait timed out: %s", error)
            self._visit.loop.finish(0)
            self._deadline = 0.0
            return
        self._log.info("%s", ended.message)

    def _for_next_visit(self) -> dict[str, Any]:
        resets_at = self._submits.budget_resets_at
        return {
            "path": self._visit.path,
            "destination": self._options.destination,
            "mark": manifests.mark_of(self._records),
            **({} if self._visit.memory.remembers else {"tasks": tasks_of(self._records)}),
            **({"budget_resets_at": resets_at} if resets_at else {}),
            **({"wave": self._wave()} if self._records.planned else {}),
        }

    def _wave(self) -> dict[str, Any]:
        return {
            "deadline": self._deadline,
            "is_last": not self._records.waiting,
            "planned": self._records.planned,
            **self._slots.state(),
        }
