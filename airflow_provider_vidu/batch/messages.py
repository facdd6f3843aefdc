# SPDX-License-Identifier: Apache-2.0
"""What a batch that goes no further tells of what is paid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_vidu.protocol import batch
from airflow_provider_vidu.protocol.polling import SUCCESS
from airflow_provider_vidu.protocol.texts import few

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.durable.batch_record import BatchRecord
    from airflow_provider_vidu.storage.manifest import Record


def without_video(found: Sequence[Record]) -> str:
    """
    Name the first items that have no video, and why.

    :param found: what became of a batch's items.
    """
    missed = (record for record in found if record.outcome != SUCCESS)
    return few([f"{record.custom_id}: {record.outcome}: {record.reason}" for record in missed], "; ")


def failure(found: Sequence[Record], told: str, uri: str, *, resubmit: bool) -> AirflowException:
    """
    Say why a batch failed, and what a retry would do and pay.

    :param found: what became of its items.
    :param told: how many came to what, in words.
    :param uri: of the manifest.
    :param resubmit: whether what is uncertain is submitted again.
    :return: the error, ``AirflowFailException`` where no retry can help.
    """
    missed = [record for record in found if record.outcome != SUCCESS]
    helped = Counter(
        record.outcome for record in missed if batch.retry_can_help(record.outcome, record.family, resubmit=resubmit)
    )
    paid = sum(count for outcome, count in helped.items() if outcome in batch.PAID_ANEW)
    retry = (
        f"A retry can help {helped.total()} of them, and submits and pays {paid} anew"
        f" and {helped[batch.UNSUBMITTED]} for the first time."
        if helped
        else "No retry can help any of them, so Airflow does not make one."
    )
    kind = AirflowException if helped else AirflowFailException
    return kind(
        f"{len(missed)} of {len(found)} items have no video ({told}). {retry} {uri} tells of all: "
        f"{without_video(found)}"
    )


def paid_by_earlier_tries(memory: BatchRecord, log: Logger) -> str:
    """
    Say what earlier tries have paid for, where a try goes no further.

    :param memory: what they left.
    :param log: where all of it is told.
    :return: some sentences, empty where they left nothing.
    """
    paid = {
        name: attempt.vidu_task_id
        for name, attempt in memory.attempts.items()
        if attempt.vidu_task_id and not attempt.delivered
    }
    if not paid:
        return ""
    log.error("Submitted by earlier tries, by custom id: %s", paid)
    first = few([f"{name}: {vidu_task_id}" for name, vidu_task_id in paid.items()])
    return (
        f" Earlier tries have submitted {len(paid)} Vidu tasks, which are billed: {first}; the log names all. Once the "
        "batch is mended, clear the task: what is ready, or runs on and is asked for as it was, it takes up under the "
        "same custom id, at no cost. Or fetch each with ViduTaskSensor(vidu_task_id=…)."
    )
