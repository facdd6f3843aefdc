# SPDX-License-Identifier: Apache-2.0
"""
Lines of the library in this process's memory, which a thread reads while users look at them.

An answer never waits for all of a large ledger. It takes what has been read so far, the newest first, and says whether
more is to come.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from airflow_provider_vidu.durable.lines import Line

MOST_LINES = 30_000
"""Lines in memory, about 3 KB each. The library shows the newest ones."""
FRESH_SECONDS = 10.0
"""Age of what was read, up to which it is shown without reading again."""
PATIENCE_SECONDS = 0.3
"""Longest time that an answer waits for lines."""

log = logging.getLogger(__name__)


class Kept(NamedTuple):
    """
    A line in memory.

    :param line: the submit.
    :param address: address of its stored files' player below the application, without the number of the file.
    """

    line: Line
    address: str


class Source(Protocol):
    """Where lines come from."""

    def read(self) -> Iterator[None]:
        """Read what is new, and yield after each part. What was read stays where reading fails."""

    def kept(self) -> list[Kept]:
        """Return the lines read so far, the newest first."""


class View(NamedTuple):
    """
    The lines at a moment.

    :param lines: the newest first.
    :param is_whole: whether no more lines are being read.
    :param is_cut: whether older lines exist that are not in memory.
    :param is_away: whether the last attempt to read failed.
    """

    lines: list[Kept]
    is_whole: bool
    is_cut: bool
    is_away: bool


class Shelf:
    """
    Lines of one source. Every method may be called from many threads.

    :param source: the source.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._read_at = float("-inf")
        self._is_whole = self._is_away = False

    def view(self) -> View:
        """Return the lines, and read on in the background if they are not fresh."""
        with self._lock:
            # A forked process inherits the thread's name, but not the thread.
            works = self._thread is not None and self._thread.is_alive()
            if not works and time.monotonic() - self._read_at > FRESH_SECONDS:
                self._thread = threading.Thread(target=self._read, name="vidu-library", daemon=True)
                self._thread.start()
            thread = self._thread
        if thread:
            thread.join(PATIENCE_SECONDS)
        is_whole = self._is_whole and not (thread and thread.is_alive())
        lines = self._source.kept()
        return View(lines[:MOST_LINES], is_whole, len(lines) > MOST_LINES, self._is_away)

    def _read(self) -> None:
        try:
            for _ in self._source.read():
                # Users' requests run in other threads of this process.
                time.sleep(0)
            self._is_whole, self._is_away = True, False
        except Exception:
            # Every store's library raises its own errors, and the page says that the lines may be old.
            log.exception("The library could not be read")
            self._is_away = True
        finally:
            self._read_at = time.monotonic()
