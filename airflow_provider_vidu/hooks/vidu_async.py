# SPDX-License-Identifier: Apache-2.0
"""The transport of event loops: one hook serves every trigger of a process."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from weakref import WeakKeyDictionary

import aiohttp
from airflow.providers.common.compat.sdk import BaseHook
from yarl import URL

from airflow_provider_vidu.exceptions import (
    ViduAuthError,
    ViduConnectError,
    ViduConnectionSettingsError,
    ViduRateLimitError,
    ViduUnavailableError,
)
from airflow_provider_vidu.hooks.connection import DEFAULT_CONN_ID, ConnectionSettings, no_settings, read_settings
from airflow_provider_vidu.hooks.exchange import Answer, Exchange
from airflow_provider_vidu.hooks.pace import Pace
from airflow_provider_vidu.protocol.coding import MAX_ANSWER_BYTES
from airflow_provider_vidu.protocol.request import Body
from airflow_provider_vidu.protocol.response import Submission, TaskStatus

MAX_CONNECTIONS = 100
LOOK_UP_SECONDS = 60.0
"""How long a look-up may take, and how old one has to be that a failed connection makes anew."""
LINGER_SECONDS = 10.0
"""How long after its last user a shared hook keeps its sockets and its connection look-up."""

_SHARED: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, ViduAsyncHook]] = WeakKeyDictionary()


def _tls(verify: bool | str) -> bool | ssl.SSLContext:
    if isinstance(verify, bool):
        return verify
    is_directory = os.path.isdir(verify)
    return ssl.create_default_context(cafile=None if is_directory else verify, capath=verify if is_directory else None)


class ViduAsyncHook:
    """
    Call the Vidu API of UCloud ModelVerse without blocking an event loop.

    :param vidu_conn_id: connection of type ``vidu``: password = API key, host = base URL. It is looked up once, and
        again after the API refused the key or could not be reached, so that a change of it is picked up.
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
        Share one hook, its connection look-up, sockets and pace among all triggers of an event loop.

        :param vidu_conn_id: connection of type ``vidu``.
        :return: the hook, to be used in a ``with`` statement of each user. It is closed a little after its last user
            has left, or with the loop.
        """
        vidu_conn_id = str(vidu_conn_id)
        hooks = _SHARED.setdefault(asyncio.get_running_loop(), {})
        hook = hooks.get(vidu_conn_id)
        if hook is None:
            hook = hooks[vidu_conn_id] = cls(vidu_conn_id)
            hook._janitor = asyncio.create_task(hook._close_when_idle(hooks))
        return hook

    # The hook is its own context manager: one for each user would be something more for the collector to walk through.
    def __enter__(self) -> ViduAsyncHook:
        self._users += 1
        return self

    def __exit__(self, *error: object) -> None:
        self._users -= 1
        if not self._users:
            self._left.set()

    async def _close_when_idle(self, hooks: dict[str, ViduAsyncHook]) -> None:
        # It runs from the first use on, so that a loop which ends cancels it and so closes the sockets.
        try:
            while self._users or self._left.is_set():
                await self._left.wait()
                self._left.clear()
                await asyncio.sleep(LINGER_SECONDS)
        finally:
            del hooks[self.vidu_conn_id]
            if self._look_up:
                # Nobody wants to know any more, and what it opens nobody would close.
                self._look_up.cancel()
            await self.close()

    async def close(self) -> None:
        """Close the sockets. The hook may be used again, which looks the connection up anew."""
        clients = self._client, self._submit_client
        self._client = self._submit_client = self._settings = None
        for client in clients:
            if client:
                await client.close()

    async def settings(self) -> ConnectionSettings:
        """
        Look the connection up, once for all that ask.

        :return: its settings.
        :raises ViduConnectionSettingsError: when it is missing or wrong. Nothing was sent.
        :raises ViduConnectError: when Airflow could not be asked; nothing was sent, a retry can help.
        """
        if self._settings is None:
            if self._look_up is None:
                self._look_up = asyncio.create_task(self._read_connection())
                # Should all that asked be cancelled, its error is of no interest.
                self._look_up.add_done_callback(lambda task: task.cancelled() or task.exception())
            look_up = self._look_up
            try:
                # Who asked first may be cancelled; the others still want to know.
                return await asyncio.shield(look_up)
            except asyncio.CancelledError:
                asking = asyncio.current_task()
                if not look_up.cancelled() or (asking and asking.cancelling()):
                    raise
                raise no_settings(self.vidu_conn_id, ConnectionError("the look-up was cancelled")) from None
        return self._settings

    async def _read_connection(self) -> ConnectionSettings:
        try:
            try:
                async with asyncio.timeout(LOOK_UP_SECONDS):
                    connection = await BaseHook.aget_connection(self.vidu_conn_id)
            except Exception as error:
                raise no_settings(self.vidu_conn_id, error) from None
            settings = read_settings(connection)
            if self._client is None or settings.verify != self._verify:
                await self.close()
                # To load a bundle takes long enough to hold up the loop.
                tls = await asyncio.to_thread(_tls, settings.verify)
                self._client = self._new_client(tls)
                # A server may close an idle connection just when a submit sets out on it: nobody would know whether it
                # was accepted. So each has a fresh one.
                self._submit_client = self._new_client(tls, force_close=True)
                self._verify = settings.verify
            # All requests go to one host, and to look for its proxy costs as much as to send one of them.
            self._proxy = settings.proxy
            self._timeout = aiohttp.ClientTimeout(sock_connect=settings.connect_timeout, sock_read=settings.timeout)
            self._pace.limit_to(settings.max_requests_per_minute)
            self._settings, self._read_at = settings, self._pace.now()
            return settings
        except OSError as error:
            raise ViduConnectionSettingsError(
                f"connection {self.vidu_conn_id!r}: the CA bundle cannot be read ({error}), allowed: the path of a "
                "file or a directory of certificates. Nothing was sent."
            ) from None
        finally:
            self._look_up = None

    @staticmethod
    def _new_client(tls: bool | ssl.SSLContext, *, force_close: bool = False) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, ssl=tls, force_close=force_close)
        # Decoded in one place for both transports, which bounds what a small body can grow to.
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)

    async def _send(self, prepare: Callable[[ConnectionSettings], Exchange[Answer]]) -> Answer:
        # Before the turn, since the connection says how fast that comes.
        await self.settings()
        # No more than the sockets can take, so that a pause finds none that are on their way already.
        async with self._slots:
            await self._pace.turn()
            # And again, since the key may have been rotated meanwhile.
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
                # The API may have moved; a passing outage does not need a look-up for each request.
                if began - self._read_at > LOOK_UP_SECONDS:
                    self._forget(exchange.settings)
                raise
            self._pace.speed_up(began)
            return answer

    def _forget(self, settings: ConnectionSettings) -> None:
        if self._settings is settings:
            self._settings = None

    async def _exchange(self, exchange: Exchange[Answer]) -> Answer:
        client = self._client if exchange.body is None else self._submit_client
        if client is None:
            raise exchange.unanswered(ConnectionError("the hook was closed meanwhile"))
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
        Submit a task: exactly one POST. An accepted one is billed.

        :param body: a body that ``protocol.request.build`` made.
        :return: Vidu's task id and the request id.
        :raises ViduSubmissionUncertainError: the outcome is unknown; submitting again may pay twice.
        :raises ViduApiError: one of its other kinds: nothing was paid.
        :raises ViduConnectionSettingsError: nothing was sent.
        """
        return await self._send(lambda settings: Exchange.submit(settings, body))

    async def get_task(self, vidu_task_id: str) -> TaskStatus:
        """
        Read a task's status; free.

        :param vidu_task_id: Vidu's id of the task.
        :return: its status.
        :raises ViduApiError: one of its kinds; reading again is free.
        :raises ViduConnectionSettingsError: nothing was sent.
        """
        return await self._send(lambda settings: Exchange.status(settings, vidu_task_id))
