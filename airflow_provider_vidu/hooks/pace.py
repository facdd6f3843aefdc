# SPDX-License-Identifier: Apache-2.0
"""The pace of requests, shared by all users of one hook."""

from __future__ import annotations

import asyncio
import random

from aiolimiter import AsyncLimiter

from airflow_provider_vidu.protocol.pauses import pause_after


class Pace:
    """Limit how fast all users of a hook together send requests."""

    def __init__(self) -> None:
        self._limiter: AsyncLimiter | None = None
        self._rate: float | None = None
        self._resume_at = self._spread = 0.0
        self._times = 0

    @staticmethod
    def now() -> float:
        """Return the event loop's time."""
        return asyncio.get_running_loop().time()

    def limit_to(self, requests_per_minute: float | None) -> None:
        """Limit the requests per minute, evenly spread; ``None`` for no limit."""
        if requests_per_minute != self._rate:
            self._rate = requests_per_minute
            self._limiter = AsyncLimiter(1, 60 / requests_per_minute) if requests_per_minute else None

    async def turn(self) -> None:
        """Wait until a request may be sent."""
        while True:
            while (rest := self._resume_at - self.now()) > 0:  # noqa: ASYNC110 - the time may move on
                # Requests that waited together must not be refused together again.
                await asyncio.sleep(rest + random.random() * self._spread)  # noqa: S311 - a jitter
            if self._limiter is None:
                return
            await self._limiter.acquire()
            if self._resume_at <= self.now():
                return

    def slow_down(self, began: float, retry_after: float | None) -> None:
        """
        Pause all requests after the API's answer 429.

        :param began: When the refused request was sent.
        :param retry_after: Seconds of the answer's Retry-After.
        """
        # A request from before the end of the last pause does not show whether that pause was long enough.
        if began >= self._resume_at:
            self._times += 1
        elif retry_after is None:
            return
        pause = pause_after(self._times, retry_after)
        self._resume_at, self._spread = max(self._resume_at, self.now() + pause), pause / 2

    def speed_up(self, began: float) -> None:
        """
        Note that the API accepts requests again.

        :param began: When the answered request was sent.
        """
        if began >= self._resume_at:
            self._times = 0
