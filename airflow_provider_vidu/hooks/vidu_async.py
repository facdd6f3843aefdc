# SPDX-License-Identifier: Apache-2.0
"""The transport of event loops: one hook serves every trigger of a process."""

from __future__ import annotations

import asyncio
import random
import ssl
from weakref import WeakKeyDictionary

import aiohttp
from aiolimiter import AsyncLimiter
from airflow.providers.common.compat.sdk import BaseHook
from requests.utils import get_environ_proxies, select_proxy
from yarl import URL

from airflow_provider_vidu.exceptions import ViduAuthError, ViduRateLimitError
from airflow_provider_vidu.hooks.connection import DEFAULT_CONN_ID, ConnectionSettings, no_settings, read_settings
from airflow_provider_vidu.hooks.exchange import Answer, Exchange
from airflow_provider_vidu.protocol.polling import pause_after
from airflow_provider_vidu.protocol.request import Body
from airflow_provider_vidu.protocol.response import Submission, TaskStatus

MAX_CONNECTIONS = 100
LINGER_SECONDS = 10.0
"""How long after its last user a shared hook keeps its sockets and its connection look-up."""

_SHARED: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, ViduAsyncHook]] = WeakKeyDictionary()


class _Pace:
    """How fast all users of a hook may send together."""

    def __init__(self) -> None:
        self._limiter: AsyncLimiter | None = None
        self._rate: float | None = None
        self._resume_at = self._spread = 0.0
        self._times = 0

    @staticmethod
    def now() -> float:
        """Tell the event loop's time."""
        return asyncio.get_running_loop().time()

    def limit_to(self, requests_per_minute: float | None) -> None:
        """Allow so many requests per minute, evenly spread; ``None`` for any."""
        if requests_per_minute != self._rate:
            self._rate = requests_per_minute
            self._limiter = AsyncLimiter(1, 60 / requests_per_minute) if requests_per_minute else None

    async def turn(self) -> None:
        """Wait until a request may be sent."""
        while (rest := self._resume_at - self.now()) > 0:  # noqa: ASYNC110 - what may be put off is a time
            # Those that waited together must not be refused together again.
            await asyncio.sleep(rest + random.random() * self._spread)  # noqa: S311 - a jitter
        if self._limiter:
            await self._limiter.acquire()

    def slow_down(self, began: float, retry_after: float | None) -> None:
        """
        Pause, since the API asked to slow down.

        :param began: when the request that it refused was sent.
        :param retry_after: seconds that it asked for.
        """
        if began >= self._resume_at:
            # What was sent before the last pause says nothing about whether that was long enough.
            self._times += 1
        pause = pause_after(self._times, retry_after)
        self._resume_at, self._spread = max(self._resume_at, began + pause), pause / 2

    def speed_up(self) -> None:
        """Note that the API takes requests again."""
        self._times = 0


def _tls(verify: bool | str) -> bool | ssl.SSLContext:
    return ssl.create_default_context(cafile=verify) if isinstance(verify, str) else verify


class ViduAsyncHook:
    """
    Call the Vidu API of UCloud ModelVerse without blocking an event loop.

    :param vidu_conn_id: connection of type ``vidu``: password = API key, host = base URL. It is looked up once and
        again after the API refused the key, so that a rotated key is picked up.
    """

    def __init__(self, vidu_conn_id: str = DEFAULT_CONN_ID) -> None:
        self.vidu_conn_id = vidu_conn_id
        self._settings: ConnectionSettings | None = None
        self._look_up: asyncio.Task[ConnectionSettings] | None = None
        self._proxy: str | None = None
        self._client: aiohttp.ClientSession | None = None
        self._pace = _Pace()
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
            while self._users:
                await self._left.wait()
                await asyncio.sleep(LINGER_SECONDS)
                self._left.clear()
        finally:
            del hooks[self.vidu_conn_id]
            await self.close()

    async def close(self) -> None:
        """Close the sockets. The hook may be used again, which opens new ones."""
        client, self._client = self._client, None
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
            # Who asked first may be cancelled; the others still want to know.
            return await asyncio.shield(self._look_up)
        return self._settings

    async def _read_connection(self) -> ConnectionSettings:
        try:
            try:
                connection = await BaseHook.aget_connection(self.vidu_conn_id)
            except Exception as error:
                raise no_settings(self.vidu_conn_id, error) from None
            settings = self._settings = read_settings(connection)
        finally:
            self._look_up = None
        # All requests go to one host, and to look for its proxy costs as much as to send one of them.
        self._proxy = select_proxy(settings.base_url, settings.proxies or get_environ_proxies(settings.base_url))
        self._pace.limit_to(settings.max_requests_per_minute)
        return settings

    async def _send(self, exchange: Exchange[Answer]) -> Answer:
        await self._pace.turn()
        began = self._pace.now()
        settings = exchange.settings
        if self._client is None:
            connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, ssl=_tls(settings.verify))
            self._client = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        try:
            async with self._client.request(
                exchange.method,
                URL(exchange.url, encoded=True),
                headers=exchange.headers,
                data=exchange.body,
                timeout=aiohttp.ClientTimeout(sock_connect=settings.connect_timeout, sock_read=settings.timeout),
                allow_redirects=False,
                proxy=self._proxy,
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise exchange.unanswered(error) from None
        try:
            answer = exchange.answered(response.status, response.headers, content)
        except ViduRateLimitError as error:
            self._pace.slow_down(began, error.retry_after)
            raise
        self._pace.speed_up()
        return answer

    async def submit(self, body: Body) -> Submission:
        """
        Submit a task: exactly one POST. An accepted one is billed.

        :param body: a body that ``protocol.request.build`` made.
        :return: Vidu's task id and the request id.
        :raises ViduSubmissionUncertainError: the outcome is unknown; submitting again may pay twice.
        :raises ViduApiError: one of its other kinds: nothing was paid.
        :raises ViduConnectionSettingsError: nothing was sent.
        """
        return await self._send(Exchange.submit(await self.settings(), body))

    async def get_task(self, vidu_task_id: str) -> TaskStatus:
        """
        Read a task's status; free.

        :param vidu_task_id: Vidu's id of the task.
        :return: its status.
        :raises ViduApiError: one of its kinds; reading again is free.
        :raises ViduConnectionSettingsError: nothing was sent.
        """
        settings = await self.settings()
        try:
            return await self._send(Exchange.status(settings, vidu_task_id))
        except ViduAuthError:
            if self._settings is settings:
                self._settings = None
            raise
