# SPDX-License-Identifier: Apache-2.0
"""The outputs of a mapped task where one value belongs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, task_group

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from tests.quick import QUICK

GIVEN = {name: value for name, value in QUICK.items() if name != "prompt"}


def submits():
    return ViduSubmitOperator.partial(task_id="submit", **GIVEN).expand(prompt=["a kite", "a boat"])


def wait(vidu_task_id):
    return ViduTaskSensor(task_id="wait", vidu_task_id=vidu_task_id)


def store(**arguments):
    return ViduToObjectStorageOperator(task_id="store", destination="/videos", **arguments)


def from_group():
    @task_group
    def one(prompt):
        return ViduSubmitOperator(task_id="submit", prompt=prompt, **GIVEN).output

    return one.expand(prompt=["a kite", "a boat"])


def refused(operator, name, source):
    return (
        f"{name} must be one value, got the outputs of all instances of the mapped task{source}. This task sends and "
        f"pays nothing. Map it too, as {operator}.partial(…).expand({name}=…), or put both tasks into one mapped task "
        "group. If the submits have run, clear this task alone: clearing them pays again."
    )


WIRINGS = {
    "sensor": (lambda: wait(submits().output), refused("ViduTaskSensor", "vidu_task_id", " submit")),
    "transfer of a result": (
        lambda: store(result=submits().output),
        refused("ViduToObjectStorageOperator", "result", " submit"),
    ),
    "transfer of a task": (
        lambda: store(vidu_task_id=submits().output),
        refused("ViduToObjectStorageOperator", "vidu_task_id", " submit"),
    ),
    "sensor outside the group": (
        lambda: wait(from_group()),
        refused("ViduTaskSensor", "vidu_task_id", " one.submit"),
    ),
}


@pytest.mark.parametrize(("wire", "text"), WIRINGS.values(), ids=WIRINGS)
def test_a_wiring_that_cannot_work_is_refused_before_anything_is_paid(wire, text):
    with DAG("wired", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None), pytest.raises(ViduRequestError) as e:
        wire()
    assert str(e.value) == text


def test_what_is_mapped_too_runs(run_dag, emulator, tmp_path):
    def tasks():
        waits = ViduTaskSensor.partial(task_id="wait").expand(vidu_task_id=submits().output)
        ViduToObjectStorageOperator.partial(task_id="store", destination=str(tmp_path)).expand(result=waits.output)

    assert set(run_dag(tasks).states.values()) == {"success"}
    assert len(list(tmp_path.glob("*.mp4"))) == 2


def test_a_group_that_is_mapped_whole_runs(run_dag, emulator, tmp_path):
    def tasks():
        @task_group
        def one(prompt):
            waited = wait(ViduSubmitOperator(task_id="submit", prompt=prompt, **GIVEN).output)
            ViduToObjectStorageOperator(task_id="store", destination=str(tmp_path), result=waited.output)

        one.expand(prompt=["a kite", "a boat"])

    assert set(run_dag(tasks).states.values()) == {"success"}
    assert len(list(tmp_path.glob("*.mp4"))) == 2


@pytest.mark.parametrize(
    ("consumer", "operator", "name"),
    [
        (wait, "ViduTaskSensor", "vidu_task_id"),
        (lambda given: store(result=given), "ViduToObjectStorageOperator", "result"),
    ],
)
def test_a_list_that_only_the_run_shows_is_refused_without_a_retry(run_dag, emulator, consumer, operator, name):
    ran = run_dag(lambda: consumer(submits().output.map(str)))
    assert type(ran.error) is AirflowFailException
    assert str(ran.error) == refused(operator, name, "")
