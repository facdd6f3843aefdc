# SPDX-License-Identifier: Apache-2.0
"""Batches that write the ledger's entries of many submits at once."""

from __future__ import annotations

from collections import Counter

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.batch import reading
from airflow_provider_vidu.batch.paying import Paying
from airflow_provider_vidu.batch.submits import CONCURRENT_SUBMITS, Submits
from airflow_provider_vidu.durable.entries import GROUP, cny_of, total
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.exceptions import ViduStateError
from tests.ledgers import entry_in
from tests.quick import PRICE, Store, asked, outcomes, posts, tried

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")


def kites(count: int) -> list[dict[str, object]]:
    """Items that differ in their requests."""
    return [asked(f"kite-{number:03}", prompt=f"kite {number}") for number in range(count)]


class Killed(BaseException):
    """The end of a worker, after which nothing more is written."""


def killed_in(store, videos, given, chunks, *, before_a_post=False):
    """Let the worker die with the given chunk of a batch's submits."""
    really_submit, begun = Submits._submit_chunk, []

    def submit(self, marks, *others):
        begun.append(marks)
        if len(begun) < chunks:
            return really_submit(self, marks, *others)
        if not before_a_post:
            really_submit(self, marks, *others)
        patched.setattr(Paying, "withdraw", lambda *_: None)
        raise Killed

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Submits, "_submit_chunk", submit)
        with pytest.raises(Killed):
            tried(store, videos, given)


def entries(ledger: Ledger) -> dict[str, str]:
    """Vidu's ids by custom id, of all entries of the ledger."""
    names = [name for month in ledger.months() for name in ledger.spent(month)]
    found = [entry_in(ledger, name) for name in names]
    assert len({entry.custom_id for entry in found}) == len(found)
    return {entry.custom_id: entry.vidu_task_id for entry in found}


def spent(ledger: Ledger) -> float:
    return cny_of(total(name for month in ledger.months() for name in ledger.spent(month)))


def test_a_batch_writes_the_entries_of_many_submits_together(emulator, ledger, videos):
    given = kites(GROUP + 3)
    tried(Store(), videos, given)
    sizes = [len(group) for month in ledger.months() for group in ledger.groups(month)]
    assert sorted(sizes) == [3, GROUP]
    assert entries(ledger).keys() == {one["custom_id"] for one in given}
    assert set(entries(ledger).values()) == {task["task_id"] for task in emulator.tasks}


def test_no_more_bodies_with_files_are_held_than_are_sent_together(emulator, ledger, videos, monkeypatch):
    monkeypatch.setattr(reading, "SMALL_BYTES", 10)
    tried(Store(), videos, kites(20))
    sizes = [len(group) for month in ledger.months() for group in ledger.groups(month)]
    assert sorted(sizes) == [4, CONCURRENT_SUBMITS, CONCURRENT_SUBMITS]


@pytest.mark.parametrize(
    ("chunks", "before_a_post", "sent"), [(1, True, 0), (1, False, 8), (2, True, 8), (3, False, 18)]
)
def test_a_retry_takes_out_of_the_ledger_what_a_killed_worker_never_sent(
    emulator, ledger, videos, chunks, before_a_post, sent
):
    _retried_after_a_kill(emulator, ledger, videos, chunks, before_a_post=before_a_post, sent=sent)


def test_a_retry_corrects_a_ledger_in_any_kind_of_place(emulator, any_ledger, videos):
    _retried_after_a_kill(emulator, any_ledger, videos, 1, before_a_post=False, sent=8)


def _retried_after_a_kill(emulator, ledger, videos, chunks, *, before_a_post, sent):
    store = Store()
    killed_in(store, videos, kites(18), chunks, before_a_post=before_a_post)
    assert len(posts(emulator)) == sent
    assert spent(ledger) == round(18 * PRICE, 2)
    told = tried(store, videos, kites(18))
    assert told["counts"] == {"success": 18}
    assert len(posts(emulator)) == 18
    # Where nothing was noted in the task's states, nothing tells whose the first object is.
    names = [name for month in ledger.months() for name in ledger.spent(month)]
    assert len(names) == (18 if sent else 36)
    if sent:
        assert set(entries(ledger).values()) == {task["task_id"] for task in emulator.tasks}


