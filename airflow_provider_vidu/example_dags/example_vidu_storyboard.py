# SPDX-License-Identifier: Apache-2.0
"""
### A story in three shots, each based on the previous one

The first shot is made from a text. The second shot moves from the last frame of the first one to an image. The third
shot extends the second one. The tasks `opening`, `approach` and `arrival` cost money; a retry continues with the paid
task.

The package `av` is required to read a video's last frame.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from airflow.sdk import DAG, ObjectStoragePath, Param, task

import airflow_provider_vidu
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator

# In the installed package, so that a copy of this file finds them.
IMAGES = Path(airflow_provider_vidu.__file__).parent / "example_dags" / "images"


@task
def last_frame_of(shot: dict, folder: str) -> str:
    """Save the last frame of a stored video beside it."""
    import av

    with TemporaryDirectory() as directory:
        local = Path(directory) / "shot.mp4"
        local.write_bytes(ObjectStoragePath(shot["files"][0]).read_bytes())
        with av.open(local) as video:
            *_, last = video.decode(video=0)
        last.to_image().save(local.with_suffix(".png"))
        target = ObjectStoragePath(folder) / f"{shot['task_id']}-last.png"
        target.write_bytes(local.with_suffix(".png").read_bytes())
    return str(target)


with DAG(
    "example_vidu_storyboard",
    schedule=None,
    doc_md=__doc__,
    tags=["vidu", "example"],
    default_args={"retries": 1},
    params={
        "opening": Param("A lighthouse at dawn, seen from the sea", type="string"),
        "ending": Param(str(IMAGES / "lighthouse.jpg"), type="string"),
        "destination": Param(
            "file:///tmp/vidu-videos", type="string", description="URI that all workers see, e.g. s3://…"
        ),
    },
):
    opening = ViduGenerateVideoOperator(
        task_id="opening",
        vidu_type="text2video",
        model="viduq2",
        prompt="{{ params.opening }}",
        duration=2,
        resolution="720p",
        destination="{{ params.destination }}/opening.mp4",
    )
    approach = ViduGenerateVideoOperator(
        task_id="approach",
        vidu_type="start-end2video",
        model="viduq2-turbo",
        first_frame_url=last_frame_of(opening.output, "{{ params.destination }}"),
        last_frame_url="{{ params.ending }}",
        prompt="The boat comes closer",
        # A video must be at least 4 seconds long to be extended.
        duration=4,
        resolution="720p",
        destination="{{ params.destination }}/approach.mp4",
    )
    ViduGenerateVideoOperator(
        task_id="arrival",
        vidu_type="extend",
        model="viduq2-turbo",
        # The API fetches the video itself, so it must be a result link or a public file.
        video_url="{{ ti.xcom_pull(task_ids='approach')['urls'][0] }}",
        prompt="It lands at the foot of the lighthouse",
        duration=2,
        resolution="720p",
        destination="{{ params.destination }}/arrival.mp4",
    ).set_upstream(approach)
