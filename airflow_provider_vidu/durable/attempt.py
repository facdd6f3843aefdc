# SPDX-License-Identifier: Apache-2.0
"""
The stored attempt of a submit, and the decision of the next try about it.

With it, no crash and no retry pays for a video twice.
"""

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
from airflow_provider_vidu.protocol.texts import first_few

STATE_VERSION = 1
"""Version of a stored attempt. A state without one is of 0.1.0 and reads the same; unknown keys are ignored."""


def is_readable(stored: Any, version: int) -> bool:
    """
    Check whether this version of the package can read a stored state.

    :param stored: the state as the store returned it.
    :param version: the newest readable version.
    """
    if not isinstance(stored, Mapping):
        return False
    found = stored.get("version", 1)
    return isinstance(found, int) and 1 <= found <= version


class Attempt(NamedTuple):
    """
    A started submit, as Airflow's task state store keeps it.

    Without a task id it is an intent.

    :param fingerprint: fingerprint of the request, see :func:`~airflow_provider_vidu.protocol.request.fingerprint`.
    :param max_tries: Airflow's value at that try; a person's clear raises it and a retry does not change it.
    :param begun_at: start of the submit in epoch seconds.
    :param xcoms: the XComs of the submit, for the try that re-attaches.
    :param vidu_task_id: Vidu's id of the task, empty until the API returned it.
    :param delivered: whether a try has returned the task id.
    """

    fingerprint: str
    max_tries: int
    begun_at: float
    xcoms: dict[str, Any]
    vidu_task_id: str = ""
    delivered: bool = False

    def state(self) -> dict[str, Any]:
        """Return the state to store: JSON types only."""
        return {"version": STATE_VERSION, **self._asdict()}

    @classmethod
    def from_state(cls, stored: Any) -> Attempt:
        """
        Read a state that this version or an earlier one stored.

        :param stored: the state as the store returned it.
        :return: the attempt.
        :raises ValueError: if it is not an attempt, or a later version wrote it, whose meaning is unknown here.
        """
        if not is_readable(stored, STATE_VERSION):
            raise ValueError("unknown version")
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
            raise ValueError("wrong type of a value")
        return attempt

    @property
    def when(self) -> str:
        """The start of the submit as a readable text."""
        return f"{datetime.fromtimestamp(self.begun_at, UTC):%Y-%m-%d %H:%M:%S} UTC"


class Step(Enum):
    """Action of a try about an earlier attempt."""

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
    resubmit_uncertain: bool = False,
) -> tuple[Step, str]:
    """
    Decide what a try does about an earlier attempt of its task instance.

    :param attempt: the stored attempt.
    :param max_tries: Airflow's value at this try; if it differs from the stored one, a person has cleared the task.
    :param fingerprint: fingerprint of this try's request, ``None`` if the request cannot be built. A request that may
        be the same is not paid again.
    :param now: epoch seconds.
    :param answer: the last answer to the status request, ``None`` if the attempt has no task id.
    :param believed: whether that answer ends a wait.
    :param files: URIs of the video's files that an earlier try is known to have stored.
    :param resubmit_missing: whether a clear resubmits it if these files and its links are unavailable.
    :param resubmit_uncertain: whether a retry resubmits it if its outcome is unknown.
    :return: the step and its reason. ``MISSING`` pays again only if a person requested exactly that.
    """
    cleared, same = max_tries != attempt.max_tries, fingerprint in (None, attempt.fingerprint)
    if not attempt.vidu_task_id:
        return _unknown(attempt, cleared, resubmit_uncertain)
    earlier = f"Vidu task {attempt.vidu_task_id}, submitted at {attempt.when},"
    if isinstance(answer, ViduTaskNotFoundError) and believed:
        text = f"{earlier} is no longer known to the server. {answer}"
        return _gone(attempt, text, cleared, files, resubmit_missing, " Check the connection's key and host first.")
    if not isinstance(answer, TaskStatus):
        return (
            Step.ATTACH,
            f"{earlier} has no readable status. Re-attaching to it; nothing is submitted or paid. {answer}",
        )
    if answer.state is TaskState.FAILURE:
        text = f"{earlier} ended as {answer.word}: {answer.reason}"
        if cleared or answer.family.retry_can_help:
            return Step.NEW, f"{text} Resubmitting it as a new, paid generation."
        return Step.FAIL, f"{text} {_CLEAR}"
    if answer.state is TaskState.SUCCESS:
        expires_at = answer.result()["expires_at"]
        if expires_at is not None and expires_at <= now:
            return _gone(attempt, f"{earlier} was ready, but its links have expired.", cleared, files, resubmit_missing)
        if cleared and attempt.delivered:
            return Step.NEW, f"{earlier} was delivered, so clearing the task submits and pays for a new video."
    elif cleared and not same:
        resume = how_to_resume(attempt.vidu_task_id)
        return Step.NEW, f"{earlier} was for another request. It keeps running and is billed. {resume}"
    changed = "" if same else ", although the request has changed"
    return Step.ATTACH, f"{earlier} is {answer.word}. Re-attaching to it{changed}; nothing is submitted or paid."


