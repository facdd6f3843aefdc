# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import gc
import json
import time
import weakref
from math import floor

import pytest

from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.protocol.request import build
from airflow_provider_vidu.triggers import vidu as triggers
from airflow_provider_vidu.triggers.vidu import ViduTaskTrigger
from dev.emulator_client import set_connection
from tests.records import result_of
from tests.versions import missing_connections_are_named

pytestmark = pytest.mark.usefixtures("soon")


def trigger(vidu_task_id: str, **changes: object) -> ViduTaskTrigger:
    arguments = {
        "vidu_task_id": vidu_task_id,
        "vidu_conn_id": "vidu_default",
        "poll_interval": 0.05,
        "expected_seconds": None,
        "submitted_at": None,
        "deadline": time.time() + 60,
    }
    return ViduTaskTrigger(**(arguments | changes))


async def events(waiting: ViduTaskTrigger) -> list[dict]:
    return [json.loads(json.dumps(event.payload)) async for event in waiting.run()]


@pytest.fixture
def submitted(emulator):
    def submit(prompt: str = "a kite") -> str:
        return ViduHook().submit(build("text2video", "viduq2", {"prompt": prompt, "duration": 1})).task_id

    return submit


async def test_a_finished_task_fires_one_event_with_its_result(emulator, submitted):
    task_id = submitted()
    fired = await events(trigger(task_id))
    (task,) = emulator.tasks
    assert fired == [
        {
            "status": "success",
            "message": f"Vidu task {task_id} is ready.",
            "task": result_of(task, seconds=1),
        }
    ]


async def test_a_failed_task_fires_one_event_with_the_servers_reason(submitted):
    task_id = submitted("fail-by-moderation")
    (event,) = await events(trigger(task_id))
    assert (event["status"], event["task"]) == ("failed", None)
    assert task_id in event["message"]
    assert "CreationPolicyViolation" in event["message"]


async def test_the_deadline_fires_a_timeout_that_tells_how_to_resume(slow_emulator):
    task_id = ViduHook().submit(build("text2video", "viduq2", {"prompt": "a kite"})).task_id
    (event,) = await events(trigger(task_id, deadline=time.time() + 1.0))
    assert (event["status"], event["task"]) == ("timeout", None)
    assert "its last status was Pending" in event["message"]
    assert f'ViduTaskSensor(task_id="resume", vidu_task_id="{task_id}")' in event["message"]


async def test_a_word_that_nobody_knows_is_waited_through_and_named_at_the_deadline(emulator, submitted, capfd):
    task_id = submitted()
    emulator.arm({"on": "status", "fault": "unknown_word", "word": "Rendering", "times": None})
    (event,) = await events(trigger(task_id, deadline=time.time() + 1.0))
    assert (event["status"], event["task"]) == ("timeout", None)
    assert "its last status was Rendering" in event["message"]
    assert capfd.readouterr().out.count("does not know the status word 'Rendering'") == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "drop", "times": 4},
        {"fault": "html"},
        {"fault": "garbage"},
        {"fault": "error", "status": 500},
        {"fault": "error", "status": 400, "times": 2},
        {"fault": "rate_limit", "retry_after": 1},
        {"fault": "no_urls", "times": 2},
    ],
    ids=lambda value: str(value),
)
async def test_a_passing_fault_does_not_end_the_wait(emulator, submitted, fault):
    task_id = submitted()
    emulator.arm({"on": "status", **fault})
    assert [event["status"] for event in await events(trigger(task_id))] == ["success"]


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"fault": "error", "status": 401}, "auth_error"),
        ({"fault": "error", "status": 400}, "HTTP 400"),
        ({"fault": "no_urls"}, "returned no URLs"),
    ],
    ids=lambda value: str(value),
)
async def test_a_lasting_fault_ends_the_wait_as_lost(emulator, submitted, fault, text):
    task_id = submitted()
    emulator.arm({"on": "status", "times": None, **fault})
    (event,) = await events(trigger(task_id))
    assert (event["status"], event["task"]) == ("lost", None)
    assert text in event["message"]
    assert f'vidu_task_id="{task_id}"' in event["message"]


async def test_a_key_rotated_during_the_wait_is_picked_up(emulator, submitted, monkeypatch):
    task_id = submitted()
    emulator.arm({"on": "status", "fault": "unknown_word", "word": "Waiting", "times": 3})
    waiting = asyncio.create_task(events(trigger(task_id)))
    while emulator.requests[-1]["method"] != "GET":  # noqa: ASYNC110 - the emulator can only be asked
        await asyncio.sleep(0.02)
    emulator.control("POST", "key", {"key": "a-new-key"})
    set_connection(monkeypatch, host=emulator.url, password="a-new-key")
    assert [event["status"] for event in await waiting] == ["success"]


async def test_nothing_is_asked_before_the_video_can_be_ready(emulator, submitted):
    task_id = submitted()
    waiting = trigger(task_id, expected_seconds=600.0, submitted_at=time.time(), deadline=time.time() + 1.0)
    assert [event["status"] for event in await events(waiting)] == ["success"]
    assert [task["polls"] for task in emulator.tasks] == [1]


@missing_connections_are_named
async def test_a_missing_connection_is_lost_and_not_raised(submitted, monkeypatch):
    task_id = submitted()
    monkeypatch.delenv("AIRFLOW_CONN_VIDU_DEFAULT")
    (event,) = await events(trigger(task_id))
    assert event["status"] == "lost"
    assert "There is no Airflow connection 'vidu_default'" in event["message"]


