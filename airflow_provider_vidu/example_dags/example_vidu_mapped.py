# SPDX-License-Identifier: Apache-2.0
"""
### A video for each image in a folder

The DAG has one mapped task for each image and step. You can retry and clear every image by itself. Only `submit` costs
money. The steps are mapped together, as a task group. If each step were mapped on its own, one failed image would keep
all other videos from being stored. For hundreds of images, the batch operator needs far less time on workers.
"""

from pathlib import Path

from airflow.sdk import DAG, ObjectStoragePath, Param, task, task_group

import airflow_provider_vidu
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator

# In the installed package, so that a copy of this file finds them.
IMAGES = Path(airflow_provider_vidu.__file__).parent / "example_dags" / "images"


@task
def pictures_in(folder: str) -> list[str]:
    """List the images, sorted by name."""
    return sorted(str(path) for path in ObjectStoragePath(folder).iterdir() if path.suffix in (".png", ".jpg"))


@task_group(prefix_group_id=False)
def video_of(picture: str) -> None:
    """Make and store the video of one image."""
    submit = ViduSubmitOperator(
        task_id="submit",
        model="viduq2-turbo",
        first_frame_url=picture,
        prompt="The camera slowly moves closer",
        duration=2,
        resolution="540p",
        map_index_template="{{ task.first_frame_url.rsplit('/', 1)[-1] }}",
    )
    wait = ViduTaskSensor(
        task_id="wait",
        vidu_task_id=submit.output,
        expected_seconds="{{ ti.xcom_pull(task_ids='submit', key='expected_seconds', map_indexes=ti.map_index) }}",
    )
    ViduToObjectStorageOperator(
        task_id="store",
        result=wait.output,
        destination="{{ params.destination }}/{index}-{task_id}.mp4",
    )


with DAG(
    "example_vidu_mapped",
    schedule=None,
    doc_md=__doc__,
    tags=["vidu", "example"],
    params={
        "folder": Param(str(IMAGES), type="string", description="Path or storage URI"),
        "destination": Param(
            "file:///tmp/vidu-videos", type="string", description="URI that all workers see, e.g. s3://…"
        ),
    },
):
    video_of.expand(picture=pictures_in("{{ params.folder }}"))
