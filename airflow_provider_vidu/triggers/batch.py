# SPDX-License-Identifier: Apache-2.0
"""The trigger that waits for many tasks."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_vidu.protocol.batch import WITH_VIDEO, BatchEvent, progress_line, waited_for
from airflow_provider_vidu.protocol.polling import LOST, SUCCESS, TIMEOUT, Outcome, Watch
from airflow_provider_vidu.triggers.metrics import count_waits, measure
from airflow_provider_vidu.triggers.progress import forget, report
from airflow_provider_vidu.triggers.vidu import WAIT_SECONDS, hook_class, poll, until_a_tick

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.hooks.vidu_async import ViduAsyncHook

__all__ = ["Group", "ViduBatchTrigger"]

PROGRESS_SECONDS = 10.0
"""Shortest time between two progress lines in the log, unless another tenth is done."""

_VERSION = 2
"""Version of a stored group. Release 0.1.0 stored no version: a list of the same values."""


class Group(NamedTuple):
    """
    Hold tasks with the same typical time and cost.

    :param expected_seconds: Typical seconds of the generation, ``None`` when unknown.
    :param estimated_cost: CNY of each task, ``None`` when unknown.
    :param vidu_task_ids: Vidu's ids of the tasks.
    """

    expected_seconds: float | None
    estimated_cost: float | None
    vidu_task_ids: list[str]


def _group(stored: Any) -> Group:
    if isinstance(stored, Mapping):
        return Group(stored.get("expected_seconds"), stored.get("estimated_cost"), list(stored["vidu_task_ids"]))
    return Group(*stored)


class Progress:
    """
    Count ended tasks by status, and log the progress now and then.

    :param total: Number of tasks.
    :param say: Logs a line, called like a logger's ``info``.
    :param word: Word for a task that ended, in the logged line.
    """

    def __init__(self, total: int, say: Callable[..., object], word: str = "done") -> None:
        self.counts: Counter[str] = Counter()
        self._total, self._say, self._word = total, say, word
        self._cost: float | None = 0.0
        self._tenth, self._said_at = 0, time.monotonic()

    def add(self, status: str, cost: float | None) -> bool:
        """
        Count one task.

        :param status: How the task ended.
        :param cost: Estimate in CNY of all submits for it, ``None`` when unknown.
        :return: Whether another tenth of the tasks has ended.
        """
        self.counts[status] += 1
        self._cost = None if self._cost is None or cost is None else self._cost + cost
        done, now = self.counts.total(), time.monotonic()
        tenth = done * 10 // self._total
        is_another = tenth > self._tenth
        if is_another or now - self._said_at >= PROGRESS_SECONDS:
            self._tenth, self._said_at = tenth, now
            made = sum(self.counts[outcome] for outcome in WITH_VIDEO)
            self._say("%s", progress_line(done, self._total, done - made, self._cost, self._word))
        return is_another


class ViduBatchTrigger(BaseTrigger):
    """
    Poll many tasks until all or enough have ended, and fire exactly one event.

    The event is ``{"status": "success" | "timeout" | "lost", "counts": {…}, "message": str}``. It counts the tasks by
    how they ended, and holds no results; the resumed operator polls the tasks for those. The trigger keeps polling
    through temporary faults until the deadline. Polling is free; the Vidu tasks cannot be cancelled. Meanwhile the
    XCom ``vidu_progress`` counts the tasks that have ended, if Airflow can write XComs from a trigger.

    :param groups: Each a ``Group``, or the form in which ``serialize`` or release 0.1.0 stored one.
    :param vidu_conn_id: Connection of type ``vidu``, ``vidu_default`` by default.
    :param poll_interval: Seconds between two polls of a task without a typical time, 5 by default.
    :param submitted_at: Epoch seconds of the first submit, ``None`` (default) when unknown.
    :param deadline: Epoch seconds after which the wait ends with ``timeout``. Wall-clock time, because the trigger may
        resume in another process. ``None`` (default) means two hours after the operator made the trigger.
    :param enough: Number of tasks that must have ended before the event, ``None`` (default) for all.
    """

    def __init__(
        self,
        groups: Iterable[Any],
        vidu_conn_id: str = "vidu_default",
        poll_interval: float = 5.0,
        submitted_at: float | None = None,
        deadline: float | None = None,
        enough: int | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.groups = [_group(one) for one in groups]
        self.vidu_conn_id = vidu_conn_id
        self.poll_interval = poll_interval
        self.submitted_at = submitted_at
        self.deadline = time.time() + WAIT_SECONDS if deadline is None else deadline
        self.enough = enough

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and arguments that recreate this trigger."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "groups": [{"version": _VERSION, **group._asdict()} for group in self.groups],
                "vidu_conn_id": self.vidu_conn_id,
                "poll_interval": self.poll_interval,
                "submitted_at": self.submitted_at,
                "deadline": self.deadline,
                # Versions without this argument can read a trigger that waits for all.
                **({} if self.enough is None else {"enough": self.enough}),
            },
        )

    @property
    def _total(self) -> int:
        return sum(len(group.vidu_task_ids) for group in self.groups)

    def _new_watch(self, vidu_task_id: str, expected_seconds: float | None) -> Watch:
        return Watch(
            vidu_task_id,
            poll_interval=self.poll_interval,
            started_at=time.time(),
            deadline=self.deadline,
            expected_seconds=expected_seconds,
            submitted_at=self.submitted_at,
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the tasks and fire one event."""
        log = self.logger()
        measure()
        try:
            with (await hook_class()).shared(self.vidu_conn_id) as hook:
                outcome = await self.wait(hook, log)
        except Exception as error:
            # Airflow stores an escaped exception without masking secrets, so the event names only its type.
            log.exception("The wait for a batch of Vidu tasks ended with an unexpected error")
            outcome = BatchEvent(
                LOST,
                {},
                f"The wait for {self._total} Vidu tasks ended with an unexpected {type(error).__name__}. The tasks "
                "keep running and are billed. See the triggerer's log.",
            )
        finally:
            forget(self)
        yield TriggerEvent(outcome.event())  # type: ignore[no-untyped-call]

    async def wait(self, hook: ViduAsyncHook, log: Logger) -> BatchEvent:
        """
        Wait for the tasks concurrently.

        :param hook: Hook that sends the requests and limits how many run at once.
        :param log: Logger for the progress.
        :return: How the wait ended.
        """
        log.info("Waiting for %d Vidu tasks", self._total)
        progress, warned = Progress(self._total, log.info), set[str]()
        enough = self._total if self.enough is None else self.enough
        waits: list[asyncio.Task[None]] = []

        async def wait_for(vidu_task_id: str, expected_seconds: float | None, cost: float | None) -> None:
            count_waits(1)
            try:
                watch = self._new_watch(vidu_task_id, expected_seconds)
                step = watch.first_ask(time.time(), random.random())  # noqa: S311 - a jitter
                while True:
                    await until_a_tick(step)
                    verdict = await poll(watch, hook)
                    if isinstance(verdict, Outcome):
                        is_another_tenth = progress.add(verdict.status, cost)
                        if progress.counts.total() >= enough:
                            for one in waits:
                                one.cancel()
                        elif is_another_tenth:
                            # At most ten XComs for each wait, and none that a poll causes.
                            report(self, waited_for(self._total, progress.counts))
                        return
                    kind = type(watch.last_answer).__name__ + watch.word
                    if verdict.note and kind not in warned:
                        # A fault of one task usually affects all, so it is logged once.
                        warned.add(kind)
                        log.warning("Vidu task %s, and perhaps others: %s", vidu_task_id, verdict.note)
                    step = verdict.seconds
            finally:
                count_waits(-1)

        async with asyncio.TaskGroup() as group:
            for expected_seconds, cost, vidu_task_ids in self.groups:
                for vidu_task_id in vidu_task_ids:
                    waits.append(group.create_task(wait_for(vidu_task_id, expected_seconds, cost)))
        counts = progress.counts
        status = next((word for word in (LOST, TIMEOUT) if counts[word]), SUCCESS)
        totals = ", ".join(f"{count} {word}" for word, count in counts.items())
        ended = f"{counts.total()} of {self._total}" if counts.total() < self._total else str(self._total)
        return BatchEvent(status, counts, f"The wait for {ended} Vidu tasks ended: {totals}.")

    async def on_kill(self) -> None:
        """
        Log that the tasks keep running, because the API has no cancel call.

        Airflow 3.3 and newer call this.
        """
        self.logger().warning(
            "The wait for %d Vidu tasks was killed. The tasks cannot be cancelled: unfinished ones keep running and "
            "are billed. Retry or clear the Airflow task to re-attach to them: %s",
            self._total,
            [vidu_task_id for group in self.groups for vidu_task_id in group.vidu_task_ids],
        )
