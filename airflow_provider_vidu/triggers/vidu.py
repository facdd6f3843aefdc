# SPDX-License-Identifier: Apache-2.0
"""The wait for a task, in the triggerer."""

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
from airflow_provider_vidu.triggers.progress import forget, tell

if TYPE_CHECKING:
    from airflow_provider_vidu.hooks.vidu_async import ViduAsyncHook

_HOOK_MODULE = "airflow_provider_vidu.hooks.vidu_async"
TICK_SECONDS = 0.1
LAST_ANSWER_SECONDS = 10.0
"""How long after the deadline the last answer may come."""
DEFER_MARGIN = timedelta(seconds=60)
"""How long after the trigger's own deadline Airflow gives it up, so that its clean event comes first."""


_WAITING: dict[asyncio.AbstractEventLoop, dict[int, list[asyncio.Future[None]]]] = {}


def until_a_tick(seconds: float) -> asyncio.Future[None]:
    """
    Sleep until a tick.

    :param seconds: how long at least.
    """
    # To wake an idle loop costs as much as to send a request, so those that are due within a tick go together. And what
    # waits is what Python's collector walks through again and again: one timer for all of a tick, one future for each.
    loop = asyncio.get_running_loop()
    if loop not in _WAITING:
        # A future holds its loop, so what a loop that has ended left behind would stay for ever.
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
    Say when Airflow itself gives a trigger up: a little after the trigger's own deadline.

    :param deadline: of the trigger, in epoch seconds.
    """
    return timedelta(seconds=max(0.0, deadline - time.time())) + DEFER_MARGIN


def gave_up(vidu_task_id: str, reason: object) -> str:
    """
    Say what it means that Airflow itself gave a trigger up, since no event came.

    :param vidu_task_id: Vidu's id of the task.
    :param reason: what Airflow says.
    """
    return (
        f"The trigger of Vidu task {vidu_task_id} did not end its wait ({reason}); is a triggerer running? The task "
        f"keeps running and will be billed. {how_to_resume(vidu_task_id)}"
    )


async def hook_class() -> type[ViduAsyncHook]:
    """Import the hook without holding up the event loop."""
    # Importing an HTTP library takes long enough to hold up every other trigger of the loop. The class is the last
    # that its module defines, so that where it is there, another trigger's import has ended.
    module = sys.modules.get(_HOOK_MODULE)
    if not hasattr(module, "ViduAsyncHook"):
        module = await asyncio.to_thread(import_module, _HOOK_MODULE)
    return module.ViduAsyncHook  # type: ignore[union-attr, no-any-return]


async def poll(watch: Watch, hook: ViduAsyncHook) -> Wait | Outcome:
    """
    Ask for a task's status once.

    :param watch: the wait for the task.
    :param hook: the hook to ask through.
    :return: wait and ask again, or the end of the wait.
    """
    answer = await _ask(watch, hook)
    # Only now: a request may have waited long for its turn.
    return watch.observe(time.time(), answer, random.random())  # noqa: S311 - a jitter


async def _ask(watch: Watch, hook: ViduAsyncHook) -> TaskStatus | ViduError:
    try:
        # The library's own time-outs bound each step of a request; a server that drips can outlast them all.
        async with asyncio.timeout(max(watch.deadline - time.time(), 0) + LAST_ANSWER_SECONDS):
            return await hook.get_task(watch.vidu_task_id)
    except TimeoutError:
        reason = "the wait's deadline came first: the API is slow, or its rate limit or max_requests_per_minute "
        return transport_error(f"{reason}holds requests back", sent=True, vidu_task_id=watch.vidu_task_id)
    except ViduError as error:
        return error


class ViduTaskTrigger(BaseTrigger):
    """
    Ask for a task's status until it ends, and fire exactly one event.

    The event is ``{"status": "success" | "failed" | "timeout" | "lost", "task": {…} | None, "message": str}``.
    Passing faults are ridden out to the deadline. Asking is free; the task itself cannot be cancelled. Meanwhile the
    XCom ``vidu_progress`` tells the status word, on Airflow that can write it from a trigger.

    :param vidu_task_id: Vidu's id of the task.
    :param vidu_conn_id: connection of type ``vidu``.
    :param poll_interval: seconds between two requests where nothing is expected.
    :param expected_seconds: seconds that the generation typically takes, ``None`` when unknown.
    :param submitted_at: epoch seconds at which the generation began at the earliest, ``None`` when unknown.
    :param deadline: epoch seconds after which the wait ends with ``timeout``. Wall-clock, because the trigger may
        go on in another process.
    """

    def __init__(
        self,
        vidu_task_id: str,
        vidu_conn_id: str,
        poll_interval: float,
        expected_seconds: float | None,
        submitted_at: float | None,
        deadline: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.vidu_task_id = vidu_task_id
        self.vidu_conn_id = vidu_conn_id
        self.poll_interval = poll_interval
        self.expected_seconds = expected_seconds
        self.submitted_at = submitted_at
        self.deadline = deadline

    @classmethod
    def going_on_with(cls, watch: Watch, vidu_conn_id: str) -> ViduTaskTrigger:
        """
        Take a wait over from a worker.

        :param watch: the wait.
        :param vidu_conn_id: connection of type ``vidu``.
        :return: the trigger that goes on with it.
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
        """Tell Airflow how to make this trigger again in another process."""
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
        """Wait, and fire the one event."""
        try:
            outcome = await self._watch()
        except Exception as error:
            # Airflow stores an escaped exception unmasked, so only its type leaves in the event.
            self.logger().exception("The wait for Vidu task %s broke", self.vidu_task_id)
            outcome = Outcome(
                LOST,
                f"The wait for Vidu task {self.vidu_task_id} broke with {type(error).__name__}; the triggerer's log "
                f"tells more. The task keeps running and will be billed. {how_to_resume(self.vidu_task_id)}",
            )
        finally:
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
                next_step = await self._look(watch, hook)
        return next_step

    async def _look(self, watch: Watch, hook: ViduAsyncHook) -> Outcome | float:
        word = watch.word
        verdict = await poll(watch, hook)
        if isinstance(verdict, Outcome):
            return verdict
        if verdict.note:
            self.logger().warning("Vidu task %s: %s", self.vidu_task_id, verdict.note)
        if watch.word != word:
            self.logger().info("Vidu task %s is %s", self.vidu_task_id, watch.word)
        if news := watch.news():
            tell(self, news)
        return verdict.seconds

    async def on_kill(self) -> None:
        """Tell that the task goes on: the API has no cancel call (Airflow 3.3+ calls this)."""
        self.logger().warning(
            "The wait for Vidu task %s was killed. The task itself cannot be cancelled: it keeps running and will be "
            "billed. %s",
            self.vidu_task_id,
            how_to_resume(self.vidu_task_id),
        )
