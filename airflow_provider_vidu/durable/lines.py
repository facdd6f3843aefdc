# SPDX-License-Identifier: Apache-2.0
"""Lines of the ledger: each paid submit with its end, its columns and the sums over them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from airflow_provider_vidu.durable.each import each
from airflow_provider_vidu.durable.entries import FAILED, GONE, STORED, Ending, Entry, EntryName, cny_of
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.protocol.errors import Family, family_of_text

RUNNING, UNCERTAIN = "running", "uncertain"
OUTCOMES = (RUNNING, UNCERTAIN, STORED, FAILED, GONE)
LOST = "lost"
"""In place of a family: the task was accepted, and its video cannot be stored any more."""
FAMILIES = (*(family.value for family in Family), UNCERTAIN, LOST)
ON_ITS_WAY_SECONDS = 600.0
"""Age from which an intent without a task is a submit of unknown outcome."""
RESCUE_DAYS = 3
"""Days whose paid videos may still be stored: a link lives for 24 hours, and a generation may take hours."""


SAME_DIGITS = 16
"""Digits of a request's fingerprint that tell requests apart."""


class Line(NamedTuple):
    """
    One paid submit.

    :param name: name of its entry.
    :param entry: its entry.
    :param ending: its end, ``None`` if the ledger has none.
    """

    name: EntryName
    entry: Entry
    ending: Ending | None

    @property
    def outcome(self) -> str:
        """The outcome of the submit, one of ``OUTCOMES``."""
        if self.ending:
            return self.ending.outcome
        return RUNNING if self.entry.vidu_task_id else UNCERTAIN

    @property
    def same(self) -> str:
        """What is equal for the takes of one request, empty if it is unknown."""
        return self.entry.fingerprint[:SAME_DIGITS]

    @property
    def model(self) -> str:
        """The model, empty if the entry has none."""
        return _text(self.entry.request, "model")

    @property
    def job(self) -> str:
        """The job, ``vidu_type`` of the API."""
        return _text(self.entry.request.get("parameters"), "vidu_type")

    @property
    def prompt(self) -> str:
        """The prompt, or the text to speak."""
        asked = self.entry.request.get("input")
        return _text(asked, "prompt") or _text(asked, "text")

    @property
    def video_seconds(self) -> float | None:
        """Length of the video, ``None`` if there is none or its length is unknown."""
        return self.ending.video_seconds if self.ending else None

    def family_at(self, now: float) -> str:
        """
        Return the reason for a failure, grouped by the reader's next step.

        :param now: epoch seconds.
        :return: one of ``FAMILIES``, empty if the submit has not failed.
        """
        if self.outcome == UNCERTAIN:
            return UNCERTAIN if now - self.name.begun_at / 1000 > ON_ITS_WAY_SECONDS else ""
        if self.ending and self.outcome == FAILED:
            return family_of_text(self.ending.reason).value
        return LOST if self.outcome == GONE else ""

    def value(self, column: str) -> object:
        """
        Return a column of the report.

        :param column: a key of ``COLUMNS``.
        """
        return COLUMNS[column](self)


def _text(of: Any, key: str) -> str:
    found = of.get(key) if isinstance(of, Mapping) else None
    return found if isinstance(found, str) else ""


def _week(line: Line) -> str:
    day = date.fromisoformat(line.name.day)
    return (day - timedelta(days=day.weekday())).isoformat()


COLUMNS: dict[str, Callable[[Line], object]] = {
    "time": lambda line: f"{datetime.fromtimestamp(line.name.begun_at / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}",
    "dag": lambda line: line.entry.dag_id,
    "run": lambda line: line.entry.run_id,
    "task": lambda line: line.entry.task_id,
    "map_index": lambda line: "" if line.entry.map_index < 0 else line.entry.map_index,
    "custom_id": lambda line: line.entry.custom_id,
    "vidu_type": lambda line: line.job,
    "model": lambda line: line.model,
    "seconds": lambda line: "" if line.video_seconds is None else line.video_seconds,
    "cny": lambda line: "" if line.name.units is None else exact(line.name.units),
    "outcome": lambda line: line.outcome,
    "vidu_task_id": lambda line: line.entry.vidu_task_id,
    "files": lambda line: " ".join(line.ending.files) if line.ending else "",
    "connection": lambda line: line.entry.vidu_conn_id,
    "day": lambda line: line.name.day,
    "week": _week,
    "month": lambda line: line.name.day[:7],
}
"""What a line says under each heading."""
REPORT = tuple(COLUMNS)[: tuple(COLUMNS).index("files") + 1]
"""The columns of a report that has one row for each submit."""
KEYS = ("dag", "model", "connection", "day", "week", "month", "outcome")
"""The columns to sum by; a week is named by its Monday."""


def exact(units: int) -> str:
    """
    Write an amount in CNY, without zeros at its end.

    :param units: the amount in units.
    """
    return f"{cny_of(units):.5f}".rstrip("0").rstrip(".")


def days_of(ledger: Ledger, since: str, until: str) -> list[str]:
    """
    List the days of a period that have entries, the oldest first.

    :param ledger: the ledger.
    :param since: first day as ``2026-11-01``.
    :param until: last day.
    :raises ViduStateError: if the ledger cannot be read.
    """
    months = [month for month in ledger.months() if since[:7] <= month <= until[:7]]
    return [day for of_month in each(ledger.days, months) for day in of_month if since <= day <= until]


def lines(ledger: Ledger, since: str, until: str) -> list[Line]:
    """
    Read the paid submits of a period, the oldest first.

    :param ledger: the ledger.
    :param since: first day as ``2026-11-01``.
    :param until: last day.
    :raises ViduStateError: if the ledger cannot be read.
    """
    groups = [group for day in days_of(ledger, since, until) for group in ledger.groups(day)]
    return [line for of_group in lines_of(ledger, groups) for line in of_group]


def lines_of(ledger: Ledger, groups: Iterable[Sequence[EntryName]]) -> list[list[Line]]:
    """
    Read the submits of some objects.

    :param ledger: the ledger.
    :param groups: the names of all entries of each object.
    :raises ViduStateError: if the ledger cannot be read.
    """

    def read(group: Sequence[EntryName]) -> list[Line]:
        entries = ledger.entries(group)
        ends = (ledger.ending(entry.vidu_task_id) if entry.vidu_task_id else None for entry in entries)
        return list(map(Line, group, entries, ends))

    return each(read, groups)


class Sums(NamedTuple):
    """
    Sums over submits.

    :param videos: number of submits.
    :param seconds: seconds of video.
    :param units: estimates in units.
    :param unpriced: number of submits without a price.
    """

    videos: int
    seconds: float
    units: int
    unpriced: int


def sums(found: Iterable[Line]) -> Sums:
    """
    Sum submits.

    :param found: the submits.
    """
    members = list(found)
    units = [line.name.units for line in members]
    seconds = sum(line.video_seconds or 0 for line in members)
    return Sums(len(members), seconds, sum(filter(None, units)), units.count(None))


def grouped(found: Iterable[Line], keys: Sequence[str]) -> Iterator[tuple[tuple[str, ...], Sums]]:
    """
    Sum submits by columns, in the order of their values.

    :param found: the submits.
    :param keys: the columns.
    :return: each combination of their values, with its sums.
    """
    columns = [COLUMNS[key] for key in keys]
    groups: dict[tuple[str, ...], list[Line]] = defaultdict(list)
    for line in found:
        groups[tuple(str(column(line)) for column in columns)].append(line)
    for values, members in sorted(groups.items()):
        yield values, sums(members)
