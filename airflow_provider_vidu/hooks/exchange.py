# SPDX-License-Identifier: Apache-2.0
"""One request to the API and what comes of it: all that the two transports have in common."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar
from urllib.parse import quote

from airflow_provider_vidu.exceptions import ViduApiError, ViduRequestError
from airflow_provider_vidu.hooks.connection import ConnectionSettings
from airflow_provider_vidu.protocol.coding import decoded
from airflow_provider_vidu.protocol.request import Body, encode
from airflow_provider_vidu.protocol.response import (
    Submission,
    TaskStatus,
    parse_submission,
    parse_task_status,
    transport_error,
)
from airflow_provider_vidu.protocol.texts import shown
from airflow_provider_vidu.protocol.values import identifier

Answer = TypeVar("Answer")


class _SubmitBody(io.BytesIO):
    """A body that knows whether any of it was handed to a socket: if not, the submit was surely not accepted."""

    sent = False

    def read(self, size: int | None = -1, /) -> bytes:
        self.sent = True
        return super().read(size)


@dataclass(frozen=True, slots=True)
class Exchange(Generic[Answer]):
    """
    A request, ready to be sent once.

    :param settings: the connection's settings.
    :param method: HTTP method.
    :param url: where to send it, quoted as it shall go over the wire.
    :param headers: headers, with the API key.
    :param parse: what reads the answer: ``(status, headers, body)`` becomes a value or a ``ViduApiError``.
    :param body: what to send; ``None`` for a read.
    :param vidu_task_id: the task that is asked for; ``None`` for a submit.
    """

    settings: ConnectionSettings
    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    parse: Callable[[int, Mapping[str, str], bytes], Answer]
    body: _SubmitBody | None = None
    vidu_task_id: str | None = None

    @classmethod
    def submit(cls, settings: ConnectionSettings, body: Body) -> Exchange[Submission]:
        """
        Prepare a submit.

        :raises ViduRequestError: if the body is no mapping of what JSON can hold. Nothing was sent.
        """
        try:
            data = encode(body) if isinstance(body, Mapping) else b""
        except (TypeError, ValueError, RecursionError):
            data = b""
        if not data:
            raise ViduRequestError(
                f"body must be a mapping of what JSON can hold, as protocol.request.build makes it, got {shown(body)}. "
                "Nothing was sent."
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

        :raises ViduRequestError: if the id is none. Nothing was sent.
        """
        known = identifier(vidu_task_id)
        if not known:
            raise ViduRequestError(
                f"vidu_task_id must be the id of a task, as ViduSubmitOperator returns it, got {shown(vidu_task_id)}. "
                "Nothing was sent."
            )
        return Exchange(
            settings,
            "GET",
            f"{settings.base_url}/v1/tasks/status?task_id={quote(known, safe='')}",
            settings.headers(),
            partial(parse_task_status, vidu_task_id=known),
            vidu_task_id=known,
        )

    def answered(self, status: int, headers: Mapping[str, str], content: bytes) -> Answer:
        """
        Read the answer.

        :param status: HTTP status.
        :param headers: response headers.
        :param content: response body as it came, encoded perhaps; more than ``MAX_ANSWER_BYTES`` need not be read.
        :return: what it means.
        :raises ViduApiError: when it is an error or no answer at all.
        """
        body = decoded(headers, content)
        return self.parse(status, headers, self.settings.scrub(body.decode("latin-1")).encode("latin-1"))

    @property
    def sent(self) -> bool:
        """Whether it may have reached the server. A read that never left is as passing a fault as one unanswered."""
        return self.body is None or self.body.sent

    def unanswered(self, error: BaseException) -> ViduApiError:
        """
        Name what it means that no answer came.

        :param error: what the HTTP library raised.
        :return: the error to raise.
        """
        return transport_error(self.settings.describe(error), sent=self.sent, vidu_task_id=self.vidu_task_id)
