# SPDX-License-Identifier: Apache-2.0
"""Names, periods and sums of the ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_vidu.durable.budget import Budget, fitting
from airflow_provider_vidu.durable.entries import (
    DIGITS,
    GROUP,
    Ending,
    Entry,
    EntryName,
    cny_of,
    day_of,
    days_before,
    ended,
    has_room,
    names_in,
    spent_at,
    stem_of,
    total,
    units_of,
)

REQUEST, OTHER = "ab" * 3, "cd" * 3
NAME = EntryName("2026-11-27", 1_795_803_330_045, 46_875, REQUEST, "0123456789ab")
STEM = f"20261127T181530045Z-0123456789ab-46875.{REQUEST}"


@pytest.mark.parametrize(
    "name", [NAME, NAME._replace(units=None), NAME._replace(units=0), NAME._replace(begun_at=1_795_803_330_999)]
)
def test_a_name_reads_as_what_was_written(name):
    group = (name, name._replace(request=OTHER, units=9_999_999_999))
    assert names_in(name.day, stem_of([name])) == (name,)
    assert names_in(name.day, stem_of(group)) == group
    equal = (*group, name._replace(request="ef" * 3, units=9_999_999_999), name._replace(request="01" * 3))
    assert names_in(name.day, stem_of(equal)) == equal


def test_a_name_says_when_how_much_and_what():
    assert stem_of([NAME]) == STEM
    assert stem_of([NAME, NAME._replace(request=OTHER, units=None)]) == f"{STEM}-x.{OTHER}"
    assert stem_of([NAME, NAME._replace(request=OTHER)]) == STEM + OTHER
    assert spent_at([NAME]) == f"spent/2026-11/2026-11-27/{STEM}.json"
    assert NAME.accepted == f"requests/{REQUEST}/{STEM}.json"
    assert ended("../a b") == "ended/___a_b.json"


@pytest.mark.parametrize(
    ("day", "count", "earlier"),
    [
        ("2026-03-01", 1, "2026-02-28"),
        ("2026-01-01", 1, "2025-12-31"),
        ("2026-03-30", 1, "2026-03-29"),
        ("2026-10-26", 2, "2026-10-24"),
    ],
)
def test_days_are_counted_in_the_calendar(day, count, earlier):
    assert days_before(day, count) == earlier


@pytest.mark.parametrize("prices", [1, 2, GROUP])
def test_a_name_is_never_longer_than_a_file_system_permits(prices):
    group: list[EntryName] = []
    for number in range(GROUP + 1):
        name = NAME._replace(units=units_of(9_999.0 - number % prices), request=f"{number:0{DIGITS}x}")
        if has_room(group, name):
            group.append(name)
    assert len(f"{stem_of(group)}.json".encode()) <= 255
    assert len(group) == {1: GROUP, 2: 12, GROUP: 12}[prices]


def test_equal_requests_do_not_share_a_name():
    assert not has_room([NAME], NAME._replace(units=1))


@pytest.mark.parametrize(
    "stem",
    [
        "",
        ".0123.part",
        STEM[:-1],
        STEM.replace("-46875.", "--5."),
        STEM.replace("20261127T", "20261327T"),
        STEM.replace("20261127T", "99991231T"),
        STEM.replace("20261127T", "00010101T"),
        STEM.replace("-46875.", "-¼."),
        f"{STEM}.json",
        STEM + OTHER * GROUP,
        STEM[:-1] + "g",
    ],
)
def test_what_is_no_name_is_passed_over(stem):
    assert names_in("2026-11-27", stem) == ()


ENTRY = Entry("dag", "run", "task", 3, "kite", "vidu_default", {"model": "viduq2"}, "task-1", "ab" * 32)


def test_an_entry_reads_as_what_was_written():
    assert ENTRY.content() == {"version": 1, **ENTRY._asdict()}
    assert Entry.read(ENTRY.content()) == ENTRY


# Some other object, and the entry that it is read as.
STRANGE = {
    "nothing": (None, Entry("", "", "", -1, "", "", {})),
    "half an object": ({}, Entry("", "", "", -1, "", "", {})),
    "a list": ([1], Entry("", "", "", -1, "", "", {})),
    "a later version with more": ({**ENTRY.content(), "version": 9, "mood": "blue"}, ENTRY),
    "values of other types": (
        {**ENTRY.content(), "dag_id": 5, "map_index": "3", "request": [], "vidu_task_id": None},
        ENTRY._replace(dag_id="", map_index=-1, request={}, vidu_task_id=""),
    ),
    # The database would take it for a truth value, and with it the numbers of all other entries.
    "a truth value for a number": ({**ENTRY.content(), "map_index": True}, ENTRY._replace(map_index=-1)),
}


@pytest.mark.parametrize(("content", "entry"), STRANGE.values(), ids=list(STRANGE))
def test_an_entry_of_another_version_is_read_as_far_as_it_goes(content, entry):
    assert Entry.read(content) == entry


ENDING = Ending("stored", ("file:///a.mp4", "s3://b/c.mp4"), 4.0, "", (1000, 2000))


@pytest.mark.parametrize(
    ("content", "ending"),
    [
        (ENDING.content(), ENDING),
        ({**ENDING.content(), "version": 9, "mood": "blue"}, ENDING),
        ({"outcome": "failed", "files": "a", "video_seconds": True, "reason": 5}, Ending("failed")),
        ({"outcome": "stored", "files": ["a", 5]}, Ending("stored", ("a",))),
        ({}, None),
        ({"outcome": 5}, None),
        (None, None),
    ],
)
def test_an_end_is_read_as_far_as_it_goes(content, ending):
    assert Ending.read(content) == ending


@pytest.mark.parametrize("price", [0.19, 0.31, 0.46875, 1.25, 75.0, 0.0])
def test_a_price_is_kept_exactly(price):
    assert cny_of(units_of(price)) == price


def test_sums_of_prices_are_exact():
    names = [NAME._replace(units=units_of(0.31))] * 38 + [NAME._replace(units=None)]
    assert total(names) == 1_178_000
    assert cny_of(total(names)) == 11.78


# Units of the submits in their order, what is spent already, the budget, and how many fit.
FITTING = [
    ([], 0, 0, 0),
    ([1], 0, 0, 0),
    ([0], 0, 0, 1),
    ([31, 31, 31], 0, 93, 3),
    ([31, 31, 31], 0, 92, 2),
    ([31, 31, 31], 31, 93, 2),
    ([31], 93, 93, 0),
    ([31], 200, 93, 0),
    # A later one that is cheaper does not overtake.
    ([80, 20], 10, 50, 0),
]


@pytest.mark.parametrize(("planned", "spent", "budget", "count"), FITTING)
def test_as_many_fit_as_the_budget_covers_in_their_order(planned, spent, budget, count):
    assert fitting(planned, spent, budget) == count


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


SHANGHAI, BERLIN, NEW_YORK = map(ZoneInfo, ("Asia/Shanghai", "Europe/Berlin", "America/New_York"))
# A moment in UTC, the zone, its day, and when the daily and the monthly budget begin again in UTC.
PERIODS = {
    "a day in Shanghai": ("2026-11-27T03:00", SHANGHAI, "2026-11-27", "2026-11-27T16:00", "2026-11-30T16:00"),
    "just before midnight": ("2026-11-27T15:59:59", SHANGHAI, "2026-11-27", "2026-11-27T16:00", "2026-11-30T16:00"),
    "midnight": ("2026-11-27T16:00", SHANGHAI, "2026-11-28", "2026-11-28T16:00", "2026-11-30T16:00"),
    "the month's last moment": ("2026-11-30T15:59:59", SHANGHAI, "2026-11-30", "2026-11-30T16:00", "2026-11-30T16:00"),
    "the month's first moment": ("2026-11-30T16:00", SHANGHAI, "2026-12-01", "2026-12-01T16:00", "2026-12-31T16:00"),
    "the year's last day": ("2026-12-31T12:00", SHANGHAI, "2026-12-31", "2026-12-31T16:00", "2026-12-31T16:00"),
    "a February": ("2027-02-10T12:00", SHANGHAI, "2027-02-10", "2027-02-10T16:00", "2027-02-28T16:00"),
    "a leap year's February": ("2028-02-29T12:00", SHANGHAI, "2028-02-29", "2028-02-29T16:00", "2028-02-29T16:00"),
    "the day of 23 hours": ("2026-03-29T00:30", BERLIN, "2026-03-29", "2026-03-29T22:00", "2026-03-31T22:00"),
    "the day of 25 hours": ("2026-10-25T22:30", BERLIN, "2026-10-25", "2026-10-25T23:00", "2026-10-31T23:00"),
    "the hour that comes twice": ("2026-10-25T00:30", BERLIN, "2026-10-25", "2026-10-25T23:00", "2026-10-31T23:00"),
    "west of Greenwich": ("2026-11-28T03:00", NEW_YORK, "2026-11-27", "2026-11-28T05:00", "2026-12-01T05:00"),
}


@pytest.mark.parametrize(("moment", "zone", "day", "next_day", "next_month"), PERIODS.values(), ids=list(PERIODS))
def test_a_budget_begins_again_with_its_local_day_or_month(moment, zone, day, next_day, next_month):
    assert day_of(at(moment), zone) == day
    again = [Budget(period, 1).begins_again(day, zone).timestamp() for period in ("daily", "monthly")]
    assert again == [at(next_day), at(next_month)]
