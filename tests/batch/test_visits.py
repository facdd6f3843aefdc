# SPDX-License-Identifier: Apache-2.0
"""What a batch's hops tell each other."""

from __future__ import annotations

import json
import time

import pytest
from airflow.providers.common.compat.sdk import AirflowException, TaskDeferred

from airflow_provider_vidu.batch import run, submits
from airflow_provider_vidu.batch.submits import Submits
from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.protocol.batch import BatchEvent
from airflow_provider_vidu.protocol.request import build
from airflow_provider_vidu.storage.video_store import VideoStore
from tests.quick import PRICE, Store, asked, context_of, deferred, lines, many, posts

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")


def test_the_hops_tell_each_other_little(slow_emulator, videos, monkeypatch):
    """A thousand tasks with ids of 36 characters."""
    monkeypatch.setattr(Submits, "_post_all", accept_without_sending)
    stop = deferred(videos, many(1000), Store())
    _, kwargs = stop.trigger.serialize()
    assert sum(len(group["vidu_task_ids"]) for group in kwargs["groups"]) == 1000
    assert {len(task_id) for group in kwargs["groups"] for task_id in group["vidu_task_ids"]} == {36}
    assert len(json.dumps(kwargs)) < 64_000
    assert len(json.dumps(stop.kwargs)) < 1_000


async def accept_without_sending(self, hook, bodies):
    from airflow_provider_vidu.protocol.response import Submission

    for custom_id in bodies:
        self.results[custom_id] = Submission(f"{custom_id:-<36}", "")


def test_a_waiting_batch_shows_what_is_submitted_what_it_costs_and_what_has_ended(emulator, videos):
    emulator.arm({"on": "submit", "fault": "error", "status": 400})
    context = context_of(Store())
    operator = ViduGenerateBatchOperator(task_id="batch", requests=many(3), destination=str(videos))
    with pytest.raises(TaskDeferred) as raised:
        operator.execute(context)
    waiting = {"counts": {"submitted": 2, "refused": 1}, "estimated_cost": pytest.approx(2 * PRICE)}
    assert context["ti"].pushed == {"vidu_submits": waiting}
    time.sleep(0.2)
    event = BatchEvent("success", {"success": 2}, "ended").event()
    with pytest.raises(AirflowException):
        operator.execute_complete(context, event, **raised.value.kwargs)
    assert context["ti"].pushed["vidu_progress"] == {"tasks": 2, "counts": {"success": 2}}


def test_a_batch_shows_its_submits_while_it_still_submits(slow_emulator, videos, monkeypatch):
    monkeypatch.setattr(submits, "PROGRESS_SECONDS", 0.0)
    shown = []
    monkeypatch.setattr(run, "show", lambda context, key, value: shown.append(value["counts"]))
    deferred(videos, many(20), Store())
    assert shown == [
        {"unsubmitted": 20},
        {"submitted": 8, "unsubmitted": 12},
        {"submitted": 16, "unsubmitted": 4},
        {"submitted": 20},
    ]


def finished(stop, videos, event, store, map_index=-1, **changes):
    operator = ViduGenerateBatchOperator(task_id="batch", requests=[], destination=str(videos), **changes)
    context = context_of(store, map_index=map_index)
    if stop is None:
        return operator.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
    return operator.resume_execution(stop.method_name, {**stop.kwargs, "event": event}, context)


def test_the_second_hop_believes_the_first_and_not_what_the_dag_asks_for_by_now(emulator, videos):
    stop = deferred(videos, many(2), store := Store())
    time.sleep(0.2)
    assert finished(stop, videos / "elsewhere", {"status": "strange"}, store)["counts"] == {"success": 2}
    assert sorted(path.name for path in videos.glob("*.mp4")) == ["kite-000.mp4", "kite-001.mp4"]


def test_a_trigger_that_airflow_gave_up_does_not_keep_ready_videos_from_being_stored(emulator, videos):
    deferred(videos, many(2), store := Store())
    time.sleep(0.2)
    assert finished(None, videos, None, store)["counts"] == {"success": 2}


def test_a_batch_without_a_connection_to_fetch_videos_tells_of_each(emulator, videos, monkeypatch):
    stop = deferred(videos, many(2), store := Store())
    time.sleep(0.2)

    def broken(self, items):
        raise ViduRequestError("no connection")
        yield

    monkeypatch.setattr(VideoStore, "store_all", broken)
    with pytest.raises(AirflowException, match=r"2 not_stored.*kite-000: not_stored: no connection"):
        finished(stop, videos, None, store)


def test_mapped_batches_with_one_manifest_lose_nothing_and_pay_nothing_twice(emulator, videos):
    manifest, hops = f"{videos}/all.jsonl", []
    for index, names in enumerate(("ab", "cd")):
        store, given = Store(), [asked(name) for name in names]
        hops.append((deferred(videos, given, store, map_index=index, manifest=manifest), store))
    time.sleep(0.2)
    for index, (stop, store) in enumerate(hops):
        assert finished(stop, videos, None, store, index)["counts"] == {"success": 2}
        assert [line["custom_id"] for line in lines(videos)] == list(("ab", "cd")[index])
    assert sorted(path.name for path in videos.iterdir()) == ["a.mp4", "all.jsonl", "b.mp4", "c.mp4", "d.mp4"]
    assert len(posts(emulator)) == 4


def test_tasks_that_this_task_did_not_submit_are_not_taken_for_its_own(emulator, videos):
    stop = deferred(videos, many(2), Store())
    del stop.kwargs["mark"]
    ours = ViduHook().submit(build("text2video", "viduq2", {"prompt": "a boat", "duration": 1})).task_id
    other = Store(
        vidu_batch_0={"max_tries": 1, "begun_at": time.time(), "items": {"kite-000": ["f", "r", PRICE, 10.0, ours]}}
    )
    assert finished(stop, videos, None, other)["counts"] == {"success": 1}
    assert [(line["custom_id"], line["task_id"]) for line in lines(videos)] == [("kite-000", ours)]
