# SPDX-License-Identifier: Apache-2.0
"""Times from submit to ready, against the typical times."""

from __future__ import annotations

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_vidu.durable.entries import Ending, Entry, EntryName
from airflow_provider_vidu.durable.lines import Line
from airflow_provider_vidu.durable.stored_files import ready_seconds
from airflow_provider_vidu.plugin.waits import waits
from airflow_provider_vidu.protocol.prices import estimate
from tests.batch.nights import night
from tests.ledgers import paid
from tests.quick import asked

ZONE = ZoneInfo("Asia/Shanghai")
REQUEST = {
    "model": "viduq2",
    "input": {},
    "parameters": {"vidu_type": "text2video", "duration": 4, "resolution": "720p", "seed": ""},
}
TYPICAL = estimate(REQUEST).typical_seconds
NOON = datetime(2026, 11, 23, 12, 10, tzinfo=ZONE).timestamp()


def line(at, times, outcome="stored", request=REQUEST):
    name = EntryName("2026-11-23", int(at * 1000), 31000, "", "")
    ready = None if times is None else times * TYPICAL
    return Line(name, Entry("shop", "r", "t", -1, "", "", request), Ending(outcome, ready_seconds=ready))


def test_each_hour_of_a_day_has_its_medians_and_what_one_in_ten_exceeds():
    found = waits([*(line(NOON, times) for times in (1, 1, 1, 2, 9)), line(NOON + 3600, 3)], ZONE)
    assert found["hours"] == 1
    first, second = found["rows"]
    assert first == {
        "at": datetime(2026, 11, 23, 12, tzinfo=ZONE).timestamp(),
        "videos": 5,
        "seconds": TYPICAL,
        "typical": TYPICAL,
        "times": 1,
        "late": 9,
    }
    assert (second["at"] - first["at"], second["times"]) == (3600, pytest.approx(3))


@pytest.mark.parametrize(
    ("days", "hours", "begin"),
    [
        (2, 1, (23, 12)),
        (5, 3, (23, 12)),
        (14, 6, (23, 12)),
        (25, 12, (23, 12)),
        (50, 24, (23, 0)),
        (300, 168, (23, 0)),
        (900, 720, (1, 0)),
        (9000, 720, (1, 0)),
    ],
)
def test_a_longer_time_has_longer_spans_that_begin_with_the_local_day_week_or_month(days, hours, begin):
    found = waits([line(NOON, 1), line(NOON - days * 86_400, 1)], ZONE)
    begun = datetime.fromtimestamp(found["rows"][-1]["at"], ZONE)
    assert (found["hours"], (begun.day, begun.hour, begun.minute)) == (hours, (*begin, 0))


def test_what_has_no_time_or_no_typical_time_is_counted_apart():
    unknown = {**REQUEST, "model": "viduq9"}
    lines = [line(NOON, 1), line(NOON, None), line(NOON, 1, request=unknown), line(NOON, 1, "reused")]
    found = waits([*lines, line(NOON, None, "failed")], ZONE)
    assert ([row["videos"] for row in found["rows"]], found["untimed"]) == ([1], 2)
    assert waits([], ZONE) == {"hours": 1, "rows": [], "untimed": 0}


@pytest.mark.parametrize(
    ("result", "seconds"),
    [
        ({"submit_time": 10.0, "finish_time": 70}, 60.0),
        ({"submit_time": 10, "finish_time": 0}, None),
        ({"submit_time": 0, "finish_time": 9}, None),
        ({"submit_time": 10}, None),
        ({"submit_time": "10", "finish_time": 70}, None),
    ],
)
def test_the_time_is_that_of_the_servers_clock(result, seconds):
    assert ready_seconds(result) == seconds


@pytest.mark.usefixtures("soon", "asked_at_once")
def test_the_ledger_keeps_the_time_of_a_stored_video(emulator, ledger, library, tmp_path):
    night(tmp_path, [asked("kite")])
    ending = ledger.ending(emulator.tasks[0]["task_id"])
    assert ending.ready_seconds == pytest.approx(0, abs=5)
    (row,) = library("spend")["waits"]["rows"]
    assert (row["videos"], row["typical"]) == (1, 3.6)


def test_times_are_those_of_what_the_user_may_see(ledger, library):
    request = {**REQUEST, "input": {"prompt": "a kite"}}
    for number, dag_id in enumerate(("shop", "news")):
        ending = Ending("stored", ("/nowhere.mp4",), 4.0, ready_seconds=TYPICAL)
        paid(ledger, number, dag_id=dag_id, ending=ending, request=request)
    now = time.time()
    for user, count in (("ann", 2), ("mallory", 1)):
        rows = library("spend", user=user)["waits"]["rows"]
        assert sum(row["videos"] for row in rows) == count
        assert all(row["at"] <= now for row in rows)
