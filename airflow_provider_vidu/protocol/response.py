# SPDX-License-Identifier: Apache-2.0
"""
Meaning of the API's answers.

``(status, headers, body)`` becomes a value or one typed error. One table serves submits and polls. They differ in one
thing: a submit whose outcome is unknown may have been accepted and will then be billed. A failed poll costs nothing,
and the next poll replaces it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, NamedTuple

from airflow_provider_vidu.exceptions import (
    ViduApiError,
    ViduConnectError,
    ViduRateLimitError,
    ViduSubmissionUncertainError,
    ViduUnavailableError,
)
from airflow_provider_vidu.protocol.coding import MAX_ANSWER_BYTES
from airflow_provider_vidu.protocol.errors import FREE, UNCERTAIN, Family, family_of, meaning
from airflow_provider_vidu.protocol.result_urls import odd_urls_in, urls_in
from airflow_provider_vidu.protocol.texts import unstopped
from airflow_provider_vidu.protocol.values import identifier, moment, number, plain, quote

RESULT_LIFETIME_SECONDS = 24 * 3600
"""
Assumed lifetime of a result link after ``finish_time``.

Vidu documents 24 hours, ModelVerse nothing.
"""


class TaskState(str, Enum):
    """
    Meaning of a status word.

    ``UNKNOWN`` does not end a wait, because a new word of the API is not an error.
    """

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


STATUS_WORDS: Mapping[str, TaskState] = {
    "pending": TaskState.PENDING,
    "running": TaskState.RUNNING,
    "success": TaskState.SUCCESS,
    "failure": TaskState.FAILURE,
    # Final words of other models on the same endpoint.
    "failed": TaskState.FAILURE,
    "expired": TaskState.FAILURE,
    "cancelled": TaskState.FAILURE,
    "canceled": TaskState.FAILURE,
}
"""
Status words in lower case.

The API's own are ``Pending``, ``Running``, ``Success`` and ``Failure``.
"""


class Submission(NamedTuple):
    """
    An accepted submit.

    :param task_id: Vidu's id of the task.
    :param request_id: The API's id of the request, empty if it returned none.
    """

    task_id: str
    request_id: str


class TaskStatus(NamedTuple):
    """
    A task's status as the API reports it.

    :param task_id: Vidu's id of the task.
    :param word: Status word as the server wrote it.
    :param urls: URLs of the videos, empty before they are ready.
    :param submit_time: Epoch seconds, ``None`` if the API returned none.
    :param finish_time: Epoch seconds, ``None`` if the API returned none.
    :param error_message: The server's reason for a failure, in Chinese or English.
    :param video_seconds: Length of the video in seconds (``usage.duration``), ``None`` if the API returned none.
    :param request_id: The API's id of the request, empty if it returned none.
    :param odd_urls: What the API returned in place of URLs or beside them, without secrets; empty if nothing.
    """

    task_id: str
    word: str
    urls: tuple[str, ...] = ()
    submit_time: float | None = None
    finish_time: float | None = None
    error_message: str = ""
    video_seconds: float | None = None
    request_id: str = ""
    odd_urls: str = ""
    whole_family: Family | None = None
    """Family of the whole reason, if the shortened ``error_message`` hides it."""

    @property
    def state(self) -> TaskState:
        """Meaning of the status word, upper or lower case."""
        return STATUS_WORDS.get(self.word.lower(), TaskState.UNKNOWN)

    @property
    def family(self) -> Family:
        """Family of a failed generation's reason."""
        return self.whole_family or family_of(self.error_message)

    @property
    def reason(self) -> str:
        """Reason of a failed generation, and the next step."""
        words = self.error_message or "the API gave no reason"
        return f"{unstopped(words)}. {self.family.advice}"

    def result(self) -> dict[str, Any]:
        """
        Return the result of a finished wait.

        :return: JSON types only. ``expires_at`` is the finish time plus the 24 hours that result links are assumed to
            live.
        """
        return {
            "task_id": self.task_id,
            "urls": list(self.urls),
            "video_seconds": self.video_seconds,
            "submit_time": self.submit_time,
            "finish_time": self.finish_time,
            "expires_at": None if self.finish_time is None else self.finish_time + RESULT_LIFETIME_SECONDS,
            "request_id": self.request_id,
        }


def parse_submission(status: int, headers: Mapping[str, str], body: bytes) -> Submission:
    """
    Read the answer to a submit.

    :param status: HTTP status.
    :param headers: Response headers.
    :param body: Response body.
    :return: The accepted submission.
    :raises ViduSubmissionUncertainError: If the outcome is unknown. Resubmitting may pay twice.
    :raises ViduApiError: One of its other types, if the API certainly did not accept the submit. Nothing was paid.
    """
    answer = _Answer(status, headers, body, None)
    output = answer.section("output")
    task_id = identifier(output.get("task_id"))
    if not 200 <= status < 300 or answer.document.get("error") or not task_id:
        raise answer.error()
    return Submission(task_id, answer.request_id)


