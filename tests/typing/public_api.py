# SPDX-License-Identifier: Apache-2.0
"""The public API as a typed DAG uses it. Nothing here runs: ``make check`` reads it with ``mypy --strict``."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any, assert_type

from airflow.sdk import task

from airflow_provider_vidu.decorators.batch import vidu_batch_task
from airflow_provider_vidu.emulator.client import ViduEmulator
from airflow_provider_vidu.exceptions import ViduBudgetError, ViduError, ViduSubmissionUncertainError
from airflow_provider_vidu.hooks.vidu import ViduAsyncHook, ViduHook
from airflow_provider_vidu.links import ViduVideoLink
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.operators.rescue import ViduRescueOperator
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.protocol.request import Request, build
from airflow_provider_vidu.protocol.response import Submission, TaskStatus
from airflow_provider_vidu.retries import ViduRetryPolicy
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from airflow_provider_vidu.triggers.batch import Group, ViduBatchTrigger
from airflow_provider_vidu.triggers.vidu import ViduTaskTrigger

PRICES = {("img2video", "viduq2-turbo", 5, "720p"): 1.25}


def tasks() -> None:
    ViduSubmitOperator(
        task_id="submit",
        model="viduq2-turbo",
        prompt="The camera moves slowly",
        first_frame_url="s3://aws_default@pictures/a.png",
        duration="{{ params.seconds }}",
        seed=1,
        audio=True,
        extra_parameters={"watermark": False},
        durable=True,
        on_uncertain="fail",
        on_budget="retry",
        reuse=True,
        max_cost=5,
        prices=PRICES,
        retries=2,
        retry_delay=timedelta(minutes=1),
        retry_policy=ViduRetryPolicy(),
    )
    ViduTaskSensor(task_id="wait", vidu_task_id="{{ ti.xcom_pull('submit') }}", expected_seconds=26.4, timeout=7200)
    ViduToObjectStorageOperator(task_id="store", vidu_task_id="task", destination="s3://aws_default@videos/")
    ViduGenerateVideoOperator(
        task_id="one", model="viduq2", vidu_type="text2video", prompt="A kite", destination="/videos", sidecar=True
    )
    ViduGenerateBatchOperator(
        task_id="many",
        requests=[{"custom_id": "kite", "model": "viduq2", "vidu_type": "text2video", "prompt": "A kite"}],
        destination="/videos/{custom_id}.mp4",
        fail_on=0.05,
        on_missing="resubmit",
        max_in_flight=20,
        reuse=True,
        sidecar=True,
        timeout=timedelta(hours=2),
    )

    ViduRescueOperator(task_id="rescue", destination="/videos/rescued", after=timedelta(hours=3), sidecar=True)


@task.vidu_batch(destination="/videos/{custom_id}.mp4", retries=2)
def kites() -> list[dict[str, object]]:
    return [{"custom_id": "kite", "model": "viduq2", "vidu_type": "text2video", "prompt": "A kite"}]


@vidu_batch_task(destination="/videos/{custom_id}.mp4", fail_on="all")
def boats(names: list[str]) -> list[dict[str, object]]:
    return [{"custom_id": name, "model": "viduq2", "vidu_type": "text2video", "prompt": name} for name in names]


def decorated() -> None:
    kites()
    boats(["a", "b"])


def calls(path: Path) -> None:
    hook = ViduHook("vidu_default")
    body = build("text2video", "viduq2", {"prompt": "A kite"}, extra_input={"note": "typed"})
    assert Request("text2video", "viduq2", {"prompt": "A kite"}).body() == body
    try:
        assert_type(hook.submit(body), Submission)
    except ViduBudgetError as error:
        assert_type(error.resets_at, float | None)
        return
    except ViduSubmissionUncertainError as error:
        assert_type(error.request_id, str)
    except ViduError as error:
        assert_type(error.retry_can_help, bool)
        raise
    status = hook.get_task("task")
    assert_type(status, TaskStatus)
    assert_type(status.urls, tuple[str, ...])
    assert_type(hook.download(status.urls[0], io.BytesIO()), int)
    with path.open("wb") as file:
        hook.download(status.urls[0], file)
    assert_type(hook.test_connection(), tuple[bool, str])


async def waits() -> None:
    with ViduAsyncHook.shared("vidu_default") as hook:
        assert_type(await hook.get_task("task"), TaskStatus)
    ViduTaskTrigger(
        vidu_task_id="task",
        vidu_conn_id="vidu_default",
        poll_interval=5.0,
        expected_seconds=None,
        submitted_at=0.0,
        deadline=7200.0,
    )
    ViduBatchTrigger(
        groups=[Group(26.4, 1.25, ["task"])],
        vidu_conn_id="vidu_default",
        poll_interval=5.0,
        submitted_at=0.0,
        deadline=7200.0,
        enough=1,
    )
    ViduTaskTrigger(vidu_task_id="task")
    ViduBatchTrigger(groups=[Group(None, None, ["task"])])
    assert ViduVideoLink().name


def test_of_a_dag(vidu_emulator: ViduEmulator) -> None:
    vidu_emulator.fail("kite", "capacity")
    vidu_emulator.arm({"fault": "accept_then_drop", "on": "submit"})
    assert_type(vidu_emulator.url, str)
    assert_type(vidu_emulator.connection, dict[str, str])
    assert_type(vidu_emulator.submitted, list[dict[str, Any]])
    assert_type(vidu_emulator.estimated_cost, float | None)
    vidu_emulator.reset()
