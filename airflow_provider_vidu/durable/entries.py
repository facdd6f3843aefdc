# SPDX-License-Identifier: Apache-2.0
"""Entries of the ledger: their names, days and sums. This module does no I/O and reads no clock."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

SCHEMA_VERSION = 1
"""Version of the ledger's objects. A reader ignores unknown keys, and takes the default of missing ones."""
UNITS_PER_CNY = 100_000
"""Sums are whole numbers of these units, the precision of the prices, because sums of floats are not exact."""

DIGITS = 6
"""Hexadecimal digits of a request's fingerprint in names; the content of an entry holds all of them."""
GROUP = 32
"""Most entries of one object."""
_LONGEST_STEM = 240
"""File systems permit 255 bytes, and a temporary name may need some of them."""

_MOMENT = r"(2\d{7}T\d{9}Z)"  # Every time zone has a date for each moment of these years.
_RUN = rf"-(\d{{1,10}}|x)\.((?:[0-9a-f]{{{DIGITS}}}){{1,{GROUP}}})"
_STEM = re.compile(rf"{_MOMENT}-([0-9a-f]{{12}})((?:{_RUN})+)", re.ASCII)
_RUNS = re.compile(_RUN, re.ASCII)


def units_of(price: float) -> int:
    """
    Convert an amount to units.

    :param price: CNY.
    """
    return round(price * UNITS_PER_CNY)


def cny_of(units: int) -> float:
    """
    Convert units to an amount.

    :param units: whole units.
    :return: CNY.
    """
    return units / UNITS_PER_CNY


class EntryName(NamedTuple):
    """
    The name of an entry, which holds all that is summed or looked up.

    Entries of one moment and mark lie in one object, whose name lists them. They differ in ``request``.

    :param day: day of the intent in the ledger's time zone, as ``2026-11-27``.
    :param begun_at: time of the intent in whole milliseconds since the epoch.
    :param units: the estimate in units, ``None`` if no price is known.
    :param request: the first ``DIGITS`` digits of the request's fingerprint.
    :param mark: twelve random hexadecimal digits, which tell objects of one moment apart.
    """

    day: str
    begun_at: int
    units: int | None
    request: str
    mark: str

    @property
    def age(self) -> tuple[int, str]:
        """The moment and the mark, which are the same for all entries of one object and for no other."""
        return self.begun_at, self.mark

    @property
    def accepted(self) -> str:
        """Path of the accepted task below the ledger's root, for look-ups of its request."""
        return f"requests/{self.request}/{stem_of([self])}.json"


