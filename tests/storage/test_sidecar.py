# SPDX-License-Identifier: Apache-2.0
"""The JSON file beside a video that keeps its origin."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.protocol.polling import Outcome
from airflow_provider_vidu.protocol.response import TaskStatus
from tests.quick import QUICK, Store, asked, context_of, many, posts, tried
from tests.served import clip, serving

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")


def origin(task, **changes):
    return {
        "version": 1,
        "ai_generated": True,
        "generator": "Vidu",
        "model": "viduq2",
        "prompt": "a kite",
        "seed": None,
        "task_id": task["task_id"],
        "video_seconds": 1,
        "submit_time": task["submit_time"],
        "finish_time": task["finish_time"],
        "request": {
            "model": "viduq2",
            "input": {"prompt": "a kite"},
            "parameters": {"vidu_type": "text2video", "duration": 1, "resolution": "540p"},
        },
        "vidu_conn_id": "vidu_default",
        "estimated_cost": 0.31,
        "reused_from": "",
        **changes,
    }


def read(path):
    found = json.loads(path.read_text("utf-8"))
    assert len(found.pop("fingerprint")) in (0, 64)
    assert isinstance(found.pop("request_id"), str)
    return found


def context(store):
    made, pushed = context_of(store), {}
    made["ti"].xcom_push = lambda key, value: pushed.update({key: value})
    made["ti"].xcom_pull = lambda task_ids, key, map_indexes: pushed.get(key)
    return made


@pytest.mark.parametrize("has_store", [True, False], ids=["Airflow 3.3", "below it"])
def test_a_deferred_generate_task_writes_one_when_it_resumes(slow_emulator, videos, has_store):
    made = context(Store() if has_store else None)
    arguments = {"destination": f"{videos}/a.mp4", "sidecar": True}
    operator = ViduGenerateVideoOperator(task_id="batch", **(QUICK | arguments))
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(made)
    (task,) = slow_emulator.tasks
    with serving({"video.mp4": clip(1, "red")}) as url:
        times = {"submit_time": 1e9, "finish_time": 1e9 + 5}
        result = {**TaskStatus(task["task_id"], "Success", (f"{url}/video.mp4",), video_seconds=1).result(), **times}
        operator.execute_complete(made, Outcome("success", "It is ready.", result).event(), **deferred.value.kwargs)
    assert read(videos / "a.json") == origin({"task_id": task["task_id"], **times})


def test_a_sidecar_that_cannot_be_written_is_logged_and_the_video_counts_as_stored(slow_emulator, videos, caplog):
    made = context(Store())
    operator = ViduGenerateVideoOperator(task_id="batch", **QUICK, destination=f"{videos}/a.mp4", sidecar=True)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(made)
    (videos / "a.json").mkdir()
    (task,) = slow_emulator.tasks
    with serving({"video.mp4": clip(1, "red")}) as url:
        result = TaskStatus(task["task_id"], "Success", (f"{url}/video.mp4",), video_seconds=1).result()
        event = Outcome("success", "It is ready.", result).event()
        stored = operator.execute_complete(made, event, **deferred.value.kwargs)
    assert stored["files"] == [f"file://{videos}/a.mp4"]
    (logged,) = [text for text in caplog.messages if "without its sidecar" in text]
    head, _, content = logged.partition(" Its content: ")
    assert head.startswith(
        f"Stored file://{videos}/a.mp4 without its sidecar: Could not write to file://{videos}/a.json"
    )
    assert json.loads(content)["task_id"] == task["task_id"]


def test_it_says_what_made_the_video_from_what_and_at_which_cost(emulator, videos):
    arguments = {"destination": f"{videos}/a.mp4", "sidecar": True, "deferrable": False}
    ViduGenerateVideoOperator(task_id="batch", **(QUICK | arguments)).execute(context(Store()))
    (task,) = emulator.tasks
    assert read(videos / "a.json") == origin(task)


def test_a_batch_writes_one_beside_each_video(emulator, videos, ledger):
    tried(Store(), videos, many(3), sidecar=True)
    by_id = {task["task_id"]: task for task in emulator.tasks}
    found = [read(videos / f"kite-00{number}.json") for number in range(3)]
    assert found == [origin(by_id[one["task_id"]]) for one in found]
    assert {one["task_id"] for one in found} == set(by_id)


def test_a_reused_video_has_one_that_names_its_task(emulator, videos, tmp_path, ledger):
    tried(Store(), tmp_path / "first", many(1))
    tried(Store(), videos, many(1), sidecar=True, reuse=True)
    (task,) = emulator.tasks
    expected = origin(task, estimated_cost=0, reused_from=task["task_id"], submit_time=None, finish_time=None)
    assert read(videos / "kite-000.json") == expected
    arguments = {"destination": f"{videos}/a.mp4", "sidecar": True, "reuse": True, "deferrable": False}
    ViduGenerateVideoOperator(task_id="batch", **(QUICK | arguments)).execute(context(Store()))
    assert read(videos / "a.json") == expected
    assert len(posts(emulator)) == 1


def test_without_the_option_there_is_none(emulator, videos):
    tried(Store(), videos, many(1))
    assert list(videos.glob("kite*.json")) == []


@pytest.mark.parametrize("manifest", ["a.json", "./a.json"])
def test_a_manifest_in_the_place_of_one_is_refused(emulator, videos, manifest):
    with pytest.raises(AirflowFailException, match="which is the file of the manifest"):
        tried(Store(), videos, [asked("a")], sidecar=True, manifest=f"{videos}/{manifest}")
    assert posts(emulator) == []
