# SPDX-License-Identifier: Apache-2.0
"""The trigger that waits for a task."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from importlib import import_module
from math import ceil
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_vidu.exceptions import ViduError
from airflow_provider_vidu.protocol.polling import LOST, Outcome, Wait, Watch, how_to_resume
from airflow_provider_vidu.protocol.response import TaskStatus, transport_error
from airflow_provider_vidu.triggers.metrics import count_poll, count_waits, measure
from airflow_provider_vidu.triggers.progress import forget, report

if TYPE_CHECKING:
    from airflow_provider_vidu.hooks.vidu_async import ViduAsyncHook

__all__ = ["ViduTaskTrigger"]

_HOOK_MODULE = "airflow_provider_vidu.hooks.vidu_async"
TICK_SECONDS = 0.1
LAST_ANSWER_SECONDS = 10.0
"""How long after the deadline the trigger still waits for the last answer."""
WAIT_SECONDS = 2 * 3600.0
"""How long a trigger without a deadline waits."""
DEFER_MARGIN = timedelta(seconds=60)
"""How long after the trigger's own deadline Airflow's timeout comes, so that the trigger's event comes first."""


_WAITING: dict[asyncio.AbstractEventLoop, dict[int, list[asyncio.Future[None]]]] = {}


def until_a_tick(seconds: float) -> asyncio.Future[None]:
    """
    Sleep until the first tick after a time.

    :param seconds: Shortest time to sleep.
    """
    # Waking an idle loop costs as much as sending a request, so all sleepers that are due within a tick wake together.
    # Python's garbage collector visits every waiting object, so a tick has one timer and each sleeper only a future.
    loop = asyncio.get_running_loop()
    if loop not in _WAITING:
        # A future references its loop, so the entries of a closed loop would never be freed.
        for ended in [other for other in _WAITING if other.is_closed()]:
            del _WAITING[ended]
    ticks = _WAITING.setdefault(loop, {})
    tick = ceil((loop.time() + seconds) / TICK_SECONDS)
    if tick not in ticks:
        ticks[tick] = []
        loop.call_at(tick * TICK_SECONDS, _wake, ticks, tick)
    turn = loop.create_future()
    ticks[tick].append(turn)
    return turn


def _wake(ticks: dict[int, list[asyncio.Future[None]]], tick: int) -> None:
    for turn in ticks.pop(tick):
        if not turn.done():
            turn.set_result(None)


def defer_timeout(deadline: float) -> timedelta:
    """
    Compute Airflow's timeout of a trigger, shortly after its own deadline.

    :param deadline: Deadline of the trigger, in epoch seconds.
    """
    return timedelta(seconds=max(0.0, deadline - time.time())) + DEFER_MARGIN


def gave_up(vidu_task_id: str, reason: object) -> str:
    """
    Explain that Airflow itself ended a trigger before any event.

    :param vidu_task_id: Vidu's id of the task.
    :param reason: Airflow's reason.
    """
    return (
        f"The trigger of Vidu task {vidu_task_id} did not end its wait ({reason}); check that a triggerer is running. "
        f"The Vidu task keeps running and is billed. {how_to_resume(vidu_task_id)}"
    )


async def hook_class() -> type[ViduAsyncHook]:
    """Import the hook without blocking the event loop."""
    # Importing an HTTP library takes long enough to block every other trigger of the loop. The module defines the class
    # last, so if the class exists, another trigger's import has finished.
    module = sys.modules.get(_HOOK_MODULE)
    if not hasattr(module, "ViduAsyncHook"):
        module = await asyncio.to_thread(import_module, _HOOK_MODULE)
    return module.ViduAsyncHook  # type: ignore[union-attr, no-any-return]


async def poll(watch: Watch, hook: ViduAsyncHook) -> Wait | Outcome:
    """
    Poll a task once.

    :param watch: The wait for the task.
    :param hook: Hook that sends the request.
    :return: A pause before the next poll, or the end of the wait.
    """
    answer = await _ask(watch, hook)
    count_poll(answer)
    # Read the clock after the answer: a request may have waited long for its turn.
    return watch.observe(time.time(), answer, random.random())  # noqa: S311 - a jitter


async def _ask(watch: Watch, hook: ViduAsyncHook) -> TaskStatus | ViduError:
    try:
        # The library's own timeouts limit single steps of a request; a slowly dripping server can exceed their sum.
        async with asyncio.timeout(max(watch.deadline - time.time(), 0) + LAST_ANSWER_SECONDS):
            return await hook.get_task(watch.vidu_task_id)
    except TimeoutError:
        reason = "the wait's deadline came first: the API is slow, or its rate limit or max_requests_per_minute "
        return transport_error(f"{reason}delays requests", sent=True, vidu_task_id=watch.vidu_task_id)
    except ViduError as error:
        return error


