# SPDX-License-Identifier: Apache-2.0
"""
What can go wrong, sorted by what the reader has to do.

::

    ViduError
    ├── ViduRequestError              the request is wrong; nothing was sent, nothing paid: mend the DAG
    ├── ViduConnectionSettingsError   the Airflow connection is missing or wrong; nothing was sent, nothing paid
    ├── ViduStateError                a store did not tell or keep what a submit depends on; nothing was sent: retry
    ├── ViduApiError                  the API answered, or failed to
    │   ├── ViduRefusedError          refused for good, nothing paid: mend the request
    │   │   └── ViduModerationError   refused by content moderation, nothing paid: change the text
    │   ├── ViduAuthError             bad key, quota or address, nothing paid: mend the connection, then retry
    │   ├── ViduRateLimitError        too fast, nothing paid: retry later
    │   ├── ViduConnectError          never sent, nothing paid: retry
    │   ├── ViduTaskNotFoundError     the server does not know the task (yet, or any more)
    │   ├── ViduUnavailableError      a read failed in passing; reading again is free
    │   └── ViduSubmissionUncertainError  a submit may have been accepted and paid: check before sending again
    ├── ViduDownloadError             a video could not be stored; it stays at its url until that expires
    └── ViduEventError                a trigger's event is not one of ours

Airflow's own exception types appear only where operators and sensors hand these over to Airflow.
"""

from __future__ import annotations


class ViduError(Exception):
    """Base of all errors of this provider."""


class ViduRequestError(ViduError, ValueError):
    """The request is wrong. Found before anything was sent: nothing was paid, and a retry alone cannot help."""


class ViduConnectionSettingsError(ViduError, ValueError):
    """The Airflow connection is missing or holds a wrong value. Nothing was sent; a retry helps once it is mended."""


class ViduStateError(ViduError):
    """
    What a submit depends on could not be read or written: Airflow's task state store, or a file with prices.

    Nothing was sent, nothing paid; a retry can help.
    """


class ViduApiError(ViduError):
    """
    The API refused, or did not give an answer that can be used.

    :param message: what happened, what was paid and what to do next.
    :param status: HTTP status, ``None`` where there was no answer.
    :param code: the API's own error code, ``None`` where it gave none.
    :param request_id: the API's id of the request, empty where it gave none.
    :param vidu_task_id: the task that was asked for, ``None`` for a submit.
    :param retry_after: seconds the server asked to wait, ``None`` where it named none.
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
    """The API refused the request. A submit was not accepted and nothing was paid; the same again is refused again."""


class ViduModerationError(ViduRefusedError):
    """Content moderation refused the text. Nothing was paid; only another text can help."""


class ViduAuthError(ViduApiError):
    """Bad key, spent quota or an address that is not allowed. Nothing was paid; retry once that is mended."""


class ViduRateLimitError(ViduApiError):
    """The API asks to slow down. Nothing was paid; the same request later can succeed."""


class ViduConnectError(ViduApiError):
    """The request never left: refused connection, DNS, connect time-out, TLS. Nothing was paid; a retry can help."""


class ViduTaskNotFoundError(ViduApiError):
    """The server does not know the task: it is new, it has expired, or its id or key belongs elsewhere."""


class ViduUnavailableError(ViduApiError):
    """A read failed in passing (time-out, 5xx, an answer that is none). Reading again costs nothing and can help."""


class ViduSubmissionUncertainError(ViduApiError):
    """
    A submit was sent and its outcome is unknown: it may have been accepted and will then be paid.

    Sending it again may pay twice. Look at the account's usage on the ModelVerse console first.
    """


class ViduDownloadError(ViduError):
    """
    A video could not be fetched or stored whole. It was paid already and stays at its url until that expires: retry.

    :param message: what happened and what to do next.
    :param expired: whether its host refused the link itself, as it does once that has expired.
    """

    def __init__(self, message: str, *, expired: bool = False) -> None:
        super().__init__(message)
        self.expired = expired


class ViduEventError(ViduError):
    """A trigger's event is not one of ours. The generation goes on: wait again with ``ViduTaskSensor``."""
