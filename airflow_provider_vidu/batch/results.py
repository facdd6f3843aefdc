# SPDX-License-Identifier: Apache-2.0
"""The second visit of a batch to a worker: one poll of each task, and storing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_vidu.exceptions import ViduError
from airflow_provider_vidu.protocol.batch import NOT_STORED, REUSED, SUBMITTED
from airflow_provider_vidu.protocol.polling import FAILED, LOST, SUCCESS, TIMEOUT, Outcome, Watch, how_to_resume
from airflow_provider_vidu.protocol.response import TaskState, TaskStatus
from airflow_provider_vidu.protocol.result_urls import no_urls
from airflow_provider_vidu.storage.manifest import Record
from airflow_provider_vidu.triggers.batch import Progress
from airflow_provider_vidu.triggers.vidu import poll

if TYPE_CHECKING:
    from airflow_provider_vidu.hooks.vidu_async import ViduAsyncHook
    from airflow_provider_vidu.storage.video_store import VideoStore

POLL_SECONDS, POLL_SECONDS_EACH = 300.0, 2.0
"""Time limit of retries after faults when each task is polled once: a base, plus a share for each task."""


class LastAnswer(NamedTuple):
    """
    The API's last answer about a task.

    :param status: the status of the task, or the error in its place.
    :param believed: whether the answer ends a wait.
    """

    status: TaskStatus | ViduError | None
    believed: bool


NOT_POLLED = LastAnswer(None, False)


async def poll_all(
    hook: ViduAsyncHook, started_at: Mapping[str, float], patience: float = POLL_SECONDS
) -> dict[str, LastAnswer]:
    """
    Poll many tasks once each, and again only after a fault or a suspicious answer.

    :param hook: the hook that sends the requests and limits their concurrency.
    :param started_at: start of each task in epoch seconds, by Vidu's id.
    :param patience: seconds for which faults are ridden out, besides those for each task.
    :return: the answers, by Vidu's id.
    """
    deadline = time.time() + patience + POLL_SECONDS_EACH * len(started_at)

    async def ask(vidu_task_id: str, since: float) -> LastAnswer:
        watch = Watch(vidu_task_id, poll_interval=1, started_at=since, deadline=deadline)
        while True:
            verdict = await poll(watch, hook)
            if isinstance(verdict, Outcome):
                # The deadline is that of this poll, so reaching it says nothing about the task.
                return LastAnswer(watch.last_answer, verdict.status != TIMEOUT)
            if isinstance(watch.last_answer, TaskStatus) and watch.last_answer.state is not TaskState.SUCCESS:
                return LastAnswer(watch.last_answer, False)
            await asyncio.sleep(verdict.seconds)

    answers = await asyncio.gather(*(ask(vidu_task_id, since) for vidu_task_id, since in started_at.items()))
    return dict(zip(started_at, answers, strict=True))


def without_a_video(record: Record, answer: TaskStatus | ViduError | None) -> Record:
    """
    Return the record of a task without a video.

    :param record: record of the item.
    :param answer: the API's last answer about its task.
    """
    if isinstance(answer, TaskStatus) and answer.state is TaskState.FAILURE:
        return record._replace(outcome=FAILED, reason=answer.reason, family=answer.family.value)
    if isinstance(answer, TaskStatus) and answer.state is not TaskState.SUCCESS:
        why = f"Its status was {answer.word} when the wait ended. It keeps running and is billed."
        return record._replace(outcome=TIMEOUT, reason=f"{why} {how_to_resume(record.task_id)}")
    if isinstance(answer, TaskStatus):
        why = no_urls(answer.task_id, answer.odd_urls)
    else:
        why = str(answer or "No poll returned its status.")
    return record._replace(outcome=LOST, reason=f"{why} {how_to_resume(record.task_id)}")


def collect(
    records: Sequence[Record],
    answers: Mapping[str, LastAnswer],
    store: VideoStore,
    say: Callable[..., object],
) -> list[Record]:
    """
    Store the videos that are ready, and set the outcome of every item.

    :param records: the records of the items; only those that are ``submitted`` and have an answer change.
    :param answers: the API's answers about their tasks, by Vidu's id.
    :param store: the store of the videos.
    :param say: a logger's ``info`` method.
    :return: the records with their outcomes, in the same order.
    """
    found, ready = list(records), []
    for index, record in enumerate(records):
        if record.outcome != SUBMITTED or record.task_id not in answers:
            continue
        status = answers[record.task_id].status
        if isinstance(status, TaskStatus) and status.state is TaskState.SUCCESS and status.urls:
            # The outcome until the video is stored.
            found[index] = record._replace(outcome=NOT_STORED, video_seconds=status.video_seconds)
            ready.append((status.result(), record.custom_id, index))
        else:
            found[index] = without_a_video(record, status)
    progress = Progress(len(ready), say, "stored")
    for index, files in _stored(store, ready):
        if isinstance(files, ViduError):
            found[index] = found[index]._replace(reason=str(files))
        else:
            outcome = REUSED if found[index].reused_from else SUCCESS
            found[index] = found[index]._replace(outcome=outcome, files=tuple(files))
        progress.add(found[index].outcome, found[index].estimated_cost)
    return found


def _stored(
    store: VideoStore, ready: Sequence[tuple[Mapping[str, object], str, int]]
) -> Iterable[tuple[int, list[str] | ViduError]]:
    left = {index for _, _, index in ready}
    try:
        for index, files in store.store_all(ready):
            left.discard(index)
            yield index, files
    except ViduError as error:
        # The connection is missing or wrong, so nothing more can be stored.
        for index in sorted(left):
            yield index, error
