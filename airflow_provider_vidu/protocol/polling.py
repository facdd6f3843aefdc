# SPDX-License-Identifier: Apache-2.0
"""
Rules of a wait: the next poll, temporary faults, and the end of the wait.

Every decision is a value, and callers pass ``now``. So trigger and sensor share one rule, and tests need no clock.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from airflow_provider_vidu.exceptions import (
    ViduAuthError,
    ViduConnectionSettingsError,
    ViduError,
    ViduEventError,
    ViduRefusedError,
    ViduRequestError,
    ViduTaskNotFoundError,
)
from airflow_provider_vidu.protocol import pauses, schedule
from airflow_provider_vidu.protocol.response import TaskState, TaskStatus
from airflow_provider_vidu.protocol.result_urls import no_urls
from airflow_provider_vidu.protocol.texts import without_secrets

SUCCESS, FAILED, TIMEOUT, LOST = "success", "failed", "timeout", "lost"
EVENT_WORDS = (SUCCESS, FAILED, TIMEOUT, LOST)

GRACE_SECONDS = 60.0
"""Seconds from the start of a wait in which a new task may still be unknown."""
CONFIRM_SECONDS = 2.0
"""Seconds until the poll that confirms a bad answer, doubled each time."""

PROGRESS_KEY = "vidu_progress"
"""Key of the XCom that holds :meth:`Watch.news`, for Airflow's UI."""
MOST_NEWS = 3
"""Limit on progress reports of a wait, because status words may alternate."""

_SUSPICIOUS = (ViduRequestError, ViduConnectionSettingsError, ViduAuthError, ViduTaskNotFoundError, ViduRefusedError)
"""Errors that end a wait if they persist; after others, polling continues."""
TIMES_BELIEVED = 4
"""
Number of such errors in a row that end a wait.

Fewer may be temporary, such as during a key rotation or a fault of a gateway.
"""


_NOTHING: tuple[type, int] = (object, 0)


class Wait(NamedTuple):
    """
    Decision to poll again later.

    :param seconds: Seconds until the next poll.
    :param note: Warning to log, empty (default) for none.
    :param confirm: Whether the last answer would end the wait if it persists. A poke should then poll again instead of
        returning. ``False`` by default.
    """

    seconds: float
    note: str = ""
    confirm: bool = False


class Outcome(NamedTuple):
    """
    End of a wait.

    :param status: ``success``, ``failed``, ``timeout`` or ``lost``.
    :param message: Text for people, with the task id and the way to resume.
    :param task: The result of a success, otherwise ``None``.
    """

    status: str
    message: str
    task: dict[str, Any] | None = None

    def event(self) -> dict[str, Any]:
        """Return the payload of a trigger's event: JSON types only."""
        return {"status": self.status, "task": self.task, "message": self.message}

    @classmethod
    def from_event(cls, event: Any) -> Outcome:
        """
        Read the payload of a trigger's event.

        The event was stored in a database, perhaps by another version. A key that this version does not know is
        ignored, and a missing key gets its default.

        :param event: Event that Airflow passed.
        :return: The outcome.
        :raises ViduEventError: If :meth:`event` does not write such a payload.
        """
        if isinstance(event, dict):
            status, task, message = event.get("status"), event.get("task"), event.get("message")
            result = _result_in(task) if status == SUCCESS else None
            fits = result is not None or (status in EVENT_WORDS and status != SUCCESS and task is None)
            if isinstance(status, str) and fits and isinstance(message, str):
                return cls(status, message, result)
        raise ViduEventError(f"The event must come from a Vidu trigger, got {without_secrets(repr(event)[:300])}")


def _result_in(task: Any) -> dict[str, Any] | None:
    """
    Read a result as ``TaskStatus.result`` returns it.

    Anything else becomes ``None``.
    """
    if not isinstance(task, dict) or "task_id" not in task:
        return None
    result = {name: task.get(name, default) for name, default in TaskStatus("", "").result().items()}
    texts, urls = (result["task_id"], result["request_id"]), result["urls"]
    numbers = (result[name] for name in ("video_seconds", "submit_time", "finish_time", "expires_at"))
    fits = (
        isinstance(urls, list)
        and bool(urls)
        and all(isinstance(text, str) for text in (*texts, *urls))
        and all(number is None or isinstance(number, (int, float)) for number in numbers)
    )
    return result if fits else None


