# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from airflow.models.taskinstancekey import TaskInstanceKey

from airflow_provider_vidu.links import ViduVideoLink
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from tests.quick import QUICK


@pytest.mark.parametrize(
    ("key", "link"),
    [
        (("shots", "daily", "wait", 1, -1), "dags/shots/runs/daily/tasks/wait/plugin/vidu_video"),
        (("shots", "daily", "wait", 2, 7), "dags/shots/runs/daily/tasks/wait/mapped/7/plugin/vidu_video"),
        (
            ("镜头", "manual__2026-01-01T00:00:00+00:00", "group.wait", 1, -1),
            "dags/%E9%95%9C%E5%A4%B4/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00/tasks/group.wait/plugin/vidu_video",
        ),
        (("d", "a/../b?c#d", "wait", 1, -1), "dags/d/runs/a%2F..%2Fb%3Fc%23d/tasks/wait/plugin/vidu_video"),
    ],
)
def test_the_link_names_the_tab_of_the_task_instance(key, link):
    dag_id, run_id, task_id, try_number, map_index = key
    ti_key = TaskInstanceKey(dag_id=dag_id, run_id=run_id, task_id=task_id, try_number=try_number, map_index=map_index)
    assert ViduVideoLink().get_link(None, ti_key=ti_key) == link


@pytest.mark.parametrize(
    "operator",
    [
        ViduSubmitOperator,
        ViduGenerateVideoOperator,
        ViduGenerateBatchOperator,
        ViduTaskSensor,
        ViduToObjectStorageOperator,
    ],
)
def test_every_operator_has_it(operator):
    assert [link.name for link in operator.operator_extra_links] == ["Vidu video"]


def test_airflow_keeps_it_of_a_task_that_fails_too(run_dag, emulator):
    ran = run_dag(lambda: ViduSubmitOperator(task_id="submit", **QUICK | {"prompt": "forbidden-by-moderation"}))
    assert ran.states == {"submit": "failed"}
    link = ran.xcom("submit", "_link_ViduVideoLink")
    assert link.startswith("dags/test-")
    assert link.endswith("/tasks/submit/plugin/vidu_video")
