# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from airflow_provider_vidu.durable.attempt import Attempt, decide, plan
from airflow_provider_vidu.durable.batch_chunk import Mark
from airflow_provider_vidu.durable.batch_record import BatchRecord
from airflow_provider_vidu.exceptions import ViduAuthError, ViduStateError, ViduTaskNotFoundError
from airflow_provider_vidu.protocol.response import TaskStatus
from airflow_provider_vidu.storage.manifest import Record

BEGUN = Attempt("f", 1, 1e9, {}, "t")
INTENT = BEGUN._replace(vidu_task_id="")
NOW = 1e9 + 60
MARK = Mark("f", "r", 0.5, 10.0)


def told(word, **more):
    return TaskStatus("t", word, **more)


READY = told("Success", urls=("http://a/b.mp4",), finish_time=1e9)
EXPIRED = READY._replace(finish_time=1e9 - 25 * 3600)
BUSY, UNFIT = (told("Failure", error_message=text) for text in ("SystemThrottling", "CreationPolicyViolation"))
GONE, NO_KEY = ViduTaskNotFoundError("no such task"), ViduAuthError("bad key")

# What is stored, what the API says; what an automatic retry does, and what a try does after a person's clear.
PLANS = [
    (BEGUN, told("Running"), "submitted", "submitted"),
    (BEGUN, READY, "submitted", "submitted"),
    (BEGUN._replace(delivered=True), READY, "submitted", None),
    (BEGUN, EXPIRED, "lost", None),
    (BEGUN, BUSY, None, None),
    (BEGUN, UNFIT, "failed", None),
    (BEGUN, GONE, "lost", None),
    (BEGUN, NO_KEY, "submitted", "submitted"),
    (INTENT, None, "uncertain", None),
]


@pytest.mark.parametrize(("attempt", "answer", "retried", "cleared"), PLANS)
def test_each_item_is_treated_as_a_single_submit_would_be(attempt, answer, retried, cleared):
    found = [
        plan(
            attempt,
            max_tries=max_tries,
            fingerprint="f",
            now=NOW,
            answer=answer,
            believed=True,
            resubmit=False,
        ).outcome
        for max_tries in (1, 2)
    ]
    assert found == [retried, cleared]


@pytest.mark.parametrize(("attempt", "answer"), [(attempt, answer) for attempt, answer, *_ in PLANS if answer != UNFIT])
def test_each_item_is_given_the_reason_of_a_single_submit(attempt, answer):
    for max_tries in (1, 2):
        options = {"max_tries": max_tries, "fingerprint": "f", "now": NOW, "answer": answer, "believed": True}
        assert plan(attempt, resubmit=False, **options).why == decide(attempt, **options)[1]


@pytest.mark.parametrize(("choice", "outcome"), [({}, "lost"), ({"resubmit_missing": True}, None)])
def test_a_clear_pays_again_for_an_item_whose_file_is_missing_only_where_that_is_chosen(choice, outcome):
    options = {"max_tries": 2, "fingerprint": "f", "now": NOW, "answer": EXPIRED, "believed": True}
    options |= {"files": ["file:///v/a.mp4"], **choice}
    found, (_, why) = plan(BEGUN, resubmit=False, **options), decide(BEGUN, **options)
    assert found.outcome == outcome
    assert found.why == (why if choice else f'{why} Set on_missing="resubmit" to pay for it again.')


def test_a_clear_with_another_request_submits_it_while_the_old_one_runs():
    options = {"max_tries": 2, "now": NOW, "answer": told("Running"), "believed": False, "resubmit": False}
    assert plan(BEGUN, fingerprint="g", **options).outcome is None


def test_what_is_uncertain_is_submitted_again_only_by_its_authors_choice():
    options = {"max_tries": 1, "fingerprint": None, "now": NOW, "answer": None, "believed": False}
    assert plan(INTENT, resubmit=True, **options).outcome is None


def test_a_failed_item_keeps_the_servers_own_words():
    options = {"max_tries": 1, "fingerprint": None, "now": NOW, "believed": True, "resubmit": False}
    assert plan(BEGUN, answer=UNFIT, **options).why == UNFIT.reason


class Store(dict):
    """A task state store that keeps what JSON keeps."""

    def set(self, key, value, *, retention):
        self[key] = json.loads(json.dumps(value))


def ledger(store, max_tries=1, try_number=1):
    ti = SimpleNamespace(max_tries=max_tries, try_number=try_number)
    opened = BatchRecord({"ti": ti, "task_state_store": store}, log=None)
    opened.read()
    return opened


