# SPDX-License-Identifier: Apache-2.0
"""The records of a batch's items during a run on a worker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_vidu.batch.items import Item
from airflow_provider_vidu.batch.results import NOT_POLLED, LastAnswer
from airflow_provider_vidu.protocol.batch import PENDING, REUSED, SUBMITTED, UNSUBMITTED
from airflow_provider_vidu.protocol.request import fingerprint
from airflow_provider_vidu.storage.manifest import Record
from airflow_provider_vidu.triggers.batch import Group

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.durable.batch_record import BatchRecord

_OF_ANOTHER_REQUEST = "An earlier try submitted it for a different request."
_CHANGED = (
    "The DAG no longer requests it as it did when this try began, so it was not submitted. Nothing was paid for it. "
    "A retry submits it as the DAG requests it then."
)


class Records:
    """
    The records of a batch's items, which later form its manifest.

    :param items: the items of the batch.
    :param memory: the record of the batch across tries.
    :param vidu_conn_id: connection of type ``vidu``.
    :param log: the operator's logger.
    :param left: the records of an earlier visit of this try, ``None`` (default) for the first visit.
    """

    def __init__(
        self,
        items: Sequence[Item],
        memory: BatchRecord,
        vidu_conn_id: str,
        log: Logger,
        left: Iterable[Record] | None = None,
    ) -> None:
        self.items = items
        self.memory = memory
        self.vidu_conn_id = vidu_conn_id
        self.log = log
        new = (
            Record(item.custom_id, item.request.as_asked(), UNSUBMITTED, "It was not submitted.")
            for item in (items if left is None else ())
        )
        self.by_id = {record.custom_id: record for record in (new if left is None else left)}
        self.answers: dict[str, LastAnswer] = {}
        """The API's answers about the tasks of earlier tries, by Vidu's id."""

    def __iter__(self) -> Iterator[Record]:
        return iter(self.by_id.values())

    @property
    def new(self) -> list[Item]:
        """The items to submit."""
        return [item for item in self.items if self.by_id[item.custom_id].outcome == UNSUBMITTED]

    @property
    def pending(self) -> list[Item]:
        """The items whose submits wait for their turn."""
        return [item for item in self.items if self.by_id[item.custom_id].outcome == PENDING]

    @property
    def waiting(self) -> list[str]:
        """The custom ids of the same items, and of those that the DAG no longer requests."""
        return [record.custom_id for record in self if record.outcome == PENDING]

    @property
    def planned(self) -> list[str]:
        """
        Marks of the items that wait for their turn, and of those with a copy of an earlier video.

        A visit that does not see the list of the one before submits or copies these alone: the DAG may have other items
        by then, whose price nobody has checked.
        """
        return [self.mark_of(record) for record in self if record.outcome in (PENDING, REUSED)]

    def mark_of(self, record: Record) -> str:
        """Return a short text that changes with an item's custom id and its request."""
        return fingerprint(record.request, f"{self.vidu_conn_id}/{record.custom_id}")[:12]

    @property
    def in_flight(self) -> int:
        """The number of generations that have not ended. Items with one request may share a task."""
        return len({record.task_id for record in self.running})

    @property
    def running(self) -> list[Record]:
        """The records of the tasks to wait for."""
        return [
            record
            for record in self
            if record.outcome == SUBMITTED and not self.answers.get(record.task_id, NOT_POLLED).believed
        ]

    @property
    def first_submit(self) -> float:
        """
        The earliest submit among the running tasks of earlier tries.

        It is in epoch seconds, and infinity if no such task exists.
        """
        known = ((record, self.memory.attempts.get(record.custom_id)) for record in self.running)
        # A resubmitted item keeps its earlier attempt in memory.attempts.
        begun = (attempt.begun_at for record, attempt in known if attempt and attempt.vidu_task_id == record.task_id)
        return min(begun, default=float("inf"))

    def groups(self) -> list[Group]:
        """Group the running tasks by their typical generation time and price."""
        groups: dict[tuple[float | None, float | None], list[str]] = {}
        for record in self.running:
            mark = self.memory.marks[record.custom_id]
            groups.setdefault((mark.seconds, mark.price), []).append(record.task_id)
        return [Group(seconds, price, vidu_task_ids) for (seconds, price), vidu_task_ids in groups.items()]

    def note(self, custom_id: str, outcome: str, reason: str, vidu_task_id: str = "", **more: Any) -> None:
        """
        Set the outcome of an item.

        :param custom_id: custom id of the item.
        :param outcome: ``submitted`` or one of ``protocol.batch.OUTCOMES``.
        :param reason: why there is no video yet.
        :param vidu_task_id: Vidu's id of its task, empty if no task exists.
        :param more: other fields of the record.
        """
        mark = self.memory.marks.get(custom_id)
        more = {"family": "", "error": "", "reused_from": vidu_task_id if mark and mark.reused else "", **more}
        self.by_id[custom_id] = self.by_id[custom_id]._replace(
            outcome=outcome,
            reason=reason,
            **more,
            task_id=vidu_task_id,
            earlier_task_ids=self.memory.earlier_than(custom_id, vidu_task_id),
            estimated_cost=self.memory.cost(custom_id),
        )

    def queue(self) -> None:
        """Let all new items wait for their turn."""
        for item in self.new:
            self.note(item.custom_id, PENDING, "It was not submitted.")

    def take_up(self, items: Iterable[Item]) -> None:
        """
        Take the items that still wait for their turn from what the DAG requests now.

        An item whose request has changed is left out: the first visit of this try has checked its price.

        :param items: the items that the DAG requests now.
        """
        asked, found = {item.custom_id: item for item in items}, []
        for index, record in enumerate(self):
            if record.outcome != PENDING:
                continue
            item = asked.get(record.custom_id)
            bodies = [item.request.as_asked() if item else {}, record.request]
            if item and len({fingerprint(body, self.vidu_conn_id) for body in bodies}) == 1:
                found.append(replace(item, index=index))
            else:
                self.note(record.custom_id, UNSUBMITTED, _CHANGED)
        self.items = found

    def keep(self, stored: Mapping[str, Record]) -> None:
        """
        Adopt the records of videos that an earlier try stored.

        :param stored: these records, by custom id.
        """
        for item in self.items:
            if item.custom_id in stored:
                # A manifest's line holds the request that its video was made for.
                changed = self.change_of(item)
                record = stored[item.custom_id]._replace(reason=changed)
                self.by_id[item.custom_id] = record if changed else record._replace(request=item.request.as_asked())

    def change_of(self, item: Item) -> str:
        """
        Return a sentence if an item's task was submitted for another request.

        :param item: the item.
        :return: the sentence; an empty text if the item's present request is the same.
        """
        if self.memory.marks[item.custom_id].asked == fingerprint(item.request.as_asked(), self.vidu_conn_id):
            return ""
        self.log.warning(
            "%s: %s Check that its custom id is the same as in the previous try.", item.custom_id, _OF_ANOTHER_REQUEST
        )
        return _OF_ANOTHER_REQUEST
