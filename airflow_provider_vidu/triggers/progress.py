# SPDX-License-Identifier: Apache-2.0
"""Progress of a wait: the XCom ``vidu_progress``, written from the triggerer."""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from typing import TYPE_CHECKING, Any

from airflow_provider_vidu.protocol.polling import PROGRESS_KEY

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

log = logging.getLogger(__name__)

_Queue = dict["BaseTrigger", dict[str, Any]]
_QUEUES: dict[asyncio.AbstractEventLoop, tuple[_Queue, asyncio.Task[None]]] = {}


def report(trigger: BaseTrigger, news: dict[str, Any]) -> None:
    """
    Queue a wait's progress for writing.

    No trigger waits for the write, and a failure only adds a line to the triggerer's log. Airflow's triggerer sends an
    XCom between the events of all its triggers, and retries if the api-server fails. So only one XCom is written at a
    time, and a failure drops the rest of the queue.

    Nothing is written before Airflow 3.3, where writing would block all triggers of the process. Nothing is written
    with a custom XCom backend either, because it may block.

    :param trigger: The wait's trigger. Its earlier progress that is not yet written is dropped.
    :param news: Value of the XCom.
    """
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.sdk.execution_time.xcom import XCom

    ti = trigger.task_instance
    if ti is None or XCom is not BaseXCom or not hasattr(XCom, "aset"):
        return
    loop = asyncio.get_running_loop()
    if loop not in _QUEUES:
        queue: _Queue = {}
        # A context of its own, because the writer's log lines belong to no single trigger.
        _QUEUES[loop] = queue, loop.create_task(_write(queue), context=Context())
    where = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index}
    _QUEUES[loop][0][trigger] = {"key": PROGRESS_KEY, "value": news, **where}


def forget(trigger: BaseTrigger) -> None:
    """
    Drop the unwritten progress of a wait that has ended.

    :param trigger: The wait's trigger.
    """
    queue, _ = _QUEUES.get(asyncio.get_running_loop(), ({}, None))
    queue.pop(trigger, None)


async def _write(queue: _Queue) -> None:
    from airflow.sdk.execution_time.xcom import XCom

    try:
        # One after the other, because the events of all triggers share one pipe.
        while queue:
            xcom = queue.pop(next(iter(queue)))
            try:
                await XCom.aset(**xcom)
            except Exception:
                log.warning("Could not write the XCom %s", xcom, exc_info=True)
                queue.clear()
    finally:
        del _QUEUES[asyncio.get_running_loop()]
