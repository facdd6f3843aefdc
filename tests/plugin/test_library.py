# SPDX-License-Identifier: Apache-2.0
"""The library's routes on a ledger: its pages, its filters, its sums and its failures."""

from __future__ import annotations

import csv
import io
import time
from datetime import datetime, timedelta

import pytest

from airflow_provider_vidu.durable.entries import Ending, day_of
from airflow_provider_vidu.plugin import ledger_lines, shelf
from airflow_provider_vidu.plugin import library as routes
from airflow_provider_vidu.protocol.errors import Family
from tests.ledgers import paid
from tests.plugin.shown import NOTHING, VIDEO

DAY = 24 * 3600
MODERATED = f"Vidu task task-2 failed: it was refused. {Family.MODERATION.advice}"


@pytest.fixture
def filled(ledger):
    """Five submits: stored, failed, running, uncertain and expired, of two DAGs."""
    paid(ledger, 1, ago=60, ending=Ending("stored", ("/nowhere/1.mp4",), 4.0))
    paid(ledger, 2, ago=DAY, price=1.25, model="viduq2-turbo", dag_id="news", ending=Ending("failed", reason=MODERATED))
    paid(ledger, 3, ago=3 * 3600, prompt="Ein DRACHEN", map_index=7)
    paid(ledger, 4, ago=2 * DAY, price=None, accepted=False, run_id="other", vidu_conn_id="second")
    paid(ledger, 5, ago=2 * DAY + 60, dag_id="news", ending=Ending("gone", reason="expired"))
    return ledger


def ids(answer):
    return [one["custom_id"].removeprefix("kite-") for one in answer["entries"]]


def test_the_newest_come_first_with_their_sums_and_the_choices_for_the_filters(filled, library):
    answer = library()
    assert ids(answer) == ["1", "3", "2", "4", "5"]
    first = answer.pop("entries")[0]
    assert answer == {
        "source": "ledger",
        "elsewhere": False,
        "zone": "Asia/Shanghai",
        "whole": True,
        "cut": False,
        "away": False,
        "media": False,
        "next": None,
        "sums": {"videos": 5, "seconds": 4.0, "cny": 2.18, "unpriced": 1},
        "choices": {
            "dag": ["news", "shop"],
            "model": ["viduq2", "viduq2-turbo"],
            "job": ["text2video"],
            "connection": ["second", "vidu_default"],
        },
    }
    assert first.pop("at") == pytest.approx(time.time() - 60, abs=30)
    assert first.pop("address").startswith("stored/shop/20")
    assert first.pop("same") == f"{1:016x}"
    assert first == {
        "dag": "shop",
        "run": "run",
        "task": "make",
        "map_index": -1,
        "custom_id": "kite-1",
        "connection": "vidu_default",
        "request": {
            "model": "viduq2",
            "input": {"prompt": "a kite", "first_frame_url": ""},
            "parameters": {"vidu_type": "text2video", "duration": 4, "resolution": "720p", "seed": ""},
        },
        "cost": 0.31,
        "outcome": "stored",
        "seconds": 4.0,
        "reason": "",
        "vidu_task_id": "task-1",
        "files": ["/nowhere/1.mp4"],
        "known": False,
        "takes": 1,
        "triggered_by": None,
    }


FILTERS = [
    ({"text": "drachen"}, "3"),
    ({"text": "KITE-2"}, "2"),
    ({"dag": "news"}, "25"),
    ({"run": "other"}, "4"),
    ({"model": "viduq2-turbo"}, "2"),
    ({"job": "text2video"}, "13245"),
    ({"job": "img2video"}, ""),
    ({"connection": "second"}, "4"),
    ({"state": "running"}, "3"),
    ({"state": "uncertain"}, "4"),
    ({"least": "0.31", "most": "1"}, "135"),
    ({"least": "0.32"}, "2"),
    ({"request": f"{3:016x}"}, "3"),
    ({"dag": "news", "state": "gone"}, "5"),
    ({"dag": "none of these"}, ""),
]


