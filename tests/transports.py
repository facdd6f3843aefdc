# SPDX-License-Identifier: Apache-2.0
"""The two hooks behind one face, and the one that all share used for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from airflow_provider_vidu import exceptions
from airflow_provider_vidu.hooks.vidu import ViduAsyncHook, ViduHook
from airflow_provider_vidu.protocol.request import build
from airflow_provider_vidu.protocol.response import Submission, TaskStatus

BODY = build("text2video", "viduq2", {"prompt": "a kite", "duration": 1})


class Both:
    """The same calls through either hook."""

    def __init__(self, transport: str) -> None:
        self.transport = transport

    def submit(self, body: dict[str, Any] = BODY) -> Submission:
        return self._call(lambda hook: hook.submit(body))

    def get_task(self, vidu_task_id: str) -> TaskStatus:
        return self._call(lambda hook: hook.get_task(vidu_task_id))

    def _call(self, call: Callable[[Any], Any]) -> Any:
        if self.transport == "requests":
            return call(ViduHook())

        async def run() -> Any:
            with ViduAsyncHook.shared() as hook:
                answer: Awaitable[Any] = call(hook)
                return await answer

        return asyncio.run(run())


async def used(calls: int = 1) -> ViduAsyncHook:
    with ViduAsyncHook.shared() as hook:
        for _ in range(calls):
            with suppress(exceptions.ViduTaskNotFoundError):
                await hook.get_task("nobody-knows-it")
        return hook
