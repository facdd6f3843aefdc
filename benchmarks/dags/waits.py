# SPDX-License-Identifier: Apache-2.0
"""DAGs with the benchmark's number of sensors, of this provider and of the http provider."""

import os

from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG

from airflow_provider_vidu.sensors.vidu import ViduTaskSensor

IDS = [f"task-{number}" for number in range(int(os.environ["BENCHMARK_SENSORS"]))]

with DAG("vidu_sensors", schedule=None, max_active_tasks=len(IDS)):
    ViduTaskSensor.partial(task_id="wait", poke_interval=5).expand(vidu_task_id=IDS)

with DAG("http_sensors", schedule=None, max_active_tasks=len(IDS)):
    HttpSensor.partial(task_id="wait", http_conn_id="api", method="GET", poke_interval=5, deferrable=True).expand(
        endpoint=[f"ready?task_id={name}" for name in IDS]
    )
