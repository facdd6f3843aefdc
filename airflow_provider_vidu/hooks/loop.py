# SPDX-License-Identifier: Apache-2.0
"""An event loop for a worker, in its own thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from airflow_provider_vidu.hooks.vidu_async import ViduAsyncHook

Result = TypeVar("Result")


class HookLoop:
    """
    Run coroutines with one hook in a separate thread.

    Use it in a ``with`` statement. The loop has its own thread for two reasons. Airflow ends a task at its timeout by
    an exception in the main thread, which an event loop there could swallow. And calls that block the main thread, such
    as those of the task state store, must not delay requests.

    :param vidu_conn_id: Connection of type ``vidu``.
    """

    def __init__(self, vidu_conn_id: str) -> None:
        self.hook = ViduAsyncHook(vidu_conn_id)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="vidu-loop")
        self._runner = asyncio.Runner()
        self._running: Future[Any] | None = None
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> HookLoop:
        return self

    def __exit__(self, *error: object) -> None:
        self.finish(0)
        self._pool.submit(self._close).result()
        self._pool.shutdown()

    def _close(self) -> None:
        self._runner.run(self.hook.close())
        self._runner.close()

    def run(self, work: Callable[[ViduAsyncHook], Coroutine[Any, Any, Result]]) -> Result:
        """
        Run a coroutine to its end.

        :param work: Makes the coroutine.
        :return: The coroutine's result.
        """
        self._running = self._pool.submit(self._runner.run, self._remember(work))
        result: Result = self._running.result()
        return result

    async def _remember(self, work: Callable[[ViduAsyncHook], Coroutine[Any, Any, Result]]) -> Result:
        self._task = asyncio.current_task()
        return await work(self.hook)

    def finish(self, seconds: float) -> None:
        """
        Let an interrupted coroutine run on for a while, then cancel it.

        :param seconds: Time before it is cancelled.
        """
        if self._running is None:
            return
        wait([self._running], seconds)
        while not self._running.done():
            if self._task is not None:
                self._runner.get_loop().call_soon_threadsafe(self._task.cancel)
            wait([self._running], 0.1)
