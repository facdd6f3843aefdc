# SPDX-License-Identifier: Apache-2.0
"""Runs whose tasks never ran, but have states and XComs for the tabs to show."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import create_engine, text

from dev.airflow_bed import AirflowBed

DAG_ID = "shown"
"""Its tasks are ``one``, ``two``, ``three`` and, five hundred times, ``many``."""


REQUEST = {
    "model": "viduq2-turbo",
    "input": {"prompt": "a kite", "first_frame_url": "/pictures/kite.png"},
    "parameters": {"vidu_type": "img2video", "duration": 5, "resolution": "720p", "seed": 7},
    "estimated_cost": 1.25,
    "estimated_by": "prices of 2026-04-15",
}
"""A request as tasks tell it, XCom ``vidu_request``."""


def result(*urls: str, expires_in: float = 24 * 3600 - 100, **more: Any) -> dict[str, Any]:
    """Make the result of Vidu task ``vidu-1``, as a wait returns it.

    :param urls: Where its videos are.
    :param expires_in: Seconds until the links are no longer valid.
    :param more: What else it tells.
    """
    now = time.time()
    times = {"submit_time": now - 200, "finish_time": now - 100, "expires_at": now + expires_in}
    return {"task_id": "vidu-1", "urls": list(urls), "video_seconds": 5, "request_id": "", **times, **more}


class Told(NamedTuple):
    """What a task instance has told.

    :param xcoms: Values by key.
    :param task_id: The task.
    :param map_index: Index of a mapped task.
    :param state: Its state, ``None`` where it was cleared.
    :param operator: Name of its operator's class.
    """

    xcoms: Mapping[str, Any]
    task_id: str = "one"
    map_index: int = -1
    state: str | None = "success"
    operator: str = "ViduGenerateVideoOperator"


def shown(bed: AirflowBed, told: Iterable[Told]) -> str:
    """Make a run of tasks that have told something, and return its run id.

    Not over REST, where each XCom is a request of its own.

    :param bed: The Airflow.
    :param told: The task instances; whoever is not named has told nothing and is not of Vidu.
    """
    run_id = bed.trigger(DAG_ID, paused=True)
    tell(bed, run_id, told)
    return run_id


def tell(bed: AirflowBed, run_id: str, told: Iterable[Told]) -> None:
    """Let tasks of such a run tell more.

    :param bed: The Airflow.
    :param run_id: The run, from :func:`shown`.
    :param told: The task instances.
    """
    run = {"dag_id": DAG_ID, "run_id": run_id}
    told = list(told)
    instances = [{**run, **one._asdict(), "xcoms": None} for one in told]
    xcoms = [
        {**run, "task_id": one.task_id, "map_index": one.map_index, "key": key, "value": json.dumps(value)}
        for one in told
        for key, value in one.xcoms.items()
    ]
    engine = create_engine(bed.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    with engine.begin() as connection:
        for statement, values in ((_STATES, instances), (_XCOMS, xcoms)):
            if values:
                connection.execute(text(statement), values)
    engine.dispose()


_STATES = """
UPDATE task_instance SET state = :state, operator = :operator, start_date = now()
WHERE dag_id = :dag_id AND run_id = :run_id AND task_id = :task_id AND map_index = :map_index
"""
_XCOMS = """
INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp)
SELECT id, :task_id, :map_index, :key, dag_id, run_id, CAST(:value AS jsonb), now() FROM dag_run
WHERE dag_id = :dag_id AND run_id = :run_id
ON CONFLICT ON CONSTRAINT xcom_pkey DO UPDATE SET value = EXCLUDED.value
"""
