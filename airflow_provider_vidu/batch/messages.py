# SPDX-License-Identifier: Apache-2.0
"""
Error messages of a batch that ends without all videos.

They say what was paid and what a retry would pay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_vidu.exceptions import ViduBudgetError, ViduDownloadError
from airflow_provider_vidu.protocol import batch
from airflow_provider_vidu.protocol.texts import first_few

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.durable.batch_record import BatchRecord
    from airflow_provider_vidu.storage.manifest import Record

NO_RETRY = (
    "No record of the submits survives this try, and a retry would pay again, so Airflow does not retry the task. Find "
    "the accepted tasks in the manifest, in the file beside it, or in the log."
)


def without_video(found: Sequence[Record]) -> str:
    """
    List the first items without a video, with their reasons.

    :param found: the results of a batch's items.
    """
    missed = (record for record in found if record.outcome not in batch.WITH_VIDEO)
    return first_few([f"{record.custom_id}: {record.outcome}: {record.reason}" for record in missed], "; ")


def failure(
    found: Sequence[Record],
    counts: str,
    uri: str,
    *,
    resubmit: bool,
    awaits_budget: bool,
    budget_resets_at: float | None,
) -> AirflowException:
    """
    Return the error of a failed batch, with the result and the cost of a retry.

    :param found: the results of its items.
    :param counts: the number of items of each outcome, as a text.
    :param uri: URI of the manifest.
    :param resubmit: whether a retry resubmits items of unknown outcome.
    :param awaits_budget: whether Airflow's retries wait until the budget resets.
    :param budget_resets_at: epoch seconds at which the budget that stopped the submits resets, ``None`` if unknown.
    :return: the error; ``AirflowFailException`` if no retry can help. Its cause is the spent budget if a retry can help
        nothing before the budget resets.
    """
    missed = [record for record in found if record.outcome not in batch.WITH_VIDEO]
    choices = {"resubmit": resubmit, "awaits_budget": awaits_budget}
    recoverable = [record for record in missed if batch.retry_can_help(record.outcome, record.family, **choices)]
    helped = Counter(record.outcome for record in recoverable)
    paid = sum(count for outcome, count in helped.items() if outcome in batch.PAID_AGAIN)
    retry = (
        f"A retry can recover {helped.total()} of them. It would pay again for {paid} and submit "
        f"{helped[batch.UNSUBMITTED]} for the first time."
        if helped
        else "No retry can recover any of them, so Airflow does not retry the task."
    )
    kind = AirflowException if helped else AirflowFailException
    error = kind(
        f"{len(missed)} of {len(found)} items have no video ({counts}). {retry} See {uri} for all items; the first "
        f"without a video: {without_video(found)}"
    )
    # A paid video's links may expire before the budget resets, so a retry for such a video must not wait for it.
    if helped and all(record.family == batch.BUDGET for record in recoverable):
        error.__cause__ = ViduBudgetError(recoverable[0].reason, resets_at=budget_resets_at)
    return error


@contextmanager
def naming_tasks(records: Iterable[Record], log: Logger) -> Iterator[None]:
    """
    Add the submitted tasks to the error of a store that takes no manifest.

    :param records: the records of the batch.
    :param log: logger for the complete list.
    :raises ViduDownloadError: in place of the store's error.
    """
    try:
        yield
    except ViduDownloadError as error:
        paid = {record.custom_id: record.task_id for record in records if record.task_id}
        if not paid:
            raise
        log.error("Submitted and billed, by custom id: %s", paid)
        first = first_few([f"{name}: {vidu_task_id}" for name, vidu_task_id in paid.items()])
        raise ViduDownloadError(
            f"{error} {len(paid)} Vidu tasks of this batch are submitted and billed: {first}; the log lists all. Fix "
            "the destination, then fetch the videos at no cost: retry or clear this task, or fetch each with "
            "ViduTaskSensor(vidu_task_id=…)."
        ) from error


def paid_by_earlier_tries(memory: BatchRecord, log: Logger) -> str:
    """
    List the paid tasks of earlier tries, for the error of a try that stops.

    :param memory: the record of the batch.
    :param log: logger for the complete list.
    :return: some sentences; an empty text if earlier tries left no tasks.
    """
    paid = {
        name: attempt.vidu_task_id
        for name, attempt in memory.attempts.items()
        if attempt.vidu_task_id and not attempt.delivered
    }
    if not paid:
        return ""
    log.error("Submitted by earlier tries, by custom id: %s", paid)
    first = first_few([f"{name}: {vidu_task_id}" for name, vidu_task_id in paid.items()])
    return (
        f" Earlier tries submitted {len(paid)} Vidu tasks, which are billed: {first}; the log lists all. Fix the batch "
        "and clear the task. It then re-attaches at no cost to the tasks that are ready, and to running ones whose "
        "request has not changed."
    )
