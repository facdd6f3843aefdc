# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import time

import pytest

from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.protocol.request import build
from airflow_provider_vidu.triggers import batch
from airflow_provider_vidu.triggers.batch import Group, Progress, ViduBatchTrigger

pytestmark = pytest.mark.usefixtures("soon")


def trigger(*groups, **changes: object) -> ViduBatchTrigger:
    arguments = {
        "groups": list(groups),
        "vidu_conn_id": "vidu_default",
        "poll_interval": 0.05,
        "submitted_at": time.time(),
        "deadline": time.time() + 60,
    }
    return ViduBatchTrigger(**(arguments | changes))


async def event_of(waiting: ViduBatchTrigger) -> dict:
    (event,) = [json.loads(json.dumps(event.payload)) async for event in waiting.run()]
    return event


def submitted(*prompts: str) -> list[str]:
    return [
        ViduHook().submit(build("text2video", "viduq2", {"prompt": prompt, "duration": 1})).task_id
        for prompt in prompts
    ]


async def test_all_that_have_ended_fire_one_event_that_counts_them(emulator, capfd):
    fine, busy = submitted("a kite", "a boat"), submitted("fail-by-capacity")
    event = await event_of(trigger([None, 1.25, fine], [None, None, busy]))
    assert (event["status"], event["counts"]) == ("success", {"success": 2, "failed": 1})
    assert event["message"].startswith("The wait for 3 Vidu tasks ended: ")
    out = capfd.readouterr().out
    assert "Waiting for 3 Vidu tasks" in out
    assert "3 of 3 done, 1 failed, cost unknown so far" in out


async def test_the_deadline_fires_a_timeout(slow_emulator):
    event = await event_of(trigger([None, None, submitted("a kite", "a boat")], deadline=time.time() + 1.0))
    assert (event["status"], event["counts"]) == ("timeout", {"timeout": 2})


async def test_nothing_is_asked_before_a_video_can_be_ready(emulator):
    ids = submitted("a kite", "a boat")
    event = await event_of(trigger([600.0, None, ids[:1]], [None, None, ids[1:]], deadline=time.time() + 1.0))
    assert event["counts"] == {"success": 2}
    assert [task["polls"] for task in emulator.tasks] == [1, 1]


async def test_passing_faults_do_not_end_the_wait_and_are_told_once(emulator, capfd):
    ids = submitted("a kite", "a boat", "a tree")
    emulator.arm({"on": "status", "fault": "html", "times": 6})
    assert (await event_of(trigger([None, None, ids])))["counts"] == {"success": 3}
    assert capfd.readouterr().out.count("and perhaps others") == 1


async def test_one_lost_task_does_not_end_the_wait_for_the_others(emulator, monkeypatch):
    monkeypatch.setattr("airflow_provider_vidu.protocol.polling.GRACE_SECONDS", 0)
    event = await event_of(trigger([None, None, [*submitted("a kite"), "nobody-knows-it"]]))
    assert (event["status"], event["counts"]) == ("lost", {"success": 1, "lost": 1})


async def test_an_error_that_nobody_foresaw_leaves_as_an_event_without_its_text(emulator):
    waiting = trigger([None, None, ["a"]])
    waiting.poll_interval = None
    event = await event_of(waiting)
    assert (event["status"], event["counts"]) == ("lost", {})
    assert "The wait for 1 Vidu tasks ended with an unexpected ExceptionGroup" in event["message"]


def test_every_argument_is_serialized():
    waiting = trigger([26.4, 1.25, ["a", "b"]], [None, None, ["c"]])
    path, arguments = waiting.serialize()
    assert path == "airflow_provider_vidu.triggers.batch.ViduBatchTrigger"
    assert ViduBatchTrigger(**arguments).serialize() == (path, arguments)
    assert arguments["groups"] == [
        {"version": 2, "expected_seconds": 26.4, "estimated_cost": 1.25, "vidu_task_ids": ["a", "b"]},
        {"version": 2, "expected_seconds": None, "estimated_cost": None, "vidu_task_ids": ["c"]},
    ]


async def test_enough_that_have_ended_fire_one_event_and_the_others_are_asked_no_more(emulator, monkeypatch):
    ids = submitted("a kite", "a boat", "fail-by-capacity")
    slow = trigger([None, 0.31, ids], [600.0, 0.31, submitted("a tree")], enough=3, deadline=time.time() + 600)
    _, arguments = slow.serialize()
    assert arguments["enough"] == 3
    event = await event_of(ViduBatchTrigger(**json.loads(json.dumps(arguments))))
    assert (event["status"], event["counts"]) == ("success", {"success": 2, "failed": 1})
    assert event["message"].startswith("The wait for 3 of 4 Vidu tasks ended: ")
    assert [task["polls"] for task in emulator.tasks] == [1, 1, 1, 0]


async def test_the_deadline_comes_before_enough_have_ended(slow_emulator):
    ids = submitted("a kite", "a boat")
    event = await event_of(trigger([None, None, ids], enough=2, deadline=time.time() + 0.5))
    assert (event["status"], event["counts"]) == ("timeout", {"timeout": 2})


async def test_groups_alone_are_enough_for_an_authors_own_operator(emulator, monkeypatch):
    ids, now = submitted("a kite", "a boat"), time.time()
    waiting = ViduBatchTrigger(groups=[Group(None, None, ids)])
    _, arguments = waiting.serialize()
    assert now + 2 * 3600 <= arguments.pop("deadline") <= time.time() + 2 * 3600
    del arguments["groups"]
    assert arguments == {"vidu_conn_id": "vidu_default", "poll_interval": 5.0, "submitted_at": None}
    monkeypatch.setattr(waiting, "poll_interval", 0.05)
    assert (await event_of(waiting))["counts"] == {"success": 2}


async def test_a_kill_tells_that_all_tasks_run_on(capfd):
    await trigger([None, None, ["a", "b"]]).on_kill()
    out = capfd.readouterr().out
    assert "The wait for 2 Vidu tasks was killed." in out
    assert "keep running and are billed" in out


def test_the_progress_is_told_with_each_tenth_and_after_a_while():
    said = []
    progress = Progress(100, lambda text, line: said.append(line))
    for _ in range(9):
        progress.add("success", 1.0)
    assert said == []
    progress.add("failed", 0.5)
    assert said == ["10 of 100 done, 1 failed, about ¥9.50 so far"]
    progress._said_at -= batch.PROGRESS_SECONDS
    progress.add("success", 1.0)
    assert said[1:] == ["11 of 100 done, 1 failed, about ¥10.50 so far"]
