# SPDX-License-Identifier: Apache-2.0
"""Mapped generations in the pool ``vidu``, and a task outside it."""

from airflow.sdk import DAG, Param, task

from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator

with DAG("pooled", schedule=None, params={"destination": Param("/nowhere", type="string")}):
    ViduGenerateVideoOperator.partial(
        task_id="generate",
        vidu_type="text2video",
        model="viduq2",
        duration=1,
        resolution="540p",
        destination="{{ params.destination }}/{index}.mp4",
        poke_interval=1,
        pool="vidu",
    ).expand(prompt=[f"kite {number}" for number in range(5)])

with DAG("unpooled", schedule=None):
    task(lambda: None, task_id="pass_by")()
