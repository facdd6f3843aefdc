# SPDX-License-Identifier: Apache-2.0
"""What a run's tasks have told of their videos. Airflow's own API gives one XCom a request, and a run has thousands."""

# No "from __future__ import annotations": FastAPI reads the annotations.

from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from fastapi import APIRouter, Depends, Query
from sqlalchemy import Select, Text, case, cast, exists, func, or_, select, tuple_

from airflow_provider_vidu.plugin import media

OPERATORS = (
    "ViduSubmitOperator",
    "ViduTaskSensor",
    "ViduToObjectStorageOperator",
    "ViduGenerateVideoOperator",
    "ViduGenerateBatchOperator",
)
MARKS = ("vidu_request", "vidu_task_id", "vidu_progress", "vidu_failure")
"""XComs that nobody but this provider pushes: they tell its tasks where an operator is somebody's own."""
KEYS = (*MARKS, "return_value", "expected_seconds")
INSTANCES_A_PAGE = 1000
LONGEST_VALUE = 20_000
"""Characters of JSON. Whatever the API accepts is shorter, so what is longer is not shown."""

router = APIRouter()


@router.get(
    # The DAG's id in the path: Airflow 3.1.0 does not look for it in the query, and would ask for any DAG.
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
    offset: Annotated[int, Query(ge=0, lt=1 << 31)] = 0,
) -> dict[str, Any]:
    """
    Give the state and the XComs of a run's task instances that have to do with Vidu.

    :param dag_id: the DAG, which the user has to be allowed to read.
    :param run_id: the run.
    :param session: of the metadata database.
    :param offset: how many instances to leave out.
    :return: ``instances``, each with its ``xcoms`` as JSON texts, ``None`` for what is too large; ``next``, the offset
        of the next page, ``None`` after the last; ``media``, whether stored files can be played.
    """
    instances = {
        (row.task_id, row.map_index): {**row._mapping, "xcoms": {}}
        for row in session.execute(_instances(dag_id, run_id).offset(offset).limit(INSTANCES_A_PAGE))
    }
    for row in session.execute(_xcoms(dag_id, run_id, list(instances))):
        if instance := instances.get((row.task_id, row.map_index)):
            instance["xcoms"][row.key] = row.value
    more = len(instances) == INSTANCES_A_PAGE
    return {
        "instances": list(instances.values()),
        "next": offset + INSTANCES_A_PAGE if more else None,
        "media": media.is_on(),
    }


def _instances(dag_id: str, run_id: str) -> Select[Any]:
    ours = exists().where(
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
            or_(TaskInstance.operator.in_(OPERATORS), ours),
        )
        .order_by(TaskInstance.task_id, TaskInstance.map_index)
    )


def _xcoms(dag_id: str, run_id: str, instances: list[tuple[str, int]]) -> Select[Any]:
    # As it is stored: not all that can be read as JSON can be written as JSON, and nothing here looks into it.
    text = cast(XComModel.value, Text)
    return select(
        XComModel.task_id,
        XComModel.map_index,
        XComModel.key,
        case((func.length(text) <= LONGEST_VALUE, text)).label("value"),
    ).where(
        XComModel.dag_id == dag_id,
        XComModel.run_id == run_id,
        tuple_(XComModel.task_id, XComModel.map_index).in_(instances),
        XComModel.key.in_(KEYS),
    )