async def test_an_error_that_nobody_foresaw_leaves_as_an_event_without_its_text(emulator):
    (event,) = await events(trigger("task-7", poll_interval=None))
    assert (event["status"], event["task"]) == ("lost", None)
    assert "ended with an unexpected TypeError" in event["message"]


async def test_a_server_that_drips_does_not_outlast_the_deadline(emulator, submitted, monkeypatch):
    monkeypatch.setattr(triggers, "LAST_ANSWER_SECONDS", 0.2)
    task_id = submitted()
    emulator.arm({"on": "status", "fault": "hang", "seconds": 30, "times": None})
    (event,) = await events(trigger(task_id, deadline=time.time() + 1.0))
    assert event["status"] == "timeout"
    assert "the wait's deadline came first" in event["message"]
    # The answer came too late, so it was not asked for again.
    assert [sent["path_qs"] for sent in emulator.requests if sent["method"] == "GET"] == [
        f"/v1/tasks/status?task_id={task_id}"
    ]


async def test_a_deadline_that_comes_before_its_turn_is_told_as_such(emulator, submitted, monkeypatch):
    monkeypatch.setattr(triggers, "LAST_ANSWER_SECONDS", 0.1)
    task_id = submitted()
    set_connection(monkeypatch, host=emulator.url, extra={"max_requests_per_minute": 1})
    waiting = [events(trigger(task_id, deadline=time.time() + 2.0)) for _ in range(2)]
    ended = [event for (event,) in await asyncio.gather(*waiting)]
    assert sorted(event["status"] for event in ended) == ["success", "timeout"]
    (late,) = [event["message"] for event in ended if event["status"] == "timeout"]
    assert "the wait's deadline came first: the API is slow, or its rate limit or max_requests_per_minute" in late
    assert [task["polls"] for task in emulator.tasks] == [1]


async def test_sleepers_that_are_due_within_a_tick_wake_together_and_never_early():
    loop = asyncio.get_running_loop()
    # Two moments of one tick, and one of the next.
    due = (floor(loop.time() / triggers.TICK_SECONDS) + 2) * triggers.TICK_SECONDS
    early, late, next_tick = (due + share * triggers.TICK_SECONDS for share in (0.1, 0.9, 1.5))
    woken: list[tuple[str, bool]] = []

    async def sleep(name: str, until: float) -> None:
        await triggers.until_a_tick(until - loop.time())
        woken.append((name, loop.time() >= until))

    cancelled = triggers.until_a_tick(early - loop.time())
    sleepers = [sleep("next", next_tick), sleep("late", late), sleep("early", early)]
    tasks = [asyncio.create_task(one) for one in sleepers]
    cancelled.cancel()
    await tasks[2]
    assert tasks[1].done()
    await asyncio.gather(*tasks)
    assert woken == [("late", True), ("early", True), ("next", True)]
    await triggers.until_a_tick(0.0)


def test_a_loop_that_ended_with_sleepers_is_freed_with_the_next_sleeper():
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def leave_something() -> None:
        triggers.until_a_tick(60)
        loops.append(weakref.ref(asyncio.get_running_loop()))

    for _ in range(3):
        asyncio.run(leave_something())
    gc.collect()
    assert [loop() is None for loop in loops] == [True, True, False]


async def test_cancelling_is_not_swallowed(slow_emulator):
    task_id = ViduHook().submit(build("text2video", "viduq2", {"prompt": "a kite"})).task_id
    waiting = asyncio.create_task(events(trigger(task_id)))
    await asyncio.sleep(0.2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_a_trigger_is_made_again_from_what_it_serializes():
    made = trigger("task", expected_seconds=1.5, submitted_at=2.5, poll_interval=3.0, deadline=4.5)
    path, arguments = made.serialize()
    module, _, name = path.rpartition(".")
    assert (module, name) == ("airflow_provider_vidu.triggers.vidu", "ViduTaskTrigger")
    assert json.loads(json.dumps(arguments)) == {
        "vidu_task_id": "task",
        "vidu_conn_id": "vidu_default",
        "poll_interval": 3.0,
        "expected_seconds": 1.5,
        "submitted_at": 2.5,
        "deadline": 4.5,
    }
    assert ViduTaskTrigger(**arguments).serialize() == made.serialize()


async def test_a_task_id_alone_is_enough_for_an_authors_own_operator(emulator, submitted, monkeypatch):
    task_id, now = submitted(), time.time()
    waiting = ViduTaskTrigger(vidu_task_id=task_id)
    _, arguments = waiting.serialize()
    assert now + 2 * 3600 <= arguments["deadline"] <= time.time() + 2 * 3600
    assert {**arguments, "deadline": 0} == {
        "vidu_task_id": task_id,
        "vidu_conn_id": "vidu_default",
        "poll_interval": 5.0,
        "expected_seconds": None,
        "submitted_at": None,
        "deadline": 0,
    }
    monkeypatch.setattr(waiting, "poll_interval", 0.05)
    assert [event["status"] for event in await events(waiting)] == ["success"]


def test_a_restart_of_the_triggerer_does_not_extend_the_wait(monkeypatch):
    _, arguments = ViduTaskTrigger(vidu_task_id="task").serialize()
    later = time.time() + 3600
    monkeypatch.setattr(triggers.time, "time", lambda: later)
    assert ViduTaskTrigger(**arguments).deadline == arguments["deadline"]


async def test_killing_the_wait_tells_that_the_task_goes_on(capfd):
    await trigger("task-7").on_kill()
    assert "Vidu task task-7 was killed. The task cannot be cancelled" in capfd.readouterr().out
