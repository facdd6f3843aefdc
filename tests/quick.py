# SPDX-License-Identifier: Apache-2.0
"""Quick videos and batches of them, and single tries with a task state store of their own."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator

QUICK = {"vidu_type": "text2video", "model": "viduq2", "prompt": "a kite", "duration": 1, "resolution": "540p"}
IMG = {"vidu_type": "img2video", "model": "viduq2-turbo", "duration": 1, "resolution": "540p"}
PRICE = 0.31
RETRY_CAN_HELP = {
    "ViduError": True,
    "ViduRequestError": False,
    "ViduConnectionSettingsError": False,
    "ViduStateError": True,
    "ViduBudgetError": True,
    "ViduApiError": True,
    "ViduRefusedError": False,
    "ViduModerationError": False,
    "ViduAuthError": False,
    "ViduRateLimitError": True,
    "ViduConnectError": True,
    "ViduTaskNotFoundError": True,
    "ViduUnavailableError": True,
    "ViduSubmissionUncertainError": False,
    "ViduDownloadError": True,
    "ViduEventError": True,
}


def asked(custom_id: str, **changes: object) -> dict[str, object]:
    return {"custom_id": custom_id, **QUICK, **changes}


def many(count: int) -> list[dict[str, object]]:
    return [asked(f"kite-{number:03}") for number in range(count)]


def posts(emulator):
    return [sent for sent in emulator.requests if sent["method"] == "POST"]


def breaks_once(context, result=None):
    """A post-execute callable: the first try fails after all is done."""
    if context["ti"].try_number == 1:
        raise RuntimeError("the first try breaks")


def lines(directory: Path) -> list[dict]:
    (path,) = directory.glob("*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def outcomes(directory: Path) -> dict[str, str]:
    return {line["custom_id"]: line["outcome"] for line in lines(directory)}


class Store(dict):
    """A task state store that keeps what JSON keeps, and fails at the given write."""

    def __init__(self, fails_at: int | None = None, error: BaseException | None = None, **kept: object) -> None:
        super().__init__(kept)
        self.writes, self.fails_at, self.error = 0, fails_at, error or ConnectionError("Airflow is away")

    def set(self, key, value, *, retention):
        self.writes += 1
        if self.writes == self.fails_at:
            raise self.error
        self[key] = json.loads(json.dumps(value))


def context_of(store, max_tries=1, map_index=-1, try_number=1):
    names = {"dag_id": "dag", "run_id": "run", "task_id": "batch", "map_index": map_index}
    pushed: dict[str, object] = {}
    ti = SimpleNamespace(max_tries=max_tries, try_number=try_number, pushed=pushed, **names)
    ti.xcom_push = lambda key, value: pushed.__setitem__(key, json.loads(json.dumps(value)))
    return {"ti": ti, "task_state_store": store, "outlets": []}


def tried(store, videos, requests, max_tries=1, map_index=-1, try_number=1, **arguments):
    """One try of a batch, whose triggers end at once; what it returns, or what ends it."""
    arguments = {"destination": f"{videos}/{{custom_id}}.mp4", "deferrable": False, **arguments}
    operator = ViduGenerateBatchOperator(task_id="batch", requests=requests, **arguments)
    return operator.execute(context_of(store, max_tries, map_index, try_number))


def deferred(videos, requests, store=None, **arguments):
    with pytest.raises(TaskDeferred) as raised:
        tried(store, videos, requests, deferrable=True, **arguments)
    return raised.value
