# SPDX-License-Identifier: Apache-2.0
"""
Lines of the library from Airflow's database, where there is no ledger.

They come from the XComs that the tabs show, so they end with those, and a batch is one line.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import and_, or_, select

from airflow_provider_vidu.durable.entries import FAILED, STORED, Ending, Entry, EntryName, day_of, units_of
from airflow_provider_vidu.durable.lines import Line
from airflow_provider_vidu.durable.stored_files import ready_seconds
from airflow_provider_vidu.plugin.shelf import MOST_LINES, Kept
from airflow_provider_vidu.plugin.shown import amount, record, shown
from airflow_provider_vidu.plugin.videos import BATCH_OPERATORS, OPERATORS, short_value
from airflow_provider_vidu.plugin.xcom_store import Task, reference
from airflow_provider_vidu.protocol.batch import WITH_VIDEO

DAYS = 30
_KEYS = ("vidu_request", "return_value", "vidu_task_id", "vidu_failure")


class _Task(NamedTuple):
    """A task instance and the values of its XComs."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    operator: str | None
    state: str | None
    xcoms: dict[str, Any]
    pushed_at: float

    @property
    def result(self) -> Mapping[str, Any]:
        return record(self.xcoms.get("return_value"))

    @property
    def files(self) -> tuple[str, ...]:
        returned = self.xcoms.get("return_value")
        # A transfer returns only the list of files.
        found = returned if isinstance(returned, list) else self.result.get("files")
        return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()

    @property
    def vidu_task_id(self) -> str:
        submitted = self.xcoms.get("return_value") if "vidu_request" in self.xcoms else None
        failed = record(self.xcoms.get("vidu_failure")).get("task_id")
        named = (self.result.get("task_id"), self.xcoms.get("vidu_task_id"), submitted, failed)
        return next((one for one in named if isinstance(one, str) and one), "")


class AirflowLines:
    """
    The submits of the last days in Airflow's database.

    :param zone: time zone of the days.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._kept: list[Kept] = []

    def read(self) -> Iterator[None]:
        """Read the XComs of all submits and batches, and of the tasks of the same runs."""
        runs: dict[tuple[str, str], list[_Task]] = defaultdict(list)
        for task in _tasks(time.time() - DAYS * 24 * 3600):
            runs[task.dag_id, task.run_id].append(task)
        found = [kept for tasks in runs.values() for kept in self._lines(tasks)]
        self._kept = sorted(found, key=lambda one: one.line.name.begun_at, reverse=True)
        yield

    def kept(self) -> list[Kept]:
        """Return the lines, the newest first."""
        return self._kept

    def _lines(self, tasks: list[_Task]) -> Iterator[Kept]:
        videos: dict[str, list[_Task]] = defaultdict(list)
        for task in tasks:
            videos[task.vidu_task_id].append(task)
        for task in tasks:
            if task.operator in BATCH_OPERATORS:
                if ending := _end_of_batch(task):
                    yield self._kept_one(task, [], ending, task.result.get("estimated_cost"))
            elif "vidu_request" in task.xcoms:
                members = videos[task.vidu_task_id] if task.vidu_task_id else [task]
                cost = record(task.xcoms["vidu_request"]).get("estimated_cost")
                yield self._kept_one(task, members, _end_of(members), cost)

    def _kept_one(self, task: _Task, members: list[_Task], ending: Ending | None, cost: Any) -> Kept:
        units = None if (cny := amount(cost)) is None else units_of(cny)
        at = int(task.pushed_at * 1000)
        entry = Entry(
            task.dag_id,
            task.run_id,
            task.task_id,
            task.map_index,
            "",
            "",
            record(task.xcoms.get("vidu_request")),
            task.vidu_task_id,
        )
        storer = next((member for member in members if member.files), task)
        place = "/".join(quote(part, safe="") for part in (storer.dag_id, storer.run_id, storer.task_id))
        line = Line(EntryName(day_of(at / 1000, self._zone), at, units, "", ""), entry, ending)
        return Kept(shown(line), f"media/{place}/{storer.map_index}")


def _tasks(since: float) -> Iterable[_Task]:
    pushed = XComModel.timestamp >= datetime.fromtimestamp(since, UTC)
    same = and_(
        TaskInstance.dag_id == XComModel.dag_id,
        TaskInstance.run_id == XComModel.run_id,
        TaskInstance.task_id == XComModel.task_id,
        TaskInstance.map_index == XComModel.map_index,
    )
    submits = (
        select(XComModel.dag_run_id)
        .where(XComModel.key == "vidu_request", pushed)
        .order_by(XComModel.timestamp.desc())
        .limit(MOST_LINES)
        .subquery()
    )
    columns = [XComModel.dag_id, XComModel.run_id, XComModel.task_id, XComModel.map_index]
    query = (
        select(*columns, TaskInstance.operator, TaskInstance.state, XComModel.key, XComModel.timestamp, short_value())
        .join(TaskInstance, same)
        .where(
            pushed,
            XComModel.key.in_(_KEYS),
            or_(XComModel.dag_run_id.in_(select(submits.c.dag_run_id)), TaskInstance.operator.in_(BATCH_OPERATORS)),
        )
        .execution_options(yield_per=1000)
    )
    found: dict[tuple[str, str, str, int], _Task] = {}
    with create_session(scoped=False) as session:
        for row in session.execute(query):
            key = (row.dag_id, row.run_id, row.task_id, row.map_index)
            at = row.timestamp.timestamp()
            task = found.setdefault(key, _Task(*key, row.operator, row.state, {}, at))
            if not reference(row.value, Task(*key[:3])):
                task.xcoms[row.key] = _parsed(row.value)
            found[key] = task._replace(pushed_at=min(task.pushed_at, at))
    # Other operators of the same runs have values of any kind.
    return [task for task in found.values() if task.operator in OPERATORS or task.xcoms.keys() - {"return_value"}]


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return None


def _end_of(members: list[_Task]) -> Ending | None:
    seconds = next((found for one in members if (found := amount(one.result.get("video_seconds"))) is not None), None)
    if files := next((one.files for one in members if one.files), ()):
        ready = next((found for one in members if (found := ready_seconds(one.result)) is not None), None)
        return Ending(STORED, files, seconds, ready_seconds=ready)
    failed = next((one for one in members if one.state == "failed" and "vidu_failure" in one.xcoms), None)
    reason = record(failed.xcoms["vidu_failure"]).get("reason") if failed else None
    return Ending(FAILED, reason=reason if isinstance(reason, str) else "") if failed else None


def _end_of_batch(batch: _Task) -> Ending | None:
    counts = record(batch.result.get("counts"))
    if not counts:
        return None
    outcome = STORED if any(counts.get(word) for word in WITH_VIDEO) else FAILED
    return Ending(outcome, (), amount(batch.result.get("video_seconds")))
