# SPDX-License-Identifier: Apache-2.0
"""
HTTP responses on a worker: only the final one, and within a time limit.

The standard library skips only the interim response 100. Its timeout restarts with each byte, so a server that sends a
byte now and then would occupy a worker forever.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter

LEAST_BYTES_PER_SECOND = 1024
"""A response may take the timeout, plus one second for every so many bytes."""
_MOST_INTERIM = 20


class _Timed(io.RawIOBase):
    """
    Read from a socket until the response is late.

    :param stream: the socket's stream.
    :param connected: the socket, whose timeout counts for the response.
    """

    def __init__(self, stream: io.RawIOBase, connected: socket.socket) -> None:
        self._stream = stream
        self._socket = connected
        self._timeout = connected.gettimeout()
        self._late_at = time.monotonic() + (self._timeout or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if self._timeout is not None:
            left = self._late_at - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"slower than {LEAST_BYTES_PER_SECOND} bytes a second")
            self._socket.settimeout(min(left, self._timeout))
        count = self._stream.readinto(buffer) or 0
        self._late_at += count / LEAST_BYTES_PER_SECOND
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Timed(self.fp.detach(), sock))

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MOST_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            # 100 is left to the caller, and 101 changes the protocol.
            if not 101 < status < 200:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException(f"more than {_MOST_INTERIM} interim responses")


class AnswerAdapter(HTTPAdapter):
    """
    Returns only final responses that arrive within the time limit, through a proxy too.

    :param target: path and query to send in place of those of the URL, which HTTP libraries rewrite.
    """

    def __init__(self, target: str | None = None) -> None:
        self._connection: dict[str, Any] = {"response_class": _Answer}
        if target is not None:
            self._connection["putrequest"] = _sending(target)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of connections without a proxy."""
        super().init_poolmanager(*args, **kwargs)
        self._use(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Make the pools of connections to a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        self._use(manager)
        return manager

    def _use(self, manager: Any) -> None:
        """Make the connections of a pool manager behave in this way."""
        manager.pool_classes_by_scheme = {
            scheme: self._with_connection(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
        }

    def _with_connection(self, pool: Any) -> type:
        connection = pool.ConnectionCls
        if getattr(connection, "response_class", None) is _Answer:
            # A proxy's manager is kept for the next request.
            return pool  # type: ignore[no-any-return]
        connection = type(connection.__name__, (connection,), self._connection)
        return type(pool.__name__, (pool,), {"ConnectionCls": connection})


def _sending(target: str) -> Callable[..., None]:
    def putrequest(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        # A proxy gets the whole URL.
        origin = "" if url.startswith("/") else url[: url.index("/", url.index("://") + 3)]
        super(type(self), self).putrequest(method, origin + target, *args, **kwargs)

    return putrequest
