# SPDX-License-Identifier: Apache-2.0
"""Objects of the ledger that hold the entries of many submits."""

from __future__ import annotations

import logging
import time

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_vidu.durable import spending
from airflow_provider_vidu.durable.entries import Entry, EntryName
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.durable.objects import Objects
from airflow_provider_vidu.durable.reuse import Reuse
from airflow_provider_vidu.durable.spending import Planned, Spending
from airflow_provider_vidu.exceptions import ViduStateError
from tests.ledgers import paid

REQUESTS = [f"{number:06x}" + "a" * 58 for number in range(3)]


def planned(number: int) -> Planned:
    entry = Entry("dag", "run", "task", -1, f"kite-{number}", "vidu_default", {})
    return Planned(REQUESTS[number], 0.31, entry)


def intended(ledger: Ledger, ago: float = 1.0) -> list[EntryName]:
    """Intents of a moment ago in one object."""
    given = {ledger.name(time.time() - ago, 0.31, REQUESTS[number]): planned(number) for number in range(3)}
    entries = {name: one.entry._replace(fingerprint=one.request) for name, one in given.items()}
    return list(ledger.intend(entries).values())


def ids(ledger: Ledger) -> list[tuple[str, str]]:
    groups = [group for month in ledger.months() for group in ledger.groups(month)]
    found = [entry for group in groups for entry in ledger.entries(group)]
    return sorted((entry.custom_id, entry.vidu_task_id) for entry in found)


def test_an_intent_that_cannot_be_removed_counts_once(ledger, monkeypatch):
    first, *others = intended(ledger)
    with monkeypatch.context() as patched:
        patched.setattr(Objects, "put", lambda *_: (_ for _ in ()).throw(ViduStateError("The bucket is away.")))
        ledger.withdraw([first])
    ledger.accept(dict(zip(others, ["task-1", "task-2"], strict=True)))
    assert ids(ledger) == [("kite-0", ""), ("kite-1", "task-1"), ("kite-2", "task-2")]


def test_time_that_is_over_between_two_checks_of_a_budget_leaves_nothing_spent(ledger, monkeypatch):
    paid(ledger, 99, ago=1, accepted=False)
    monkeypatch.setenv("AIRFLOW__VIDU__DAILY_BUDGET", "0.93")

    def over(seconds):
        assert len(ids(ledger)) == 3
        raise AirflowTaskTimeout("Time is over")

    monkeypatch.setattr(spending.time, "sleep", over)
    with pytest.raises(AirflowTaskTimeout):
        Spending(logging.getLogger(__name__)).intend({str(number): planned(number) for number in range(3)})
    assert ids(ledger) == [("kite-99", "")]


def test_an_object_whose_name_changes_after_it_was_listed_is_found_under_the_new_one(ledger):
    first, *others = names = intended(ledger)
    ledger.accept({others[0]: "task-1"})
    ledger.withdraw([first])
    assert [entry.vidu_task_id for entry in ledger.entries(names)] == ["", "task-1", ""]
    ledger.withdraw([others[1]])
    assert [entry.vidu_task_id for entry in ledger.entries(names)] == ["", "task-1", ""]
    ledger.withdraw([others[0]])
    assert [entry.vidu_task_id for entry in ledger.entries(names)] == ["", "", ""]


def test_the_tasks_of_many_rivals_in_one_object_are_read_at_once(ledger, monkeypatch):
    rivals, own = intended(ledger), intended(ledger, ago=0.0)
    ledger.accept({name: f"task-{name.request}" for name in rivals})
    reads, get = [], Objects.get
    monkeypatch.setattr(Objects, "get", lambda self, relative: reads.append(relative) or get(self, relative))
    reuse = Reuse(ledger, "vidu_default", logging.getLogger(__name__))
    found = reuse.of_rivals(dict(zip(own, REQUESTS, strict=True)))
    assert {name.request: one.vidu_task_id for name, one in found.items()} == {
        name.request: f"task-{name.request}" for name in rivals
    }
    assert len(reads) == 1
