# SPDX-License-Identifier: Apache-2.0
"""What the pages are told of a run's tasks."""

from __future__ import annotations

import json

import pytest
from airflow.sdk import task

from airflow_provider_vidu.decorators.batch import ViduBatchDecoratedOperator
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.plugin import media, videos
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator


@task
def told(xcoms, ti=None):
    """Push what the argument says, as an operator of somebody's own would."""
    for key, value in xcoms.items():
        ti.xcom_push(key=key, value=value)
    return "returned"


REQUEST = {"model": "viduq2", "input": {"prompt": "a kite"}}


@pytest.fixture
def ask(web):
    def ask(ran, **query):
        answer = web.get(f"/videos/{ran.dag_id}/{ran.run_id}", params=query)
        assert answer.status_code == 200
        told = answer.json()
        for instance in told["instances"]:
            instance["xcoms"] = {key: text and json.loads(text) for key, text in instance["xcoms"].items()}
        return told

    return ask


def make_tasks():
    told.override(task_id="first")({"vidu_request": REQUEST, "secret": "not of this provider"})
    told.override(task_id="second")({"vidu_task_id": "vidu-2"})
    told.override(task_id="third")({"secret": "not of this provider"})
    told.override(task_id="fourth")({"vidu_failure": {"reason": "x" * videos.LONGEST_VALUE}})


@pytest.fixture
def ran(run_dag):
    return run_dag(make_tasks)


def test_tasks_that_have_told_of_a_video_are_told_of(ran, ask):
    answer = ask(ran)
    assert (answer["next"], answer["media"]) == (None, False)
    found = {one["task_id"]: one for one in answer["instances"]}
    assert {name: one["xcoms"] for name, one in found.items()} == {
        "first": {"vidu_request": REQUEST, "return_value": "returned"},
        "second": {"vidu_task_id": "vidu-2", "return_value": "returned"},
        # Too large.
        "fourth": {"vidu_failure": None, "return_value": "returned"},
    }
    del found["first"]["xcoms"], found["first"]["start_date"]
    assert found["first"] == {
        "task_id": "first",
        "map_index": -1,
        "rendered_map_index": None,
        "state": "success",
        "operator": "_PythonDecoratedOperator",
    }


def test_a_long_run_comes_page_by_page(ran, ask, monkeypatch):
    monkeypatch.setattr(videos, "INSTANCES_A_PAGE", 2)
    first = ask(ran)
    assert first["next"] == {"after": "fourth", "index": -1}
    pages = [first, ask(ran, **first["next"])]
    assert [[one["task_id"] for one in page["instances"]] for page in pages] == [["first", "fourth"], ["second"]]
    assert pages[1]["next"] is None
    assert ask(ran, after="second")["instances"] == []


def test_whether_stored_videos_are_shown_is_told(ran, ask, monkeypatch):
    monkeypatch.setenv("AIRFLOW__VIDU__MEDIA_ROOTS", "/videos")
    assert media.is_on()
    assert ask(ran)["media"] is True


def test_every_operator_is_known_by_its_name():
    operators = (
        ViduSubmitOperator,
        ViduTaskSensor,
        ViduToObjectStorageOperator,
        ViduGenerateVideoOperator,
        ViduGenerateBatchOperator,
        ViduBatchDecoratedOperator,
    )
    assert tuple(operator.__name__ for operator in operators) == videos.OPERATORS
