# SPDX-License-Identifier: Apache-2.0
"""
States and XComs of a run's Vidu tasks, a thousand instances per answer.

Airflow's own API returns one XCom per request, and a run may have thousands.
"""

# No "from __future__ import annotations": FastAPI reads the annotations when a route is declared.

from collections import defaultdict
from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from fastapi import APIRouter, Depends, Query
from sqlalchemy import Label, Select, Text, case, cast, exists, func, or_, select, tuple_

from airflow_provider_vidu.plugin import media
from airflow_provider_vidu.plugin.xcom_store import Reference, Task, reference, values

BATCH_OPERATORS = ("ViduGenerateBatchOperator", "ViduBatchDecoratedOperator")
OPERATORS = (
    "ViduSubmitOperator",
    "ViduTaskSensor",
    "ViduToObjectStorageOperator",
    "ViduGenerateVideoOperator",
    *BATCH_OPERATORS,
)
MARKS = ("vidu_request", "vidu_task_id", "vidu_progress", "vidu_submits", "vidu_failure")
"""XComs that only this provider pushes: they also identify Vidu tasks of a DAG author's own operator class."""
KEYS = (*MARKS, "return_value", "expected_seconds")
INSTANCES_A_PAGE = 1000
LONGEST_VALUE = 20_000
"""Characters of JSON. A request that the API accepts is shorter; a longer value is not shown."""

router = APIRouter()


@router.get(
    # Airflow 3.1.0 does not read a DAG id from the query; it would only check the right to any DAG.
    "/videos/{dag_id}/{run_id}",
    dependencies=[
        Depends(requires_access_dag("GET", DagAccessEntity.XCOM)),
        Depends(requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE)),
    ],
)
def videos(
    dag_id: str,
    run_id: str,
    session: SessionDep,
    after: Annotated[str, Query(max_length=250)] = "",
    index: Annotated[int, Query(ge=-1, lt=1 << 31)] = -1,
) -> dict[str, Any]:
    """
    Return the states and XComs of a run's Vidu task instances.

    :param dag_id: The DAG; the user must have the right to read it.
    :param run_id: The run.
    :param session: Session of the metadata database.
    :param after: Task of the last instance of the page before.
    :param index: Map index of that instance.
    :return: ``instances``, each with its ``xcoms`` as JSON texts, ``None`` for a value that is too large; ``next``, the
        query of the next page, ``None`` after the last; ``media``, whether this server plays stored files; the numbers
        of values in an XCom backend that a later answer reads (``late``), and that this server cannot read (``away``).
    """
    instances = {
        (row.task_id, row.map_index): {**row._mapping, "xcoms": {}}
        for row in session.execute(_instances(dag_id, run_id, after, index).limit(INSTANCES_A_PAGE))
    }
    elsewhere: dict[Reference, list[tuple[dict[str, Any], str]]] = defaultdict(list)
    for row in session.execute(_xcoms(dag_id, run_id, list(instances))) if instances else ():
        if instance := instances.get((row.task_id, row.map_index)):
            if kept := reference(row.value, Task(dag_id, run_id, row.task_id)):
                elsewhere[kept].append((instance["xcoms"], row.key))
            else:
                instance["xcoms"][row.key] = row.value
    found = values(elsewhere)
    for kept, text in found.texts.items():
        for xcoms, key in elsewhere[kept]:
            xcoms[key] = text if len(text) <= LONGEST_VALUE else None
    last = [*instances][-1] if len(instances) == INSTANCES_A_PAGE else None
    return {
        "instances": list(instances.values()),
        "next": {"after": last[0], "index": last[1]} if last else None,
        "media": media.is_on(),
        "late": found.late,
        "away": found.away,
    }


def _instances(dag_id: str, run_id: str, after: str, index: int) -> Select[Any]:
    has_mark = exists().where(
        XComModel.dag_id == TaskInstance.dag_id,
        XComModel.run_id == TaskInstance.run_id,
        XComModel.task_id == TaskInstance.task_id,
        XComModel.map_index == TaskInstance.map_index,
        XComModel.key.in_(MARKS),
    )
    columns = ("task_id", "map_index", "rendered_map_index", "state", "operator", "start_date")
    return (
        select(*(getattr(TaskInstance, name).label(name) for name in columns))
        .where(
            TaskInstance.dag_id == dag_id,
            TaskInstance.run_id == run_id,
            # An offset would count all instances before it again.
            tuple_(TaskInstance.task_id, TaskInstance.map_index) > tuple_(after, index),
            or_(TaskInstance.operator.in_(OPERATORS), has_mark),
        )
        .order_by(TaskInstance.task_id, TaskInstance.map_index)
    )


def short_value() -> Label[Any]:
    """Return the column ``value`` of XComs as JSON texts, ``None`` for a value that is too large."""
    # The stored text: some values that parse as JSON cannot be written as JSON, and this module does not parse them.
    text = cast(XComModel.value, Text)
    return case((func.length(text) <= LONGEST_VALUE, text)).label("value")


def _xcoms(dag_id: str, run_id: str, instances: list[tuple[str, int]]) -> Select[Any]:
    place = tuple_(XComModel.task_id, XComModel.map_index)
    # A page is a range of instances. PostgreSQL compares a list of a thousand pairs with each row, one by one.
    first, last = (tuple_(*instances[end]) for end in (0, -1))
    return select(XComModel.task_id, XComModel.map_index, XComModel.key, short_value()).where(
        XComModel.dag_id == dag_id,
        XComModel.run_id == run_id,
        place >= first,
        place <= last,
        XComModel.key.in_(KEYS),
    )
