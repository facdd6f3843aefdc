# SPDX-License-Identifier: Apache-2.0
"""What a wait tells of itself while it lasts: the XCom ``vidu_progress``, written from the triggerer."""

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


def tell(trigger: BaseTrigger, news: dict[str, Any]) -> None:
    """
    Write a wait's progress soon. No wait waits for it, and a failure only leaves a line in the triggerer's log.

    Airflow's triggerer passes it on between the events of all its triggers, and tries it again where the api-server
    fails: so there is one at a time, and after a failure what else is to be told is dropped.

    Before Airflow 3.3 there was no way to do so without holding up the triggers of the process, so there nothing is
    written; nor where XComs have a backend of their own, which may block.

    :param trigger: the wait's trigger; what it told before and is not written yet is dropped.
    :param news: what to tell.
    """
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.sdk.execution_time.xcom import XCom

    ti = trigger.task_instance
    if ti is None or XCom is not BaseXCom or not hasattr(XCom, "aset"):
        return
    loop = asyncio.get_running_loop()
    if loop not in _QUEUES:
        queue: _Queue = {}
        # Nothing of this trigger's: what the writer logs belongs to no single one.
        _QUEUES[loop] = queue, loop.create_task(_write(queue), context=Context())
    where = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index}
    _QUEUES[loop][0][trigger] = {"key": PROGRESS_KEY, "value": news, **where}


def forget(trigger: BaseTrigger) -> None:
    """
    Drop what a wait that has ended told and is not written yet.

    :param trigger: the wait's trigger.
    """
    queue, _ = _QUEUES.get(asyncio.get_running_loop(), ({}, None))
    queue.pop(trigger, None)


async def _write(queue: _Queue) -> None:
    from airflow.sdk.execution_time.xcom import XCom

    try:
        # One after the other, since the events of all triggers have to pass through the same pipe.
        while queue:
            xcom = queue.pop(next(iter(queue)))
            try:
                await XCom.aset(**xcom)
            except Exception:
                log.warning("An XCom could not be written: %s", xcom, exc_info=True)
                queue.clear()
    finally:
        del _QUEUES[asyncio.get_running_loop()]
