# SPDX-License-Identifier: Apache-2.0
"""Reused videos in the library, and entries that are read no more."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from airflow_provider_vidu.durable import reused
from airflow_provider_vidu.durable.entries import Ending, Entry, day_of
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.durable.reuse import Reusable
from airflow_provider_vidu.exceptions import ViduStateError
from airflow_provider_vidu.ledger import prune
from airflow_provider_vidu.plugin import ledger_lines
from tests.batch.nights import night, submitted
from tests.ledgers import paid
from tests.plugin.shown import NOTHING, VIDEO
from tests.quick import many

LOG = logging.getLogger("test")
DAY = 24 * 3600


def reuse(ledger, task_id, files=(), custom_id="kite-1", dag_id="shop"):
    request = {"model": "viduq2", "input": {"prompt": "a kite"}, "parameters": {}}
    entry = Entry(dag_id, "run", "again", -1, custom_id, "vidu_default", request)
    reused.note_reuse(ledger, entry, "ab" * 32, Reusable(task_id, tuple(files), 4.0 if files else None), LOG)


@pytest.mark.usefixtures("soon", "asked_at_once")
def test_what_a_batch_reuses_is_shown_with_its_files_and_counts_as_no_cost(emulator, ledger, library, tmp_path):
    night(tmp_path / "first", many(10))
    # One of these was paid by the first batch, two take the place of their earlier tries.
    night(tmp_path / "second", many(10)[:3])
    answer = library(state="reused", text="KITE-00")
    assert (answer["sums"]["videos"], answer["sums"]["cny"], answer["sums"]["unpriced"]) == (10, 0.0, 0)
    assert {entry["outcome"] for entry in answer["entries"]} == {"reused"}
    assert answer["entries"][0]["files"][0].startswith(f"file://{tmp_path}/second/")
    outcomes = library("spend")["outcomes"]
    assert {word: (sums["videos"], sums["cny"]) for word, sums in outcomes.items()} == {
        "stored": (1, 0.31),
        "reused": (10, 0.0),
    }
    assert library("failures")["families"] == []


@pytest.mark.usefixtures("soon")
def test_a_submit_that_takes_a_running_task_is_shown_as_reuse(slow_emulator, ledger, library):
    first, _ = submitted(reuse=True)
    second, _ = submitted(reuse=True)
    assert first == second
    assert [(one["outcome"], one["vidu_task_id"], one["cost"]) for one in library()["entries"]] == [
        ("reused", first, 0.0),
        ("running", first, 0.31),
    ]
    ledger.end(first, Ending("stored", ("/nowhere/1.mp4",), 4.0))
    assert [(one["outcome"], one["files"], one["seconds"]) for one in library()["entries"]] == [
        ("reused", ["/nowhere/1.mp4"], 4.0),
        ("stored", ["/nowhere/1.mp4"], 4.0),
    ]


def test_a_retry_takes_the_place_of_the_earlier_try(ledger, library):
    reuse(ledger, "task-1", ["/nowhere/first.mp4"])
    time.sleep(0.01)
    reuse(ledger, "task-1", ["/nowhere/again.mp4"])
    reuse(ledger, "task-1", ["/nowhere/other.mp4"], custom_id="kite-2")
    assert [one["files"] for one in library()["entries"]] == [["/nowhere/other.mp4"], ["/nowhere/again.mp4"]]


def test_a_reused_copy_is_played_to_who_may_read_its_dag(ledger, library, videos, web):
    reuse(ledger, "task-1", [f"{videos}/a.mp4"])
    (entry,) = library()["entries"]
    assert web.get(f"/{entry['address']}/0").content == VIDEO
    assert web.get(f"/{entry['address'].replace('/shop/', '/news/')}/0").json() == NOTHING
    library(f"{entry['address']}/0", user="mallory", status=403)
    assert library(user="mallory")["entries"] == []


def test_budgets_and_reports_do_not_know_reuse_and_prune_removes_it(ledger, library):
    reuse(ledger, "task-1", ["/nowhere/1.mp4"])
    assert ledger.spent(day_of(time.time(), ledger.zone)) == []
    assert library()["sums"]["videos"] == 1
    assert prune(ledger, day_of(time.time() + 2 * DAY, ledger.zone)) == (0, 0)
    assert list(Path(ledger.root).rglob("*.json")) == []


def test_a_ledger_that_is_away_keeps_nobody_from_a_reused_video(ledger, monkeypatch, caplog):
    def fails(self, relative, content):
        raise ViduStateError("The ledger is away.")

    monkeypatch.setattr(Ledger, "put", fails)
    reuse(ledger, "task-1")
    assert "will not show that Vidu task task-1 was reused: The ledger is away." in caplog.text


def test_what_has_not_ended_in_four_days_is_read_once_more_and_never_again(ledger, library, monkeypatch):
    paid(ledger, 1, ago=3 * DAY)
    paid(ledger, 2, ago=5 * DAY)
    assert library(state="running")["sums"]["videos"] == 2
    read = []
    lines_of = ledger_lines.lines_of

    def watched(found, groups):
        read.extend(groups)
        return lines_of(found, groups)

    monkeypatch.setattr(ledger_lines, "lines_of", watched)
    monkeypatch.setattr(ledger_lines, "ROUND_SECONDS", 0.0)
    library()
    assert [day_of(group[0].begun_at / 1000, ledger.zone) for group in read] == [
        day_of(time.time() - 3 * DAY, ledger.zone)
    ]
