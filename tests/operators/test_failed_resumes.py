# SPDX-License-Identifier: Apache-2.0
"""
A deferred task that Airflow failed because it could not queue its resume.

No code of the provider runs then: the record is what the submit left, and the video is ready.
"""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from tests.quick import QUICK, Store, asked, context_of, outcomes, posts
from tests.quick import tried as tried_batch

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")
NEXT = pytest.mark.parametrize("max_tries", [1, 2], ids=["retried", "cleared"])


def tried(store, videos, max_tries=1, **arguments):
    context = context_of(store, max_tries)
    context["ti"].xcom_push = lambda key, value: None
    return ViduGenerateVideoOperator(task_id="generate", **QUICK, destination=str(videos), **arguments).execute(context)


@NEXT
def test_the_next_try_of_a_generate_task_stores_the_video_and_pays_nothing(emulator, videos, max_tries):
    store = Store()
    emulator.arm({"on": "status", "fault": "unknown_word", "word": "Running", "times": None})
    with pytest.raises(TaskDeferred):
        tried(store, videos)
    emulator.control("DELETE", "faults")
    returned = tried(store, videos, max_tries, deferrable=False)
    (task,) = emulator.tasks
    assert returned["task_id"] == task["task_id"]
    assert [path.name for path in videos.glob("*.mp4")] == [f"{task['task_id']}.mp4"]
    assert len(posts(emulator)) == 1


@NEXT
def test_the_next_try_of_a_batch_stores_the_videos_and_pays_nothing(emulator, videos, max_tries):
    store, requests = Store(), [asked("a"), asked("b")]
    with pytest.raises(TaskDeferred):
        tried_batch(store, videos, requests, deferrable=True)
    tried_batch(store, videos, requests, max_tries)
    assert outcomes(videos) == {"a": "success", "b": "success"}
    assert sorted(path.name for path in videos.glob("*.mp4")) == ["a.mp4", "b.mp4"]
    assert len(posts(emulator)) == 2
