# SPDX-License-Identifier: Apache-2.0
"""The ledger's part in the submits of a batch: reuse, intents within the budgets, and outcomes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_vidu.durable.each import each
from airflow_provider_vidu.durable.entries import GROUP, EntryName
from airflow_provider_vidu.durable.reuse import Reusable, Reuse
from airflow_provider_vidu.durable.reused import note_reuse
from airflow_provider_vidu.durable.spending import Planned, Spending, entry_of
from airflow_provider_vidu.exceptions import ViduBudgetError, ViduRequestError
from airflow_provider_vidu.protocol.request import Prepared

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_vidu.batch.items import Item
    from airflow_provider_vidu.batch.records import Records
    from airflow_provider_vidu.protocol.prices import Estimate

Copy = Callable[[Reusable, "Item"], list[str]]


class Reused(NamedTuple):
    """
    An item that takes the video of an earlier submit.

    :param found: the task of that submit.
    :param files: URIs of the copies at the batch's destination; empty if the batch waits for the task.
    """

    found: Reusable
    files: tuple[str, ...] = ()


class Plan(NamedTuple):
    """
    The submits of a chunk.

    :param sent: custom ids of the items to submit, in order.
    :param reused: the items that take another submit's task, by custom id.
    :param refused: the error of the items that no budget covers, ``None`` if all are covered.
    :param left_out: custom ids of those items.
    """

    sent: list[str]
    reused: dict[str, Reused]
    refused: ViduBudgetError | None = None
    left_out: Collection[str] = ()


class Paying:
    """
    Keep the ledger of a batch's submits.

    :param records: the batch's records.
    :param reuse: whether items take videos that were paid before.
    :param context: Airflow's context of the task instance.
    :param copy: copies stored videos to the batch's destination.
    """

    def __init__(self, records: Records, *, reuse: bool, context: Context, copy: Copy) -> None:
        self._records = records
        self._takes_reused = reuse
        self._ti = context["ti"]
        self._copy = copy
        self._entries: dict[str, EntryName] = {}
        self._requests: dict[str, str] = {}

    # Both only for a submit: a wrong configuration must not keep a try from its paid tasks.
    @cached_property
    def _spending(self) -> Spending:
        return Spending(self._records.log)

    @cached_property
    def _reuse(self) -> Reuse | None:
        if not self._takes_reused:
            return None
        return Reuse(self._spending.ledger, self._records.vidu_conn_id, self._records.log)

    def check(self, missing: Mapping[str, str]) -> None:
        """
        Check the configuration, and refuse items without a price if there is a budget.

        :param missing: what is missing, by custom id, for the items without a price.
        :raises ViduRequestError: if there are any, or the configuration is wrong. Nothing was sent.
        """
        self._spending.check_prices(missing)
        _ = self._reuse

    def mend(self) -> None:
        """Correct what an earlier try left in the ledger if its worker was killed. A failure is logged, not raised."""
        if places := self._records.memory.places:
            try:
                self._spending.mend(places)
            except ViduRequestError as error:
                # A wrong configuration must not keep a try from its paid tasks.
                self._records.log.warning("%s", error)

    def apart(self, items: Sequence[Item], asked: Mapping[str, Prepared]) -> tuple[list[Item], list[Item]]:
        """
        Hold back items whose request equals that of an earlier item, if videos may be reused.

        :param items: the items.
        :param asked: their requests, ready to be submitted, by custom id.
        :return: the items to submit now, and those to submit or reuse after them.
        """
        if self._reuse is None:
            return list(items), []
        first: dict[str, Item] = {}
        for item in items:
            first.setdefault(asked[item.custom_id].fingerprint(""), item)
        now = list(first.values())
        return now, [item for item in items if item not in now]

    def reused(self, items: Sequence[Item], asked: Mapping[str, Prepared]) -> dict[str, Reused]:
        """
        Find items whose videos were paid before, and copy those that are stored.

        :param items: the items.
        :param asked: their requests, ready to be submitted, by custom id.
        :return: the items that need no submit, by custom id.
        :raises ViduStateError: if the ledger cannot be read. Nothing was sent; a retry can help.
        :raises ViduDownloadError: if a stored video cannot be copied; a retry can help.
        """
        reuse = self._reuse
        if reuse is None:
            return {}
        found = reuse.find([asked[item.custom_id].fingerprint("") for item in items])
        known = [
            (item, one, asked[item.custom_id].fingerprint("")) for item, one in zip(items, found, strict=True) if one
        ]
        return dict(each(lambda args: self._taken(*args), known))

    def _taken(self, item: Item, found: Reusable, request: str) -> tuple[str, Reused]:
        files = self._copy(found, item) if found.files else []
        self._records.log.info(
            "%s: reusing Vidu task %s of the same request; %s", item.custom_id, found.vidu_task_id, found.where
        )
        entry = entry_of(self._ti, self._records.vidu_conn_id, item.request.as_asked(), item.custom_id)
        copies = found._replace(files=tuple(files))
        note_reuse(self._spending.ledger, entry, request, copies, self._records.log)
        return item.custom_id, Reused(found, tuple(files))

    def intend(self, items: Sequence[Item], asked: Mapping[str, Prepared], estimates: Mapping[str, Estimate]) -> Plan:
        """
        Write the intents of as many items as the budgets cover, in their order.

        :param items: the items to submit.
        :param asked: their requests, ready to be submitted, by custom id.
        :param estimates: their estimates, by custom id.
        :return: the items to submit.
        :raises ViduStateError: if the ledger cannot be read or written. Nothing of the chunk was sent.
        """
        names = [item.custom_id for item in items]
        if self._spending.ledger is None or not items:
            return Plan(names, {})
        planned = {
            item.custom_id: Planned(
                asked[item.custom_id].fingerprint(""),
                estimates[item.custom_id].price_cny,
                entry_of(self._ti, self._records.vidu_conn_id, item.request.as_asked(), item.custom_id),
            )
            for item in items
        }
        entries, refused = self._spending.intend(planned)
        self._entries |= entries
        self._requests |= {name: planned[name].request for name in entries}
        try:
            reused = self._of_rivals([item for item in items if item.custom_id in entries], asked)
        except BaseException:
            self.withdraw(entries)
            raise
        self.withdraw(reused)
        left_out = [name for name in names if name not in entries]
        return Plan([name for name in entries if name not in reused], reused, refused, left_out)

    def _of_rivals(self, items: Sequence[Item], asked: Mapping[str, Prepared]) -> dict[str, Reused]:
        if self._reuse is None or not items:
            return {}
        by_entry = {self._entries[item.custom_id]: item for item in items}
        requests = {own: asked[item.custom_id].fingerprint("") for own, item in by_entry.items()}
        found = self._reuse.of_rivals(requests)
        return dict(self._taken(by_entry[own], one, requests[own]) for own, one in found.items())

    @property
    def together(self) -> int:
        """Number of submits whose intents are written together, 0 without a ledger."""
        return GROUP if self._spending.ledger else 0

    def place_of(self, custom_id: str) -> tuple[str, str]:
        """
        Return the ledger's place for the accepted task of an item, and its fingerprint; both empty without a ledger.

        :param custom_id: the item.
        """
        if custom_id not in self._entries:
            return "", ""
        return self._entries[custom_id].accepted, self._requests[custom_id]

    def accept(self, accepted: Mapping[str, str]) -> None:
        """
        Write accepted tasks. A failure is logged, not raised.

        :param accepted: Vidu's ids of the tasks, by custom id.
        """
        self._spending.accept({self._entries[name]: id_ for name, id_ in accepted.items() if name in self._entries})

    def withdraw(self, names: Iterable[str]) -> None:
        """
        Remove the intents of items that were certainly not submitted.

        :param names: their custom ids.
        """
        self._spending.withdraw(*(self._entries.pop(name) for name in list(names) if name in self._entries))
