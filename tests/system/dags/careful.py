# SPDX-License-Identifier: Apache-2.0
"""Submit, wait and store, with places where a test can look on and make trouble."""

import os
import time
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param

from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator


def _stop_at(place):
    """Tell the own process id, and stay as long as the test wants the first try to stay here."""

    def callable_(context, result=None):
        ti, params = context["ti"], context["params"]
        (Path(params["desk"]) / f"{ti.task_id}-{max(ti.map_index, 0)}-{place}-{ti.try_number}").write_text(
            str(os.getpid())
        )
        held = params["stop"] == f"{place}-{max(ti.map_index, 0)}" and ti.try_number == 1
        while held and (Path(params["desk"]) / "hold").exists():
            time.sleep(0.05)
        if params["stop"] == "break" and place == "after" and ti.try_number == 1:
            raise RuntimeError("The first try breaks after its submit.")

    return callable_


PARAMS = {
    # A directory where tasks tell their process ids, and where a file "hold" keeps them.
    "desk": Param("/nowhere", type="string"),
    "stop": Param("", type="string"),
    "prompt": Param("a kite", type="string"),
    "conn": Param("vidu_default", type="string"),
}
ASKED = {"vidu_type": "text2video", "model": "viduq2", "duration": 1, "resolution": "540p"}
CAREFUL = {
    **ASKED,
    "task_id": "submit",
    "vidu_conn_id": "{{ params.conn }}",
    "retries": 2,
    "retry_delay": timedelta(seconds=1),
    "pre_execute": _stop_at("before"),
    "post_execute": _stop_at("after"),
}
WAIT = {"task_id": "wait", "vidu_conn_id": "{{ params.conn }}", "poke_interval": 1}

with DAG("careful", schedule=None, params=PARAMS):
    submit = ViduSubmitOperator(**CAREFUL, prompt="{{ params.prompt }}")
    wait = ViduTaskSensor(**WAIT, vidu_task_id=submit.output, retries=2, retry_delay=timedelta(seconds=1))
    ViduToObjectStorageOperator(
        task_id="store", result=wait.output, destination="file://{{ params.desk }}", vidu_conn_id="{{ params.conn }}"
    )

with DAG("careful_mapped", schedule=None, params=PARAMS):
    many = ViduSubmitOperator.partial(**CAREFUL, map_index_template="{{ task.prompt }}").expand(
        prompt=["mapped 0", "mapped 1", "mapped 2"]
    )
    ViduTaskSensor.partial(**WAIT).expand(vidu_task_id=many.output)

with DAG("resumed", schedule=None, params=PARAMS | {"vidu_task_id": Param("", type="string")}):
    resumed = ViduTaskSensor(**WAIT | {"task_id": "resume"}, vidu_task_id="{{ params.vidu_task_id }}")
    ViduToObjectStorageOperator(
        task_id="store", result=resumed.output, destination="file://{{ params.desk }}", vidu_conn_id="{{ params.conn }}"
    )

with DAG("bounded", schedule=None, params=PARAMS):
    bounded = ViduSubmitOperator(**ASKED, task_id="submit", prompt="bounded")
    ViduTaskSensor(**WAIT | {"task_id": "in_time"}, vidu_task_id=bounded.output, timeout=5)
    ViduTaskSensor(
        **WAIT | {"task_id": "in_execution_time"}, vidu_task_id=bounded.output, execution_timeout=timedelta(seconds=5)
    )
    ViduTaskSensor(**WAIT | {"task_id": "softly"}, vidu_task_id=bounded.output, timeout=5, soft_fail=True)
    ViduTaskSensor(**WAIT | {"task_id": "never"}, vidu_task_id=bounded.output, timeout=5, never_fail=True)
