# SPDX-License-Identifier: Apache-2.0
"""DAG whose batch measures its first run on a worker."""

import os
import time
from pathlib import Path

from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk import DAG

from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator

HOME = Path(os.environ.get("BENCHMARK_HOME", "/nowhere"))
ASKED = {"vidu_type": "text2video", "model": "viduq2", "duration": 1, "resolution": "540p"}


class Batch(ViduGenerateBatchOperator):
    """Take the options of the provider from the run, and record how long the submits take."""

    def execute(self, context):
        conf, run_id = context["dag_run"].conf, context["run_id"]
        os.environ |= {f"AIRFLOW__VIDU__{name.upper()}": value for name, value in conf["options"].items()}
        self.reuse = conf["reuse"]
        began = time.perf_counter()
        try:
            super().execute(context)
        except TaskDeferred:
            part = HOME / f"{run_id}.part"
            part.write_text(str(time.perf_counter() - began))
            part.rename(HOME / f"{run_id}.seconds")
            raise


with DAG("visits", schedule=None, max_active_runs=100, max_active_tasks=100):
    Batch(
        task_id="videos",
        requests=[
            {"custom_id": f"{number:04}", "prompt": f"{{{{ run_id }}}} {number}", **ASKED}
            for number in range(int(os.environ.get("BENCHMARK_BATCH", "1")))
        ],
        destination=f"{HOME}/{{{{ run_id }}}}/{{custom_id}}.mp4",
    )
