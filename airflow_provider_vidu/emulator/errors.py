# SPDX-License-Identifier: Apache-2.0
"""The API's error answers: the documented codes with their status, type and text."""

from __future__ import annotations

from http import HTTPStatus
from uuid import uuid4

from aiohttp import web

ERRORS = {
    "param_error": (400, "invalid_request_error", "Invalid param"),
    "invalid_messages": (400, "invalid_request_error", "Sensitive chat messages"),
    "sensitive_check_error": (400, "invalid_request_error", "Sensitive check error"),
    "websearch_error": (400, "invalid_request_error", "Web search error"),
    "model_error": (400, "invalid_request_error", "No permission to use the model"),
    "tokens_too_long": (400, "invalid_request_error", "Prompt tokens too long"),
    "auth_error": (401, "invalid_request_error", "Validate Certification failed"),
    "forbidden": (403, "permission_error", "Forbidden"),
    "timeout": (408, "timeout", "Request timeout, please try again later"),
    "rate_limit": (429, "rate_limit_error", "Rate limit exceeded, please try again later"),
    "internal_error": (500, "internal_error", "Internal Server Error"),
    "model_server_error": (500, "internal_error", "Request llm server Error"),
    "gateway_timeout_error": (504, "timeout", "Gateway timeout, please try again later or use stream api"),
}
"""Code -> (HTTP status, type, message). The first code of a status is its default."""


class ApiError(Exception):
    """
    Refuse a request as the API does.

    :param status: HTTP status.
    :param code: A key of :data:`ERRORS`, or ``None`` for a refusal whose code is not documented.
    :param message: Text for the caller; by default the documented one.
    """

    def __init__(self, status: int, code: str | None, message: str | None = None) -> None:
        undocumented = "internal_error" if status >= 500 else "invalid_request_error"
        documented = ERRORS[code] if code else (status, undocumented, HTTPStatus(status).phrase)
        super().__init__(message or documented[2])
        self.status, self.code, self.type = status, code, documented[1]

    def response(self, *, status: int | None = None) -> web.Response:
        """
        Return the answer in the documented shape; ``param`` carries the request id.

        :param status: HTTP status of the answer, by default the error's own.
        """
        error = {"message": str(self), "type": self.type, "param": uuid4().hex, "code": self.code}
        return web.json_response({"error": error}, status=status or self.status)


def code_of(status: int) -> str | None:
    """Return the documented code of an HTTP status, ``None`` for any other."""
    return next((code for code, entry in ERRORS.items() if entry[0] == status), None)