def summary(opened):
    return {
        name: (one.fingerprint, one.vidu_task_id, one.max_tries, one.delivered) for name, one in opened.attempts.items()
    }


def test_an_intent_stands_until_what_came_of_it_does():
    store = Store()
    marks = {"a": MARK, "b": MARK._replace(sent="g"), "c": MARK._replace(sent="h")}
    first = ledger(store)
    first.intend(marks)
    assert summary(ledger(store)) == {name: (mark.sent, "", 1, False) for name, mark in marks.items()}
    assert first.settle(marks, {"a": "task-a"}, ["c"])
    assert summary(ledger(store)) == {"a": ("f", "task-a", 1, False), "c": ("h", "", 1, False)}


def accepted(store, max_tries=1, **ids):
    opened = ledger(store, max_tries)
    opened.intend(dict.fromkeys(ids, MARK))
    opened.settle(dict.fromkeys(ids, MARK), ids, [])
    return opened


def test_a_later_submit_counts_and_one_that_was_not_accepted_leaves_the_earlier():
    store = Store()
    accepted(store, a="first", b="first")
    again = accepted(store, a="second")
    assert summary(ledger(store)) == {"a": ("f", "second", 1, False), "b": ("f", "first", 1, False)}
    again.intend({"a": MARK, "b": MARK})
    again.settle({"a": MARK, "b": MARK}, {}, [])
    assert summary(ledger(store)) == {"a": ("f", "second", 1, False), "b": ("f", "first", 1, False)}


def test_a_batch_is_delivered_as_a_whole_except_for_what_has_no_video():
    store = Store()
    accepted(store, a="task-a", b="task-b").deliver(["b"])
    assert summary(ledger(store)) == {"a": ("f", "task-a", 1, True), "b": ("f", "task-b", 1, False)}
    assert store["vidu_batch_delivered"] == {"version": 1, "max_tries": 1, "without": ["b"]}


def test_attaching_after_a_clear_makes_the_next_try_a_retry_and_leaves_the_rest_cleared():
    store = Store()
    accepted(store, a="old", b="old", gone="old")
    accepted(store, a="new").deliver(["b", "gone"])
    cleared = ledger(store, max_tries=2)
    cleared.attach(["b"])
    found = {"a": ("f", "new", 1, True), "b": ("f", "old", 2, False), "gone": ("f", "old", 1, False)}
    assert summary(ledger(store, max_tries=2)) == found
    accepted(store, max_tries=2, a="newest")
    assert summary(ledger(store, max_tries=2)) == {**found, "a": ("f", "newest", 2, False)}
    assert ledger(store).marks == dict.fromkeys(found, MARK)


def test_an_automatic_retry_rewrites_nothing():
    store = Store()
    accepted(store, a="task-a")
    before = dict(store)
    ledger(store).attach(["a"])
    assert store == before


@pytest.mark.parametrize("strange", [[], {"items": {}}, {"max_tries": 1, "begun_at": 1, "items": {"a": "b"}}], ids=str)
def test_a_strange_state_is_named_before_anything_is_sent(strange):
    with pytest.raises(ViduStateError, match="The task state 'vidu_batch_0' must be one") as raised:
        ledger(Store(vidu_batch_0=strange))
    assert repr(strange) in str(raised.value)


class Broken(Store):
    """A task state store that takes nothing while it is ``away``."""

    away = True

    def set(self, key, value, *, retention):
        if self.away:
            raise ConnectionError("Airflow is away")
        super().set(key, value, retention=retention)


def test_an_intent_that_cannot_be_stored_lets_nothing_be_sent():
    with pytest.raises(ViduStateError, match=r"Airflow is away.*Nothing was sent"):
        ledger(Broken()).intend({"a": MARK})


def test_what_cannot_be_remembered_is_logged_with_its_ids_and_remembered_later():
    said, store = [], Broken()
    opened = ledger(store)
    opened.log = SimpleNamespace(exception=lambda text, *values: said.append(text % values))
    marks = {"a": MARK, "b": MARK, "c": MARK}
    store.away = False
    opened.intend(marks)
    store.away = True
    assert opened.settle(marks, {"a": "task-a", "b": "task-b"}, ["c"]) is False
    opened.catch_up([line("a", "task-a"), line("c", "")])
    assert said == [
        "Could not store the accepted submits: another try would treat them as uncertain. The Vidu tasks by custom id: "
        "{'a': 'task-a', 'b': 'task-b'}",
        "Still could not store the Vidu tasks by custom id: {'a': 'task-a'}",
    ]
    store.away = False
    opened.catch_up([line("a", "task-a"), line("c", "")])
    # As the next hop does, which knows of them from what the first one noted.
    ledger(store).catch_up([line("a", "task-a"), line("b", "task-b"), line("c", "")])
    found = ledger(store)
    assert summary(found) == {"a": ("f", "task-a", 1, False), "b": ("f", "task-b", 1, False), "c": ("f", "", 1, False)}
    assert [found.cost(name) for name in "abc"] == [0.5] * 3
    before = dict(store)
    found.catch_up([line("a", "task-a"), line("b", "task-b"), line("c", "")])
    assert store == before


