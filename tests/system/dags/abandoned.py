# SPDX-License-Identifier: Apache-2.0
"""Runs that pay for five videos without retries, which tests abandon; and the rescue of all that was abandoned."""

import os
import time
from pathlib import Path

from airflow.sdk import DAG, Param, task

from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.operators.rescue import ViduRescueOperator
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator

ASKED = {"vidu_type": "text2video", "model": "viduq2", "duration": 1, "resolution": "540p"}
PROMPTS = [f"{{{{ params.way }}}} {number}" for number in range(5)]
DESTINATION = "{{ params.destination }}"
PARAMS = {
    "way": Param("none", type="string"),
    "desk": Param("/nowhere", type="string"),
    "destination": Param("/nowhere/videos", type="string"),
}


def _write_pid(context, result=None):
    """Write the process id, and stay here while the test holds the submits."""
    params, ti = context["params"], context["ti"]
    (Path(params["desk"]) / f"submit-{max(ti.map_index, 0)}-after-{ti.try_number}").write_text(str(os.getpid()))
    while params.get("is_held") and (Path(params["desk"]) / "hold").exists():
        time.sleep(0.05)


@task.short_circuit
def is_wanted(params):
    """Skip the store of unwanted videos."""
    return params["is_wanted"]


more = {"is_held": Param(False, type="boolean"), "is_wanted": Param(True, type="boolean")}
with DAG("abandoned_waiting", schedule=None, params=PARAMS | more):
    submit = ViduSubmitOperator.partial(**ASKED, task_id="submit", post_execute=_write_pid).expand(prompt=PROMPTS)
    wait = ViduTaskSensor.partial(task_id="wait").expand(vidu_task_id=submit.output)
    store = ViduToObjectStorageOperator.partial(task_id="store", destination=DESTINATION).expand(result=wait.output)
    is_wanted() >> store

with DAG("abandoned_late", schedule=None, params=PARAMS):
    ViduGenerateVideoOperator.partial(**ASKED, task_id="generate", destination=DESTINATION, timeout=5).expand(
        prompt=PROMPTS
    )

# A batch that waits on its worker has one visit only, in which a test kills it.
for name, deferrable in {"abandoned_batch": True, "abandoned_one_visit": False}.items():
    with DAG(name, schedule=None, params=PARAMS):
        ViduGenerateBatchOperator(
            task_id="batch",
            requests=[{**ASKED, "custom_id": f"item-{number}", "prompt": one} for number, one in enumerate(PROMPTS)],
            destination=DESTINATION,
            deferrable=deferrable,
            pre_execute=_write_pid,
        )

with DAG("abandoned_rescue", schedule=None, params={"destination": Param("/nowhere/rescued", type="string")}):
    ViduRescueOperator(task_id="rescue", destination=DESTINATION)