@pytest.mark.parametrize(("query", "wanted"), FILTERS)
def test_a_filter_leaves_what_fits_and_sums_over_it_alone(filled, library, query, wanted):
    answer = library(**query)
    assert ids(answer) == list(wanted)
    assert answer["sums"]["videos"] == len(wanted)


def test_a_time_is_of_whole_days_of_the_ledger(filled, library):
    day = day_of(time.time() - DAY, filled.zone)
    assert ids(library(since=day, until=day)).count("2") == 1
    assert set(ids(library(since=day))) >= {"1", "2"}
    assert set(ids(library(until=day))) >= {"2", "4", "5"}
    assert not {"4", "5"} & set(ids(library(since=day)))


@pytest.mark.parametrize(
    "query", [{"since": "yesterday"}, {"least": "nan"}, {"most": "-1"}, {"offset": "-1"}, {"request": "kite"}]
)
def test_a_query_that_is_no_filter_is_refused(filled, library, query):
    library(status=422, **query)


def test_pages_follow_each_other(filled, library, monkeypatch):
    monkeypatch.setattr(routes, "LINES_A_PAGE", 2)
    pages = [library(offset=offset) for offset in (0, 2, 4, 6)]
    assert [ids(page) for page in pages] == [["1", "3"], ["2", "4"], ["5"], []]
    assert [page["next"] for page in pages] == [2, 4, None, None]
    assert {page["sums"]["videos"] for page in pages} == {5}


def test_what_ends_or_comes_or_is_pruned_meanwhile_is_seen(filled, library):
    assert library(state="running")["sums"]["videos"] == 1
    filled.end("task-3", Ending("stored", ("/nowhere/3.mp4",), 4.0))
    paid(filled, 6, ago=30)
    (old,) = filled.groups(day_of(time.time() - DAY, filled.zone))
    filled.forget(old)
    assert (ids(library()), ids(library(state="running"))) == (["6", "1", "3", "4", "5"], ["6"])


def test_an_old_day_is_listed_again_only_now_and_then(filled, library, monkeypatch):
    monkeypatch.setattr(ledger_lines, "RECENT_DAYS", 1)
    library()
    old = day_of(time.time() - 2 * DAY, filled.zone)
    for group in filled.groups(old):
        filled.forget(group)
    assert {"4", "5"} <= set(ids(library()))
    monkeypatch.setattr(ledger_lines, "ROUND_SECONDS", 0.0)
    assert not {"4", "5"} & set(ids(library()))


def test_only_the_newest_are_in_memory(filled, library, monkeypatch):
    monkeypatch.setattr(ledger_lines, "MOST_LINES", 2)
    monkeypatch.setattr(shelf, "MOST_LINES", 2)
    answer = library()
    assert (ids(answer), answer["cut"]) == (["1", "3"], True)


def test_spending_is_summed_by_periods_and_columns(filled, library):
    today, before = (day_of(time.time() - ago, filled.zone) for ago in (60, DAY))
    monday = datetime.fromisoformat(before).date()
    monday -= timedelta(days=monday.weekday())
    rows = library("spend")["rows"]
    assert {"period": before, "of": "news", "videos": 1, "seconds": 0, "cny": 1.25, "unpriced": 0} in rows
    assert [row["period"] for row in rows] == sorted(row["period"] for row in rows)
    weeks = library("spend", by="week", of="model", model="viduq2-turbo")["rows"]
    assert [(row["period"], row["of"], row["cny"]) for row in weeks] == [(monday.isoformat(), "viduq2-turbo", 1.25)]
    months = library("spend", by="month", of="connection", connection="vidu_default", state="stored")["rows"]
    assert [(row["period"], row["of"], row["seconds"]) for row in months] == [(today[:7], "vidu_default", 4.0)]
    outcomes = library("spend")["outcomes"]
    assert {word: total["videos"] for word, total in outcomes.items()} == dict.fromkeys(
        ("stored", "failed", "running", "uncertain", "gone"), 1
    )
    library("spend", by="hour", status=422)


