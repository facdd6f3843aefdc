# SPDX-License-Identifier: Apache-2.0
"""One poll of a task from a worker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_provider_vidu.exceptions import ViduError
from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.protocol.polling import Outcome, Wait, Watch
from airflow_provider_vidu.protocol.response import TaskStatus

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


def poll(watch: Watch, vidu_conn_id: str, log: Logger) -> Wait | Outcome:
    """
    Poll a task once; repeat within seconds only if the answer would fail the wait.

    :param watch: The wait for the task.
    :param vidu_conn_id: Connection of type ``vidu``.
    :param log: Logger for warnings.
    :return: A pause before the next poll, or the end of the wait.
    """
    hook = ViduHook(vidu_conn_id)
    while True:
        answer: TaskStatus | ViduError
        try:
            answer = hook.get_task(watch.vidu_task_id)
        except ViduError as error:
            answer = error
        verdict = watch.observe(time.time(), answer)
        if isinstance(verdict, Outcome):
            return verdict
        if verdict.note:
            log.warning("Vidu task %s: %s", watch.vidu_task_id, verdict.note)
        if not verdict.confirm:
            return verdict
        time.sleep(verdict.seconds)
