# SPDX-License-Identifier: Apache-2.0
"""
The record of a batch's submits across tries.

With it, no crash and no retry pays for an item twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_vidu.durable.attempt import Attempt
from airflow_provider_vidu.durable.batch_chunk import Mark, chunk, chunk_key, submits_in, submits_of
from airflow_provider_vidu.durable.state_store import StateStore
from airflow_provider_vidu.protocol.batch import REUSED

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.storage.manifest import Record

DELIVERED_KEY = "vidu_batch_delivered"
CHUNK_BYTES = 12 << 10
"""Size limit of a chunk. Each write of a larger one costs more than its reads by later waves save."""


class BatchRecord(StateStore):
    """
    The attempts of a batch's items in Airflow's task state store.

    Each key holds a chunk of submits. A try adds to its last chunk while there is room, so that many small waves make
    few keys. One write replaces the chunk, so a kill leaves it as it was before or after. A try never writes to a chunk
    of an earlier try, whose worker may still run. Only a later chunk replaces an earlier chunk's entry for the same
    item. ``attempts`` holds the valid attempt of each item, by custom id.

    :param context: Airflow's context of the task instance.
    :param log: the operator's logger.
    """

    without_a_store = (
        "Airflow older than 3.3 keeps no record of a try. Once anything is submitted, Airflow does not retry this "
        "task. If a worker dies, its submits are lost, although they are billed. Set [vidu] ledger to a directory or "
        "bucket that all workers share."
    )

    def __init__(self, context: Context, *, log: Logger) -> None:
        super().__init__(context, durable=True, log=log)
        self.max_tries = context["ti"].max_tries
        self._try_number = context["ti"].try_number
        self.attempts: dict[str, Attempt] = {}
        self.marks: dict[str, Mark] = {}
        """Request and estimate of each item's last submit, by custom id."""
        self.places: dict[str, str] = {}
        """Vidu's id of each stored submit by its place in the ledger, empty if its outcome is unknown."""
        self._submits: dict[str, dict[float, tuple[str, float | None]]] = {}
        """Vidu's id and the price of each certain or possible submit of an item, by its time."""
        self._open: dict[str, float] = {}
        """Start of each submit whose outcome is not in the store, by custom id."""
        self._chunks = 0
        self._last: dict[str, Any] | None = None
        """Submits of the last chunk as stored, by custom id; ``None`` if this try did not write it."""

    def read(self) -> None:
        """
        Read the attempts that earlier tries stored.

        :raises ViduStateError: if the store cannot be read or holds something else. Nothing was sent.
        """
        delivered = self.get(DELIVERED_KEY)
        while (stored := self.get(chunk_key(self._chunks))) is not None:
            try:
                max_tries = int(stored["max_tries"])
                without = delivered["without"] if delivered and delivered["max_tries"] == max_tries else None
                for name, (mark, begun_at, vidu_task_id) in submits_in(stored).items():
                    is_delivered = without is not None and name not in without
                    self.marks[name] = mark
                    if mark.place:
                        self.places[mark.place] = vidu_task_id
                    self.attempts[name] = Attempt(mark.sent, max_tries, begun_at, {}, vidu_task_id, is_delivered)
                    self._count(name, begun_at, vidu_task_id)
                is_of_this_try = (max_tries, stored.get("try_number")) == (self.max_tries, self._try_number)
                self._last = stored["submits"] if is_of_this_try else None
            except (TypeError, KeyError, ValueError, AttributeError):
                raise self.strange(chunk_key(self._chunks), stored) from None
            self._chunks += 1

    def _count(self, name: str, begun_at: float, vidu_task_id: str) -> None:
        # An attempt that attach() writes again keeps its time.
        self._submits.setdefault(name, {})[begun_at] = (vidu_task_id, self.marks[name].price)
        self._open.pop(name, None)
        if not vidu_task_id:
            self._open[name] = begun_at

    def earlier_than(self, custom_id: str, vidu_task_id: str) -> tuple[str, ...]:
        """
        List the earlier tasks of an item, which may be billed.

        :param custom_id: custom id of the item.
        :param vidu_task_id: Vidu's id of its last task, empty if none is known.
        :return: Vidu's ids of the earlier tasks, the oldest first.
        """
        return tuple(known for known, _ in self._submits.get(custom_id, {}).values() if known not in ("", vidu_task_id))

    def cost(self, custom_id: str) -> float | None:
        """
        Return the total estimate of all certain and possible submits of an item.

        :param custom_id: custom id of the item.
        :return: CNY by the estimates at the time of each submit; 0 if there was none, ``None`` if one is unknown.
        """
        prices = [price for _, price in self._submits.get(custom_id, {}).values()]
        return None if None in prices else round(sum(filter(None, prices)), 5)

    def begun_at(self, custom_id: str, vidu_task_id: str) -> float:
        """
        Return the time of a task's submit in epoch seconds, 0 if it is unknown.

        :param custom_id: custom id of the item.
        :param vidu_task_id: Vidu's id of the task.
        """
        submits = self._submits.get(custom_id, {})
        return next((begun_at for begun_at, (known, _) in submits.items() if known == vidu_task_id), 0.0)

    def agrees_with(self, records: Sequence[Record]) -> bool:
        """
        Check whether records belong to the try that submitted last.

        :param records: the items with their tasks, if any.
        """
        names = {record.custom_id for record in records}
        submitted = {name for name, attempt in self.attempts.items() if attempt.max_tries == self.max_tries}
        # A copied video of an earlier submit has no attempt.
        return submitted <= names and all(map(self._knows, (one for one in records if one.outcome != REUSED)))

    def _knows(self, record: Record) -> bool:
        attempt = self.attempts.get(record.custom_id)
        known = attempt.vidu_task_id if attempt else ""
        if not record.task_id:
            # A refused submit leaves the item's earlier attempt unchanged.
            return not known or known in record.earlier_task_ids
        if attempt and not known:
            # An intent without an outcome may be one whose task id could not be stored.
            return record.task_id not in self.earlier_than(record.custom_id, "")
        return record.task_id == known

    def intend(self, marks: Mapping[str, Mark]) -> None:
        """
        Store the intent to submit a chunk.

        :param marks: requests and estimates of its items, by custom id.
        :raises ViduStateError: if the store cannot write it. Nothing of the chunk was sent.
        """
        self.marks.update(marks)
        begun_at = time.time()
        self._add(dict.fromkeys(marks, ""), begun_at)
        self._open.update(dict.fromkeys(marks, begun_at))

    def settle(self, marks: Mapping[str, Mark], accepted: Mapping[str, str], unknown: Collection[str]) -> bool:
        """
        Store the outcome of the chunk that was intended last.

        :param marks: requests and estimates of its items, by custom id.
        :param accepted: Vidu's ids of the accepted tasks, by custom id.
        :param unknown: custom ids of the items whose outcome is unknown. All other items of the chunk were not
            accepted, and their earlier attempts are valid again.
        :return: whether the outcome is stored.
        """
        kept = {name: accepted.get(name, "") for name in marks if name in accepted or name in unknown}
        settled_at, begun_at = time.time(), {name: self._open.pop(name) for name in marks}
        for name, vidu_task_id in kept.items():
            self._count(name, settled_at, vidu_task_id)
        others = {name: one for name, one in (self._last or {}).items() if name not in marks}
        submits = others | submits_of(self.marks, kept, settled_at)
        is_stored = self.put_or_tell(
            chunk_key(self._chunks - 1),
            self._chunk(submits),
            "Could not store the accepted submits: another try would treat them as uncertain. The Vidu tasks by "
            f"custom id: {dict(accepted)}",
        )
        if is_stored:
            self._last = submits
        else:
            self._open.update(begun_at)
        return is_stored

    def catch_up(self, records: Iterable[Record]) -> None:
        """
        Store the accepted tasks that an earlier write could not store.

        :param records: the items with their tasks.
        """
        late = {record.custom_id: record.task_id for record in records if record.task_id}
        for begun_at in sorted({self._open[name] for name in late if name in self._open}):
            ids = {name: id_ for name, id_ in late.items() if self._open.get(name) == begun_at}
            number, submits = self._with(ids, begun_at)
            otherwise = f"Still could not store the Vidu tasks by custom id: {ids}"
            if self.put_or_tell(chunk_key(number), self._chunk(submits), otherwise):
                self._chunks, self._last = number + 1, submits
                for name in ids:
                    del self._open[name]

    def attach(self, custom_ids: Collection[str]) -> None:
        """
        Store this try's ``max_tries`` with the attempts that it re-attaches to.

        After a person's clear, a later retry then counts as a retry for these items, not as another clear. The attempt
        of an item to resubmit stays unchanged until its intent replaces it. A try that reaches it still sees the clear.

        :param custom_ids: the items that this try re-attaches to.
        :raises ViduStateError: if the store cannot write it. Nothing was sent.
        """
        cleared = [name for name in custom_ids if self.attempts[name].max_tries != self.max_tries]
        for begun_at in sorted({self.attempts[name].begun_at for name in cleared}):
            found = [name for name in cleared if self.attempts[name].begun_at == begun_at]
            self._add({name: self.attempts[name].vidu_task_id for name in found}, begun_at)

    def deliver(self, without: Collection[str]) -> None:
        """
        Store that the batch was delivered, so that a clear submits new videos.

        :param without: custom ids of the items without a video.
        """
        self.put_or_tell(
            DELIVERED_KEY,
            {"version": 1, "max_tries": self.max_tries, "without": sorted(without)},
            "Could not store that the batch was delivered; a clear would re-attach to its tasks.",
        )

    def _add(self, ids: Mapping[str, str], begun_at: float) -> None:
        number, submits = self._with(ids, begun_at)
        self.put(chunk_key(number), self._chunk(submits))
        self._chunks, self._last = number + 1, submits

    def _chunk(self, submits: Mapping[str, Any]) -> dict[str, Any]:
        return chunk(self.max_tries, self._try_number, submits)

    def _with(self, ids: Mapping[str, str], begun_at: float) -> tuple[int, dict[str, Any]]:
        """Return the number and the submits of the chunk that takes more submits: the last one, or a new one."""
        added = submits_of(self.marks, ids, begun_at)
        # A chunk has one entry for an item. Those of its earlier submits stay: their tasks are billed, too.
        if self._last is not None and self._last.keys().isdisjoint(added):
            submits = self._last | added
            if len(json.dumps(self._chunk(submits))) <= CHUNK_BYTES:
                return self._chunks - 1, submits
        return self._chunks, added
