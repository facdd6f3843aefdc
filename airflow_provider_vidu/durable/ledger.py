# SPDX-License-Identifier: Apache-2.0
"""
The ledger: small JSON objects beside the videos, in a directory or an object store.

It needs no lock, no server and no database. ``spent/<month>/<day>/<names>.json`` holds the intents of submits that one
worker sends together, and their accepted tasks if there are several. ``requests/<fingerprint>/<name>.json`` is an
accepted task, by which another submit of the same request finds it; a batch writes it when it ends.
``ended/<Vidu's id>.json`` is the end of a task, and ``state/…`` is the task state of an Airflow below 3.3.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from zoneinfo import ZoneInfo

from airflow_provider_vidu.durable.each import each
from airflow_provider_vidu.durable.entries import (
    DIGITS,
    SCHEMA_VERSION,
    Ending,
    Entry,
    EntryName,
    day_of,
    ended,
    groups_in,
    has_room,
    names_in,
    spent_at,
    units_of,
)
from airflow_provider_vidu.durable.objects import OPTION, SECTION, Objects
from airflow_provider_vidu.exceptions import ViduRequestError, ViduStateError

DEFAULT_ZONE = "Asia/Shanghai"

log = logging.getLogger(__name__)


class Ledger(Objects):
    """
    The ledger's objects.

    Methods that read may be called from many threads. The entries of submits are written from one.

    :param root: path or URI of the ledger.
    :param zone: time zone of its days.
    """

    def __init__(self, root: str, zone: ZoneInfo | None = None) -> None:
        super().__init__(root)
        self.zone = zone or ZoneInfo(DEFAULT_ZONE)
        self._mine: dict[EntryName, dict[EntryName, Entry]] = {}

    @classmethod
    def configured(cls) -> Ledger | None:
        """
        Open the ledger of ``[vidu] ledger``.

        :return: the ledger, ``None`` if none is configured.
        :raises ViduRequestError: if the configuration is wrong. Nothing was sent.
        """
        from airflow.providers.common.compat.sdk import conf

        root = conf.get(SECTION, OPTION, fallback="").strip()
        zone = conf.get(SECTION, "budget_timezone", fallback="").strip() or DEFAULT_ZONE
        if root and "://" not in root and not root.startswith("/"):
            raise ViduRequestError(
                f"[vidu] ledger must be an absolute path or a URI of ObjectStoragePath, got {root!r}. Nothing was sent "
                "or paid. Correct Airflow's configuration."
            )
        try:
            return cls(root, ZoneInfo(zone)) if root else None
        except (ValueError, OSError, KeyError):
            raise ViduRequestError(
                f"[vidu] budget_timezone must be a name of the IANA time zone database, such as {DEFAULT_ZONE}, got "
                f"{zone!r}. Nothing was sent or paid. Correct Airflow's configuration."
            ) from None

    def name(self, now: float, price: float | None, request: str) -> EntryName:
        """
        Name a new entry.

        :param now: epoch seconds.
        :param price: the estimate in CNY, ``None`` if unknown.
        :param request: fingerprint of the request.
        """
        units = None if price is None else units_of(price)
        return EntryName(day_of(now, self.zone), int(now * 1000), units, request[:DIGITS], uuid.uuid4().hex[:12])

    def intend(self, entries: Mapping[EntryName, Entry]) -> dict[EntryName, EntryName]:
        """
        Write the intents of submits, a few in one object.

        :param entries: the submits, all of one moment.
        :return: the names under which they were written, by the given ones.
        :raises ViduStateError: if one could not be written. Nothing was sent.
        """
        groups: list[dict[EntryName, Entry]] = []
        written: dict[EntryName, EntryName] = {}
        for given, entry in entries.items():
            group = next((one for one in groups if has_room(one, given)), None)
            if group is None:
                groups.append(group := {})
            first = next(iter(group), given)
            written[given] = name = given._replace(mark=first.mark)
            group[name] = entry
            self._mine[name] = group
        try:
            each(lambda group: self._put_group(list(group), group), groups)
        except BaseException:
            # Also where the task's time is over: what is never sent must not count as spent.
            self.withdraw(written.values())
            raise
        return written

    def _put_group(self, names: Sequence[EntryName], group: Mapping[EntryName, Entry]) -> None:
        self.put(spent_at(names), {"version": SCHEMA_VERSION, "entries": [group[name].content() for name in names]})

    def withdraw(self, names: Iterable[EntryName]) -> None:
        """
        Remove the intents of submits that were certainly not accepted.

        A failure is logged, not raised: the intent then counts as spent.

        :param names: their names, as :meth:`intend` returned them.
        """
        of_group: dict[int, list[EntryName]] = {}
        for name in names:
            of_group.setdefault(id(self._mine.get(name)), []).append(name)
        each(self._withdraw_from_one, of_group.values())

    def _withdraw_from_one(self, names: Sequence[EntryName]) -> None:
        group = self._mine.get(names[0])
        if group is None:
            return
        before = spent_at(list(group))
        for name in names:
            group.pop(name, None)
            self._mine.pop(name, None)
        try:
            if group:
                # The others first, so that they count at any moment.
                self._put_group(list(group), group)
            if len(group) == 1 and (entry := next(iter(group.values()))).vidu_task_id:
                # Look-ups find an entry that is alone in its object only by its request.
                self.put(next(iter(group)).accepted, entry.content())
        except ViduStateError as error:
            log.warning("Some intents could not be removed and count as spent: %s", error)
            return
        self.remove(before)

    def accept(self, accepted: Mapping[EntryName, str]) -> None:
        """
        Write the accepted tasks of submits.

        :param accepted: Vidu's ids by the names of the submits, as :meth:`intend` returned them.
        :raises ViduStateError: if one could not be written.
        """
        groups: dict[int, dict[EntryName, Entry]] = {}
        for name, vidu_task_id in accepted.items():
            if (group := self._mine.get(name)) is not None:
                group[name] = group[name]._replace(vidu_task_id=vidu_task_id)
                groups[id(group)] = group
        each(self._put_accepted, groups.values())

    def _put_accepted(self, group: Mapping[EntryName, Entry]) -> None:
        names = list(group)
        if len(names) == 1:
            self.put(names[0].accepted, group[names[0]].content())
        else:
            self._put_group(names, group)

    def take_over(self, group: Sequence[EntryName]) -> dict[EntryName, Entry]:
        """
        Continue with the object of a worker that was killed: :meth:`accept` and :meth:`withdraw` then know it.

        :param group: the names of all of its entries.
        :return: the entries.
        :raises ViduStateError: if the ledger cannot be read.
        """
        found = dict(zip(group, self.entries(group), strict=True))
        self._mine |= dict.fromkeys(group, found)
        return dict(found)

    def end(self, vidu_task_id: str, ending: Ending) -> None:
        """
        Write the end of a task, in place of an earlier one.

        :param vidu_task_id: Vidu's id of the task.
        :param ending: its end.
        :raises ViduStateError: if it could not be written.
        """
        self.put(ended(vidu_task_id), ending.content())

    def spent(self, period: str) -> list[EntryName]:
        """
        List the entries of a period by their names alone, the oldest first.

        :param period: a day as ``2026-11-27``, or a month as ``2026-11``.
        :raises ViduStateError: if the ledger cannot be read.
        """
        return [name for group in self.groups(period) for name in group]

    def groups(self, period: str) -> list[tuple[EntryName, ...]]:
        """
        List the names of a period's objects, the oldest first.

        :param period: a day as ``2026-11-27``, or a month as ``2026-11``.
        :return: the names of the entries of each object.
        :raises ViduStateError: if the ledger cannot be read.
        """
        days = [period] if len(period) > len("2026-11") else self.days(period)
        found = each(lambda day: groups_in(day, self.stems_of(day)), days)
        return sorted((group for of_day in found for group in of_day), key=lambda group: group[0].age)

    def stems_of(self, day: str) -> list[str]:
        """
        List the objects of a day without their suffix: those of submits and of reused videos.

        :param day: a day as ``2026-11-27``.
        :raises ViduStateError: if the ledger cannot be read.
        """
        return self.stems(f"spent/{day[:7]}/{day}")

    def days(self, month: str) -> list[str]:
        """
        List the days of a month that have entries.

        :param month: a month as ``2026-11``.
        :raises ViduStateError: if the ledger cannot be read.
        """
        return sorted(day for day in self.names(f"spent/{month}") if _is_day(day))

    def months(self) -> list[str]:
        """
        List the months that have entries.

        :raises ViduStateError: if the ledger cannot be read.
        """
        return sorted(month for month in self.names("spent") if re.fullmatch(r"\d{4}-\d\d", month))

    def entries(self, group: Sequence[EntryName]) -> list[Entry]:
        """
        Read the entries of an object.

        :param group: the names of all of its entries.
        :return: the entries; with empty values where objects are missing or unreadable as JSON.
        :raises ViduStateError: if the ledger cannot be read.
        """
        found = self.get(group[0].accepted) if len(group) == 1 else None
        if found is not None:
            return [Entry.read(found)]
        content = self.get(spent_at(group))
        listed = content.get("entries") if isinstance(content, Mapping) else None
        contents = listed if isinstance(listed, list) else []
        return [Entry.read(one) for one in [*contents, *[None] * len(group)][: len(group)]]

    def accepted(self, request: str) -> list[EntryName]:
        """
        List the tasks of a request that its look-ups find, the newest first.

        :param request: fingerprint of the request.
        :raises ViduStateError: if the ledger cannot be read.
        """
        found = [name for stem in self.stems(f"requests/{request[:DIGITS]}") for name in names_in("", stem)]
        days = [day_of(name.begun_at / 1000, self.zone) for name in found]
        named = [name._replace(day=day) for name, day in zip(found, days, strict=True)]
        return sorted(named, key=lambda name: name.age, reverse=True)

    def ending(self, vidu_task_id: str) -> Ending | None:
        """
        Read the end of a task.

        :param vidu_task_id: Vidu's id of the task.
        :return: its end, ``None`` if the ledger has none.
        :raises ViduStateError: if the ledger cannot be read.
        """
        return Ending.read(self.get(ended(vidu_task_id)))

    def forget(self, group: Sequence[EntryName]) -> None:
        """
        Remove all objects of entries; a failure is logged, not raised.

        :param group: the names of all entries of an object.
        :raises ViduStateError: if the ledger cannot be read.
        """
        ids = [entry.vidu_task_id for entry in self.entries(group)]
        self.remove(*(ended(id_) for id_ in ids if id_), *(name.accepted for name in group), spent_at(group))


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
