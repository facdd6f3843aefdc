# SPDX-License-Identifier: Apache-2.0
"""Batches of many items, whose worker tells its process id."""

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param, task

from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator


def _tell(context):
    """Tell the own process id."""
    ti = context["ti"]
    with (Path(context["params"]["desk"]) / f"hops-{ti.try_number}").open("a") as file:
        file.write(f"{os.getpid()}\n")


@task
def requests_for(count: int, failing: int) -> list[dict]:
    """Ask for so many videos, of which so many twentieths fail."""
    return [
        {
            "custom_id": f"item-{number:05}",
            "vidu_type": "text2video",
            "model": "viduq2",
            "prompt": f"fail-by-moderation {number}" if number % 20 < failing else f"{number}",
            "duration": 1,
            "resolution": "540p",
        }
        for number in range(count)
    ]


for dag_id, most in (("batches", None), ("batches_in_waves", 2)):
    with DAG(
        dag_id,
        schedule=None,
        render_template_as_native_obj=True,
        params={
            "desk": Param("/nowhere", type="string"),
            "count": Param(100, type="integer"),
            "failing": Param(0, type="integer"),
            "conn": Param("vidu_default", type="string"),
        },
    ):
        ViduGenerateBatchOperator(
            task_id="batch",
            requests=requests_for("{{ params.count }}", "{{ params.failing }}"),
            destination="{{ params.desk }}/videos/{custom_id}.mp4",
            vidu_conn_id="{{ params.conn }}",
            max_in_flight=most,
            fail_on=0.1,
            retries=2,
            retry_delay=timedelta(seconds=1),
            pre_execute=_tell,
        )
