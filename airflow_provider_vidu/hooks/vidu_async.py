# SPDX-License-Identifier: Apache-2.0
"""The triggers' transport: one hook serves all triggers of a process."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from airflow_provider_vidu.exceptions import (
    ViduAuthError,
    ViduConnectError,
    ViduConnectionSettingsError,
    ViduRateLimitError,
    ViduUnavailableError,
)
from airflow_provider_vidu.hooks.connection import (
    DEFAULT_CONN_ID,
    ConnectionSettings,
    no_settings,
    read_settings,
)
from airflow_provider_vidu.hooks.exchange import Exchange, Parsed
from airflow_provider_vidu.hooks.look_up import look_up
from airflow_provider_vidu.hooks.pace import Pace
from airflow_provider_vidu.protocol.coding import MAX_ANSWER_BYTES
from airflow_provider_vidu.protocol.request import Body
from airflow_provider_vidu.protocol.response import Submission, TaskStatus

__all__ = ["ViduAsyncHook"]

MAX_CONNECTIONS = 100
LOOK_UP_SECONDS = 60.0
"""Timeout of reading the connection, and the age from which a connect error reads it again."""
LINGER_SECONDS = 10.0
"""How long after its last user a shared hook keeps its sockets and its settings."""

_SHARED: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, ViduAsyncHook]] = WeakKeyDictionary()


def _tls(verify: bool | str) -> bool | ssl.SSLContext:
    if isinstance(verify, bool):
        return verify
    is_directory = os.path.isdir(verify)
    return ssl.create_default_context(cafile=None if is_directory else verify, capath=verify if is_directory else None)


class ViduAsyncHook:
    """
    Call the Vidu API of UCloud ModelVerse without blocking an event loop.

    :param vidu_conn_id: Connection of type ``vidu``: password = API key, host = base URL. The hook reads it once, and
        again after the API refused the key or was unreachable, so that it picks up a change.
    """

    def __init__(self, vidu_conn_id: str = DEFAULT_CONN_ID) -> None:
        self.vidu_conn_id = str(vidu_conn_id)
        self._settings: ConnectionSettings | None = None
        self._look_up: asyncio.Task[ConnectionSettings] | None = None
        self._read_at = 0.0
        self._verify: bool | str = True
        self._proxy: str | None = None
        self._timeout = aiohttp.ClientTimeout()
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        self._client: aiohttp.ClientSession | None = None
        self._submit_client: aiohttp.ClientSession | None = None
        self._pace = Pace()
        self._users = 0
        self._left = asyncio.Event()
        self._janitor: asyncio.Task[None] | None = None

    @classmethod
    def shared(cls, vidu_conn_id: str = DEFAULT_CONN_ID) -> ViduAsyncHook:
        """
        Share one hook, its settings, sockets and pace in an event loop.

        :param vidu_conn_id: Connection of type ``vidu``.
        :return: The hook; each user enters it in a ``with`` statement. It closes shortly after its last user has left,
            or with the loop.
        """
        vidu_conn_id = str(vidu_conn_id)
        hooks = _SHARED.setdefault(asyncio.get_running_loop(), {})
        hook = hooks.get(vidu_conn_id)
        if hook is None:
            hook = hooks[vidu_conn_id] = cls(vidu_conn_id)
            hook._janitor = asyncio.create_task(hook._close_when_idle(hooks))
        return hook

    # The hook is its own context manager: one per user would be one more object for the garbage collector to visit.
    def __enter__(self) -> ViduAsyncHook:
        self._users += 1
        return self

    def __exit__(self, *error: object) -> None:
        self._users -= 1
        if not self._users:
            self._left.set()

    async def _close_when_idle(self, hooks: dict[str, ViduAsyncHook]) -> None:
        # It runs from the first use on, so that the end of the loop cancels it, which closes the sockets.
        try:
            while self._users or self._left.is_set():
                await self._left.wait()
                self._left.clear()
                await asyncio.sleep(LINGER_SECONDS)
        finally:
            del hooks[self.vidu_conn_id]
            if self._look_up:
                # No user needs its result any more, and no one would close the sockets that it opens.
                self._look_up.cancel()
            await self.close()

    async def close(self) -> None:
        """Close the sockets. The next use of the hook reads the connection again."""
        clients = self._client, self._submit_client
        self._client = self._submit_client = self._settings = None
        for client in clients:
            if client:
                await client.close()

    async def settings(self) -> ConnectionSettings:
        """
        Read the connection from Airflow, once for all concurrent callers.

        :return: The connection's settings.
        :raises ViduConnectionSettingsError: If the connection is missing or wrong. Nothing was sent.
        :raises ViduConnectError: If Airflow did not return the connection. Nothing was sent; a retry can help.
        """
        if self._settings is None:
            if self._look_up is None:
                self._look_up = asyncio.create_task(self._read_connection())
                # Mark its error as seen, in case all callers are cancelled.
                self._look_up.add_done_callback(lambda task: task.cancelled() or task.exception())
            look_up = self._look_up
            try:
                # The first caller may be cancelled; the others still need the settings.
                return await asyncio.shield(look_up)
            except asyncio.CancelledError:
                asking = asyncio.current_task()
                if not look_up.cancelled() or (asking and asking.cancelling()):
                    raise
                raise no_settings(self.vidu_conn_id, ConnectionError("reading it was cancelled")) from None
        return self._settings

    async def _read_connection(self) -> ConnectionSettings:
        try:
            try:
                async with asyncio.timeout(LOOK_UP_SECONDS):
                    connection = await look_up(self.vidu_conn_id)
            except Exception as error:
                raise no_settings(self.vidu_conn_id, error) from None
            # It may load a CA bundle.
            settings = await asyncio.to_thread(read_settings, connection)
            if self._client is None or settings.verify != self._verify:
                await self.close()
                # Loading a bundle takes long enough to block the loop.
                tls = await asyncio.to_thread(_tls, settings.verify)
                self._client = self._new_client(tls)
                # A server may close an idle connection while a submit is sent on it. The outcome would be unknown, so
                # each submit opens a new connection.
                self._submit_client = self._new_client(tls, force_close=True)
                self._verify = settings.verify
            # All requests go to one host, and finding its proxy costs as much as sending a request.
            self._proxy = settings.proxy
            self._timeout = aiohttp.ClientTimeout(sock_connect=settings.connect_timeout, sock_read=settings.timeout)
            self._pace.limit_to(settings.max_requests_per_minute)
            self._settings, self._read_at = settings, self._pace.now()
            return settings
        except OSError as error:
            raise ViduConnectionSettingsError(
                f"connection {self.vidu_conn_id!r}: the CA bundle must be a readable file or a directory of "
                f"certificates, got {error}. Nothing was sent. Check verify in extra, or the environment variables "
                "REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE."
            ) from None
        finally:
            self._look_up = None

    @staticmethod
    def _new_client(tls: bool | ssl.SSLContext, *, force_close: bool = False) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, ssl=tls, force_close=force_close)
        # Both transports decode in one place, which limits the decoded size of a small body.
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)

    async def _send(self, prepare: Callable[[ConnectionSettings], Exchange[Parsed]]) -> Parsed:
        # Before the turn, because the connection sets the pace.
        await self.settings()
        # No more requests than sockets, so that a pause also holds back the requests that wait for a socket.
        async with self._slots:
            await self._pace.turn()
            # Again, because the key may have been rotated meanwhile.
            exchange = prepare(await self.settings())
            began = self._pace.now()
            try:
                answer = await self._exchange(exchange)
            except ViduRateLimitError as error:
                self._pace.slow_down(began, error.retry_after)
                raise
            except ViduAuthError:
                self._forget(exchange.settings)
                raise
            except (ViduConnectError, ViduUnavailableError):
                # The API may have moved; a temporary outage must not read the connection for each request.
                if began - self._read_at > LOOK_UP_SECONDS:
                    self._forget(exchange.settings)
                raise
            self._pace.speed_up(began)
            return answer

    def _forget(self, settings: ConnectionSettings) -> None:
        if self._settings is settings:
            self._settings = None

    async def _exchange(self, exchange: Exchange[Parsed]) -> Parsed:
        client = self._client if exchange.body is None else self._submit_client
        if client is None:
            raise exchange.unanswered(ConnectionError("the hook was closed"))
        try:
            async with client.request(
                exchange.method,
                URL(exchange.url, encoded=True),
                headers=exchange.headers,
                data=exchange.body,
                timeout=self._timeout,
                allow_redirects=False,
                proxy=self._proxy,
            ) as response:
                content = bytearray()
                async for piece in response.content.iter_any():
                    content += piece
                    if len(content) > MAX_ANSWER_BYTES:
                        break
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise exchange.unanswered(error) from None
        return exchange.answered(response.status, response.headers, bytes(content))

    async def submit(self, body: Body) -> Submission:
        """
        Submit a task with exactly one POST. An accepted task is billed.

        :param body: A body from ``protocol.request.build``.
        :return: Vidu's task id and the request id.
        :raises ViduSubmissionUncertainError: If the outcome is unknown; submitting again may pay twice.
        :raises ViduApiError: On any other error of the API. Nothing was paid.
        :raises ViduConnectionSettingsError: If the connection is missing or wrong. Nothing was sent.
        """
        return await self._send(lambda settings: Exchange.submit(settings, body))

    async def get_task(self, vidu_task_id: str) -> TaskStatus:
        """
        Poll a task once, free of charge.

        :param vidu_task_id: Vidu's id of the task.
        :return: The task's status.
        :raises ViduApiError: On any error of the API; polling again is free.
        :raises ViduConnectionSettingsError: If the connection is missing or wrong. Nothing was sent.
        """
        return await self._send(lambda settings: Exchange.status(settings, vidu_task_id))
