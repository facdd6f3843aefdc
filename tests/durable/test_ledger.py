# SPDX-License-Identifier: Apache-2.0
"""The ledger's objects in a directory, a bucket, and a bucket of a store that has less than AWS."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_vidu.durable.entries import Ending, Entry
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.durable.ledger_state import LedgerState, forget_states, task_states
from airflow_provider_vidu.durable.spending import note_accepted, note_end
from airflow_provider_vidu.exceptions import ViduRequestError, ViduStateError
from tests.ledgers import entry_in

NOW = 1_795_803_330.045
REQUEST, OTHER = "ab" * 32, "cd" * 32
ENTRY = Entry("dag", "run", "task", -1, "", "vidu_default", {"model": "viduq2", "input": {"prompt": "风筝 \ud800"}})


def written(ledger, request=REQUEST, at=NOW, price=0.31, vidu_task_id=""):
    name = ledger.name(at, price, request)
    ledger.intend({name: ENTRY})
    if vidu_task_id:
        ledger.accept({name: vidu_task_id})
    return name


def test_an_empty_ledger_knows_nothing(any_ledger):
    name = any_ledger.name(NOW, None, REQUEST)
    assert (any_ledger.months(), any_ledger.days("2026-11"), any_ledger.spent("2026-11-28")) == ([], [], [])
    assert (any_ledger.accepted(REQUEST), any_ledger.ending("task-1")) == ([], None)
    assert any_ledger.entries([name]) == [Entry("", "", "", -1, "", "", {})]


def test_what_is_written_is_found_by_day_month_request_and_task(any_ledger):
    first = written(any_ledger, vidu_task_id="task-1")
    later = written(any_ledger, at=NOW + 5, price=None, vidu_task_id="task-2")
    other = written(any_ledger, OTHER, at=NOW + 86_400)
    assert any_ledger.months() == ["2026-11"]
    assert any_ledger.days("2026-11") == ["2026-11-28", "2026-11-29"]
    assert any_ledger.spent("2026-11-28") == [first, later]
    assert any_ledger.spent("2026-11") == [first, later, other]
    assert any_ledger.accepted(REQUEST) == [later, first]
    assert entry_in(any_ledger, first) == ENTRY._replace(vidu_task_id="task-1")
    assert entry_in(any_ledger, other) == ENTRY


def test_an_intent_that_is_withdrawn_counts_no_more(any_ledger):
    first, other = written(any_ledger), written(any_ledger, OTHER)
    assert set(any_ledger.spent("2026-11-28")) == {first, other}
    any_ledger.withdraw([first])
    assert any_ledger.spent("2026-11-28") == [other]


def test_an_end_replaces_an_earlier_one(any_ledger):
    any_ledger.end("task/1", Ending("failed", reason="busy"))
    ending = Ending("stored", ("file:///a.mp4",), 4.0)
    any_ledger.end("task/1", ending)
    assert any_ledger.ending("task/1") == ending


def test_two_workers_see_each_others_entries_at_once(any_ledger):
    other_worker = Ledger(any_ledger.root)
    assert other_worker.spent("2026-11-28") == []
    first = written(any_ledger)
    assert other_worker.spent("2026-11-28") == [first]
    second = written(other_worker)
    assert set(any_ledger.spent("2026-11-28")) == {first, second}


def test_a_submit_costs_two_puts_and_nothing_else(lesser_store, tmp_path):
    lesser_store.forget()
    written(Ledger("s3://lesser@bucket/ledger"), vidu_task_id="task-1")
    assert lesser_store.names() == ["PutObject", "PutObject"]
    lesser_store.calls.clear()
    Ledger("s3://lesser@bucket/ledger").spent("2026-11-28")
    assert lesser_store.names() == ["ListObjectsV2"]


def test_what_is_no_entry_is_passed_over(ledger):
    name = written(ledger)
    day = Path(ledger.root) / "spent/2026-11/2026-11-28"
    (day / ".0123.part").write_text("on its way")
    (day / "notes.json").write_text("{}")
    (day.parent / "readme").mkdir()
    assert ledger.spent("2026-11") == [name]


def test_half_an_object_loses_its_content_but_not_its_sum(ledger):
    name = written(ledger, vidu_task_id="task-1")
    ledger.end("task-1", Ending("stored", ("file:///a.mp4",)))
    for path in Path(ledger.root).rglob("*.json"):
        path.write_bytes(path.read_bytes()[:20])
    assert [(one.units, one.request) for one in ledger.spent("2026-11-28")] == [(31_000, REQUEST[:6])]
    assert (entry_in(ledger, name).vidu_task_id, ledger.ending("task-1")) == ("", None)


@pytest.mark.parametrize("place", ["ledger", "spent", "spent/2026-11"])
def test_a_ledger_that_cannot_be_written_is_an_error_with_the_next_step(ledger, place):
    blocked = Path(ledger.root) / place if place != "ledger" else Path(ledger.root)
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("a file")
    with pytest.raises(ViduStateError, match=r"Could not write the ledger at .*Check \[vidu\] ledger; a retry can"):
        written(ledger)


def test_a_ledger_that_cannot_be_read_is_an_error_and_no_empty_one(lesser_store):
    lesser_store.forget()
    ledger = Ledger("s3://lesser@bucket/ledger")
    lesser_store.refuse = {"ListObjectsV2"}
    with pytest.raises(ViduStateError, match="Could not list the ledger"):
        ledger.spent("2026-11-28")
    lesser_store.refuse = set()
    ledger.end("task-1", Ending("stored"))
    lesser_store.refuse = {"GetObject"}
    with pytest.raises(ViduStateError, match="Could not read the ledger"):
        ledger.ending("task-1")


@pytest.mark.parametrize("root", ["s3://nobody@bucket/ledger", "nowhere://bucket/ledger"])
def test_a_ledger_of_an_unknown_connection_or_kind_is_an_error(root):
    with pytest.raises(ViduStateError, match=f"the ledger at {root}"):
        Ledger(root).spent("2026-11-28")


def test_an_end_that_cannot_be_written_is_logged_with_its_task(ledger, caplog):
    Path(ledger.root).write_text("a file")
    note_end("task-1", Ending("stored"), logging.getLogger("test"))
    assert "Could not record the end of Vidu task task-1 (stored) in the ledger: Could not write" in caplog.text


def test_without_a_ledger_an_end_is_written_nowhere(monkeypatch, caplog):
    monkeypatch.delenv("AIRFLOW__VIDU__LEDGER", raising=False)
    note_end("task-1", Ending("stored"), logging.getLogger("test"))
    note_accepted("requests/a/b.json", ENTRY, logging.getLogger("test"))
    assert (Ledger.configured(), caplog.text) == (None, "")


def test_the_zone_of_the_days_is_configured(ledger, monkeypatch):
    monkeypatch.setenv("AIRFLOW__VIDU__BUDGET_TIMEZONE", "Europe/Berlin")
    assert Ledger.configured().zone == ZoneInfo("Europe/Berlin")
    monkeypatch.setenv("AIRFLOW__VIDU__BUDGET_TIMEZONE", "Mars")
    with pytest.raises(ViduRequestError, match=r"budget_timezone must be a name of the IANA .* got 'Mars'. Nothing"):
        Ledger.configured()


def context_of(map_index=-1, store=None, run_id="run"):
    ti = SimpleNamespace(dag_id="dag", run_id=run_id, task_id="task", map_index=map_index)
    return {"ti": ti, "task_state_store": store}


def test_task_states_are_kept_for_each_instance(any_ledger):
    one, mapped, other_run = (
        LedgerState(any_ledger, context) for context in (context_of(), context_of(0), context_of(run_id="run/2 #é"))
    )
    one.set("vidu_submit", {"a": 1})
    mapped.set("vidu_submit", {"a": 2})
    assert (one.get("vidu_submit"), mapped.get("vidu_submit"), other_run.get("vidu_submit")) == (
        {"a": 1},
        {"a": 2},
        None,
    )
    one.set("vidu_submit", {"a": 3})
    assert LedgerState(any_ledger, context_of()).get("vidu_submit") == {"a": 3}
    one.delete("vidu_submit")
    assert (one.get("vidu_submit"), mapped.get("vidu_submit")) == (None, {"a": 2})


def test_half_a_task_state_is_not_a_missing_one(ledger):
    state = LedgerState(ledger, context_of())
    state.set("vidu_submit", {"a": 1})
    (path,) = Path(ledger.root).rglob("vidu_submit.json")
    path.write_text('{"version"')
    assert state.get("vidu_submit") == {}


def test_airflows_own_store_comes_first(ledger, monkeypatch):
    store = object()
    assert task_states(context_of(store=store)) is store
    assert isinstance(task_states(context_of()), LedgerState)
    monkeypatch.delenv("AIRFLOW__VIDU__LEDGER")
    assert task_states(context_of()) is None


def test_old_task_states_are_forgotten(ledger):
    for number in range(3):
        LedgerState(ledger, context_of(number)).set("vidu_submit", {"a": number})
    first, *others = sorted(Path(ledger.root).rglob("vidu_submit.json"))
    old = time.time() - 7200
    os.utime(first, (old, old))
    assert forget_states(ledger, time.time() - 3600) == 1
    assert sorted(Path(ledger.root).rglob("vidu_submit.json")) == others


def test_an_entry_is_forgotten_with_all_of_its_objects(any_ledger):
    gone, kept = written(any_ledger, vidu_task_id="task-1"), written(any_ledger, OTHER, vidu_task_id="task-2")
    any_ledger.end("task-1", Ending("stored"))
    any_ledger.end("task-2", Ending("stored"))
    any_ledger.forget([gone])
    assert (any_ledger.spent("2026-11-28"), any_ledger.accepted(REQUEST), any_ledger.ending("task-1")) == (
        [kept],
        [],
        None,
    )
    assert any_ledger.ending("task-2") == Ending("stored")


def test_every_object_names_its_version(ledger):
    written(ledger, vidu_task_id="task-1")
    ledger.end("task-1", Ending("stored"))
    LedgerState(ledger, context_of()).set("vidu_submit", {})
    paths = sorted(Path(ledger.root).rglob("*.json"))
    assert [json.loads(path.read_text())["version"] for path in paths] == [1, 1, 1, 1]


@pytest.mark.parametrize("root", ["ledger", "./ledger"])
def test_a_path_that_depends_on_the_process_is_refused(monkeypatch, root):
    monkeypatch.setenv("AIRFLOW__VIDU__LEDGER", root)
    with pytest.raises(ViduRequestError, match=r"ledger must be an absolute path or a URI .* got '.*ledger'\. Nothing"):
        Ledger.configured()
