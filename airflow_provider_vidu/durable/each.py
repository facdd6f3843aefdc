# SPDX-License-Identifier: Apache-2.0
"""Requests to the ledger's store, a few at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

Given = TypeVar("Given")
Found = TypeVar("Found")

_CONCURRENT = 8


def each(work: Callable[[Given], Found], given: Iterable[Given]) -> list[Found]:
    """
    Call a function for many values, a few at a time.

    :param work: the function; it must not call this one, which could wait for itself.
    :param given: the values.
    :return: its results, in the same order.
    """
    values: Sequence[Given] = list(given)
    # The first alone, which opens the store: Airflow 3.1 mixes up its answers to threads that ask for a connection.
    first = [work(value) for value in values[:1]]
    return first + list(_pool().map(work, values[1:]) if values[1:] else ())


@cache
def _pool() -> ThreadPoolExecutor:
    # One for the process: starting threads for each chunk costs as much as writing its objects.
    return ThreadPoolExecutor(_CONCURRENT, thread_name_prefix="vidu-ledger")


# A forked process inherits the pool, but none of its threads, and would wait for them for ever.
os.register_at_fork(after_in_child=_pool.cache_clear)
