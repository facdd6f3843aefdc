# SPDX-License-Identifier: Apache-2.0
"""
The workers' transport: connection, bytes out, bytes in.

``protocol`` decides what the bytes mean.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import requests
import urllib3
from airflow.providers.common.compat.sdk import AirflowTaskTimeout
from airflow.providers.http.hooks.http import HttpHook

from airflow_provider_vidu.exceptions import (
    ViduAuthError,
    ViduError,
    ViduRefusedError,
    ViduRequestError,
    ViduTaskNotFoundError,
)
from airflow_provider_vidu.hooks.answers import AnswerAdapter
from airflow_provider_vidu.hooks.connection import (
    AUTH_SCHEMES,
    DEFAULT_CONN_ID,
    ConnectionSettings,
    no_settings,
    read_settings,
)
from airflow_provider_vidu.hooks.download import Downloader
from airflow_provider_vidu.hooks.exchange import Exchange, Parsed
from airflow_provider_vidu.hooks.guard import DownloadAdapter
from airflow_provider_vidu.protocol.coding import MAX_ANSWER_BYTES
from airflow_provider_vidu.protocol.request import Body
from airflow_provider_vidu.protocol.response import Submission, TaskStatus

if TYPE_CHECKING:
    from airflow_provider_vidu.hooks.vidu_async import ViduAsyncHook

__all__ = ["ViduAsyncHook", "ViduHook"]


def __getattr__(name: str) -> Any:
    # Workers need only the other one.
    if name == "ViduAsyncHook":
        from airflow_provider_vidu.hooks.vidu_async import ViduAsyncHook

        return ViduAsyncHook
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _one_proxy(settings: ConnectionSettings) -> dict[str, str]:
    return {"all": settings.proxy} if settings.proxy else {}


def _unauthorized(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from adding credentials of a netrc file or of extra."""
    return request


class _Session(requests.Session):
    """
    Follow no redirect.

    requests would read the body of a redirect without any limit.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return no target for any response."""


