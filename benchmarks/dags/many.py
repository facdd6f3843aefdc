# SPDX-License-Identifier: Apache-2.0
"""DAGs that make the same videos as one batch and as mapped tasks."""

import json
import os
from pathlib import Path

from airflow.sdk import DAG

from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator

HOME = Path(os.environ.get("BENCHMARK_HOME", "/nowhere"))
ASKED = {"vidu_type": "text2video", "model": "viduq2", "duration": 1, "resolution": "540p"}


def prompts(name: str) -> list[str]:
    return [f"video {number}" for number in range(int(os.environ.get(name, "1")))]


def note_visit(context):
    with (HOME / "visits").open("a") as file:
        file.write(f"{context['ti'].map_index}\n")


class Batch(ViduGenerateBatchOperator):
    """Record the event of its trigger."""

    def execute_complete(self, context, event=None, **kwargs):
        (HOME / "event").write_text(json.dumps(event))
        return super().execute_complete(context, event, **kwargs)


with DAG("batch", schedule=None):
    Batch(
        task_id="videos",
        requests=[
            {"custom_id": f"{number:036}", "prompt": prompt, **ASKED}
            for number, prompt in enumerate(prompts("BENCHMARK_BATCH"))
        ],
        destination=f"{HOME}/batch/{{custom_id}}.mp4",
        pre_execute=note_visit,
    )

with DAG("mapped", schedule=None, max_active_tasks=100):
    ViduGenerateVideoOperator.partial(
        task_id="videos", destination=f"{HOME}/mapped/{{task_id}}.mp4", pre_execute=note_visit, **ASKED
    ).expand(prompt=prompts("BENCHMARK_MAPPED"))
