# SPDX-License-Identifier: Apache-2.0
"""Lines of the library from the ledger."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from airflow_provider_vidu.durable.entries import EntryName, names_in, stem_of
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.durable.lines import Line, days_of, lines_of
from airflow_provider_vidu.plugin.shelf import MOST_LINES, Kept
from airflow_provider_vidu.plugin.shown import shown

OBJECTS_AT_A_TIME = 64
RECENT_DAYS = 3
"""Days with entries that are listed each time; a task ends at most so long after its submit."""
ROUND_SECONDS = 600.0
"""Seconds after which all other days are listed again, because someone may prune them."""


class LedgerLines:
    """
    The newest submits of a ledger.

    :param ledger: the ledger.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._days: dict[str, dict[tuple[EntryName, ...], tuple[Kept, ...]]] = {}
        self._found: tuple[object, list[Kept]] = (None, [])
        self._round_at = float("-inf")

    def read(self) -> Iterator[None]:
        """
        Read new objects, and those of tasks that had not ended, the newest first.

        :raises ViduStateError: if the ledger cannot be read.
        """
        days = days_of(self._ledger, "", "~")[::-1]
        now = time.monotonic()
        is_round = now - self._round_at > ROUND_SECONDS
        count, shown = 0, set()
        for number, day in enumerate(days):
            if is_round or number < RECENT_DAYS or day not in self._days:
                yield from self._read_day(day)
            shown.add(day)
            count += sum(map(len, self._days[day].values()))
            if count > MOST_LINES:
                break
        for day in self._days.keys() - shown:
            self._put(day, {})
        self._round_at = now if is_round else self._round_at

    def _read_day(self, day: str) -> Iterator[None]:
        groups = self._ledger.groups(day)[::-1]
        known = self._days.get(day, {})
        self._put(day, {group: known[group] for group in groups if group in known})
        missing = [group for group in groups if not _has_ended(known.get(group))]
        for start in range(0, len(missing), OBJECTS_AT_A_TIME):
            part = missing[start : start + OBJECTS_AT_A_TIME]
            read = zip(part, lines_of(self._ledger, part), strict=True)
            self._put(day, {**self._days[day], **{group: _kept(day, group, lines) for group, lines in read}})
            yield

    def _put(self, day: str, found: dict[tuple[EntryName, ...], tuple[Kept, ...]]) -> None:
        # Readers in other threads keep the dictionaries that they have.
        self._days = {**self._days, day: found}

    def kept(self) -> list[Kept]:
        """Return the lines read so far, the newest first."""
        days, found = self._days, self._found
        if found[0] is not days:
            kept = [one for day in days.values() for of_group in day.values() for one in of_group]
            kept.sort(key=lambda one: one.line.name.begun_at, reverse=True)
            self._found = found = (days, kept)
        return found[1]


def _has_ended(kept: Sequence[Kept] | None) -> bool:
    return kept is not None and all(line.ending for line, _ in kept)


def _kept(day: str, group: Sequence[EntryName], lines: Sequence[Line]) -> tuple[Kept, ...]:
    places = ((shown(line), f"{day}/{stem_of(group)}/{number}") for number, line in enumerate(lines))
    return tuple(Kept(line, f"stored/{quote(line.entry.dag_id, safe='')}/{place}") for line, place in places)


def files_of(dag_id: str, day: str, stem: str, number: int) -> tuple[str, ...]:
    """
    Read the stored files of an entry in the configured ledger.

    :param dag_id: the DAG that the entry must be of.
    :param day: the day whose directory holds the entry's object.
    :param stem: name of the object.
    :param number: number of the entry in the object.
    :return: URIs of its files, none if there is no such entry.
    :raises ViduError: if the ledger cannot be read.
    """
    ledger, group = Ledger.configured(), names_in(day, stem)
    if ledger is None or number >= len(group):
        return ()
    entry = ledger.entries(group)[number]
    ending = ledger.ending(entry.vidu_task_id) if entry.vidu_task_id and entry.dag_id == dag_id else None
    return ending.files if ending else ()
