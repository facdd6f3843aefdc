# SPDX-License-Identifier: Apache-2.0
"""
### A video for each picture of a folder

One mapped task for each picture and step. Every picture can be retried and cleared by itself; only `submit` costs
money. With hundreds of pictures the batch operator needs far less time on workers.
"""

from pathlib import Path

from airflow.sdk import DAG, ObjectStoragePath, Param, task

from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator


@task
def pictures_in(folder: str) -> list[str]:
    """List the pictures, in the order of their names."""
    return sorted(str(path) for path in ObjectStoragePath(folder).iterdir() if path.suffix in (".png", ".jpg"))


with DAG(
    "example_vidu_mapped",
    schedule=None,
    doc_md=__doc__,
    tags=["vidu", "example"],
    params={
        "folder": Param(str(Path(__file__).parent / "images"), type="string", description="Path or storage URI"),
        "destination": Param("file:///tmp/vidu-videos", type="string", description="Directory URI, e.g. s3://…"),
    },
):
    pictures = pictures_in("{{ params.folder }}")
    submit = ViduSubmitOperator.partial(
        task_id="submit",
        model="viduq2-turbo",
        prompt="The camera slowly moves closer",
        duration=2,
        resolution="540p",
    ).expand(first_frame_url=pictures)
    wait = ViduTaskSensor.partial(
        task_id="wait",
        expected_seconds="{{ ti.xcom_pull(task_ids='submit', key='expected_seconds', map_indexes=ti.map_index) }}",
    ).expand(vidu_task_id=submit.output)
    ViduToObjectStorageOperator.partial(
        task_id="store",
        destination="{{ params.destination }}/{index}-{task_id}.mp4",
    ).expand(result=wait.output)
