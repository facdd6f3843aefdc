# SPDX-License-Identifier: Apache-2.0
"""Paths that machines do not share, of which a task warns, run by Airflow against the emulator."""

from __future__ import annotations

import re

import pytest

from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from tests.quick import QUICK, asked
from tests.served import clip, serving

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")

WARNED = "destination is a path of this worker: {}. With {} the next try may run on another machine, "


@pytest.fixture
def warnings_of(run_dag, emulator, tmp_path, capsys, monkeypatch):
    """Run each kind of task that stores, and give what it says of its destination."""

    def run(kind: str, executor: str, destination: str):
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
        with serving({"video.mp4": clip(0.2, "red")}) as url:
            result = {"task_id": "t", "urls": [f"{url}/video.mp4"]}
            make = {
                "transfer": lambda **common: ViduToObjectStorageOperator(result=result, **common),
                "generate": lambda **common: ViduGenerateVideoOperator(**QUICK, **common),
                "batch": lambda **common: ViduGenerateBatchOperator(requests=[asked("a")], **common),
            }[kind]
            capsys.readouterr()
            assert run_dag(lambda: make(task_id="task", destination=destination)).states == {"task": "success"}
        return re.findall(r"destination is a path.*?(?=which must see)", capsys.readouterr().out)

    return run


@pytest.mark.parametrize("kind", ["transfer", "generate", "batch"])
@pytest.mark.parametrize(
    ("executor", "others"),
    [
        ("LocalExecutor", None),
        ("airflow.executors.local_executor.LocalExecutor", None),
        ("CeleryExecutor", "CeleryExecutor"),
        ("LocalExecutor,KubernetesExecutor", "KubernetesExecutor"),
        ("local:LocalExecutor, mine:my.module.MyExecutor", "MyExecutor"),
    ],
)
def test_a_path_of_one_machine_is_warned_of_once_where_workers_have_several(
    warnings_of, tmp_path, kind, executor, others
):
    found = warnings_of(kind, executor, f"{tmp_path}/videos")
    assert found == ([WARNED.format(f"{tmp_path}/videos", others)] if others else [])


def test_a_bucket_is_seen_by_all_machines(warnings_of, s3):
    assert warnings_of("generate", "CeleryExecutor", "s3://store@bucket/videos") == []
