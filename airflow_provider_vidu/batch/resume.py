# SPDX-License-Identifier: Apache-2.0
"""The records with which the second visit of a batch continues, on any worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.protocol.batch import SUBMITTED, UNSUBMITTED
from airflow_provider_vidu.protocol.texts import first_few
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.storage.manifest import Record
from airflow_provider_vidu.storage.places import is_local, located

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.batch.items import Item
    from airflow_provider_vidu.durable.batch_record import BatchRecord

NO_RECORD = "No record of its submit exists: it was refused or not submitted."


def tasks_of(records: Iterable[Record]) -> dict[str, str]:
    """
    Return the tasks to wait for.

    :param records: the records of the items.
    :return: Vidu's ids by custom id.
    """
    return {record.custom_id: record.task_id for record in records if record.outcome == SUBMITTED}


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
    Read the records of the first visit, or rebuild them.

    They are rebuilt if the file of the first visit is missing or belongs to another try. A visit on another worker
    cannot see a destination on the first worker's own disk.

    :param waiting: path of the file that the first visit wrote.
    :param memory: the record of the batch in the task state store.
    :param mark: hash of the records in that file, ``None`` if the first visit passed none.
    :param tasks: the tasks to wait for, which the first visit passes if Airflow has no task state store.
    :param items: reads the batch again.
    :param recovered: rebuilds the records from the task state store.
    :param log: logger for a warning.
    :return: one record for each item.
    :raises ViduDownloadError: if the records are only on another worker.
    """
    noted = manifests.read(waiting)
    if noted and _agree(noted, mark, memory):
        return noted
    state = "belongs to another try" if noted else "is not on this worker"
    log.warning("%s %s. Continuing without it.", waiting, state)
    if memory.remembers:
        return recovered()
    if tasks is None:
        raise ViduDownloadError(
            f"destination must be visible to all workers, got one where this worker does not see {waiting}. The tasks "
            "in that file are submitted and billed. Find their ids in the log of the worker that submitted them, and "
            "fetch each with ViduTaskSensor(vidu_task_id=…)."
        )
    # These records have no costs, because the price table may have changed since the submits.
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


def refuse_waves(max_in_flight: int | None) -> None:
    """
    Refuse several waves of submits below Airflow 3.3.

    Without a record, a later visit could not know what the earlier ones submitted.

    :param max_in_flight: the operator's argument of the same name.
    :raises AirflowFailException: if it is set. Nothing was sent.
    """
    if max_in_flight is not None:
        raise AirflowFailException(
            f"max_in_flight must be None without a record of the submits, got {max_in_flight}. Airflow older than 3.3 "
            "keeps none. This try sent and paid nothing. Set [vidu] ledger to a directory or bucket that all workers "
            "share, or leave max_in_flight out."
        )


def refuse_to_forget(waiting: str, retries: int | None, context: Context, log: Logger) -> None:
    """
    Refuse to submit if an earlier try may have submitted, below Airflow 3.3.

    An older Airflow has no task state store that lists the submits.

    :param waiting: path of the file that the earlier try wrote.
    :param retries: Airflow's argument of the batch.
    :param context: Airflow's context of the task instance.
    :param log: the operator's logger.
    :raises AirflowFailException: if that try submitted, or may have submitted on another worker. Nothing was sent.
    """
    if manifests.exists(waiting):
        if not (noted := manifests.read(waiting)):
            # The previous try recorded that it began, and submitted nothing.
            return
        known = [f"{one.custom_id}: Vidu task {one.task_id}" for one in noted if one.task_id]
        log.error("Submitted by an earlier try, as far as it could record them: %s", known)
        raise AirflowFailException(
            f"An earlier try ended after it had started to submit, and its submits are billed: {waiting} lists "
            f"{len(known)} Vidu tasks ({first_few(known)}). This try sent nothing. Fetch each with "
            "ViduTaskSensor(vidu_task_id=…), or move that file away and clear the task to submit and pay for all items "
            "again."
        )
    ti = context["ti"]
    # A person's clear raises max_tries by the number of tries so far; a retry does not change it.
    is_retry = ti.try_number > ti.max_tries - (retries or 0) + 1
    if is_retry and is_local(located(waiting)):
        raise AirflowFailException(
            "destination must be visible to all workers for a retry below Airflow 3.3, got one where this worker does "
            f"not see {waiting}. The previous try may have submitted on another machine, and its submits are billed; "
            "this try sent nothing. Read the log of that try, and clear the task if it submitted nothing."
        )
    # It shows the next try that this one submitted nothing.
    manifests.write(waiting, [])