def test_the_tasks_of_a_killed_worker_can_be_rescued_without_another_try(emulator, ledger, videos):
    killed_in(Store(), videos, kites(20), 2)
    ids = {task["task_id"] for task in emulator.tasks}
    assert (len(ids), {id_ for id_ in entries(ledger).values() if id_}) == (16, ids)


def test_a_clear_after_a_kill_leaves_what_is_certain_and_uncertain_in_the_ledger(emulator, ledger, videos):
    emulator.arm({"on": "submit", "fault": "drop", "every": 9, "times": 1})
    store = Store()
    killed_in(store, videos, kites(20), 2)
    with pytest.raises(Exception, match="uncertain"):
        tried(store, videos, kites(20))
    words = Counter(outcomes(videos).values())
    found = entries(ledger)
    assert len(found) == 20
    assert sum(not id_ for id_ in found.values()) == words["uncertain"]


def test_a_retry_that_is_refused_still_tells_the_rescue_what_was_paid(emulator, ledger, videos):
    store = Store()
    killed_in(store, videos, kites(18), 1)
    with pytest.raises(AirflowFailException, match="custom_id must stay the same"):
        tried(store, videos, [asked("boat")])
    assert set(entries(ledger).values()) == {task["task_id"] for task in emulator.tasks}


def test_a_retry_corrects_an_object_that_a_kill_left_under_two_names(emulator, ledger, videos, monkeypatch):
    emulator.arm({"on": "submit", "fault": "error", "status": 403, "times": 1})
    store = Store()
    with monkeypatch.context() as patched:
        # The worker dies after it has written the accepted entries, before it removes the former object.
        patched.setattr(Ledger, "remove", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            tried(store, videos, kites(8))
    assert spent(ledger) == round(15 * PRICE, 2)
    assert tried(store, videos, kites(8))["counts"] == {"success": 8}
    assert entries(ledger).keys() == {one["custom_id"] for one in kites(8)}
    assert set(entries(ledger).values()) == {task["task_id"] for task in emulator.tasks}


@pytest.mark.parametrize("cause", ["cannot be listed", "is gone"])
def test_a_ledger_that_cannot_be_corrected_keeps_no_try_from_its_paid_tasks(
    emulator, ledger, videos, monkeypatch, capfd, cause
):
    store = Store()
    killed_in(store, videos, kites(8), 1)

    def groups(self, period):
        if cause == "is gone":
            return []
        raise ViduStateError("The bucket is away.")

    monkeypatch.setattr(Ledger, "groups", groups)
    assert tried(store, videos, kites(8))["counts"] == {"success": 8}
    assert len(posts(emulator)) == 8
    assert ("did not send count as spent: The bucket is away." in capfd.readouterr().out) == (cause != "is gone")


def test_a_wrong_configuration_of_the_ledger_keeps_no_try_from_its_paid_tasks(emulator, ledger, videos, monkeypatch):
    store = Store()
    killed_in(store, videos, kites(8), 1)
    monkeypatch.setenv("AIRFLOW__VIDU__LEDGER", "not/absolute")
    assert tried(store, videos, kites(8))["counts"] == {"success": 8}
    assert len(posts(emulator)) == 8


def test_an_uncertain_submit_counts_after_a_worker_whose_clock_is_behind_submitted_its_item_again(
    emulator, ledger, videos, monkeypatch
):
    emulator.arm({"on": "submit", "fault": "drop", "every": 3, "times": 1})
    store, named = Store(), Ledger.name
    with pytest.raises(Exception, match="uncertain"):
        tried(store, videos, kites(3))
    monkeypatch.setattr(Ledger, "name", lambda self, now, *more: named(self, now - 60, *more))
    for try_number in (2, 3):
        tried(store, videos, kites(3), try_number=try_number, on_uncertain="resubmit")
        assert spent(ledger) == round(4 * PRICE, 2)
    assert len(posts(emulator)) == 4


def test_a_ledger_that_is_no_longer_configured_keeps_no_try_from_its_paid_tasks(emulator, ledger, videos, monkeypatch):
    store = Store()
    killed_in(store, videos, kites(8), 1)
    monkeypatch.delenv("AIRFLOW__VIDU__LEDGER")
    assert tried(store, videos, kites(8))["counts"] == {"success": 8}
    assert len(posts(emulator)) == 8
