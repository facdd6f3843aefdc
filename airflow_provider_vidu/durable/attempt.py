# SPDX-License-Identifier: Apache-2.0
"""What one try of a submit leaves to the next, so that no crash and no retry pays for a video twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NamedTuple

from airflow_provider_vidu.exceptions import ViduError, ViduTaskNotFoundError
from airflow_provider_vidu.protocol import batch
from airflow_provider_vidu.protocol.errors import UNCERTAIN
from airflow_provider_vidu.protocol.polling import FAILED, LOST, how_to_resume
from airflow_provider_vidu.protocol.response import TaskState, TaskStatus
from airflow_provider_vidu.protocol.texts import few

STATE_VERSION = 1
"""Version of a stored attempt. A state without one is of 0.1.0 and reads alike; an unknown key is ignored."""


def is_readable(stored: Any, version: int) -> bool:
    """
    Say whether this version of the package understands a stored state.

    :param stored: the state, as it was found.
    :param version: the newest version that is understood.
    """
    if not isinstance(stored, Mapping):
        return False
    found = stored.get("version", 1)
    return isinstance(found, int) and 1 <= found <= version


class Attempt(NamedTuple):
    """
    A submit that was begun, as Airflow's task state store keeps it. Without a task id it is an intent.

    :param fingerprint: of the request, see :func:`~airflow_provider_vidu.protocol.request.fingerprint`.
    :param max_tries: Airflow's, which a person's clear raises and a retry leaves as it is.
    :param begun_at: epoch seconds.
    :param xcoms: what the submit pushes to XCom, for the try that attaches.
    :param vidu_task_id: Vidu's id of the task, empty until the API told it.
    :param delivered: whether a try has returned the task id.
    """

    fingerprint: str
    max_tries: int
    begun_at: float
    xcoms: dict[str, Any]
    vidu_task_id: str = ""
    delivered: bool = False

    def state(self) -> dict[str, Any]:
        """Give what is stored: JSON types only."""
        return {"version": STATE_VERSION, **self._asdict()}

    @classmethod
    def from_state(cls, stored: Any) -> Attempt:
        """
        Read what this version or an earlier one has stored.

        :param stored: the state, as it was found.
        :return: the attempt.
        :raises ValueError: if it is no attempt, or of a later version that this one must not guess at.
        """
        if not is_readable(stored, STATE_VERSION):
            raise ValueError("of an unknown version")
        attempt = cls(
            stored.get("fingerprint"),
            stored.get("max_tries"),
            stored.get("begun_at"),
            stored.get("xcoms", {}),
            stored.get("vidu_task_id", ""),
            stored.get("delivered", False),
        )
        types: tuple[Any, ...] = (str, int, (int, float), dict, str, bool)
        if not all(isinstance(value, kind) for value, kind in zip(attempt, types, strict=True)):
            raise ValueError("with a value of a wrong type")
        return attempt

    @property
    def when(self) -> str:
        """When it was begun, for people."""
        return f"{datetime.fromtimestamp(self.begun_at, UTC):%Y-%m-%d %H:%M:%S} UTC"


class Step(Enum):
    """What a try does about an earlier attempt."""

    ATTACH = "attach"
    NEW = "new"
    UNCERTAIN = "uncertain"
    MISSING = "missing"
    FAIL = "fail"


def decide(
    attempt: Attempt,
    *,
    max_tries: int,
    fingerprint: str | None,
    now: float,
    answer: TaskStatus | ViduError | None = None,
    believed: bool = False,
    files: Sequence[str] = (),
    resubmit_missing: bool = False,
) -> tuple[Step, str]:
    """
    Decide what a try does about an earlier attempt of its task instance.

    :param attempt: what was stored.
    :param max_tries: Airflow's at this try; another than the stored one means that a person has cleared the task.
    :param fingerprint: of this try's request, ``None`` where it cannot be built: what is not known to be another
        request is not paid for again.
    :param now: epoch seconds.
    :param answer: the last answer to the status request, ``None`` where the attempt has no task id.
    :param believed: whether that answer ends a wait.
    :param files: URIs of its video's files, as far as an earlier try is known to have stored them.
    :param resubmit_missing: whether a clear submits it again where these files and its links are out of reach.
    :return: the step, and why. ``MISSING`` pays again only where a person asked for exactly that.
    """
    cleared, same = max_tries != attempt.max_tries, fingerprint in (None, attempt.fingerprint)
    if not attempt.vidu_task_id:
        text = f"An earlier try began a submit at {attempt.when} and left no outcome."
        return (Step.NEW, f"{text} {_ANEW}") if cleared else (Step.UNCERTAIN, f"{text} {UNCERTAIN}")
    earlier = f"Vidu task {attempt.vidu_task_id}, submitted at {attempt.when},"
    if isinstance(answer, ViduTaskNotFoundError) and believed:
        text = f"{earlier} is not known to the server any more. {answer} Check the connection's key and host first."
        return _gone(attempt, text, cleared, files, resubmit_missing)
    if not isinstance(answer, TaskStatus):
        return Step.ATTACH, f"{earlier} cannot be read just now, so nothing is submitted: {answer}"
    if answer.state is TaskState.FAILURE:
        text = f"{earlier} ended as {answer.word}: {answer.reason}"
        if cleared or answer.family.retry_can_help:
            return Step.NEW, f"{text} It is submitted anew."
        return Step.FAIL, f"{text} {_CLEAR}"
    if answer.state is TaskState.SUCCESS:
        expires_at = answer.result()["expires_at"]
        if expires_at is not None and expires_at <= now:
            return _gone(attempt, f"{earlier} was ready, but its links have expired.", cleared, files, resubmit_missing)
        if cleared and attempt.delivered:
            return Step.NEW, f"{earlier} is ready and was delivered, so clearing the task asks for a new video."
    elif cleared and not same:
        resume = how_to_resume(attempt.vidu_task_id)
        return Step.NEW, f"{earlier} was another request. It keeps running and will be billed. {resume}"
    changed = "" if same else ", although the request has changed"
    return Step.ATTACH, f"{earlier} is {answer.word}. It is returned as it is: nothing is submitted or paid{changed}."


def _gone(attempt: Attempt, text: str, cleared: bool, files: Sequence[str], resubmit_missing: bool) -> tuple[Step, str]:
    if files and not attempt.delivered:
        text = f"{text} An earlier try stored it at {few(files)}."
        if not (cleared and resubmit_missing):
            text += (
                " Nothing is submitted or paid. If this worker does not see that file, give all workers one "
                "destination, then clear this task."
            )
            return Step.MISSING if cleared else Step.FAIL, text
    return (Step.NEW, f"{text} {_PAID_AGAIN}") if cleared else (Step.FAIL, f"{text} {_CLEAR}")


_PAID_AGAIN = "The task was cleared, so it is submitted and paid again."
_ANEW = "It may have been accepted and billed. The task was cleared, so it is submitted and paid anew."
_CLEAR = "To have it made and paid anew, clear this task."


class Plan(NamedTuple):
    """
    What a try does about an item that an earlier one began.

    :param outcome: ``submitted`` attaches to its task; what else is there is final; ``None`` submits it anew.
    :param why: the reason.
    """

    outcome: str | None
    why: str


def plan(
    attempt: Attempt,
    *,
    max_tries: int,
    fingerprint: str | None,
    now: float,
    answer: TaskStatus | ViduError | None,
    believed: bool,
    resubmit: bool,
    files: Sequence[str] = (),
    resubmit_missing: bool = False,
) -> Plan:
    """
    Decide what a try does about an item that an earlier one began: for each item what a single submit would do.

    :param attempt: what was stored.
    :param max_tries: Airflow's at this try.
    :param fingerprint: of this try's request, ``None`` where it is not known.
    :param now: epoch seconds.
    :param answer: the last answer to the status request, ``None`` where the attempt has no task id.
    :param believed: whether that answer ends a wait.
    :param resubmit: whether what is uncertain is submitted again.
    :param files: URIs of what an earlier try stored of it.
    :param resubmit_missing: whether a clear submits it again where these files and its links are out of reach.
    """
    step, why = decide(
        attempt,
        max_tries=max_tries,
        fingerprint=fingerprint,
        now=now,
        answer=answer,
        believed=believed,
        files=files,
        resubmit_missing=resubmit_missing,
    )
    match step:
        case Step.ATTACH:
            return Plan(batch.SUBMITTED, why)
        case Step.UNCERTAIN if not resubmit:
            return Plan(batch.UNCERTAIN, why)
        case Step.MISSING:
            return Plan(LOST, f'{why} Set on_missing="resubmit" to pay for it again.')
        case Step.FAIL if isinstance(answer, TaskStatus) and answer.state is TaskState.FAILURE:
            return Plan(FAILED, answer.reason)
        case Step.FAIL:
            return Plan(LOST, why)
    return Plan(None, why)
