# SPDX-License-Identifier: Apache-2.0
"""
### Publish new videos

The first DAG makes a video and updates the asset `vidu-videos`. The second DAG is scheduled on that asset. The asset
event contains the files, their seconds and their estimated cost, regardless of the DAG that made them.
"""

import json
from pathlib import Path

from airflow.sdk import DAG, Asset, ObjectStoragePath, Param, task

import airflow_provider_vidu
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator

# In the installed package, so that a copy of this file finds it.
IMAGE = Path(airflow_provider_vidu.__file__).parent / "example_dags" / "images" / "lighthouse.jpg"
VIDEOS = Asset(name="vidu-videos", uri="vidu-videos")

with DAG(
    "example_vidu_make",
    schedule=None,
    doc_md=__doc__,
    tags=["vidu", "example"],
    params={
        "destination": Param(
            "file:///tmp/vidu-videos", type="string", description="URI that all workers see, e.g. s3://…"
        )
    },
):
    ViduGenerateVideoOperator(
        task_id="generate",
        model="viduq2-turbo",
        first_frame_url=str(IMAGE),
        prompt="Waves roll in, the clouds drift",
        duration=2,
        resolution="540p",
        destination="{{ params.destination }}",
        outlets=[VIDEOS],
    )


@task(inlets=[VIDEOS])
def publish(*, triggering_asset_events) -> list[dict]:
    """Write a catalogue file beside each new video, for example for a web site."""
    made = [event.extra for event in triggering_asset_events[VIDEOS]]
    for extra in made:
        # A batch's event names its manifest, which has one line for each video.
        lines = ObjectStoragePath(extra["manifest"]).read_text().splitlines() if "manifest" in extra else []
        for video in map(json.loads, lines) if lines else [extra]:
            for file in video["files"]:
                ObjectStoragePath(f"{file}.json").write_text(json.dumps(video))
    return made


with DAG("example_vidu_publish", schedule=[VIDEOS], doc_md=__doc__, tags=["vidu", "example"]):
    publish()
