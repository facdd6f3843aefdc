# SPDX-License-Identifier: Apache-2.0
"""Lines of the library as its page shows them, with what Airflow's database knows about their runs."""

from __future__ import annotations

from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from airflow_provider_vidu.durable.entries import cny_of
from airflow_provider_vidu.durable.lines import Line
from airflow_provider_vidu.plugin.readers import Reader
from airflow_provider_vidu.plugin.shelf import Kept

_KEY = (TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index)


def described(session: Session, reader: Reader, page: list[Kept]) -> list[dict[str, Any]]:
    """
    Describe lines.

    :param session: session of the metadata database.
    :param reader: the user, who may see all of these lines.
    :param page: the lines.
    """
    users = _users(session, page)
    return [
        {
            **_described(kept.line),
            "address": kept.address,
            # A run may be deleted, or of another deployment that shares the ledger.
            "known": _key(kept.line) in users,
            "triggered_by": users.get(_key(kept.line)) if reader.may_see_runs(kept.line.entry.dag_id) else None,
        }
        for kept in page
    ]


def _key(line: Line) -> tuple[str, str, str, int]:
    entry = line.entry
    return entry.dag_id, entry.run_id, entry.task_id, entry.map_index


def _users(session: Session, page: list[Kept]) -> dict[tuple[str, str, str, int], str | None]:
    """Return who triggered the run of each task instance that Airflow's database has."""
    query = (
        select(*_KEY, DagRun.triggering_user_name)
        .join(DagRun, (DagRun.dag_id == TaskInstance.dag_id) & (DagRun.run_id == TaskInstance.run_id))
        .where(tuple_(*_KEY).in_([_key(kept.line) for kept in page]))
    )
    return {(row[0], row[1], row[2], row[3]): row[4] for row in session.execute(query)}


def _described(line: Line) -> dict[str, Any]:
    entry, ending, units = line.entry, line.ending, line.name.units
    parameters = entry.request["parameters"]
    return {
        "at": line.name.begun_at / 1000,
        "same": line.same,
        "dag": entry.dag_id,
        "run": entry.run_id,
        "task": entry.task_id,
        "map_index": entry.map_index,
        "custom_id": entry.custom_id,
        "connection": entry.vidu_conn_id,
        "request": {"model": line.model, "input": entry.request["input"], "parameters": parameters},
        "cost": None if units is None else cny_of(units),
        "outcome": line.outcome,
        "seconds": line.video_seconds,
        "reason": ending.reason if ending else "",
        "vidu_task_id": entry.vidu_task_id,
        "files": list(ending.files) if ending else [],
    }
