# SPDX-License-Identifier: Apache-2.0
"""The records that the second visit of a batch goes on with, on whichever worker it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.protocol.batch import SUBMITTED, UNSUBMITTED
from airflow_provider_vidu.protocol.texts import few
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.storage.manifest import Record
from airflow_provider_vidu.storage.places import is_local, located

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.batch.items import Item
    from airflow_provider_vidu.batch.records import Records
    from airflow_provider_vidu.durable.batch_record import BatchRecord

NO_RECORD = "The first visit to a worker left no record of it: it was refused or not reached."


def tasks_of(records: Iterable[Record]) -> dict[str, str]:
    """
    Name the tasks that are waited for.

    :param records: the items.
    :return: Vidu's ids by custom id.
    """
    return {record.custom_id: record.task_id for record in records if record.outcome == SUBMITTED}


def leave_for_second_visit(waiting: str, records: Records) -> None:
    """
    Note what was submitted beside the videos, for the visit that stores them.

    :param waiting: path of the note.
    :param records: one for each item.
    :raises ViduDownloadError: if it cannot be written, naming what is billed.
    """
    try:
        manifests.write(waiting, records)
    except ViduDownloadError as error:
        accepted = [f"{one.custom_id}: Vidu task {one.task_id}" for one in records.running]
        records.log.error("Submitted: %s", accepted)
        raise ViduDownloadError(
            f"{error} {len(accepted)} tasks are submitted and billed ({few(accepted)}); the log names all. On Airflow "
            "3.3 and newer a retry or a clear takes them up at no cost."
        ) from error


def left_by_first_visit(
    waiting: str,
    memory: BatchRecord,
    mark: str | None,
    tasks: Mapping[str, str] | None,
    items: Callable[[], Sequence[Item]],
    recovered: Callable[[], list[Record]],
    log: Logger,
) -> list[Record]:
    """
    Read what the first visit noted beside the videos, or rebuild it where that is absent or of another try.

    A destination on a worker's own disk is not there for a visit that runs on another worker.

    :param waiting: path of what the first visit noted.
    :param memory: what the task state store knows of this batch.
    :param mark: mark of what the first visit noted, ``None`` where it handed nothing over.
    :param tasks: the tasks that are waited for, as the first visit handed them over where there is no state store.
    :param items: reads the batch again.
    :param recovered: rebuilds the records from the task state store.
    :param log: where a warning goes.
    :return: one record for each item.
    :raises ViduDownloadError: if the records are on another worker and nothing else has them.
    """
    noted = manifests.read(waiting)
    if noted and _agree(noted, mark, memory):
        return noted
    log.warning("%s is %s: going on without it.", waiting, "of another try" if noted else "not on this worker")
    if memory.remembers:
        return recovered()
    if tasks is None:
        raise ViduDownloadError(
            f"{waiting} must be on a destination that all workers share, and is not on this worker. The tasks in "
            "it are submitted and billed. Find their ids in the log of the worker that submitted them, and fetch each "
            "with ViduTaskSensor(vidu_task_id=…)."
        )
    # The price table may be another one by now.
    return [
        Record(
            item.custom_id,
            item.request.as_asked(),
            SUBMITTED if item.custom_id in tasks else UNSUBMITTED,
            "" if item.custom_id in tasks else NO_RECORD,
            tasks.get(item.custom_id, ""),
        )
        for item in items()
    ]


def _agree(noted: Sequence[Record], mark: str | None, memory: BatchRecord) -> bool:
    if mark is not None:
        return manifests.mark_of(noted) == mark
    return not memory.remembers or memory.agrees_with(noted)


def refuse_to_forget(waiting: str, retries: int | None, context: Context, log: Logger) -> None:
    """
    Pay for nothing where an earlier try may have submitted and no task state store says what (below Airflow 3.3).

    :param waiting: path of what that try noted.
    :param retries: Airflow's, of the batch.
    :param context: Airflow's context of the task instance.
    :param log: the operator's logger.
    :raises AirflowFailException: if it submitted, or may have on another worker. Nothing was sent.
    """
    if manifests.exists(waiting):
        if not (noted := manifests.read(waiting)):
            # That try noted that it began, and submitted nothing.
            return
        told = [f"{one.custom_id}: Vidu task {one.task_id}" for one in noted if one.task_id]
        log.error("Submitted by an earlier try, as far as it could tell: %s", told)
        raise AirflowFailException(
            f"An earlier try was ended after it had begun to submit, and what it submitted is billed: {waiting} tells "
            f"of {len(told)} Vidu tasks ({few(told)}). Fetch each with ViduTaskSensor(vidu_task_id=…). Move that file "
            "away and clear the task to have all of it made and paid anew. Nothing was sent."
        )
    ti = context["ti"]
    # A person's clear raises max_tries by the tries made so far; a retry leaves it as it is.
    is_retry = ti.try_number > ti.max_tries - (retries or 0) + 1
    if is_retry and is_local(located(waiting)):
        raise AirflowFailException(
            "destination must be one that all workers share for a retry below Airflow 3.3, got one without the file "
            f"{waiting}. The try before may have submitted on another machine, and what it submitted is billed. "
            "Nothing was sent. Read its log; if it submitted nothing, clear the task."
        )
    # The next try can tell then that this one submitted nothing.
    manifests.write(waiting, [])
