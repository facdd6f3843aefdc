# SPDX-License-Identifier: Apache-2.0
"""Waits for one task, and what they see and end with."""

from __future__ import annotations

from hypothesis import settings

from airflow_provider_vidu.exceptions import (
    ViduAuthError,
    ViduConnectError,
    ViduConnectionSettingsError,
    ViduModerationError,
    ViduRefusedError,
    ViduTaskNotFoundError,
    ViduUnavailableError,
)
from airflow_provider_vidu.protocol.polling import Outcome, Watch
from airflow_provider_vidu.protocol.response import TaskStatus

TASK = "8e1f-task"
RESUME = 'Resume the wait at no cost with ViduTaskSensor(task_id="resume", vidu_task_id="8e1f-task").'
START, DEADLINE = 1000.0, 8200.0


def watch(**changes):
    return Watch(TASK, **{"poll_interval": 5.0, "started_at": START, "deadline": DEADLINE, **changes})


def told(word, **more):
    return TaskStatus(TASK, word, **more)


def lost(text):
    return Outcome(
        "lost",
        f"Lost contact with Vidu task {TASK}: {text} The generation may continue and is billed if the API "
        f"accepted it. Fix the cause first. {RESUME}",
    )


PENDING, RUNNING, EMPTY = told("Pending"), told("Running"), told("Success")
READY = Outcome(
    "success",
    f"Vidu task {TASK} is ready.",
    {
        "task_id": TASK,
        "urls": ["https://h/a.mp4"],
        "video_seconds": None,
        "submit_time": None,
        "finish_time": 1050.0,
        "expires_at": 1050.0 + 86400,
        "request_id": "r",
    },
)
NO_KEY, BAD_KEY = ViduConnectionSettingsError("No connection."), ViduAuthError("Bad key.")
REFUSED, MODERATED, UNKNOWN = (
    ViduRefusedError("Refused."),
    ViduModerationError("Moderated."),
    ViduTaskNotFoundError("No task."),
)
DOWN, UNREACHED = ViduUnavailableError("Down."), ViduConnectError("No route.")
UNHURRIED = settings(deadline=None, database=None, derandomize=True)
