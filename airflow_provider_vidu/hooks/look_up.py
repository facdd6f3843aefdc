# SPDX-License-Identifier: Apache-2.0
"""The look-up of a connection beside an event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Connection


async def look_up(vidu_conn_id: str) -> Connection:
    """
    Read a connection from Airflow without blocking the event loop.

    A worker below Airflow 3.2 cannot await its supervisor, so every connection in Airflow's database seems to be
    missing. Airflow 3.1.0 raises instead, and outside its own processes it does so for every connection. In these
    cases, a thread reads the connection again.

    :param vidu_conn_id: Id of the connection.
    :raises AirflowNotFoundException: If there is no such connection.
    """
    from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

    try:
        return await BaseHook.aget_connection(vidu_conn_id)
    except AirflowNotFoundException:
        if not _is_worker():
            raise
    except (NotImplementedError, ImportError):
        pass
    return await asyncio.to_thread(BaseHook.get_connection, vidu_conn_id)


def _is_worker() -> bool:
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import CommsDecoder

    # A triggerer has a class of its own, which can always be awaited.
    return type(getattr(task_runner, "SUPERVISOR_COMMS", None)) is CommsDecoder
