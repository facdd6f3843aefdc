# SPDX-License-Identifier: Apache-2.0
"""
Errors of this provider, grouped by the reader's next step.

::

    ViduError
    ├── ViduRequestError              the request is wrong; nothing was sent or paid: correct the DAG
    ├── ViduConnectionSettingsError   the Airflow connection is missing or wrong; nothing was sent or paid: fix it
    ├── ViduStateError                a read or write of a store failed before a submit; nothing was sent: retry
    ├── ViduBudgetError               the day's or month's budget is spent; nothing was sent or paid: wait, or raise it
    ├── ViduApiError                  the API refused a request, or returned no usable answer
    │   ├── ViduRefusedError          the API refused the request, nothing paid: correct the request
    │   │   └── ViduModerationError   content moderation refused the text, nothing paid: change the text
    │   ├── ViduAuthError             wrong key, quota or address, nothing paid: fix the cause, then retry
    │   ├── ViduRateLimitError        too many requests, nothing paid: retry later
    │   ├── ViduConnectError          never sent, nothing paid: retry
    │   ├── ViduTaskNotFoundError     the server does not know the task yet, or not any more
    │   ├── ViduUnavailableError      a poll failed for now; polling again is free
    │   └── ViduSubmissionUncertainError  a submit may have been accepted and paid: check before you resubmit
    ├── ViduDownloadError             a video could not be stored; it stays at its URL until that expires: retry
    └── ViduEventError                a trigger's event has an unknown format: resume the wait

Only operators and sensors raise Airflow's own exception types, in place of these.
"""

from __future__ import annotations

from typing import ClassVar


class ViduError(Exception):
    """Base class of all errors of this provider."""

    retry_can_help: ClassVar[bool] = True
    """
    Whether the same task can succeed later without a person's help, and without the risk of paying twice.

    The reason for a failed generation has its own rule, ``protocol.errors.Family.retry_can_help``.
    """


class ViduRequestError(ViduError, ValueError):
    """
    A wrong request. Nothing was sent or paid.

    Correct the request; a retry alone cannot help.
    """

    retry_can_help = False


class ViduConnectionSettingsError(ViduError, ValueError):
    """
    An Airflow connection that is missing or holds a wrong value. Nothing was sent.

    Fix the connection, then retry.
    """

    retry_can_help = False


class ViduStateError(ViduError):
    """
    A failed read or write of a store that a submit depends on. Nothing was sent.

    Nothing was paid; retry. The store is the task state store, the ledger, or the store of a price file or an input
    file.
    """


class ViduBudgetError(ViduError):
    """
    The budget of the day or month does not cover the submit. Nothing was sent or paid.

    Wait for the next day or month, at which the budget resets, or raise it.

    :param message: The event and the next step.
    :param resets_at: Epoch seconds at which the budget resets, ``None`` (default) if unknown.
    """

    def __init__(self, message: str, *, resets_at: float | None = None) -> None:
        super().__init__(message)
        self.resets_at = resets_at


class ViduApiError(ViduError):
    """
    A request that the API refused, or that got no usable answer.

    :param message: The event, the costs and the next step.
    :param status: HTTP status, ``None`` without an answer.
    :param code: The API's own error code, ``None`` if the answer had none.
    :param request_id: The API's id of the request, empty if the answer had none.
    :param vidu_task_id: Vidu's id of the polled task, ``None`` for a submit.
    :param retry_after: Seconds of the server's Retry-After, ``None`` if it sent none.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str = "",
        vidu_task_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.vidu_task_id = vidu_task_id
        self.retry_after = retry_after


class ViduRefusedError(ViduApiError):
    """
    A refused request. The API accepted nothing, and nothing was paid.

    Correct the request; the API refuses the same one again.
    """

    retry_can_help = False


class ViduModerationError(ViduRefusedError):
    """
    A text that content moderation refused. Nothing was paid.

    Change the text; only another one can help.
    """


class ViduAuthError(ViduApiError):
    """
    A wrong key, an exhausted quota or an address that is not allowed. Nothing was paid.

    Fix the cause, then retry.
    """

    retry_can_help = False


class ViduRateLimitError(ViduApiError):
    """
    A request that exceeded the API's rate limit. Nothing was paid.

    Retry later; the same request can succeed.
    """


class ViduConnectError(ViduApiError):
    """
    A request that was never sent: refused connection, DNS, connect timeout, TLS.

    Nothing was paid; retry.
    """


class ViduTaskNotFoundError(ViduApiError):
    """
    A task that the server does not know.

    Check the id, the key and the base URL. The task is new or has expired, or its id or the key belongs to another
    account or server.
    """


class ViduUnavailableError(ViduApiError):
    """
    A poll that failed for now: timeout, 5xx or an unusable answer.

    Polling again costs nothing and can help.
    """


class ViduSubmissionUncertainError(ViduApiError):
    """
    A submit that was sent, but whose outcome is unknown.

    The API may have accepted and billed it, so resubmitting may pay twice. Check the usage page of the
    ModelVerse console first.
    """

    retry_can_help = False


class ViduDownloadError(ViduError):
    """
    A video that could not be downloaded or stored completely.

    It is paid and stays at its link until that expires. Retry; storing costs nothing.

    :param message: The event and the next step.
    :param expired: Whether the host refused the link itself, as it does after the link has expired.
    """

    def __init__(self, message: str, *, expired: bool = False) -> None:
        super().__init__(message)
        self.expired = expired


class ViduEventError(ViduError):
    """
    A trigger event in an unknown format.

    The generation continues. Resume the wait with ``ViduTaskSensor``.
    """
