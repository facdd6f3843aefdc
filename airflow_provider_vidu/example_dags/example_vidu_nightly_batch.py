# SPDX-License-Identifier: Apache-2.0
"""
### Nightly batch

One task makes a video from every image in a folder. It uses a worker slot twice, regardless of the number of images.
Each video has the name of its image. The manifest beside the videos contains the outcome of each.

Only `videos` costs money. A retry re-attaches to tasks that were accepted before. It pays again only for generations
that failed and may succeed. If you clear `videos` after a success, the operator submits and pays for all videos again.
When you unpause the DAG, Airflow runs the batch of the most recent night at once, as for every schedule.
"""

from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, ObjectStoragePath, Param, task

import airflow_provider_vidu
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator

# In the installed package, so that a copy of this file finds them.
IMAGES = Path(airflow_provider_vidu.__file__).parent / "example_dags" / "images"


@task
def requests_for(folder: str) -> list[dict]:
    """Build one request for each image, sorted by name."""
    pictures = (path for path in ObjectStoragePath(folder).iterdir() if path.suffix in (".png", ".jpg"))
    return [
        {
            "custom_id": path.stem,
            "model": "viduq2-turbo",
            "first_frame_url": str(path),
            "prompt": "The camera slowly moves closer",
            "duration": 2,
            "resolution": "540p",
        }
        for path in sorted(pictures, key=str)
    ]


with DAG(
    "example_vidu_nightly_batch",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    is_paused_upon_creation=True,
    doc_md=__doc__,
    tags=["vidu", "example"],
    params={
        "folder": Param(str(IMAGES), type="string", description="Path or storage URI"),
        "destination": Param(
            "file:///tmp/vidu-videos", type="string", description="URI that all workers see, e.g. s3://…"
        ),
    },
):
    ViduGenerateBatchOperator(
        task_id="videos",
        requests=requests_for("{{ params.folder }}"),
        destination="{{ params.destination }}/{{ run_id | replace(':', '-') }}/{custom_id}.mp4",
        fail_on=0.05,
        max_cost=500,
        retries=2,
        retry_delay=timedelta(minutes=5),
    )
