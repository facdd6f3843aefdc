# SPDX-License-Identifier: Apache-2.0
"""
When to ask again, what is a passing fault and when a wait is over.

Every decision is a value and ``now`` is passed in, so that trigger and sensor share one rule and tests need no clock.
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

SUCCESS, FAILED, TIMEOUT, LOST = "success", "failed", "timeout", "lost"
EVENT_WORDS = (SUCCESS, FAILED, TIMEOUT, LOST)

GRACE_SECONDS = 60.0
"""How long after the wait began an unknown task id is taken for a new one."""
CONFIRM_SECONDS = 2.0
"""How soon an answer that would end the wait badly is asked for again; twice as long after each further one."""

PROGRESS_KEY = "vidu_progress"
"""The XCom that :meth:`Watch.news` goes to, for Airflow's UI."""
MOST_NEWS = 3
"""How often a wait has news, so that a server whose status words alternate does not fill the database."""

_SUSPICIOUS = (ViduRequestError, ViduConnectionSettingsError, ViduAuthError, ViduTaskNotFoundError, ViduRefusedError)
"""What ends a wait when it does not pass. All other errors are ridden out to the deadline."""
TIMES_BELIEVED = 4
"""How often in a row it has to come before it is believed: a key may be being rotated, a gateway stumbling."""


_NOTHING: tuple[type, int] = (object, 0)


class Wait(NamedTuple):
    """
    Ask again later.

    :param seconds: how much later.
    :param note: something to warn about, empty for nothing.
    :param confirm: whether the last answer would end the wait if it came again, so that a poke should ask again
        instead of returning.
    """

    seconds: float
    note: str = ""
    confirm: bool = False


class Outcome(NamedTuple):
    """
    How a wait ended.

    :param status: ``success``, ``failed``, ``timeout`` or ``lost``.
    :param message: what happened, with the task id and how to resume.
    :param task: the result of a success, else ``None``.
    """

    status: str
    message: str
    task: dict[str, Any] | None = None

    def event(self) -> dict[str, Any]:
        """Write the payload of a trigger's event: JSON types only."""
        return {"status": self.status, "task": self.task, "message": self.message}

    @classmethod
    def from_event(cls, event: Any) -> Outcome:
        """
        Read the payload of a trigger's event, which has crossed a database.

        :param event: what Airflow handed over.
        :return: the outcome. A key that another version adds is dropped, one that it lacks takes its default.
        :raises ViduEventError: when it is not one that :meth:`event` writes.
        """
        if isinstance(event, dict):
            status, task, message = event.get("status"), event.get("task"), event.get("message")
            result = _result_in(task) if status == SUCCESS else None
            fits = result is not None or (status in EVENT_WORDS and status != SUCCESS and task is None)
            if isinstance(status, str) and fits and isinstance(message, str):
                return cls(status, message, result)
        raise ViduEventError(f"Not an event of a Vidu trigger: {repr(event)[:300]}")


def _result_in(task: Any) -> dict[str, Any] | None:
    """Read a result as ``TaskStatus.result`` writes it; ``None`` if it is no result."""
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
    """Tell the line that waits for a task again without paying again."""
    return f'Wait for it again, at no cost, with ViduTaskSensor(task_id="resume", vidu_task_id="{vidu_task_id}").'