def how_to_resume(vidu_task_id: str) -> str:
    """
    Write the sentence that says how to resume the wait for a task.

    :param vidu_task_id: Vidu's id of the task.
    """
    return f'Resume the wait at no cost with ViduTaskSensor(task_id="resume", vidu_task_id="{vidu_task_id}").'


class Watch:
    """
    The wait for one task.

    :param vidu_task_id: Vidu's id of the task.
    :param poll_interval: Seconds between two polls without ``expected_seconds``.
    :param started_at: Epoch seconds of the start of the wait.
    :param deadline: Epoch seconds of the end of the wait.
    :param expected_seconds: Typical seconds of the generation, ``None`` (default) when unknown.
    :param submitted_at: Epoch seconds of the submit, ``None`` (default) when unknown. The server's answers correct it.
    """

    def __init__(
        self,
        vidu_task_id: str,
        *,
        poll_interval: float,
        started_at: float,
        deadline: float,
        expected_seconds: float | None = None,
        submitted_at: float | None = None,
    ) -> None:
        self.vidu_task_id = vidu_task_id
        self.poll_interval = poll_interval
        self.started_at = started_at
        self.deadline = deadline
        self.expected_seconds = expected_seconds
        self.generating_since = started_at if submitted_at is None else submitted_at
        self._pending_at, self._is_pending = float("-inf"), False
        self.word = self._reported = ""
        self._news = 0
        self.last_answer: TaskStatus | ViduError | None = None
        self._faults = 0
        self._same = _NOTHING
        self._warned: tuple[str, ...] = ()
        self._last_fault = ""

    def first_ask(self, now: float, jitter: float) -> float:
        """
        Compute the pause before the first poll.

        The first poll comes when a video can be ready. If that time has passed or is unknown, the pause is a random
        share of a step. This also spreads the waits that resume after a restart of the triggerer.

        :param now: Epoch seconds.
        :param jitter: Random number from 0 to 1 that spreads the polls of tasks submitted together.
        :return: Seconds.
        """
        ready = 0.0
        if self.expected_seconds is not None:
            ready = schedule.first_ask(self.expected_seconds, jitter) - (now - self.generating_since)
        return max(0.0, min(ready if ready > 0 else jitter * self._step(now, jitter), self.deadline - now))

    def observe(self, now: float, answer: TaskStatus | ViduError, jitter: float = 0.5) -> Wait | Outcome:
        """
        Decide how the wait continues after an answer.

        :param now: Epoch seconds.
        :param answer: The status, or the error in its place.
        :param jitter: Random number from 0 to 1 that spreads the polls of tasks submitted together; 0.5 by default.
        :return: A pause before the next poll, or the end of the wait.
        """
        self.last_answer = answer
        if isinstance(answer, TaskStatus):
            return self._observe_status(now, answer, jitter)
        self._faults += 1
        self._last_fault = str(answer)
        in_grace = isinstance(answer, ViduTaskNotFoundError) and now - self.started_at < GRACE_SECONDS
        kind = next((kind for kind in _SUSPICIOUS if isinstance(answer, kind)), None)
        if kind is not None and not in_grace:
            return self._suspect(now, kind, str(answer))
        self._same = _NOTHING
        backoff = schedule.bounded(schedule.spread(pauses.FAULT_SECONDS * 2.0 ** min(self._faults - 1, 3), jitter))
        retry_after = min(getattr(answer, "retry_after", None) or 0.0, pauses.LONGEST_RETRY_AFTER)
        return self._wait(
            now, max(self._step(now, jitter), backoff, retry_after), self._once(type(answer).__name__, str(answer))
        )

    def _observe_status(self, now: float, task: TaskStatus, jitter: float) -> Wait | Outcome:
        self._faults, self.word, self._is_pending = 0, task.word, task.state is TaskState.PENDING
        if task.state is TaskState.PENDING:
            # The generation has not begun, so the passed time says nothing about when the video will be ready.
            self.generating_since = self._pending_at = now
        elif task.submit_time is not None:
            self.generating_since = max(min(task.submit_time, now), self._pending_at)
        match task.state:
            case TaskState.SUCCESS if task.urls:
                return Outcome(SUCCESS, f"Vidu task {self.vidu_task_id} is ready.", task.result())
            case TaskState.SUCCESS:
                return self._suspect(now, TaskStatus, no_urls(task.task_id, task.odd_urls))
            case TaskState.FAILURE:
                request = f", request id {task.request_id}" if task.request_id else ""
                return Outcome(
                    FAILED,
                    f"Vidu task {self.vidu_task_id} ended as {task.word}{request}: {task.reason} "
                    "Resubmitting pays for a new generation; the API does not document whether it bills failed ones.",
                )
        self._same = _NOTHING
        note = ""
        if task.state is TaskState.UNKNOWN:
            note = self._once(
                task.word, f"This version does not know the status word {task.word!r}; polling continues."
            )
        return self._wait(now, self._step(now, jitter), note)

    def _suspect(self, now: float, kind: type, text: str) -> Wait | Outcome:
        count = self._same[1] + 1 if self._same[0] is kind else 1
        self._same = (kind, count)
        if count >= TIMES_BELIEVED:
            return Outcome(
                LOST,
                f"Lost contact with Vidu task {self.vidu_task_id}: {text} The generation may continue and is billed if "
                f"the API accepted it. Fix the cause first. {how_to_resume(self.vidu_task_id)}",
            )
        wait = self._wait(now, CONFIRM_SECONDS * 2.0 ** (count - 1), self._once(kind.__name__, text))
        return Wait(wait.seconds, wait.note, confirm=True) if isinstance(wait, Wait) else wait

    def _wait(self, now: float, seconds: float, note: str) -> Wait | Outcome:
        if now >= self.deadline:
            return self.timed_out()
        return Wait(min(seconds, self.deadline - now), note)

    def timed_out(self) -> Outcome:
        """
        End the wait at its deadline.

        :return: The outcome, whose message holds the last status word and the last error.
        """
        last = f"its last status was {self.word}" if self.word else "no poll returned its status"
        fault = f" Last error: {self._last_fault}" if self._faults else ""
        goes_on = ("It" if self.word else "If it exists, it") + " keeps running and is billed."
        return Outcome(
            TIMEOUT,
            f"Vidu task {self.vidu_task_id} was not ready in time; {last}.{fault} {goes_on} "
            f"{how_to_resume(self.vidu_task_id)}",
        )

    def news(self) -> dict[str, Any] | None:
        """
        Return the progress if the status word has changed since the last report.

        :return: ``task_id``; ``state``, the status word; ``submitted_at``, epoch seconds of the earliest possible start
            of the generation; ``expected_seconds``, ``None`` when unknown. The whole is ``None`` without a new word, or
            after ``MOST_NEWS`` reports.
        """
        if self.word == self._reported or self._news == MOST_NEWS:
            return None
        self._reported, self._news = self.word, self._news + 1
        return {
            "task_id": self.vidu_task_id,
            "state": self.word,
            "submitted_at": self.generating_since,
            "expected_seconds": self.expected_seconds,
        }

    def _step(self, now: float, jitter: float) -> float:
        if self.expected_seconds is None:
            return schedule.spread(self.poll_interval, jitter)
        step = schedule.next_ask(self.expected_seconds, now - self.generating_since, jitter)
        # The start of a pending generation is unknown.
        return schedule.bounded(step) if self._is_pending else step

    def _once(self, key: str, note: str) -> str:
        if key in self._warned:
            return ""
        self._warned += (key,)
        return note