def stem_of(names: Sequence[EntryName]) -> str:
    """
    Name the object of entries, without its suffix.

    :param names: entries of one moment and mark, which differ in their requests.
    """
    begun_at, mark = names[0].begun_at, names[0].mark
    moment = datetime.fromtimestamp(begun_at // 1000, UTC)
    runs = (
        f"-{'x' if units is None else units}.{''.join(name.request for name in run)}"
        for units, run in groupby(names, key=lambda name: name.units)
    )
    return f"{moment:%Y%m%dT%H%M%S}{begun_at % 1000:03}Z-{mark}{''.join(runs)}"


def has_room(group: Collection[EntryName], name: EntryName) -> bool:
    """
    Check whether an entry may lie in the object of others.

    :param group: the others.
    :param name: the entry.
    """
    is_new = all(one.request != name.request for one in group)
    return is_new and len(group) < GROUP and len(stem_of([*group, name])) <= _LONGEST_STEM


def spent_at(names: Sequence[EntryName]) -> str:
    """
    Return the path of the entries' object below the ledger's root.

    :param names: all entries of the object.
    """
    return f"spent/{names[0].day[:7]}/{names[0].day}/{stem_of(names)}.json"


@lru_cache(maxsize=65536)
def names_in(day: str, stem: str) -> tuple[EntryName, ...]:
    """
    Read the name of an object.

    :param day: the day whose directory holds it.
    :param stem: the name as :func:`stem_of` returns it.
    :return: the names of its entries; empty if the text is not such a name, such as that of a temporary file.
    """
    if not (match := _STEM.fullmatch(stem)):
        return ()
    try:
        seconds = datetime.strptime(f"{match[1][:15]}+0000", "%Y%m%dT%H%M%S%z").timestamp()
    except ValueError:
        return ()
    begun_at = round(seconds) * 1000 + int(match[1][15:18])
    return tuple(
        EntryName(day, begun_at, None if units == "x" else int(units), digits[at : at + DIGITS], match[2])
        for units, digits in _RUNS.findall(match[3])
        for at in range(0, len(digits), DIGITS)
    )


def groups_in(day: str, stems: Iterable[str]) -> list[tuple[EntryName, ...]]:
    """
    Find the names of a day's submits, the oldest first.

    :param day: the day.
    :param stems: the names of all of its objects.
    :return: the names of the entries of each object.
    """
    found = filter(None, (names_in(day, stem) for stem in stems))
    return sorted(found, key=lambda group: group[0].age)


def ended(vidu_task_id: str) -> str:
    """
    Return the path of a task's end below the ledger's root.

    :param vidu_task_id: Vidu's id of the task.
    """
    return f"ended/{re.sub('[^A-Za-z0-9_-]', '_', vidu_task_id)}.json"


class Entry(NamedTuple):
    """
    A submit in the ledger. It holds no key, no data URI and no content of files, but it holds the prompt.

    :param dag_id: Airflow's id of the DAG, like the three that follow.
    :param run_id: id of the run.
    :param task_id: id of the task.
    :param map_index: index in a mapped task, -1 for none.
    :param custom_id: the author's name of a batch's item, empty for a single submit.
    :param vidu_conn_id: connection that submitted it.
    :param request: the body as its author passed it, with files by their names.
    :param vidu_task_id: Vidu's id of the task, empty until the API returned it.
    :param fingerprint: fingerprint of the request, without the connection.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    custom_id: str
    vidu_conn_id: str
    request: Mapping[str, Any]
    vidu_task_id: str = ""
    fingerprint: str = ""

    def content(self) -> dict[str, Any]:
        """Return the object to store: JSON types only."""
        return {"version": SCHEMA_VERSION, **self._asdict()}

    @classmethod
    def read(cls, content: Any) -> Entry:
        """
        Read a stored object of this version or another one.

        :param content: the object; a value of another type counts as missing.
        """
        found = content if isinstance(content, Mapping) else {}
        index, request = found.get("map_index"), found.get("request")

        def text(name: str) -> str:
            return value if isinstance(value := found.get(name), str) else ""

        return cls(
            text("dag_id"),
            text("run_id"),
            text("task_id"),
            index if type(index) is int else -1,
            text("custom_id"),
            text("vidu_conn_id"),
            request if isinstance(request, dict) else {},
            text("vidu_task_id"),
            text("fingerprint"),
        )


STORED, FAILED, GONE = "stored", "failed", "gone"


class Ending(NamedTuple):
    """
    The end of a task in the ledger.

    :param outcome: ``stored``, ``failed`` (the generation) or ``gone`` (nobody stored it before its links expired).
    :param files: URIs of the stored files.
    :param video_seconds: length of the video, ``None`` if unknown.
    :param reason: why there is no video, empty if there is one.
    :param sizes: bytes of the files in the same order, empty if unknown.
    :param ready_seconds: seconds from submit to ready by the server's clock, ``None`` if unknown.
    """

    outcome: str
    files: tuple[str, ...] = ()
    video_seconds: float | None = None
    reason: str = ""
    sizes: tuple[int, ...] = ()
    ready_seconds: float | None = None

    def content(self) -> dict[str, Any]:
        """Return the object to store: JSON types only."""
        return {"version": SCHEMA_VERSION, **self._asdict(), "files": list(self.files), "sizes": list(self.sizes)}

    @classmethod
    def read(cls, content: Any) -> Ending | None:
        """
        Read a stored object of this version or another one.

        :param content: the object.
        :return: the end of the task, ``None`` if the object is something else.
        """
        if not isinstance(content, Mapping) or not isinstance(content.get("outcome"), str):
            return None
        files, sizes = (found if isinstance(found := content.get(name), list) else [] for name in ("files", "sizes"))
        numbers = map(content.get, ("video_seconds", "ready_seconds"))
        seconds, ready = (value if type(value) in (int, float) else None for value in numbers)
        uris = tuple(file for file in files if isinstance(file, str))
        reason = found if isinstance(found := content.get("reason"), str) else ""
        return cls(content["outcome"], uris, seconds, reason, tuple(one for one in sizes if type(one) is int), ready)


def day_of(seconds: float, zone: ZoneInfo) -> str:
    """
    Return the local day of a moment.

    :param seconds: epoch seconds.
    :param zone: time zone of the ledger.
    :return: a day as ``2026-11-27``.
    """
    return datetime.fromtimestamp(seconds, zone).date().isoformat()


def is_day(name: str) -> bool:
    """
    Check whether a name is a day of the calendar, which ``2026-02-31`` is not.

    :param name: name of a directory.
    """
    try:
        return date.fromisoformat(name).isoformat() == name
    except ValueError:
        return False


def days_before(day: str, count: int) -> str:
    """
    Count days back in the calendar, where a day may have 23 or 25 hours.

    :param day: a day as ``2026-11-27``.
    :param count: the number of days.
    :return: the earlier day.
    """
    return (datetime.fromisoformat(day).date() - timedelta(days=count)).isoformat()


def total(names: Iterable[EntryName]) -> int:
    """
    Sum the estimates of entries, unsettled ones included: they may be billed.

    :param names: the entries; one without a price adds nothing.
    :return: units.
    """
    return sum(name.units or 0 for name in names)