def test_what_is_remembered_late_is_kept_by_the_submits_after_it():
    store = Broken()
    store.away = False
    opened = ledger(store)
    opened.log = SimpleNamespace(exception=lambda *_: None)
    opened.intend({"a": MARK})
    store.away = True
    opened.settle({"a": MARK}, {"a": "task-a"}, [])
    store.away = False
    opened.catch_up([line("a", "task-a")])
    opened.intend({"b": MARK})
    assert list(store) == ["vidu_batch_0", "vidu_batch_1"]
    accepted(store, c="task-c")
    assert list(store) == ["vidu_batch_0", "vidu_batch_1"]
    found = {"a": ("f", "task-a", 1, False), "b": ("f", "", 1, False), "c": ("f", "task-c", 1, False)}
    assert summary(ledger(store)) == found


def line(custom_id, vidu_task_id, *earlier):
    return Record(custom_id, {}, "submitted", task_id=vidu_task_id, earlier_task_ids=earlier)


A, B, C = line("a", "new"), line("b", "task-b"), line("c", "c-new")
# The outcome of c is unknown; d was never submitted.
AGREEMENTS = {
    "all that was submitted": ([A, B, C], True),
    "more that was not submitted": ([A, B, C, line("d", "")], True),
    "an accepted task whose id could not be stored": ([A, B, line("c", "c-newer")], True),
    "an unknown outcome without a task": ([A, B, line("c", "")], True),
    "a refused submit after an accepted one": ([line("a", "", "old", "new"), B, C], True),
    "one item less": ([A, C], False),
    "nothing": ([], False),
    "an earlier task": ([line("a", "old"), B, C], False),
    "no task where one was accepted": ([line("a", ""), B, C], False),
    "the task before the unknown outcome": ([A, B, line("c", "c-old")], False),
    "a task of an item that was never submitted": ([A, B, C, line("d", "task-d")], False),
}


@pytest.mark.parametrize("name", AGREEMENTS)
def test_records_are_those_of_the_last_submits_only_if_they_name_the_same_tasks(name):
    records, agrees = AGREEMENTS[name]
    store = Store()
    accepted(store, a="old", c="c-old")
    accepted(store, a="new", b="task-b").intend({"c": MARK})
    assert ledger(store).agrees_with(records) is agrees


def test_after_a_clear_no_record_of_the_tries_before_it_has_to_be_there():
    store = Store()
    accepted(store, a="task-a")
    assert ledger(store, max_tries=2).agrees_with([]) is True


def test_each_submit_of_one_try_is_summed_up():
    opened = accepted(Store(), a="first")
    opened.intend({"a": MARK._replace(price=0.123456)})
    opened.settle({"a": MARK}, {"a": "second"}, [])
    assert (opened.earlier_than("a", "second"), opened.cost("a")) == (("first",), 0.62346)
    assert opened.earlier_than("nobody", "") == ()


def test_all_that_was_submitted_for_an_item_is_told_and_summed_up():
    store = Store()
    accepted(store, a="first", b="only")
    again = ledger(store)
    again.intend({"a": MARK._replace(price=0.25)})
    # Nobody knows what became of it.
    assert (ledger(store).earlier_than("a", ""), ledger(store).cost("a")) == (("first",), 0.75)
    assert ledger(store).earlier_than("a", "first") == ()
    again.settle({"a": MARK._replace(price=0.25)}, {}, [])
    assert (ledger(store).earlier_than("a", "first"), ledger(store).cost("a")) == ((), 0.5)
    accepted(store, a="second")
    # A person's clear writes it once more.
    cleared = ledger(store, max_tries=2)
    cleared.attach(["a", "b"])
    found = ledger(store, max_tries=2)
    assert (found.earlier_than("a", "second"), found.cost("a")) == (("first",), 1.0)
    assert (found.earlier_than("b", "only"), found.cost("b"), found.cost("c")) == ((), 0.5, 0)
    unpriced = MARK._replace(price=None)
    found.intend({"b": unpriced})
    assert ledger(store).cost("b") is None