def test_failures_are_grouped_by_the_next_step(filled, library):
    answer = library("failures")
    found = {
        one["family"]: (one["videos"], one["cny"], ids({"entries": one["examples"]})) for one in answer["families"]
    }
    assert {one["family"]: one["dags"] for one in answer["families"]}["lost"] == [["news", 1]]
    assert found == {"moderation": (1, 1.25, ["2"]), "uncertain": (1, 0.0, ["4"]), "lost": (1, 0.31, ["5"])}
    assert [one["dags"] for one in answer["families"]] == [[["news", 1]], [["shop", 1]], [["news", 1]]]
    (left,) = answer["unstored"]
    assert (left["custom_id"], answer["unstored_sums"]["cny"]) == ("kite-3", 0.31)
    assert left["dies_at"] == left["at"] + DAY


def test_each_group_of_failures_names_the_dags_that_failed_most(ledger, library, monkeypatch):
    monkeypatch.setattr(routes, "DAGS", 2)
    for number, dag_id in enumerate(("rare", "shop", "news", "shop", "news", "shop")):
        paid(ledger, number, ago=60 * (number + 1), dag_id=dag_id, ending=Ending("failed", reason=MODERATED))
    for user, dags in (("ann", [["shop", 3], ["news", 2]]), ("mallory", [["news", 2], ["rare", 1]])):
        (family,) = library("failures", user=user)["families"]
        assert family["dags"] == dags


def test_a_submit_on_its_way_is_no_failure(ledger, library):
    paid(ledger, 1, ago=5, accepted=False)
    paid(ledger, 2, ago=5)
    answer = library("failures")
    assert (answer["families"], answer["unstored"]) == ([], [])


def test_the_csv_is_the_report_of_the_command_and_runs_no_formula(filled, library):
    paid(filled, 6, ago=3 * DAY, custom_id='=HYPERLINK("x")')
    rows = list(csv.DictReader(io.StringIO(library("entries.csv"))))
    assert [row["custom_id"] for row in rows][:2] == ['\'=HYPERLINK("x")', "kite-5"]
    assert {**rows[-1], "time": ""} == {
        "time": "",
        "dag": "shop",
        "run": "run",
        "task": "make",
        "map_index": "",
        "custom_id": "kite-1",
        "vidu_type": "text2video",
        "model": "viduq2",
        "seconds": "4.0",
        "cny": "0.31",
        "outcome": "stored",
        "vidu_task_id": "task-1",
        "files": "/nowhere/1.mp4",
    }
    assert len(list(csv.DictReader(io.StringIO(library("entries.csv", dag="news"))))) == 2


def test_a_stored_copy_is_played_from_its_entry(ledger, library, videos, web):
    outside = videos.parent / "outside.mp4"
    outside.write_bytes(VIDEO)
    files = (str(videos / "a.mp4"), "/etc/passwd", str(outside), str(videos / "page.mp4"))
    paid(ledger, 1, ending=Ending("stored", files, 4.0))
    paid(ledger, 2, ago=90)
    first, second = library()["entries"]
    assert web.get(f"/{first['address']}/0").content == VIDEO
    part = web.get(f"/{first['address']}/0", headers={"Range": "bytes=1-2"})
    assert (part.status_code, part.content) == (206, VIDEO[1:3])
    dag, day, stem, number = first["address"].removeprefix("stored/").split("/")
    nothing = [
        *(f"{first['address']}/{file}" for file in (1, 2, 3, 4)),
        f"{second['address']}/0",
        f"stored/{dag}/{day}/{stem}/1/0",
        f"stored/{dag}/{day}/none/0/0",
        f"stored/news/{day}/{stem}/{number}/0",
    ]
    answers = [web.get(f"/{path}") for path in nothing]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(404, NOTHING)] * len(nothing)
    wrong = (f"stored/{dag}/..%2f..%2f/{stem}/0/0", f"stored/{dag}/{day}/{stem}/0/x", f"stored/{dag}/{day}/{stem}/9/0")
    assert {web.get(f"/{path}").status_code for path in wrong} <= {404, 422}