def parse_task_status(status: int, headers: Mapping[str, str], body: bytes, vidu_task_id: str) -> TaskStatus:
    """
    Read the answer to a poll.

    :param status: HTTP status.
    :param headers: Response headers.
    :param body: Response body.
    :param vidu_task_id: Vidu's id of the polled task.
    :return: The task's status; an unknown status word stays unchanged.
    :raises ViduApiError: One of its types, never ``ViduSubmissionUncertainError``.
    """
    answer = _Answer(status, headers, body, vidu_task_id)
    output = answer.section("output")
    word = quote(output.get("task_status"))
    named_id = identifier(output.get("task_id")) or vidu_task_id
    if not 200 <= status < 300 or answer.document.get("error") or not word or named_id != vidu_task_id:
        raise answer.error()
    error_message = output.get("error_message")
    # Some servers write an object instead of a text.
    whole = error_message if isinstance(error_message, str) else json.dumps(error_message, ensure_ascii=False)
    message = quote(whole if error_message else "")
    return TaskStatus(
        task_id=vidu_task_id,
        word=word,
        urls=urls_in(output.get("urls")),
        submit_time=moment(output.get("submit_time")),
        finish_time=moment(output.get("finish_time")),
        error_message=message,
        video_seconds=number(answer.section("usage").get("duration")),
        request_id=answer.request_id,
        odd_urls=odd_urls_in(output.get("urls")),
        whole_family=family if error_message and (family := family_of(whole)) is not family_of(message) else None,
    )


def transport_error(reason: str, *, sent: bool, vidu_task_id: str | None) -> ViduApiError:
    """
    Make the error of a request that got no answer.

    :param reason: Error text of the HTTP library, without secrets.
    :param sent: Whether any part of the request may have reached the server.
    :param vidu_task_id: Vidu's id of the polled task, ``None`` for a submit.
    :return: The error to raise.
    """
    if not sent:
        return ViduConnectError(
            f"Could not connect to the Vidu API: {reason}. Nothing was sent or paid. A retry can help.",
            vidu_task_id=vidu_task_id,
        )
    if vidu_task_id is None:
        return ViduSubmissionUncertainError(f"The API did not answer the Vidu submit: {reason}. {UNCERTAIN}")
    return ViduUnavailableError(
        f"The API did not answer the poll of Vidu task {vidu_task_id}: {reason}. {FREE}",
        vidu_task_id=vidu_task_id,
    )


class _Answer:
    """One answer, read without trust in any part of it."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, vidu_task_id: str | None) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body
        self.vidu_task_id = vidu_task_id
        try:
            document = None if self._is_too_large else json.loads(body)
        except (ValueError, RecursionError):
            document = None
        self.document: dict[str, Any] = document if isinstance(document, dict) else {}
        self.fault = self.section("error")

    def section(self, name: str) -> dict[str, Any]:
        value = self.document.get(name)
        return value if isinstance(value, dict) else {}

    @property
    def _is_too_large(self) -> bool:
        return len(self.body) > MAX_ANSWER_BYTES

    @property
    def request_id(self) -> str:
        return quote(plain(self.document.get("request_id")) or plain(self.fault.get("param")))

    @property
    def code(self) -> str:
        return quote(plain(self.fault.get("code")))

    @property
    def words(self) -> str:
        """The server's own words, or a description of the answer without any."""
        if 300 <= self.status < 400:
            target = quote(self.headers.get("location"))
            return f"a redirect to {target}" if target else "a redirect without a target"
        message = quote(self.fault.get("message"))
        if message or self.code:
            return ": ".join(filter(None, (self.code, message)))
        if self._is_too_large:
            return f"more than {MAX_ANSWER_BYTES:,} bytes, too many for an answer of the API"
        if not self.body:
            return "an empty body"
        if b"<html" in self.body[:1000].lower():
            return "an HTML page, probably from a proxy or gateway"
        return quote(self.body.decode("utf-8", "replace"))

    def error(self) -> ViduApiError:
        """Make the one error that this answer means."""
        words = self.words if self.document else None
        kind, advice = meaning(self.status, self.code, words, submit=self.vidu_task_id is None)
        subject = "Vidu submit" if self.vidu_task_id is None else f"Status of Vidu task {self.vidu_task_id}"
        request = f", request id {self.request_id}" if self.request_id else ""
        retry_after = self._retry_after()
        asked = (
            ""
            if retry_after is None or kind is not ViduRateLimitError
            else f" The server requests a pause of {retry_after:g} s."
        )
        return kind(
            f"{subject}: HTTP {self.status}{request}: {unstopped(self.words)}. {advice}{asked}",
            status=self.status,
            code=self.code or None,
            request_id=self.request_id,
            vidu_task_id=self.vidu_task_id,
            retry_after=retry_after,
        )

    def _retry_after(self) -> float | None:
        value = self.headers.get("retry-after", "").strip()
        if re.fullmatch(r"\d{1,9}", value, re.ASCII):
            return float(value)
        try:
            # The header Date holds the server's own time, so no clock is needed here.
            then, now = (parsedate_to_datetime(text) for text in (value, self.headers.get("date", "")))
            return max(0.0, (then - now).total_seconds())
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
