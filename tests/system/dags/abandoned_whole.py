# SPDX-License-Identifier: Apache-2.0
"""
Five mapped videos, each made by one task without retries, which tests abandon.

The file names the DAG: a copy of the file is another DAG, which a test can remove.
"""

from pathlib import Path

from airflow.sdk import DAG, Param

from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator

with DAG(
    Path(__file__).stem,
    schedule=None,
    params={"way": Param("none", type="string"), "destination": Param("/nowhere/videos", type="string")},
):
    ViduGenerateVideoOperator.partial(
        task_id="generate",
        vidu_type="text2video",
        model="viduq2",
        duration=1,
        resolution="540p",
        destination="{{ params.destination }}",
    ).expand(prompt=[f"{{{{ params.way }}}} {number}" for number in range(5)])