class ViduTaskTrigger(BaseTrigger):
    """
    Poll a task until it ends, and fire exactly one event.

    The event is ``{"status": "success" | "failed" | "timeout" | "lost", "task": {…} | None, "message": str}``.
    The trigger keeps polling through temporary faults until the deadline. Polling is free; the Vidu task cannot be
    cancelled. Meanwhile the XCom ``vidu_progress`` holds the status word, if Airflow can write XComs from a trigger.

    :param vidu_task_id: Vidu's id of the task.
    :param vidu_conn_id: Connection of type ``vidu``, ``vidu_default`` by default.
    :param poll_interval: Seconds between two polls without ``expected_seconds``, 5 by default.
    :param expected_seconds: Typical seconds of the generation, ``None`` (default) when unknown.
    :param submitted_at: Epoch seconds of the earliest possible start of the generation, ``None`` (default) when
        unknown.
    :param deadline: Epoch seconds after which the wait ends with ``timeout``. Wall-clock time, because the trigger may
        resume in another process. ``None`` (default) means two hours after the operator made the trigger.
    """

    def __init__(
        self,
        vidu_task_id: str,
        vidu_conn_id: str = "vidu_default",
        poll_interval: float = 5.0,
        expected_seconds: float | None = None,
        submitted_at: float | None = None,
        deadline: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.vidu_task_id = vidu_task_id
        self.vidu_conn_id = vidu_conn_id
        self.poll_interval = poll_interval
        self.expected_seconds = expected_seconds
        self.submitted_at = submitted_at
        # serialize() stores the deadline, so a restart of the triggerer does not extend the wait.
        self.deadline = time.time() + WAIT_SECONDS if deadline is None else deadline

    @classmethod
    def going_on_with(cls, watch: Watch, vidu_conn_id: str) -> ViduTaskTrigger:
        """
        Make the trigger that continues a worker's wait.

        :param watch: The wait.
        :param vidu_conn_id: Connection of type ``vidu``.
        :return: The trigger.
        """
        return cls(
            vidu_task_id=watch.vidu_task_id,
            vidu_conn_id=vidu_conn_id,
            poll_interval=watch.poll_interval,
            expected_seconds=watch.expected_seconds,
            submitted_at=watch.generating_since,
            deadline=watch.deadline,
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and arguments that recreate this trigger."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "vidu_task_id": self.vidu_task_id,
                "vidu_conn_id": self.vidu_conn_id,
                "poll_interval": self.poll_interval,
                "expected_seconds": self.expected_seconds,
                "submitted_at": self.submitted_at,
                "deadline": self.deadline,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the task and fire one event."""
        measure()
        count_waits(1)
        try:
            outcome = await self._watch()
        except Exception as error:
            # Airflow stores an escaped exception without masking secrets, so the event names only its type.
            self.logger().exception("The wait for Vidu task %s ended with an unexpected error", self.vidu_task_id)
            outcome = Outcome(
                LOST,
                f"The wait for Vidu task {self.vidu_task_id} ended with an unexpected {type(error).__name__}; see the "
                f"triggerer's log. The task keeps running and is billed. {how_to_resume(self.vidu_task_id)}",
            )
        finally:
            count_waits(-1)
            forget(self)
        yield TriggerEvent(outcome.event())  # type: ignore[no-untyped-call]

    async def _watch(self) -> Outcome:
        now = time.time()
        watch = Watch(
            self.vidu_task_id,
            poll_interval=self.poll_interval,
            started_at=now,
            deadline=self.deadline,
            expected_seconds=self.expected_seconds,
            submitted_at=self.submitted_at,
        )
        next_step: Outcome | float = watch.first_ask(now, random.random())  # noqa: S311 - a jitter
        shared = (await hook_class()).shared
        with shared(self.vidu_conn_id) as hook:
            while not isinstance(next_step, Outcome):
                await until_a_tick(next_step)
                next_step = await self._poll(watch, hook)
        return next_step

    async def _poll(self, watch: Watch, hook: ViduAsyncHook) -> Outcome | float:
        word = watch.word
        verdict = await poll(watch, hook)
        if isinstance(verdict, Outcome):
            return verdict
        if verdict.note:
            self.logger().warning("Vidu task %s: %s", self.vidu_task_id, verdict.note)
        if watch.word != word:
            self.logger().info("Vidu task %s is %s", self.vidu_task_id, watch.word)
        if news := watch.news():
            report(self, news)
        return verdict.seconds

    async def on_kill(self) -> None:
        """
        Log that the task keeps running, because the API has no cancel call.

        Airflow 3.3 and newer call this.
        """
        self.logger().warning(
            "The wait for Vidu task %s was killed. The task cannot be cancelled: it keeps running and is billed. %s",
            self.vidu_task_id,
            how_to_resume(self.vidu_task_id),
        )
