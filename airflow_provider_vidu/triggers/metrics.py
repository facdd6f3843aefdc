# SPDX-License-Identifier: Apache-2.0
"""
Metrics of a triggerer: the videos that it waits for, its polls, and the API's answers 429.

A poll only adds to a number. A task of the event loop reports the numbers now and then, for all triggers together.
"""

from __future__ import annotations

import asyncio
from contextvars import Context

from airflow_provider_vidu.exceptions import ViduRateLimitError
from airflow_provider_vidu.reporting import report_waits

REPORT_SECONDS = 10.0
"""Time between two reports."""


class _Meter:
    """The numbers of one event loop since the last report."""

    def __init__(self) -> None:
        self.waiting = self.polls = self.rate_limited = 0
        # A context of its own, because the task belongs to no single trigger.
        self.reporter = asyncio.get_running_loop().create_task(self._report(), context=Context())

    def _take(self) -> tuple[int, int]:
        taken = self.polls, self.rate_limited
        self.polls = self.rate_limited = 0
        return taken

    async def _report(self) -> None:
        reported = -1
        try:
            while reported or self.waiting or self.polls:
                await asyncio.sleep(REPORT_SECONDS)
                reported = self.waiting
                # Airflow may look up the metrics' host, which would block every trigger of the loop.
                await asyncio.to_thread(report_waits, reported, *self._take())
        except asyncio.CancelledError:
            # The triggerer stops.
            report_waits(0, *self._take())
            raise
        finally:
            del _METERS[asyncio.get_running_loop()]


_METERS: dict[asyncio.AbstractEventLoop, _Meter] = {}


def measure() -> None:
    """Begin to measure the waits of the running event loop, which is a triggerer's."""
    loop = asyncio.get_running_loop()
    if loop not in _METERS:
        _METERS[loop] = _Meter()


def count_waits(change: int) -> None:
    """
    Change the number of videos that the running event loop waits for, if it is measured.

    :param change: Number to add.
    """
    if meter := _METERS.get(asyncio.get_running_loop()):
        meter.waiting += change


def count_poll(answer: object) -> None:
    """
    Count a poll, if the running event loop is measured.

    :param answer: The status, or the error in its place.
    """
    if meter := _METERS.get(asyncio.get_running_loop()):
        meter.polls += 1
        if isinstance(answer, ViduRateLimitError):
            meter.rate_limited += 1
