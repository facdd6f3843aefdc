# SPDX-License-Identifier: Apache-2.0
"""How the requests of all users of a shared hook are paced, and paused together."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from airflow_provider_vidu import exceptions
from airflow_provider_vidu.hooks import vidu_async
from airflow_provider_vidu.hooks.pace import Pace
from airflow_provider_vidu.protocol import pauses
from dev.emulator_client import set_connection
from tests.transports import used


async def test_requests_are_paced_evenly_for_all_users_together(emulator, monkeypatch):
    set_connection(monkeypatch, host=emulator.url, extra={"max_requests_per_minute": 1200})
    began = time.monotonic()
    await asyncio.gather(*(used() for _ in range(11)))
    # Ten pauses of a twentieth of a second lie between eleven requests, however fast or slow the machine is.
    assert time.monotonic() - began >= 0.5


@pytest.mark.parametrize("retry_after", [None, 1])
async def test_a_rate_limit_pauses_all_users(emulator, monkeypatch, retry_after):
    monkeypatch.setattr(pauses, "FAULT_SECONDS", 0.5)
    await used()
    await asyncio.to_thread(emulator.arm, {"on": "status", "fault": "rate_limit", "retry_after": retry_after})
    with pytest.raises(exceptions.ViduRateLimitError):
        await used()
    began = time.monotonic()

    async def waited() -> float:
        await used()
        return time.monotonic() - began

    assert min(await asyncio.gather(*(waited() for _ in range(10)))) >= (retry_after or 0.5) - 0.1


async def test_a_pause_counts_for_those_that_wait_for_their_turn_already():
    pace = Pace()
    pace.limit_to(600)
    began = pace.now()
    turns = [asyncio.create_task(pace.turn()) for _ in range(4)]
    await asyncio.sleep(0.05)
    pace.slow_down(pace.now(), 1.0)
    done, _ = await asyncio.wait(turns, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == 1
    await asyncio.gather(*turns)
    assert pace.now() - began >= 1.0


async def test_a_pause_grows_only_where_it_was_too_short_and_counts_from_the_answer(monkeypatch):
    clock = [100.0]
    pace = Pace()
    monkeypatch.setattr(pace, "now", lambda: clock[0])

    async def passes(seconds: float) -> None:
        clock[0] += seconds

    async def resumes_at() -> float:
        before = clock[0]
        with monkeypatch.context() as patched:
            patched.setattr(asyncio, "sleep", passes)
            patched.setattr(random, "random", lambda: 0.0)
            await pace.turn()
        at, clock[0] = clock[0], before
        return at

    ends = []
    # When the request began, when its answer came, and what that asked for.
    for began, answered, retry_after in (
        (100.0, 103.0, None),
        (100.0, 103.5, None),
        (100.0, 104.0, 10.0),
        (114.0, 114.0, None),
        (118.5, 120.0, None),
    ):
        clock[0] = answered
        pace.slow_down(began, retry_after)
        ends.append(await resumes_at())
    assert ends == [105.0, 105.0, 114.0, 118.0, 128.0]
    pace.speed_up(120.0)
    clock[0] = 130.0
    pace.slow_down(130.0, None)
    assert await resumes_at() == 146.0
    pace.speed_up(150.0)
    clock[0] = 151.0
    pace.slow_down(151.0, None)
    assert await resumes_at() == 153.0


async def test_a_pause_finds_no_request_waiting_for_a_socket(emulator, monkeypatch):
    monkeypatch.setattr(vidu_async, "MAX_CONNECTIONS", 1)
    monkeypatch.setattr(pauses, "FAULT_SECONDS", 0.3)
    await asyncio.to_thread(emulator.arm, {"on": "status", "fault": "rate_limit"})
    refused = []

    async def waited() -> float:
        began = time.monotonic()
        try:
            await used()
        except exceptions.ViduRateLimitError as error:
            refused.append(error)
            return 1.0
        return time.monotonic() - began

    assert min(await asyncio.gather(*(waited() for _ in range(4)))) >= 0.3
    assert len(refused) == 1
