# SPDX-License-Identifier: Apache-2.0
"""
Guard of downloads against hosts of the worker's own network.

No link from an XCom or a redirect reaches such a host.
"""

from __future__ import annotations

import socket
from functools import cached_property
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.hooks.answers import AnswerAdapter
from airflow_provider_vidu.hooks.connection import ConnectionSettings
from airflow_provider_vidu.protocol.reach import is_public
from airflow_provider_vidu.protocol.texts import brief, request_target


class DownloadAdapter(AnswerAdapter):
    """
    Send each request and each redirect of a download by the rules of its host.

    ``verify`` and ``proxies`` of the connection apply to the API's own host, ``download_verify`` and
    ``download_proxies`` to every other host. The adapter checks the address of the open connection, so DNS rebinding
    cannot bypass the check. Behind a proxy it can only check an address in the link itself, because the proxy resolves
    names.

    :param settings: The connection's settings.
    :param url: The URL, whose path and query are sent as a browser sends them.
    """

    def __init__(self, settings: ConnectionSettings, url: str) -> None:
        self._settings = settings
        self._api = urlsplit(settings.base_url)
        super().__init__(request_target(url))

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of checked connections, except those to a proxy."""
        super().init_poolmanager(*args, **kwargs)
        check = self._check

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return check(super()._new_conn(), self.host)

        class Tls(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return check(super()._new_conn(), self.host)

        plain = type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": Plain})
        tls = type("TlsPool", (HTTPSConnectionPool,), {"ConnectionCls": Tls})
        self.poolmanager.pool_classes_by_scheme = {"http": plain, "https": tls}
        self._use(self.poolmanager)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send a request with the TLS settings and the proxy for its host."""
        url = str(request.url)
        is_api = _origin(urlsplit(url)) == _origin(self._api)
        proxy = self._settings.proxy if is_api else self._settings.download_proxy(url)
        if proxy:
            self._check_literal(urlsplit(url).hostname or "")
        return super().send(
            request,
            stream=stream,
            timeout=timeout,
            verify=self._settings.verify if is_api else self._settings.download_verify,
            cert=cert,
            proxies={"all": proxy} if proxy else {},
        )

    def _check(self, connected: socket.socket, host: str) -> socket.socket:
        try:
            if not is_public(str(connected.getpeername()[0])) and not self._allows_private:
                raise _refused(host)
        except BaseException:
            connected.close()
            raise
        return connected

    def _check_literal(self, host: str) -> None:
        try:
            # Reads every notation of an address, such as 0x7f.1, and resolves no names.
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except OSError:
            return
        if not is_public(str(found[0][4][0])) and not self._allows_private:
            raise _refused(host)

    @cached_property
    def _allows_private(self) -> bool:
        from airflow.providers.common.compat.sdk import conf

        try:
            is_allowed = conf.getboolean("vidu", "allow_private_result_hosts", fallback=False)
        except Exception:
            # Airflow versions raise different classes.
            raise ViduDownloadError(
                "allow_private_result_hosts in Airflow's section [vidu] must be True or False, got "
                f"{brief(conf.get('vidu', 'allow_private_result_hosts'))}. Nothing was downloaded. Correct the "
                "configuration of the workers."
            ) from None
        if is_allowed:
            return True
        try:
            found = socket.getaddrinfo(self._api.hostname, None, type=socket.SOCK_STREAM)
        except OSError:
            return False
        return any(not is_public(str(address[0])) for *_, address in found)


def _refused(host: str) -> ViduDownloadError:
    # Without the address: the author of the link must not learn the network's addresses.
    return ViduDownloadError(
        f"The host of a result link must have a public address, got {host!r}. Nothing was downloaded. If your "
        "videos are on that host, set allow_private_result_hosts = True in Airflow's section [vidu]."
    )


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme.lower(), url.hostname, url.port or {"http": 80, "https": 443}.get(url.scheme.lower())
