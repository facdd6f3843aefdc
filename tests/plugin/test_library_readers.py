# SPDX-License-Identifier: Apache-2.0
"""What the library says to users who may not read every DAG, on hostile entries, and without its ledger."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path

import pytest
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

from airflow_provider_vidu.durable.entries import Ending, Entry, ended, spent_at
from airflow_provider_vidu.plugin import readers, shelf
from tests.ledgers import paid

SECRETS = ("shop", "a secret kite", "viduq-secret", "secret-run", "conn-secret", "9.99", "secret.mp4", "task-1")


@pytest.fixture
def budgets(monkeypatch):
    monkeypatch.setenv("AIRFLOW__VIDU__DAILY_BUDGET", "100")
    monkeypatch.setenv("AIRFLOW__VIDU__MONTHLY_BUDGET", "1000")


@pytest.fixture
def two_dags(ledger):
    """A DAG for each of two users: what one of them must not learn, and a plain one."""
    secret = {"dag_id": "shop", "run_id": "secret-run", "model": "viduq-secret", "prompt": "a secret kite"}
    paid(ledger, 1, price=9.99, vidu_conn_id="conn-secret", ending=Ending("stored", ("/secret.mp4",), 7.0), **secret)
    paid(ledger, 2, ago=5 * 3600, price=9.99, **secret)
    paid(ledger, 3, price=0.31, dag_id="news", ending=Ending("failed", reason="busy"))
    return ledger


ROUTES = ("entries", "spend", "failures", "entries.csv")


@pytest.mark.parametrize("route", ROUTES)
def test_neither_names_nor_counts_nor_sums_of_a_dag_leak_to_who_may_not_read_it(two_dags, budgets, library, route):
    told = json.dumps(library(route, user="mallory"))
    assert {secret for secret in SECRETS if secret in told} == set()
    everything = json.dumps(library(route))
    assert "shop" in everything


def test_each_user_sees_the_sums_of_own_dags_alone(two_dags, budgets, library):
    found = {
        user: (
            library(user=user)["sums"],
            library("spend", user=user)["sums"],
            library("failures", user=user)["unstored_sums"]["videos"],
            [budget["own"] for budget in library("spend", user=user)["budgets"]],
        )
        for user in ("ann", "mallory", "trent")
    }
    news, shop = ({"seconds": 0, "cny": 0.31, "videos": 1}, {"seconds": 7.0, "cny": 19.98, "videos": 2})
    both = {"seconds": 7.0, "cny": 20.29, "videos": 3}
    assert [found[user][0] for user in found] == [{**one, "unpriced": 0} for one in (both, news, shop)]
    assert all(first == second for first, second, *_ in found.values())
    assert [found[user][2] for user in found] == [1, 0, 1]
    assert found["mallory"][3] == [0.31, 0.31]


def test_a_filter_for_a_dag_that_the_user_may_not_read_is_as_for_one_that_is_not_there(two_dags, library):
    answers = [library(user="mallory", dag=dag) for dag in ("shop", "not there")]
    assert answers[0] == answers[1]
    assert answers[0]["sums"]["videos"] == 0


def test_what_is_left_of_a_budget_is_shown_to_who_may_read_every_dag_of_its_period(two_dags, budgets, library):
    left = {user: [one["left"] for one in library("spend", user=user)["budgets"]] for user in ("ann", "mallory")}
    # The month may have begun less than five hours ago, so there is at least what began a minute ago.
    assert left["ann"][0] in (pytest.approx(100 - 20.29), pytest.approx(100 - 10.3))
    assert left["ann"][1] in (pytest.approx(1000 - 20.29), pytest.approx(1000 - 10.3))
    assert left["mallory"] == [None, None]
    assert [one["limit"] for one in library("spend", user="mallory")["budgets"]] == [100, 1000]


def test_a_decision_about_a_user_holds_for_seconds_and_for_no_one_else(two_dags, library, monkeypatch):
    asked = []
    decide = SimpleAuthManager.is_authorized_dag

    def is_authorized_dag(self, *, user, details=None, **rest):
        asked.append((user.username, user.role))
        return decide(self, user=user, details=details, **rest)

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", is_authorized_dag)
    assert library()["sums"] == library()["sums"]
    once = len(asked)
    assert set(asked) == {("ann", "viewer")}
    assert library(user="mallory")["sums"]["videos"] == 1
    # Another role of the same name is another user.
    assert library(role=None)["sums"]["videos"] == 0
    assert {("mallory", "viewer"), ("ann", None)} < set(asked)
    del asked[:]
    monkeypatch.setattr(readers, "KNOWN_SECONDS", -1.0)
    library()
    assert len(asked) == once


def test_who_may_see_no_dag_sees_nothing(two_dags, library):
    answer = library(user="nobody", role=None)
    assert (answer["entries"], answer["sums"]["videos"], answer["choices"]["dag"]) == ([], 0, [])


def test_a_stored_copy_of_another_dag_is_not_played(two_dags, library, web):
    address = library(dag="shop", state="stored")["entries"][0]["address"]
    library(f"{address}/0", user="mallory", status=403)


HOSTILE = [
    {"dag_id": "\ud800"},
    {"dag_id": "a\0b"},
    {"dag_id": "~"},
    {"dag_id": ""},
    {"dag_id": 7},
    {"prompt": "\ud800 <script>alert(1)</script>"},
    {"prompt": "x" * 100_000},
    {"custom_id": "\u202e" + "y" * 10_000},
    {"map_index": 1 << 70},
    {"request": {"input": [], "parameters": 7, "model": {}}},
    {"request": {"input": {"images": [{}]}, "parameters": {"seed": 10**400, "duration": float("nan")}}},
    {"request": "none"},
]


@pytest.mark.parametrize("entry", HOSTILE, ids=lambda entry: str(entry)[:40].encode("ascii", "replace").decode())
def test_no_entry_breaks_an_answer(ledger, library, entry):
    paid(ledger, 1)
    paid(ledger, 2, ago=90, ending=Ending("stored", ("\ud800",) * 50, float("inf"), "\ud800" * 9999), **entry)
    paid(ledger, 3, ago=120, ending=Ending("\ud800", (), float("nan")))
    for route in ROUTES:
        text = json.dumps(library(route))
        assert len(text) < 30_000
    assert {"kite-1", "kite-3"} <= {one["custom_id"] for one in library()["entries"]}


def test_an_outcome_that_the_ledger_does_not_know_counts_as_a_failure(ledger, library):
    # In a page's script, a plain object has a value of this name.
    paid(ledger, 1, ending=Ending("constructor"))
    assert [one["outcome"] for one in library()["entries"]] == ["failed"]
    assert {outcome: found["videos"] for outcome, found in library("spend")["outcomes"].items()} == {"failed": 1}
    assert [one["family"] for one in library("failures")["families"]] == ["unknown"]


@pytest.mark.parametrize("day", ["2026-02-30", "0000-01-01", "2026-99-99"])
def test_what_is_no_day_breaks_no_sum(ledger, library, day):
    paid(ledger, 1)
    name = ledger.name(time.time(), 0.31, "ab" * 32)._replace(day=day)
    ledger.intend({name: Entry("shop", "run", "make", -1, "", "vidu_default", {})})
    for by in ("day", "week", "month"):
        assert library("spend", by=by)["sums"]["videos"] == 1


def test_what_is_left_is_not_shown_if_it_contains_what_nobody_can_see(ledger, budgets, library):
    paid(ledger, 1, price=10.0, accepted=False)
    paid(ledger, 2, ago=90)
    (group, _) = ledger.groups(ledger.months()[-1])[::-1]
    Path(ledger.root, spent_at(group)).write_text('{"version": 1, "entr')
    Path(ledger.root, ended("task-2")).parent.mkdir()
    Path(ledger.root, ended("task-2")).write_text("[]")
    answer = library()
    assert [one["custom_id"] for one in answer["entries"]] == ["kite-2"]
    # Less the other entry's 0.31, it would say what the broken one has cost.
    assert [one["left"] for one in library("spend")["budgets"]] == [None, None]
    assert library("spend")["budgets"][0]["own"] == 0.31


def test_no_object_in_a_ledger_hides_the_entries_of_others(ledger, library):
    paid(ledger, 1)
    paid(ledger, 2, ago=90)
    (group, _) = ledger.groups(ledger.months()[-1])[::-1]
    Path(ledger.root, spent_at(group)).write_text('{"version": 1, "entries": ' + "[" * 5000 + "]" * 5000 + "}")
    Path(ledger.root, group[0].accepted).unlink()
    answer = library()
    assert ([one["custom_id"] for one in answer["entries"]], answer["away"]) == (["kite-2"], False)


@pytest.mark.parametrize("day", ["2026-02-31", "0000-01-01"])
def test_a_directory_of_no_day_breaks_no_sum(ledger, library, day):
    paid(ledger, 1)
    Path(ledger.root, "spent", day[:7]).mkdir(parents=True)
    (stored,) = Path(ledger.root, "spent").glob("*/*/*.json")
    shutil.copytree(stored.parent, Path(ledger.root, "spent", day[:7], day))
    for period in ("day", "week", "month"):
        assert library("spend", by=period)["sums"]["videos"] == 1


def test_an_empty_ledger_is_no_fault(ledger, library):
    assert library()["sums"]["videos"] == 0
    assert library("spend")["rows"] == library("failures")["families"] == []


def test_a_ledger_that_is_away_is_said_to_be_and_what_was_read_stays(two_dags, budgets, library, caplog):
    assert library()["away"] is False
    shutil.rmtree(two_dags.root)
    Path(two_dags.root).symlink_to(two_dags.root)
    answer = library()
    assert (answer["away"], answer["sums"]["videos"]) == (True, 3)
    assert [one["left"] for one in library("spend")["budgets"]] == [None, None]
    assert "The library could not be read" in caplog.text
    # Where it is belongs to the log alone.
    assert two_dags.root not in json.dumps(library())


def test_an_answer_does_not_wait_for_a_slow_ledger(two_dags, library, monkeypatch):
    monkeypatch.setattr(shelf, "PATIENCE_SECONDS", 0.0)
    goes_on = threading.Event()
    monkeypatch.setattr(shelf.Shelf, "_read", lambda self: goes_on.wait(30))
    answer = library()
    goes_on.set()
    assert (answer["whole"], answer["sums"]["videos"]) == (False, 0)


@pytest.mark.parametrize("option", ["BUDGET_TIMEZONE", "DAILY_BUDGET", "LEDGER"])
def test_a_wrong_configuration_is_said_to_be_one_and_the_log_says_how(two_dags, library, monkeypatch, caplog, option):
    monkeypatch.setenv(f"AIRFLOW__VIDU__{option}", "a secret")
    assert "a secret" not in json.dumps(library(status=503))
    assert "a secret" in caplog.text


def test_the_library_reads_a_bucket_too(any_ledger, library):
    paid(any_ledger, 1, ending=Ending("stored", ("s3://b/1.mp4",), 4.0))
    paid(any_ledger, 2, ago=90)
    assert [one["outcome"] for one in library()["entries"]] == ["stored", "running"]
