# SPDX-License-Identifier: Apache-2.0
"""Times from submit to ready against the typical times: when the service was slow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from statistics import median
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from airflow_provider_vidu.durable.entries import STORED
from airflow_provider_vidu.durable.lines import Line
from airflow_provider_vidu.protocol.prices import estimate

MOST_SPANS = 60
_HOURS = (1, 3, 6, 12, 24, 7 * 24, 30 * 24)
"""Lengths of a span: a week begins on Monday, and thirty days stand for a month."""


class _Wait(NamedTuple):
    at: float
    seconds: float
    typical: float


def waits(lines: Iterable[Line], zone: ZoneInfo) -> dict[str, Any]:
    """
    Sum the times from submit to ready by spans of time, short enough to show when they grew.

    :param lines: the submits.
    :param zone: time zone of the spans.
    :return: ``hours`` of a span; ``rows``, the oldest first, with the start of the span (``at``), its number of
        ``videos``, the medians of their ``seconds``, their ``typical`` seconds and the quotient of both (``times``),
        and the quotient that one in ten exceeds (``late``); ``untimed``, the number of stored videos without a time.
    """
    stored = [line for line in lines if line.outcome == STORED]
    found = [wait for line in stored if (wait := _wait(line))]
    spread = max((one.at for one in found), default=0.0) - min((one.at for one in found), default=0.0)
    hours = next((hours for hours in _HOURS if spread <= hours * 3600 * (MOST_SPANS - 1)), _HOURS[-1])
    spans: dict[float, list[_Wait]] = defaultdict(list)
    for one in found:
        spans[_start(one.at, hours, zone)].append(one)
    rows = [{"at": at, **_row(members)} for at, members in sorted(spans.items())]
    return {"hours": hours, "rows": rows, "untimed": len(stored) - len(found)}


def _wait(line: Line) -> _Wait | None:
    seconds, parameters = line.ending.ready_seconds if line.ending else None, line.entry.request["parameters"]
    typical = _typical(line.model, line.job, parameters.get("duration"), parameters.get("resolution"))
    if seconds is None or not typical:
        return None
    return _Wait(line.name.begun_at / 1000, seconds, typical)


@lru_cache(maxsize=1024)
def _typical(model: str, job: str, duration: object, resolution: object) -> float | None:
    given = {"vidu_type": job, "duration": duration, "resolution": resolution}
    # The library keeps an empty text for what a request leaves out.
    parameters = {name: value for name, value in given.items() if value not in ("", None)}
    return estimate({"model": model, "input": {}, "parameters": parameters}).typical_seconds


def _start(at: float, hours: int, zone: ZoneInfo) -> float:
    moment = datetime.fromtimestamp(at, zone).replace(minute=0, second=0, microsecond=0)
    moment = moment.replace(hour=moment.hour // hours * hours if hours < 24 else 0)
    if hours == 7 * 24:
        moment -= timedelta(days=moment.weekday())
    if hours == 30 * 24:
        moment = moment.replace(day=1)
    return moment.timestamp()


def _row(members: list[_Wait]) -> dict[str, Any]:
    times = sorted(one.seconds / one.typical for one in members)
    return {
        "videos": len(members),
        "seconds": median(one.seconds for one in members),
        "typical": median(one.typical for one in members),
        "times": median(times),
        "late": times[min(len(times) - 1, len(times) * 9 // 10)],
    }
