# SPDX-License-Identifier: Apache-2.0
"""
### Publish after a person's approval

The DAG makes a video, a person approves or rejects it in Airflow's UI, and the DAG publishes only an approved video. It
holds no worker slot during the generation and during the review.
"""

from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, ObjectStoragePath, Param, task

import airflow_provider_vidu
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator

# In the installed package, so that a copy of this file finds it.
IMAGE = Path(airflow_provider_vidu.__file__).parent / "example_dags" / "images" / "lighthouse.jpg"


@task
def publish(video: dict, folder: str) -> str:
    """Copy the approved video to the public folder."""
    source, public = ObjectStoragePath(video["files"][0]), ObjectStoragePath(folder)
    public.mkdir(parents=True, exist_ok=True)
    source.copy(public / source.name)
    return str(public / source.name)


with DAG(
    "example_vidu_review",
    schedule=None,
    doc_md=__doc__,
    tags=["vidu", "example"],
    params={
        "image": Param(str(IMAGE), type="string", description="URL, path or object storage URI"),
        "prompt": Param("Waves roll in, the clouds drift", type="string"),
        "drafts": Param(
            "file:///tmp/vidu-videos/drafts", type="string", description="URI that all workers see, e.g. s3://…"
        ),
        "public": Param(
            "file:///tmp/vidu-videos/public", type="string", description="URI that all workers see, e.g. s3://…"
        ),
    },
):
    generate = ViduGenerateVideoOperator(
        task_id="generate",
        model="viduq2-turbo",
        first_frame_url="{{ params.image }}",
        prompt="{{ params.prompt }}",
        duration=2,
        resolution="540p",
        destination="{{ params.drafts }}",
    )
    approve = ApprovalOperator(
        task_id="approve",
        subject="Publish this video?",
        body="[Watch it]({{ ti.xcom_pull(task_ids='generate')['urls'][0] }}): *{{ params.prompt }}*",
        response_timeout=timedelta(hours=20),
    )
    approved = publish(generate.output, "{{ params.public }}")
    generate >> approve >> approved
