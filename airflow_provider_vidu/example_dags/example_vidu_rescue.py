# SPDX-License-Identifier: Apache-2.0
"""
### Rescue of paid videos

Every hour, this DAG stores each paid video that no task stored, for example because its run was deleted, its task was
killed or marked as failed, or its DAG was removed. It needs a ledger (`[vidu] ledger`). It costs nothing: it polls and
downloads.

A video counts as forgotten two hours after it was ready, or as soon as its run has ended. The manifest of the task
lists the stored videos and the lost ones, with the cost of each. Set up an alert for failures of this DAG: links expire
after about a day.
"""

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_provider_vidu.operators.rescue import ViduRescueOperator

with DAG(
    "example_vidu_rescue",
    schedule="@hourly",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["vidu", "example"],
    params={
        "destination": Param(
            "file:///tmp/vidu-videos/rescued", type="string", description="URI that all workers see, e.g. s3://…"
        ),
    },
):
    ViduRescueOperator(
        task_id="rescue",
        destination="{{ params.destination }}",
        retries=3,
        retry_delay=timedelta(minutes=5),
    )
