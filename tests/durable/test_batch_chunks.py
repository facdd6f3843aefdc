# SPDX-License-Identifier: Apache-2.0
"""The chunks of a batch's record: how many there are, and what a kill at each write leaves of them."""

from __future__ import annotations

import json
from itertools import product
from types import SimpleNamespace

import pytest

from airflow_provider_vidu.durable import batch_record
from airflow_provider_vidu.durable.batch_chunk import Mark
from airflow_provider_vidu.durable.batch_record import CHUNK_BYTES, BatchRecord
from tests.quick import Store

MARK = Mark("f" * 64, "r" * 64, 0.5, 10.0, place="spent/2026-11/2026-11-28/" + "p" * 60)
NAMES = "abcdef"


class Killed(BaseException):
    """The worker is gone."""


class Watched(Store):
    """A task state store that counts its reads, and during whose given write the worker dies."""

    def __init__(self, kept=(), dies_at=None, *, is_written=False):
        super().__init__(**dict(kept))
        self.reads, self.dies_at, self.is_written = 0, dies_at, is_written

    def get(self, key, default=None):
        self.reads += 1
        return super().get(key, default)

    def set(self, key, value, *, retention):
        dies = self.writes + 1 == self.dies_at
        if dies and not self.is_written:
            raise Killed
        super().set(key, value, retention=retention)
        if dies:
            raise Killed


def record(store, try_number=1, max_tries=1):
    ti = SimpleNamespace(max_tries=max_tries, try_number=try_number)
    opened = BatchRecord({"ti": ti, "task_state_store": store}, log=SimpleNamespace(exception=lambda *_: None))
    opened.read()
    return opened


def wave(store, names, paid, try_number=1):
    """One visit to a worker that submits some items."""
    opened, marks = record(store, try_number), dict.fromkeys(names, MARK)
    opened.intend(marks)
    for name in names:
        paid.append((name, f"task-{len(paid)}"))
    opened.settle(marks, dict(paid[len(paid) - len(names) :]), [])


def known(store):
    return {name: attempt.vidu_task_id for name, attempt in record(store).attempts.items()}


def test_waves_of_one_item_share_a_key_and_each_reads_as_much_as_the_one_before():
    store, paid, reads = Watched(), [], []
    for number in range(25):
        before = store.reads
        wave(store, [f"kite-{number}"], paid)
        reads.append(store.reads - before)
    assert list(store) == ["vidu_batch_0"]
    assert (reads[0], set(reads[1:])) == (2, {3})
    assert known(store) == dict(paid)


def test_a_full_chunk_is_followed_by_another_one():
    store, paid = Watched(), []
    for number in range(80):
        wave(store, [f"kite-{number}"], paid)
    sizes = [len(json.dumps(chunk)) for chunk in store.values()]
    assert len(sizes) == 3
    assert all(0.95 * CHUNK_BYTES < size < 1.01 * CHUNK_BYTES for size in sizes[:-1])
    assert known(store) == dict(paid)


def test_each_submit_keeps_its_own_time():
    store, paid = Store(), []
    for name in "ab":
        wave(store, name, paid)
    times = [one["begun_at"] for one in store["vidu_batch_0"]["submits"].values()]
    assert times == [record(store).begun_at(*one) for one in paid]
    assert times[0] < times[1]


def test_an_item_that_a_try_submits_twice_has_both_tasks_in_the_record():
    store, paid = Store(), []
    for name in "aba":
        wave(store, name, paid)
    found = record(store)
    assert list(store) == ["vidu_batch_0", "vidu_batch_1"]
    assert (found.earlier_than("a", "task-2"), found.cost("a")) == (("task-0",), 1.0)


def test_refused_submits_leave_no_chunks():
    store = Store()
    for name in "abc":
        opened = record(store)
        opened.intend({name: MARK})
        opened.settle({name: MARK}, {}, [])
    assert (list(store), known(store)) == (["vidu_batch_0"], {})


@pytest.mark.parametrize("next_try", [{"try_number": 2}, {"try_number": 2, "max_tries": 2}], ids=["retry", "clear"])
def test_a_worker_that_outlives_its_try_takes_nothing_from_the_next_try(next_try):
    store, marks = Store(), [{name: MARK} for name in "abc"]
    outlives = record(store)
    outlives.intend(marks[0])
    after = record(store, **next_try)
    after.intend(marks[1])
    assert after.settle(marks[1], {"b": "task-b"}, [])
    assert outlives.settle(marks[0], {"a": "task-a"}, [])
    outlives.intend(marks[2])
    assert known(store) == {"a": "task-a", "b": "task-b", "c": ""}


def test_the_chunks_of_version_2_are_read_and_kept():
    submit = {**MARK._asdict(), "task_id": "task-a"}
    older = {"version": 2, "max_tries": 1, "begun_at": 1e9, "submits": {"a": submit}}
    store, paid = Store(vidu_batch_0=older), [("a", "task-a")]
    wave(store, "b", paid)
    assert (store["vidu_batch_0"], set(store)) == (older, {"vidu_batch_0", "vidu_batch_1"})
    assert (known(store), record(store).begun_at("a", "task-a")) == (dict(paid), 1e9)


def tried(store, paid, try_number):
    """A try in waves of one or two items. It submits nothing that an earlier try has submitted, or may have."""
    left = [name for name in NAMES if name not in known(store)]
    while left:
        size = 1 + len(left) % 2
        wave(store, left[:size], paid, try_number)
        left = left[size:]


@pytest.mark.parametrize("bytes_of_a_chunk", [CHUNK_BYTES, 900], ids=["all in one chunk", "few in each chunk"])
@pytest.mark.parametrize("is_written", [False, True], ids=["before the write", "after the write"])
def test_a_kill_at_any_write_pays_nothing_twice_and_loses_no_task(monkeypatch, bytes_of_a_chunk, is_written):
    monkeypatch.setattr(batch_record, "CHUNK_BYTES", bytes_of_a_chunk)
    kills = 0
    for first, second in product(range(1, 9), range(1, 9)):
        kept, paid = {}, []
        for number, dies_at in enumerate((first, second, None), 1):
            store = Watched(kept, dies_at, is_written=is_written)
            try:
                tried(store, paid, number)
            except Killed:
                kills += 1
            kept = dict(store)
        assert sorted(known(store)) == sorted(NAMES)
        assert len({name for name, _ in paid}) == len(paid)
        lost = dict(paid).items() - known(store).items()
        assert all(known(store)[name] == "" for name, _ in lost)
        # Each kill leaves at most one wave of two items uncertain.
        assert sum(not vidu_task_id for vidu_task_id in known(store).values()) <= 4
    assert kills > 64
