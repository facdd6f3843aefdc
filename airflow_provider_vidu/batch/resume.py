# SPDX-License-Identifier: Apache-2.0
"""The records that the second visit of a batch goes on with, on whichever worker it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.protocol.batch import SUBMITTED, UNSUBMITTED
from airflow_provider_vidu.protocol.texts import few
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.storage.checks import executors_elsewhere
from airflow_provider_vidu.storage.manifest import Record

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.batch.items import Item
    from airflow_provider_vidu.durable.batch_record import Ledger

NO_RECORD = "The first visit to a worker left no record of it: it was refused or not reached."


def tasks_of(records: Sequence[Record]) -> dict[str, str]:
    """
    Name the tasks that are waited for.

    :param records: the items.
    :return: Vidu's ids by custom id.
    """
    return {record.custom_id: record.task_id for record in records if record.outcome == SUBMITTED}


def left_by_first_visit(
    waiting: str,
    ledger: Ledger,
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
    :param ledger: what the task state store knows of this batch.
    :param mark: mark of what the first visit noted, ``None`` where it handed nothing over.
    :param tasks: the tasks that are waited for, as the first visit handed them over where there is no state store.
    :param items: reads the batch again.
    :param recovered: rebuilds the records from the task state store.
    :param log: where a warning goes.
    :return: one record for each item.
    :raises ViduDownloadError: if the records are on another worker and nothing else has them.
    """
    noted = manifests.read(waiting)
    if noted and _agree(noted, mark, ledger):
        return noted
    log.warning("%s is %s: going on without it.", waiting, "of another try" if noted else "not on this worker")
    if ledger.remembers:
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
            item.asked(),
            SUBMITTED if item.custom_id in tasks else UNSUBMITTED,
            "" if item.custom_id in tasks else NO_RECORD,
            tasks.get(item.custom_id, ""),
        )
        for item in items()
    ]


def _agree(noted: Sequence[Record], mark: str | None, ledger: Ledger) -> bool:
    if mark is not None:
        return manifests.mark_of(noted) == mark
    return not ledger.remembers or ledger.agrees_with(noted)


def refuse_to_forget(waiting: str, operator: BaseOperator, context: Context) -> None:
    """
    Pay for nothing where an earlier try may have submitted and no task state store says what (below Airflow 3.3).

    :param waiting: path of what that try noted.
    :param operator: the batch.
    :param context: Airflow's context of the task instance.
    :raises AirflowFailException: if it submitted, or may have on another worker. Nothing was sent.
    """
    if manifests.exists(waiting):
        told = [f"{one.custom_id}: Vidu task {one.task_id}" for one in manifests.read(waiting) if one.task_id]
        operator.log.error("Submitted by an earlier try, as far as it could tell: %s", told)
        raise AirflowFailException(
            f"An earlier try was ended after it had begun to submit, and what it submitted is billed: {waiting} tells "
            f"of {len(told)} Vidu tasks ({few(told)}). Fetch each with ViduTaskSensor(vidu_task_id=…). Move that file "
            "away and clear the task to have all of it made and paid anew. Nothing was sent."
        )
    ti = context["ti"]
    # A person's clear raises max_tries by the tries made so far; a retry leaves it as it is.
    is_retry = ti.try_number > ti.max_tries - (operator.retries or 0) + 1
    if is_retry and (others := executors_elsewhere(waiting)):
        raise AirflowFailException(
            "destination must be one that all workers share for a retry below Airflow 3.3, got one without the file "
            f"{waiting}. With {', '.join(others)} the try before may have submitted on another worker, and what it "
            "submitted is billed. Nothing was sent. Read its log; if it submitted nothing, clear the task."
        )
