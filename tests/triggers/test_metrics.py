# SPDX-License-Identifier: Apache-2.0
"""The triggerer's metrics: what it waits for, its polls, and how often the API refused one for a while."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest
from airflow.providers.common.compat.sdk import Stats

from airflow_provider_vidu.exceptions import ViduRateLimitError
from airflow_provider_vidu.hooks.loop import HookLoop
from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.protocol.request import build
from airflow_provider_vidu.triggers import metrics
from airflow_provider_vidu.triggers.batch import ViduBatchTrigger
from airflow_provider_vidu.triggers.vidu import ViduTaskTrigger

pytestmark = pytest.mark.usefixtures("soon")


class Seen:
    """What reached Airflow's metrics."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self.waiting: list[int] = []
        self.calls = 0

    def incr(self, name, count=1, **_):
        self.calls += 1
        self.counted[name] += count

    def gauge(self, name, value, *, tags):
        self.calls += 1
        assert (name, list(tags), bool(tags["hostname"])) == ("vidu.waiting", ["hostname"], True)
        self.waiting.append(value)


@pytest.fixture
def seen(monkeypatch):
    seen = Seen()
    monkeypatch.setattr(Stats, "incr", seen.incr)
    monkeypatch.setattr(Stats, "gauge", seen.gauge)
    monkeypatch.setattr(metrics, "REPORT_SECONDS", 0.05)
    return seen


def submitted(count: int = 1) -> list[str]:
    body = build("text2video", "viduq2", {"prompt": "a kite", "duration": 1})
    return [ViduHook().submit(body).task_id for _ in range(count)]


async def events(trigger) -> list[str]:
    return [event.payload["status"] async for event in trigger.run()]


async def idle() -> None:
    """Wait until nothing is left to report."""
    while asyncio.get_running_loop() in metrics._METERS:  # noqa: ASYNC110 - it can only be looked at
        await asyncio.sleep(0.02)


async def test_a_wait_counts_its_polls_and_the_answers_429(emulator, seen):
    (task_id,) = submitted()
    emulator.arm({"on": "status", "fault": "rate_limit", "times": 2})
    assert await events(ViduTaskTrigger(task_id, poll_interval=0.05)) == ["success"]
    await idle()
    polls = sum(sent["method"] == "GET" for sent in emulator.requests)
    assert polls == 3
    assert seen.counted == {"vidu.polls": 3, "vidu.rate_limited": 2}
    assert set(seen.waiting) == {0, 1}
    assert seen.waiting[-1] == 0


async def test_each_video_of_a_batch_waits_until_it_has_ended(emulator, seen):
    ids = submitted(3)
    # The first three polls do not end the wait, so that all three wait for a while.
    emulator.arm({"on": "status", "fault": "unknown_word", "word": "Rendering", "times": 6})
    trigger = ViduBatchTrigger([[None, None, ids]], poll_interval=0.2)
    waits = [events(trigger), events(ViduTaskTrigger(submitted()[0], poll_interval=0.2))]
    assert await asyncio.gather(*waits) == [["success"], ["success"]]
    await idle()
    assert (max(seen.waiting), seen.waiting[-1]) == (4, 0)
    assert seen.counted["vidu.polls"] == sum(task["polls"] for task in emulator.tasks)
    assert "vidu.rate_limited" not in seen.counted


async def test_a_cancelled_wait_waits_no_more(slow_emulator, seen):
    triggers = [ViduTaskTrigger(submitted()[0]), ViduBatchTrigger([[None, None, submitted(2)]])]
    waits = [asyncio.create_task(events(trigger)) for trigger in triggers]
    await asyncio.sleep(0.3)
    for wait in waits:
        wait.cancel()
    assert [type(one) for one in await asyncio.gather(*waits, return_exceptions=True)] == [asyncio.CancelledError] * 2
    await idle()
    assert (max(seen.waiting), seen.waiting[-1]) == (3, 0)


async def test_an_error_that_nobody_foresaw_waits_no_more(emulator, seen):
    trigger = ViduBatchTrigger([[None, None, ["a", "b"]]])
    trigger.poll_interval = None
    assert await events(trigger) == ["lost"]
    await idle()
    assert seen.waiting[-1] == 0


def test_a_triggerer_that_stops_waits_for_nothing(slow_emulator, seen, monkeypatch):
    (task_id,) = submitted()
    monkeypatch.setattr(metrics, "REPORT_SECONDS", 60)

    async def stop_soon() -> None:
        waits = asyncio.create_task(events(ViduTaskTrigger(task_id, poll_interval=0.05)))
        await asyncio.wait([waits], timeout=0.5)

    asyncio.run(stop_soon())
    assert (seen.waiting, seen.counted["vidu.polls"] > 0) == ([0], True)
    assert metrics._METERS == {}


async def test_metrics_that_fail_do_not_end_a_wait(emulator, monkeypatch, caplog):
    def fails(*_, **__):
        raise OSError("no such host")

    monkeypatch.setattr(Stats, "incr", fails)
    monkeypatch.setattr(Stats, "gauge", fails)
    monkeypatch.setattr(metrics, "REPORT_SECONDS", 0.05)
    (task_id,) = submitted()
    emulator.arm({"on": "status", "fault": "unknown_word", "word": "Rendering", "times": 3})
    assert await events(ViduTaskTrigger(task_id, poll_interval=0.1)) == ["success"]
    await idle()
    assert "Could not report the metric vidu.waiting" in caplog.text


def test_a_wait_on_a_worker_is_none_of_a_triggerer(emulator, seen):
    trigger = ViduBatchTrigger([[None, None, submitted(2)]], poll_interval=0.05)
    with HookLoop("vidu_default") as loop:
        assert loop.run(lambda hook: trigger.wait(hook, trigger.logger())).status == "success"
    assert seen.calls == 0


async def test_many_polls_make_few_calls_and_leave_nothing_behind(seen, monkeypatch):
    monkeypatch.setattr(metrics, "REPORT_SECONDS", 0.2)
    metrics.measure()
    metrics.count_waits(1_000)
    refused = ViduRateLimitError("slow down")
    began = time.perf_counter()
    for _ in range(100_000):
        metrics.count_poll(refused)
    took = time.perf_counter() - began
    metrics.count_waits(-1_000)
    await idle()
    assert seen.counted == {"vidu.polls": 100_000, "vidu.rate_limited": 100_000}
    assert seen.calls <= 6
    # A poll itself takes some 300 µs of a core.
    assert took / 100_000 < 10e-6
