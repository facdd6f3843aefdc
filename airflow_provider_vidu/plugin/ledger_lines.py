# SPDX-License-Identifier: Apache-2.0
"""Lines of the library from the ledger."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

from airflow_provider_vidu.durable.each import each
from airflow_provider_vidu.durable.entries import Entry, EntryName, groups_in, names_in, stem_of
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.durable.lines import Line, days_of, lines_of
from airflow_provider_vidu.durable.reused import PREFIX, REUSED, reused_in, reused_line
from airflow_provider_vidu.plugin.shelf import MOST_LINES, Kept
from airflow_provider_vidu.plugin.shown import shown

OBJECTS_AT_A_TIME = 64
RECENT_DAYS = 3
"""Days with entries that are listed each time; a task ends at most so long after its submit."""
SETTLED_SECONDS = (RECENT_DAYS + 1) * 24 * 3600
"""Age of an entry from which it is read only once more."""
ROUND_SECONDS = 600.0
"""Seconds after which all other days are listed again, because someone may prune them."""


class _Object(NamedTuple):
    """An object of a day: submits, or a reused video."""

    stem: str
    names: tuple[EntryName, ...]

    @property
    def is_reused(self) -> bool:
        return self.stem.startswith(PREFIX)


class _Read(NamedTuple):
    """What an object held, and whether that stays so."""

    kept: tuple[Kept, ...]
    is_final: bool


class LedgerLines:
    """
    The newest submits of a ledger.

    :param ledger: the ledger.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._days: dict[str, dict[_Object, _Read]] = {}
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
            count += sum(len(one.kept) for one in self._days[day].values())
            if count > MOST_LINES:
                break
        for day in self._days.keys() - shown:
            self._put(day, {})
        self._round_at = now if is_round else self._round_at

    def _read_day(self, day: str) -> Iterator[None]:
        stems = self._ledger.stems_of(day)
        paid = [_Object(stem_of(group), group) for group in groups_in(day, stems)]
        reused = [_Object(f"{PREFIX}{stem_of([name])}", (name,)) for name in reused_in(day, stems)]
        objects = [*paid, *reused][::-1]
        known = self._days.get(day, {})
        self._put(day, {one: known[one] for one in objects if one in known})
        missing = [one for one in objects if one not in known or not known[one].is_final]
        for start in range(0, len(missing), OBJECTS_AT_A_TIME):
            now = time.time()
            read = self._read_part(missing[start : start + OBJECTS_AT_A_TIME])
            self._put(day, {**self._days[day], **{one: _read(day, one, lines, now) for one, lines in read}})
            yield

    def _read_part(self, part: Sequence[_Object]) -> Iterator[tuple[_Object, list[Line]]]:
        paid = [one for one in part if not one.is_reused]
        reused = [one for one in part if one.is_reused]
        yield from zip(paid, lines_of(self._ledger, [one.names for one in paid]), strict=True)
        yield from zip(reused, each(lambda one: [reused_line(self._ledger, one.names[0])], reused), strict=True)

    def _put(self, day: str, found: dict[_Object, _Read]) -> None:
        # Readers in other threads keep the dictionaries that they have.
        self._days = {**self._days, day: found}

    def kept(self) -> list[Kept]:
        """Return the lines read so far, the newest first."""
        days, found = self._days, self._found
        if found[0] is not days:
            kept = [one for day in days.values() for read in day.values() for one in read.kept]
            kept.sort(key=lambda one: one.line.name.begun_at, reverse=True)
            self._found = found = (days, kept)
        return found[1]


def _read(day: str, one: _Object, lines: Sequence[Line], now: float) -> _Read:
    places = ((shown(line), f"{day}/{one.stem}/{number}") for number, line in enumerate(lines))
    kept = (Kept(line, f"stored/{quote(line.entry.dag_id, safe='')}/{place}") for line, place in places)
    # Nobody may have ended a task in four days, and then nobody does.
    is_old = now - one.names[0].begun_at / 1000 > SETTLED_SECONDS
    return _Read(tuple(kept), is_old or all(map(_has_ended, lines)))


def _has_ended(line: Line) -> bool:
    # The video of a reused task that still ran is stored later.
    return line.ending is not None and (line.outcome != REUSED or bool(line.ending.files))


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
    line = _line_at(day, stem, number)
    return line.ending.files if line and line.ending and line.entry.dag_id == dag_id else ()


def entry_at(day: str, stem: str, number: int) -> Entry | None:
    """
    Read an entry in the configured ledger, with its whole request.

    :param day: the day whose directory holds the entry's object.
    :param stem: name of the object.
    :param number: number of the entry in the object.
    :return: the entry, ``None`` if there is none.
    :raises ViduError: if the ledger cannot be read.
    """
    line = _line_at(day, stem, number)
    return line.entry if line else None


def _line_at(day: str, stem: str, number: int) -> Line | None:
    ledger, group = Ledger.configured(), names_in(day, stem.removeprefix(PREFIX))
    if ledger is None or number >= len(group):
        return None
    if stem.startswith(PREFIX):
        return reused_line(ledger, group[0])
    entry = ledger.entries(group)[number]
    return Line(group[number], entry, ledger.ending(entry.vidu_task_id) if entry.vidu_task_id else None)
