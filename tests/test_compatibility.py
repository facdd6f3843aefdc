# SPDX-License-Identifier: Apache-2.0
"""What version 0.1.0 stored, handed over or wrote is read by this version, and nothing of it is paid again."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_vidu.exceptions import ViduStateError
from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.protocol.batch import BatchEvent
from airflow_provider_vidu.protocol.polling import Outcome
from airflow_provider_vidu.protocol.request import build
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.triggers.batch import ViduBatchTrigger
from airflow_provider_vidu.triggers.vidu import ViduTaskTrigger
from tests.quick import QUICK, Store, context_of, many, posts, tried

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")

SAMPLES = Path(__file__).parent / "samples_0_1_0"


def sample(name, **replaced):
    text = (SAMPLES / name).read_text("utf-8")
    for old, new in replaced.values():
        assert old in text
        text = text.replace(old, new)
    return json.loads(text)


def submitted(count=1):
    body = build("text2video", "viduq2", {"prompt": "a kite", "duration": 1})
    return [ViduHook().submit(body).task_id for _ in range(count)]


ATTEMPT, CHUNK = sample("attempt.json"), sample("chunk.json")
ITEMS = dict(zip(CHUNK["items"], (values[-1] for values in CHUNK["items"].values()), strict=True))


def chunk_with(ids):
    return sample("chunk.json", **{old: (old, new) for old, new in zip(ITEMS.values(), ids, strict=True)})


def submit_with(attempt):
    pushed = {}
    ti = SimpleNamespace(max_tries=1, xcom_push=lambda key, value: pushed.update({key: value}))
    operator = ViduSubmitOperator(task_id="submit", **QUICK)
    return operator.execute({"ti": ti, "task_state_store": Store(vidu_submit=attempt)}), pushed


def test_a_submit_attaches_to_an_attempt_of_0_1_0(emulator):
    (task_id,) = submitted()
    returned, pushed = submit_with({**ATTEMPT, "vidu_task_id": task_id})
    assert (returned, pushed) == (task_id, ATTEMPT["xcoms"])
    assert len(posts(emulator)) == 1


@pytest.mark.parametrize(
    "changed",
    [{"version": 1, "of_a_later_release": [1]}, {"xcoms": {}}],
    ids=["with a key that this version does not know", "without XComs"],
)
def test_an_attempt_is_read_as_far_as_it_is_known(emulator, changed):
    (task_id,) = submitted()
    assert submit_with({**ATTEMPT, "vidu_task_id": task_id, **changed})[0] == task_id
    assert len(posts(emulator)) == 1


@pytest.mark.parametrize(
    "changed",
    [{"version": 2}, {"version": "1"}, {"max_tries": "1"}, {"fingerprint": None}, {"vidu_task_id": 5}],
    ids=str,
)
def test_an_attempt_that_cannot_be_understood_sends_nothing(emulator, changed):
    with pytest.raises(ViduStateError, match=r"The task state 'vidu_submit' must be .* Nothing was sent\. Upgrade"):
        submit_with({**ATTEMPT, **changed})
    assert emulator.requests == []


def test_a_batch_takes_up_the_chunks_of_0_1_0(emulator, videos):
    store = Store(vidu_batch_0=chunk_with(submitted(2)))
    assert tried(store, videos, many(3))["counts"] == {"success": 3}
    assert len(posts(emulator)) == 3
    assert set(store["vidu_batch_0"]) == {"max_tries", "begun_at", "items"}
    assert set(store["vidu_batch_1"]) == {"version", "max_tries", "try_number", "submits"}


def test_a_batch_delivered_by_0_1_0_is_made_again_after_a_clear(emulator, videos):
    delivered = {**sample("delivered.json"), "without": []}
    store = Store(vidu_batch_0=chunk_with(submitted(2)), vidu_batch_delivered=delivered)
    assert tried(store, videos, many(2), max_tries=2)["counts"] == {"success": 2}
    assert len(posts(emulator)) == 4


def test_a_retry_keeps_the_videos_in_a_manifest_of_0_1_0(emulator, videos):
    ids = submitted(2)
    store, videos_uri = Store(vidu_batch_0=chunk_with(ids)), f"file://{videos}"
    text = (SAMPLES / "manifest.jsonl").read_text("utf-8").replace("file:///videos", videos_uri)
    records = [json.loads(line) for line in text.splitlines()[:2]]
    videos.mkdir()
    for record in records:
        (videos / f"{record['custom_id']}.mp4").write_bytes(b"stored by 0.1.0")
    path = manifests.default_name(f"{videos}/{{custom_id}}.mp4", context_of(store))
    lines = [json.dumps({**record, "task_id": task_id}) for record, task_id in zip(records, ids, strict=True)]
    Path(path).write_text("\n".join(lines), "utf-8")
    assert tried(store, videos, many(2))["counts"] == {"success": 2}
    assert [path.read_bytes() for path in sorted(videos.glob("*.mp4"))] == [b"stored by 0.1.0"] * 2
    assert len(posts(emulator)) == 2


@pytest.mark.parametrize("changed", [{"version": 4}, {"items": {"kite-000": [1, 2, None, None, 3]}}], ids=str)
def test_a_chunk_that_cannot_be_understood_sends_nothing(emulator, videos, changed):
    with pytest.raises(ViduStateError, match="The task state 'vidu_batch_0' must be"):
        tried(Store(vidu_batch_0={**CHUNK, **changed}), videos, many(2))
    assert emulator.requests == []


def test_a_batch_resumes_with_what_0_1_0_left_beside_the_videos(emulator, videos):
    ids = submitted(2)
    store = Store(vidu_batch_0=chunk_with(ids))
    resumed = sample("batch_resumes_with.json", videos=("/videos", str(videos)))
    waiting = (SAMPLES / "waiting.jsonl").read_text("utf-8")
    for old, new in zip(ITEMS.values(), ids, strict=True):
        waiting = waiting.replace(old, new)
    videos.mkdir()
    operator = ViduGenerateBatchOperator(task_id="batch", requests=many(2), destination=resumed["destination"])
    path = manifests.default_name(operator.destination, context_of(store)) + ".waiting"
    Path(path).write_text(waiting, "utf-8")
    event = sample("batch_event.json")
    assert operator.execute_complete(context_of(store), event, **resumed)["counts"] == {"success": 2}
    assert len(posts(emulator)) == 2


def test_lines_of_a_manifest_are_read_as_far_as_they_are_known(tmp_path):
    path = tmp_path / "manifest.jsonl"
    path.write_text((SAMPLES / "manifest.jsonl").read_text("utf-8"), "utf-8")
    records = manifests.read(str(path))
    assert [json.loads(json.dumps(record._asdict())) for record in records] == [
        {**json.loads(line), "family": family, "reused_from": "", "error": ""}
        for line, family in zip(path.read_text("utf-8").splitlines(), ("", "", "moderation"), strict=True)
    ]
    manifests.write(str(path), records)
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert {line.pop("version") for line in lines} == {1}
    path.write_text("\n".join(json.dumps({**line, "of_a_later_release": 1}) for line in lines), "utf-8")
    assert manifests.read(str(path)) == records
    least = {"custom_id": "a", "request": {}, "outcome": "success"}
    assert manifests.record_of(json.dumps(least)) == manifests.Record(**least)


async def test_a_trigger_of_0_1_0_goes_on(emulator):
    path, kwargs = sample("task_trigger.json")
    (task_id,) = submitted()
    assert path == f"{ViduTaskTrigger.__module__}.{ViduTaskTrigger.__qualname__}"
    now = time.time()
    trigger = ViduTaskTrigger(**{**kwargs, "vidu_task_id": task_id, "submitted_at": now, "deadline": now + 60})
    (event,) = [event async for event in trigger.run()]
    assert event.payload["status"] == "success"
    assert Outcome.from_event(event.payload).task["task_id"] == task_id


async def test_a_batch_trigger_of_0_1_0_goes_on(emulator):
    path, kwargs = sample("batch_trigger.json")
    assert path == f"{ViduBatchTrigger.__module__}.{ViduBatchTrigger.__qualname__}"
    seconds, cost, _ = kwargs["groups"][0]
    now, groups = time.time(), [[seconds, cost, submitted(2)]]
    trigger = ViduBatchTrigger(**{**kwargs, "groups": groups, "submitted_at": now, "deadline": now + 60})
    (event,) = [event async for event in trigger.run()]
    assert event.payload["counts"] == {"success": 2}


def test_events_of_0_1_0_are_read_and_others_as_far_as_they_are_known():
    event, batch_event = sample("event.json"), sample("batch_event.json")
    assert Outcome.from_event(event).event() == event
    assert BatchEvent.from_event(batch_event).event() == batch_event
    later = {**event, "version": 2, "task": {**event["task"], "cover_url": "https://h/c.png"}}
    assert Outcome.from_event(later) == Outcome.from_event(event)
    assert BatchEvent.from_event({**batch_event, "version": 2}) == BatchEvent.from_event(batch_event)
    earlier = {**event, "task": {name: value for name, value in event["task"].items() if name != "expires_at"}}
    assert Outcome.from_event(earlier).task == {**event["task"], "expires_at": None}