def _unknown(attempt: Attempt, cleared: bool, resubmit: bool) -> tuple[Step, str]:
    text = f"An earlier try started a submit at {attempt.when}, and its outcome is unknown."
    if cleared:
        return Step.NEW, f"{text} {_RESUBMIT}"
    return (Step.NEW, f"{text} {_RETRY}") if resubmit else (Step.UNCERTAIN, f"{text} {UNCERTAIN}")


def _gone(
    attempt: Attempt, text: str, cleared: bool, files: Sequence[str], resubmit_missing: bool, check: str = ""
) -> tuple[Step, str]:
    if files and not attempt.delivered:
        text = f"{text} An earlier try stored its video at {first_few(files)}."
        if not (cleared and resubmit_missing):
            text += (
                f" Nothing is submitted or paid.{check} If this worker does not see that file, use one destination for "
                "all workers, then clear this task."
            )
            return Step.MISSING if cleared else Step.FAIL, text
    # Only a try that stops asks for a check first.
    return (Step.NEW, f"{text} {_PAID_AGAIN}") if cleared else (Step.FAIL, f"{text}{check} {_CLEAR}")


_PAID_AGAIN = "A person cleared the task, so it is resubmitted and paid again."
_PERHAPS_PAID = "It may have been accepted and billed."
_RESUBMIT = f"{_PERHAPS_PAID} A person cleared the task, so it is resubmitted, which may pay twice."
_RETRY = f"{_PERHAPS_PAID} on_uncertain is 'resubmit', so this try resubmits it and may pay twice."
_CLEAR = "To submit and pay again, clear this task."


class Plan(NamedTuple):
    """
    Decision of a try about an item that an earlier try started.

    :param outcome: ``submitted`` re-attaches to its task, any other outcome is final, ``None`` resubmits the item.
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
    Decide what a try does about a batch item that an earlier try started.

    The decision is that of :func:`decide` for a single submit.

    :param attempt: the stored attempt.
    :param max_tries: Airflow's value at this try.
    :param fingerprint: fingerprint of this try's request, ``None`` if unknown.
    :param now: epoch seconds.
    :param answer: the last answer to the status request, ``None`` if the attempt has no task id.
    :param believed: whether that answer ends a wait.
    :param resubmit: whether to resubmit an item of unknown outcome.
    :param files: URIs of the item's files that an earlier try stored.
    :param resubmit_missing: whether a clear resubmits an item whose files are missing and whose links have expired.
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
        resubmit_uncertain=resubmit,
    )
    match step:
        case Step.ATTACH:
            return Plan(batch.SUBMITTED, why)
        case Step.UNCERTAIN:
            return Plan(batch.UNCERTAIN, why)
        case Step.MISSING:
            return Plan(LOST, f'{why} Set on_missing="resubmit" to pay for it again.')
        case Step.FAIL if isinstance(answer, TaskStatus) and answer.state is TaskState.FAILURE:
            return Plan(FAILED, answer.reason)
        case Step.FAIL:
            return Plan(LOST, why)
    return Plan(None, why)
