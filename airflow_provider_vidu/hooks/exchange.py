# SPDX-License-Identifier: Apache-2.0
"""One request to the API and its answer, shared by the two transports."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar
from urllib.parse import quote, urlsplit

from airflow_provider_vidu.exceptions import ViduApiError, ViduRequestError
from airflow_provider_vidu.hooks.connection import ConnectionSettings
from airflow_provider_vidu.protocol.coding import decoded
from airflow_provider_vidu.protocol.reach import unreachable
from airflow_provider_vidu.protocol.request import Body, encode, refusal
from airflow_provider_vidu.protocol.response import (
    Submission,
    TaskStatus,
    parse_submission,
    parse_task_status,
    transport_error,
)
from airflow_provider_vidu.protocol.result_urls import LEFT_OUT
from airflow_provider_vidu.protocol.texts import brief
from airflow_provider_vidu.protocol.values import identifier

log = logging.getLogger(__name__)

Parsed = TypeVar("Parsed")


class _SubmitBody(io.BytesIO):
    """
    Note whether a socket has read any of the body.

    If not, the API certainly did not accept the submit.
    """

    sent = False

    def read(self, size: int | None = -1, /) -> bytes:
        self.sent = True
        return super().read(size)


@dataclass(frozen=True, slots=True)
class Exchange(Generic[Parsed]):
    """
    Hold a request that is ready to be sent once.

    :param settings: The connection's settings.
    :param method: HTTP method.
    :param url: URL of the request, quoted for the wire.
    :param headers: Headers, including the API key.
    :param parse: Reads the answer: ``(status, headers, body)`` becomes a value or a ``ViduApiError``.
    :param body: Body to send; ``None`` for a status request.
    :param vidu_task_id: Vidu's id of the polled task; ``None`` for a submit.
    """

    settings: ConnectionSettings
    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    parse: Callable[[int, Mapping[str, str], bytes], Parsed]
    body: _SubmitBody | None = None
    vidu_task_id: str | None = None

    @classmethod
    def submit(cls, settings: ConnectionSettings, body: Body) -> Exchange[Submission]:
        """
        Prepare a submit.

        :raises ViduRequestError: If the body is not a mapping of JSON values, or the service cannot fetch one of its
            URLs. Nothing was sent.
        """
        try:
            data = encode(body) if isinstance(body, Mapping) else b""
        except (TypeError, ValueError, RecursionError):
            data = b""
        if not data:
            raise ViduRequestError(
                f"body must be a mapping of JSON values, got {brief(body)}. Nothing was sent or paid. Build the body "
                "with protocol.request.build."
            )
        if problem := unreachable(body, urlsplit(settings.base_url).hostname or "", time.time()):
            raise refusal(
                [problem],
                "Pass a public URL or the URI of a file in a public store. Where the field takes files, pass a path or "
                "the URI of a file in a private store",
            )
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        return Exchange(
            settings,
            "POST",
            f"{settings.base_url}/v1/tasks/submit",
            settings.headers() | headers,
            parse_submission,
            body=_SubmitBody(data),
        )

    @classmethod
    def status(cls, settings: ConnectionSettings, vidu_task_id: str) -> Exchange[TaskStatus]:
        """
        Prepare a status request.

        :raises ViduRequestError: If the id is not a task id. Nothing was sent.
        """
        known = identifier(vidu_task_id)
        if not known:
            raise ViduRequestError(
                f"vidu_task_id must be the id of a task, got {brief(vidu_task_id)}. Nothing was sent or paid. Pass the "
                "id that ViduSubmitOperator returned."
            )
        return Exchange(
            settings,
            "GET",
            f"{settings.base_url}/v1/tasks/status?task_id={quote(known, safe='')}",
            settings.headers(),
            partial(parse_task_status, vidu_task_id=known),
            vidu_task_id=known,
        )

    def answered(self, status: int, headers: Mapping[str, str], content: bytes) -> Parsed:
        """
        Read the answer.

        :param status: HTTP status.
        :param headers: Response headers.
        :param content: Raw response body, perhaps encoded. The caller may stop reading beyond ``MAX_ANSWER_BYTES``.
        :return: The parsed answer.
        :raises ViduApiError: If the answer is an error or cannot be read.
        """
        body = decoded(headers, content)
        parsed = self.parse(status, headers, self.settings.scrub(body.decode("latin-1")).encode("latin-1"))
        if isinstance(parsed, TaskStatus) and parsed.urls and parsed.odd_urls:
            log.warning(LEFT_OUT, parsed.task_id, parsed.odd_urls)
        return parsed

    @property
    def sent(self) -> bool:
        """
        Whether the request may have reached the server.

        A status request always counts as sent: whether it was not sent or not answered, the fault is temporary.
        """
        return self.body is None or self.body.sent

    def unanswered(self, error: BaseException) -> ViduApiError:
        """
        Make the error for a request without an answer.

        :param error: The HTTP library's error.
        :return: The error to raise.
        """
        return transport_error(self.settings.describe(error), sent=self.sent, vidu_task_id=self.vidu_task_id)
