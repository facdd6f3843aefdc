# SPDX-License-Identifier: Apache-2.0
"""
Errors of this provider, sorted by the reader's next step.

::

    ViduError
    ├── ViduRequestError              the request is wrong; nothing was sent, nothing paid: correct the DAG
    ├── ViduConnectionSettingsError   the Airflow connection is missing or wrong; nothing was sent, nothing paid
    ├── ViduStateError                a store could not be read or written before a submit; nothing was sent: retry
    ├── ViduApiError                  the API answered, or failed to
    │   ├── ViduRefusedError          refused for good, nothing paid: correct the request
    │   │   └── ViduModerationError   refused by content moderation, nothing paid: change the text
    │   ├── ViduAuthError             bad key, quota or address, nothing paid: fix the connection, then retry
    │   ├── ViduRateLimitError        too fast, nothing paid: retry later
    │   ├── ViduConnectError          never sent, nothing paid: retry
    │   ├── ViduTaskNotFoundError     the server does not know the task yet, or no longer knows it
    │   ├── ViduUnavailableError      a poll failed for now; polling again is free
    │   └── ViduSubmissionUncertainError  a submit may have been accepted and paid: check before you resubmit
    ├── ViduDownloadError             a video could not be stored; it stays at its url until that expires
    └── ViduEventError                a trigger's event has an unknown format

Airflow's own exception types appear only where operators and sensors hand these over to Airflow.
"""

from __future__ import annotations


class ViduError(Exception):
    """Base of all errors of this provider."""


class ViduRequestError(ViduError, ValueError):
    """The request is wrong. Nothing was sent or paid, and a retry alone cannot help."""


class ViduConnectionSettingsError(ViduError, ValueError):
    """The Airflow connection is missing or holds a wrong value. Nothing was sent; fix it, then retry."""


class ViduStateError(ViduError):
    """
    A submit depends on a store that could not be read or written: the task state store, or a file with prices.

    Nothing was sent or paid; a retry can help.
    """


class ViduApiError(ViduError):
    """
    The API refused a request, or its answer cannot be used.

    :param message: What happened, what was paid and the next step.
    :param status: HTTP status, ``None`` without an answer.
    :param code: The API's own error code, ``None`` if the answer had none.
    :param request_id: The API's id of the request, empty if the answer had none.
    :param vidu_task_id: Vidu's id of the polled task, ``None`` for a submit.
    :param retry_after: Seconds to wait by the server's Retry-After, ``None`` if it sent none.
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
    """The API refused the request: nothing was accepted or paid. It refuses the same request again."""


class ViduModerationError(ViduRefusedError):
    """Content moderation refused the text. Nothing was paid; only another text can help."""


class ViduAuthError(ViduApiError):
    """Bad key, spent quota or an address that is not allowed. Nothing was paid; fix the cause, then retry."""


class ViduRateLimitError(ViduApiError):
    """The API limits the rate of requests. Nothing was paid; the same request can succeed later."""


class ViduConnectError(ViduApiError):
    """The request never left: refused connection, DNS, connect timeout, TLS. Nothing was paid; a retry can help."""


class ViduTaskNotFoundError(ViduApiError):
    """The server does not know the task: it is new, it has expired, or its id or key belongs elsewhere."""


class ViduUnavailableError(ViduApiError):
    """A poll failed for now (timeout, 5xx, an unusable answer). Polling again costs nothing and can help."""


class ViduSubmissionUncertainError(ViduApiError):
    """
    A submit was sent and its outcome is unknown: it may have been accepted and will then be billed.

    Resubmitting may pay twice. Check the account's usage on the ModelVerse console first.
    """


class ViduDownloadError(ViduError):
    """
    A video could not be fetched or stored completely. It is paid and stays at its link until that expires: retry.

    :param message: What happened and the next step.
    :param expired: Whether the host refused the link itself, as it does after the link has expired.
    """

    def __init__(self, message: str, *, expired: bool = False) -> None:
        super().__init__(message)
        self.expired = expired


class ViduEventError(ViduError):
    """A trigger's event has an unknown format. The generation continues: wait again with ``ViduTaskSensor``."""