class ViduHook(HttpHook):
    """
    Call the Vidu API of UCloud ModelVerse.

    :param vidu_conn_id: Connection of type ``vidu``: password = API key, host = base URL.
    """

    conn_name_attr = "vidu_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "vidu"
    hook_name = "Vidu"

    def __init__(self, vidu_conn_id: str = DEFAULT_CONN_ID) -> None:
        # Airflow renders an id of digits as a number if it renders native objects.
        self.vidu_conn_id = str(vidu_conn_id)
        super().__init__(http_conn_id=self.vidu_conn_id, adapter=AnswerAdapter())

    def settings(self) -> ConnectionSettings:
        """
        Read the connection from Airflow.

        :return: The connection's settings.
        :raises ViduConnectionSettingsError: If the connection is missing or wrong. Nothing was sent.
        :raises ViduConnectError: If Airflow did not return the connection. Nothing was sent; a retry can help.
        """
        try:
            connection = self.get_connection(self.vidu_conn_id)
        except Exception as error:
            raise no_settings(self.vidu_conn_id, error) from None
        return read_settings(connection)

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        """
        Make a session for the API, with TLS and proxies of the connection.

        :param headers: Headers to add.
        :param extra_options: Not used; the connection's extra never becomes headers.
        :return: A session that sends the API key with every request: never use it for another host's URL.
        """
        settings = self.settings()
        session = self._session(settings)
        session.verify = settings.verify
        session.trust_env = False
        session.proxies = _one_proxy(settings)
        session.headers.update(settings.headers())
        session.headers.update(headers or {})
        return session

    def run(self, *args: Any, **kwargs: Any) -> NoReturn:
        """
        Refuse: :class:`HttpHook` would POST by default, without a record of what was paid.

        :param args: not used.
        :param kwargs: not used.
        :raises ViduRequestError: always. Nothing was sent.
        """
        raise ViduRequestError(
            "ViduHook must send requests with submit() or get_task(), got a call to an inherited run method. Nothing "
            "was sent or paid. Use submit(), get_task() or ViduSubmitOperator."
        )

    run_and_check = run_with_advanced_retry = run

    def _session(self, settings: ConnectionSettings) -> requests.Session:
        session = _Session()
        self.base_url = settings.base_url
        self._configure_session_from_mount_adapters(session)
        session.auth = _unauthorized
        return session

    def _send(self, exchange: Exchange[Parsed]) -> Parsed:
        settings = exchange.settings
        proxies = _one_proxy(settings)
        try:
            with self._session(settings) as session:
                # The settings choose the proxy, also among the environment's.
                session.trust_env = False
                with session.request(
                    exchange.method,
                    exchange.url,
                    headers=exchange.headers,
                    data=exchange.body,
                    allow_redirects=False,
                    stream=True,
                    timeout=(settings.connect_timeout, settings.timeout),
                    verify=settings.verify,
                    proxies=proxies,
                ) as response:
                    content = response.raw.read(MAX_ANSWER_BYTES + 1, decode_content=False)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise exchange.unanswered(error) from None
        return exchange.answered(response.status_code, response.headers, content)

    def submit(self, body: Body) -> Submission:
        """
        Submit a task with exactly one POST. An accepted task is billed.

        :param body: A body from ``protocol.request.build``.
        :return: Vidu's task id and the request id.
        :raises ViduSubmissionUncertainError: If the outcome is unknown; submitting again may pay twice.
        :raises ViduApiError: On any other error of the API. Nothing was paid.
        :raises ViduConnectionSettingsError: If the connection is missing or wrong. Nothing was sent.
        """
        exchange = Exchange.submit(self.settings(), body)
        try:
            return self._send(exchange)
        except ViduError:
            raise
        except (Exception, AirflowTaskTimeout) as error:
            # Airflow would retry this error, which is only safe if nothing was sent yet.
            if exchange.sent:
                raise exchange.unanswered(error) from error
            raise

    def get_task(self, vidu_task_id: str) -> TaskStatus:
        """
        Poll a task once, free of charge.

        :param vidu_task_id: Vidu's id of the task.
        :return: The task's status.
        :raises ViduApiError: On any error of the API; polling again is free.
        :raises ViduConnectionSettingsError: If the connection is missing or wrong. Nothing was sent.
        """
        return self._send(Exchange.status(self.settings(), vidu_task_id))

    def downloader(self) -> Downloader:
        """
        Read the connection once for many downloads.

        :return: A downloader with the connection's settings.
        :raises ViduConnectionSettingsError: If the connection is missing or wrong. Nothing was sent.
        """
        settings = self.settings()

        @contextmanager
        def get(url: str, headers: Mapping[str, str]) -> Iterator[requests.Response]:
            adapter, timeout = DownloadAdapter(settings, url), (settings.connect_timeout, settings.timeout)
            with _Session() as session:
                # The adapter chooses proxy and CA bundle for each host, also among the environment's.
                session.trust_env = False
                session.mount("http://", adapter)
                session.mount("https://", adapter)
                with session.get(url, headers=dict(headers), stream=True, timeout=timeout) as response:
                    yield response

        return Downloader(get)

    def download(self, url: str, target: BinaryIO) -> int:
        """
        Stream a result to a file, without sending the API key.

        It resumes a few times after a broken connection.

        :param url: An http(s) URL of a result.
        :param target: Empty binary file, open for writing, seekable and truncatable.
        :return: Number of bytes written.
        :raises ViduDownloadError: If the file did not arrive completely. A retry is free until the link expires.
        :raises ViduConnectionSettingsError: If the connection is missing or wrong. Nothing was sent.
        """
        return self.downloader().fetch(url, target)

    def test_connection(self) -> tuple[bool, str]:
        """
        Check the API key free of charge, by polling a made-up task.

        :return: Whether the connection works, and a message.
        """
        try:
            settings = self.settings()
            refusal = self._refusal(settings)
            if refusal is None:
                return True, f"Connected: {settings.base_url} accepted the API key."
            if isinstance(refusal, ViduAuthError):
                other = next(scheme for scheme in AUTH_SCHEMES if scheme != settings.auth_scheme)
                if self._refusal(replace(settings, auth_scheme=other)) is None:
                    return False, f"The API key is valid, but needs another scheme: set auth_scheme to {other}."
                return False, f"The API refused the key. {refusal}"
            return False, f"No usable answer from {settings.base_url}. {refusal}"
        except ViduError as error:
            return False, str(error)

    def _refusal(self, settings: ConnectionSettings) -> ViduError | None:
        try:
            self._send(Exchange.status(settings, f"connection-test-{uuid.uuid4()}"))
        except ViduTaskNotFoundError:
            return None
        except ViduRefusedError as error:
            # The answer to a made-up id is not documented. A 400 with a request id means that the API accepted the key.
            return None if error.status == 400 and error.request_id else error
        except ViduError as error:
            return error
        return None
