# SPDX-License-Identifier: Apache-2.0
"""Two hundred mapped submits, each followed by a sensor of its own."""

from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor

IMAGE = Path(__file__).resolve().parents[3] / "airflow_provider_vidu" / "example_dags" / "images" / "lighthouse.jpg"

with DAG("two_hundred", schedule=None):
    submit = ViduSubmitOperator.partial(
        task_id="submit", model="viduq2-turbo", first_frame_url=str(IMAGE), duration=1, resolution="540p"
    ).expand(prompt=[f"wave number {number}" for number in range(200)])
    ViduTaskSensor.partial(
        task_id="wait",
        expected_seconds="{{ ti.xcom_pull(task_ids='submit', key='expected_seconds', map_indexes=ti.map_index) }}",
    ).expand(vidu_task_id=submit.output)
