# SPDX-License-Identifier: Apache-2.0
"""A worker dies at each write of a batch's record; and how often the waves read that record."""

from __future__ import annotations

import copy
from collections import Counter
from itertools import count, pairwise

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from tests.batch.visits import visited
from tests.quick import Store, lines, many, posts

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once", "flight")


class Killed(BaseException):
    """The worker is gone."""


class Watched(Store):
    """A task state store that counts its reads, and during whose given write the worker dies."""

    def __init__(self, dies_at=None, *, is_written=False):
        super().__init__()
        self.reads, self.dies_at, self.is_written, self.left = 0, dies_at, is_written, None

    def get(self, key, default=None):
        self.reads += 1
        return super().get(key, default)

    def set(self, key, value, *, retention):
        if self.left is not None:
            raise Killed
        if self.writes + 1 != self.dies_at:
            return super().set(key, value, retention=retention)
        if self.is_written:
            super().set(key, value, retention=retention)
        self.left = copy.deepcopy(dict(self))
        raise Killed


@pytest.mark.parametrize("is_written", [False, True], ids=["before the write", "after the write"])
def test_a_kill_at_any_write_pays_nothing_twice_and_loses_nothing(emulator, videos, flight, is_written):
    flight.seconds = 0.02
    for number in count(1):
        emulator.reset()
        place, store = videos / str(number), Watched(number, is_written=is_written)
        try:
            visited(store, place, many(4), max_in_flight=2)
            break
        except Killed:
            pass
        retried, ended = Store(**store.left), []
        try:
            visited(retried, place, many(4), max_in_flight=2, try_number=2)
        except AirflowException as error:
            ended.append(str(error))
        found = lines(place)
        counts = Counter(line["outcome"] for line in found)
        paid = {task["task_id"] for task in emulator.tasks}
        assert len(posts(emulator)) == len(paid) <= 4
        # Two submits were in flight; the write of their ids is the one that the kill can prevent.
        assert counts["success"] + counts["uncertain"] == 4
        assert counts["uncertain"] <= 2
        assert {line["task_id"] for line in found if line["outcome"] == "success"} <= paid
        assert len(paid) == 4 or ended
        assert bool(ended) == bool(counts["uncertain"])
    assert number > 6


def test_a_wave_reads_as_much_as_the_one_before(emulator, videos, flight):
    flight.seconds = 0.02
    store, reads = Watched(), [0]
    visited(store, videos, many(24), max_in_flight=2, between=lambda _: reads.append(store.reads))
    waves = [after - before for before, after in pairwise(reads)]
    assert len(waves) > 8
    assert max(waves[4:]) <= max(waves[:4])
    assert len([key for key in store if key.startswith("vidu_batch_")]) == 2
