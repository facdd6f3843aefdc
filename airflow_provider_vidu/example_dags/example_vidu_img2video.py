# SPDX-License-Identifier: Apache-2.0
"""
### Turn an image into a video

Submit the image, wait without a worker slot, store the MP4.

The connection `vidu_default` holds the API key. Only the task `submit` costs money. Clearing `wait` or `store` never
pays again.
"""

from pathlib import Path

from airflow.sdk import DAG, Param

import airflow_provider_vidu
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator

# In the installed package, so that a copy of this file finds it.
IMAGE = Path(airflow_provider_vidu.__file__).parent / "example_dags" / "images" / "lighthouse.jpg"

with DAG(
    "example_vidu_img2video",
    schedule=None,
    doc_md=__doc__,
    tags=["vidu", "example"],
    params={
        "image": Param(str(IMAGE), type="string", description="URL, path or object storage URI"),
        "prompt": Param("Waves roll in, the clouds drift, the camera slowly moves closer", type="string"),
        "destination": Param(
            "file:///tmp/vidu-videos", type="string", description="URI that all workers see, e.g. s3://…"
        ),
    },
):
    submit = ViduSubmitOperator(
        task_id="submit",
        model="viduq2-turbo",
        vidu_type="img2video",
        first_frame_url="{{ params.image }}",
        prompt="{{ params.prompt }}",
        duration=4,
        resolution="720p",
    )
    wait = ViduTaskSensor(
        task_id="wait",
        vidu_task_id=submit.output,
        expected_seconds="{{ ti.xcom_pull(task_ids='submit', key='expected_seconds') }}",
    )
    ViduToObjectStorageOperator(
        task_id="store",
        result=wait.output,
        destination="{{ params.destination }}",
    )