class Watch:
    """
    The wait for one task.

    :param vidu_task_id: the task.
    :param poll_interval: seconds between two requests where nothing is expected.
    :param started_at: epoch seconds at which the wait began.
    :param deadline: epoch seconds at which it ends.
    :param expected_seconds: seconds that the generation typically takes, ``None`` when unknown.
    :param submitted_at: epoch seconds of the submit, ``None`` when unknown; the server's answers correct it.
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
        Say how long to wait before the first request.

        :param now: epoch seconds.
        :param jitter: a random number from 0 to 1 that spreads the requests of tasks submitted together.
        :return: seconds; nothing is asked before a video can be ready. A share of a step where that is past already,
            so that waits after a restart of the triggerer are spread, too.
        """
        ready = 0.0
        if self.expected_seconds is not None:
            ready = schedule.first_ask(self.expected_seconds, jitter) - (now - self.generating_since)
        return max(0.0, min(ready if ready > 0 else jitter * self._step(now, jitter), self.deadline - now))

    def observe(self, now: float, answer: TaskStatus | ViduError, jitter: float = 0.5) -> Wait | Outcome:
        """
        Decide what follows from an answer.

        :param now: epoch seconds.
        :param answer: the status, or the error that came instead of it.
        :param jitter: a random number from 0 to 1 that spreads the requests of tasks submitted together.
        :return: wait and ask again, or the end of the wait.
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
            # Its generation has not begun: whatever time has passed says nothing about when it will be ready.
            self.generating_since = self._pending_at = now
        elif task.submit_time is not None:
            self.generating_since = max(min(task.submit_time, now), self._pending_at)
        match task.state:
            case TaskState.SUCCESS if task.urls:
                return Outcome(SUCCESS, f"Vidu task {self.vidu_task_id} is ready.", task.result())
            case TaskState.SUCCESS:
                return self._suspect(now, TaskStatus, "It succeeded, but the API names no urls.")
            case TaskState.FAILURE:
                request = f", request id {task.request_id}" if task.request_id else ""
                return Outcome(
                    FAILED,
                    f"Vidu task {self.vidu_task_id} ended as {task.word}{request}: {task.reason} Waiting for it again "
                    "cannot help; a new submit is a new, paid generation. Whether failed ones are billed is not "
                    "documented.",
                )
        self._same = _NOTHING
        note = ""
        if task.state is TaskState.UNKNOWN:
            note = self._once(task.word, f"The status word {task.word!r} is not known; waiting goes on.")
        return self._wait(now, self._step(now, jitter), note)

    def _suspect(self, now: float, kind: type, text: str) -> Wait | Outcome:
        count = self._same[1] + 1 if self._same[0] is kind else 1
        self._same = (kind, count)
        if count >= TIMES_BELIEVED:
            return Outcome(
                LOST,
                f"Vidu task {self.vidu_task_id} is out of reach: {text} Its generation is not affected and may be "
                f"billed. Mend the cause first. {how_to_resume(self.vidu_task_id)}",
            )
        wait = self._wait(now, CONFIRM_SECONDS * 2.0 ** (count - 1), self._once(kind.__name__, text))
        return Wait(wait.seconds, wait.note, confirm=True) if isinstance(wait, Wait) else wait

    def _wait(self, now: float, seconds: float, note: str) -> Wait | Outcome:
        if now >= self.deadline:
            return self.timed_out()
        return Wait(min(seconds, self.deadline - now), note)

    def timed_out(self) -> Outcome:
        """
        End the wait because its time is over.

        :return: the outcome, which names the last status word and the last fault.
        """
        last = f"its last status was {self.word}" if self.word else "its status could never be read"
        fault = f" Last fault: {self._last_fault}" if self._faults else ""
        goes_on = ("It" if self.word else "If there is one, it") + " keeps running and will be billed."
        return Outcome(
            TIMEOUT,
            f"Vidu task {self.vidu_task_id} was not ready in time; {last}.{fault} {goes_on} "
            f"{how_to_resume(self.vidu_task_id)}",
        )

    def news(self) -> dict[str, Any] | None:
        """
        Return the wait's progress if the status word has changed since the last report.

        :return: ``task_id``; ``state``, the status word; ``submitted_at``, epoch seconds at which the generation began
            at the earliest; ``expected_seconds``, ``None`` when unknown. ``None`` where there is no new word, or there
            were too many.
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
        # The start of a pending task is unknown.
        return schedule.bounded(step) if self._is_pending else step

    def _once(self, key: str, note: str) -> str:
        if key in self._warned:
            return ""
        self._warned += (key,)
        return note
