# SPDX-License-Identifier: Apache-2.0
"""Many mapped submits, each followed by a sensor of its own."""

from pathlib import Path

from airflow.sdk import DAG, task

from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor

IMAGE = Path(__file__).resolve().parents[3] / "airflow_provider_vidu" / "example_dags" / "images" / "lighthouse.jpg"

with DAG("many_waits", schedule=None):

    @task
    def prompts(dag_run=None) -> list[str]:
        return [f"wave number {number}" for number in range(dag_run.conf["count"])]

    submit = ViduSubmitOperator.partial(
        task_id="submit", model="viduq2-turbo", first_frame_url=str(IMAGE), duration=1, resolution="540p"
    ).expand(prompt=prompts())
    ViduTaskSensor.partial(
        task_id="wait",
        expected_seconds="{{ ti.xcom_pull(task_ids='submit', key='expected_seconds', map_indexes=ti.map_index) }}",
    ).expand(vidu_task_id=submit.output)
