# SPDX-License-Identifier: Apache-2.0
"""Interim answers (1xx), which HTTP allows before the final one. The standard library skips 100 alone."""

from __future__ import annotations

import http.client

from requests.adapters import HTTPAdapter

_MOST = 20


class _FinalResponse(http.client.HTTPResponse):
    """An answer whose status is that of the final one."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MOST):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            # 100 is left to the caller, and 101 changes the protocol.
            if not 101 < status < 200:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException(f"more than {_MOST} interim answers")


def skip_interim_answers(adapter: HTTPAdapter) -> None:
    """
    Make the connections of an adapter wait for the final answer.

    :param adapter: The adapter; its connections through a proxy stay as they are.
    """
    pools = adapter.poolmanager.pool_classes_by_scheme
    adapter.poolmanager.pool_classes_by_scheme = {scheme: _final(pool) for scheme, pool in pools.items()}


def _final(pool: type) -> type:
    connection = type("Connection", (pool.ConnectionCls,), {"response_class": _FinalResponse})  # type: ignore[attr-defined]
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})
