# SPDX-License-Identifier: Apache-2.0
"""
Measurement of many waiting triggers in one event loop: CPU per poll, loop delay, sockets and memory.

Every client polls every 5 s until done, in a process of its own on one core. The API runs on the other core.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable

import psutil

INTERVAL, READY_AFTER = 5.0, 30.0
SIZES = (100, 1_000, 10_000)

Wait = Callable[[str], Awaitable[object]]


async def plain(url: str) -> Wait:
    import aiohttp

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100))

    async def wait(task_id: str) -> None:
        while True:
            async with session.get(f"{url}/v1/tasks/status?task_id={task_id}") as response:
                answer = await response.json()
            if answer["output"]["task_status"] == "Success":
                return
            await asyncio.sleep(INTERVAL)

    return wait


async def http_async_hook(url: str) -> Wait:
    import aiohttp
    from airflow.providers.http.hooks.http import HttpAsyncHook

    async def wait(task_id: str) -> None:
        hook = HttpAsyncHook(method="GET", http_conn_id="api")
        while True:
            async with aiohttp.ClientSession() as session:
                response = await hook.run(session=session, endpoint=f"v1/tasks/status?task_id={task_id}")
                answer = await response.json()
            if answer["output"]["task_status"] == "Success":
                return
            await asyncio.sleep(INTERVAL)

    return wait


async def http_event_trigger(url: str) -> Wait:
    from airflow.providers.http.triggers.http import HttpEventTrigger

    async def wait(task_id: str) -> None:
        trigger = HttpEventTrigger(
            response_check_path="benchmarks.api.ready",
            http_conn_id="api",
            endpoint=f"v1/tasks/status?task_id={task_id}",
            poll_interval=INTERVAL,
        )
        async for _ in trigger.run():
            pass

    return wait


async def sync_hook_in_threads(url: str) -> Wait:
    from airflow.providers.http.hooks.http import HttpHook

    async def wait(task_id: str) -> None:
        session = await asyncio.to_thread(HttpHook(method="GET", http_conn_id="api").get_conn)
        while True:
            response = await asyncio.to_thread(session.get, f"{url}/v1/tasks/status?task_id={task_id}", timeout=60)
            if response.json()["output"]["task_status"] == "Success":
                return
            await asyncio.sleep(INTERVAL)

    return wait


async def vidu_task_trigger(url: str) -> Wait:
    # As for the other clients, an import that happens once per process does not count as the cost of a poll.
    import airflow_provider_vidu.hooks.vidu_async  # noqa: F401
    from airflow_provider_vidu.triggers.vidu import ViduTaskTrigger

    async def wait(task_id: str) -> None:
        trigger = ViduTaskTrigger(task_id, "vidu_default", INTERVAL, None, None, time.time() + 3600)
        async for event in trigger.run():
            assert event.payload["status"] == "success", event.payload

    return wait


WAYS = {
    "plain aiohttp loop, one session": plain,
    "`ViduTaskTrigger`": vidu_task_trigger,
    "`HttpAsyncHook`, a session per poll": http_async_hook,
    "`HttpEventTrigger`": http_event_trigger,
    "sync hook in `asyncio.to_thread`": sync_hook_in_threads,
}
PLAIN, OURS, *NEIGHBOURS = WAYS


def counted_look_ups() -> list[str]:
    from airflow.sdk import BaseHook

    seen: list[str] = []
    for name in ("aget_connection", "get_connection"):
        original = getattr(BaseHook, name).__func__

        def counted(cls, conn_id, *, original=original):
            seen.append(conn_id)
            return original(cls, conn_id)

        setattr(BaseHook, name, classmethod(counted))
    return seen


async def client(way: str, count: int, url: str, over: float) -> dict[str, float]:
    from airflow.sdk import BaseHook

    # A triggerer, too, has finished Airflow's own imports before the first lookup.
    await BaseHook.aget_connection("vidu_default")
    look_ups = counted_look_ups()
    wait = await WAYS[way](url)
    # The collector's pauses must be those of the client, not those of Airflow's imports.
    gc.collect()
    gc.freeze()
    process, loop = psutil.Process(), asyncio.get_running_loop()
    delays, memory = [0.0], [process.memory_info().rss]

    async def observe() -> None:
        looked = loop.time()
        while True:
            before = loop.time()
            await asyncio.sleep(0.02)
            delays.append(loop.time() - before - 0.02)
            if loop.time() - looked >= 1:
                looked = loop.time()
                memory.append(process.memory_info().rss)

    observer = asyncio.create_task(observe())
    cpu, began, waiting = time.process_time(), time.monotonic(), []
    for number in range(count):
        await asyncio.sleep(max(0.0, began + over * number / count - time.monotonic()))
        waiting.append(asyncio.create_task(wait(f"task-{number}")))
    await asyncio.gather(*waiting)
    used, lasted = time.process_time() - cpu, time.monotonic() - began
    observer.cancel()
    counts = await asyncio.to_thread(lambda: json.load(urllib.request.urlopen(f"{url}/counts", timeout=30)))
    return {
        "cpu_ms": 1000 * used / counts["polls"],
        "delay_ms": 1000 * max(delays),
        "seconds": lasted,
        "look_ups": len(look_ups),
        "rss": max(memory),
        "memory_mb": (max(memory) - memory[0]) / 1e6,
        "connections": counts["connections"],
        "polls": counts["polls"],
    }


def measure(way: str, count: int, over: float) -> dict[str, float]:
    """Run one client in a process of its own, with its triggers started evenly over ``over`` seconds."""
    api = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.api", str(READY_AFTER)], stdout=subprocess.PIPE, text=True
    )
    try:
        os.sched_setaffinity(api.pid, {1})
        assert api.stdout is not None
        url = f"http://127.0.0.1:{api.stdout.readline().strip()}"
        env = os.environ | {
            "AIRFLOW_CONN_API": json.dumps({"conn_type": "http", "host": url}),
            "AIRFLOW_CONN_VIDU_DEFAULT": json.dumps({"conn_type": "vidu", "host": url, "password": "a-key-for-this"}),
        }
        command = ["taskset", "-c", "0", sys.executable, "-m", "benchmarks.loop", way, str(count), url, str(over)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-3000:])
        result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return result
    finally:
        api.terminate()
        api.wait()


# Polls that come together cost less each than polls that wake an idle loop. A mapped task starts its triggers at once;
# a day of DAGs starts them spread out.
STARTS = ((1_000, 0.0), *((count, INTERVAL) for count in SIZES))


def report() -> str:
    found = {(way, *start): measure(way, *start) for start in STARTS for way in WAYS}
    lines = [
        f"Each trigger polls every {INTERVAL:g} s until its video is ready, {READY_AFTER:g} s after the first poll. "
        f"Triggers start at once if the table says so, otherwise evenly over {INTERVAL:g} s. Lookups are those of the "
        "Airflow connection.",
        "",
        "| triggers | client | CPU per poll | ratio to the plain loop | worst delay of the loop | TCP connections | "
        "lookups | memory above start | total seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (way, count, over), one in found.items():
        ratio = one["cpu_ms"] / found[PLAIN, count, over]["cpu_ms"]
        lines.append(
            f"| {count:,}{'' if over else ' at once'} | {way} | {one['cpu_ms']:.2f} ms | {ratio:.2f} | "
            f"{one['delay_ms']:.0f} ms | {one['connections']:,} | {one['look_ups']:,} | {one['memory_mb']:.0f} MB | "
            f"{one['seconds']:.0f} |"
        )
    lines.append("")
    for count, over in STARTS[:1] + STARTS[2:3]:
        best = min(found[way, count, over]["cpu_ms"] for way in NEIGHBOURS)
        share, start = found[OURS, count, over]["cpu_ms"] / best, "spread" if over else "at once"
        lines.append(f"- CPU per poll at {count:,} {start}: {share:.2f} of the best alternative")
    least, _, most = SIZES
    memory = found[OURS, most, INTERVAL]["rss"] - found[OURS, least, INTERVAL]["rss"]
    lines.append(
        f"- memory per waiting trigger (the difference between {most:,} and {least}, divided by {most - least:,}): "
        f"{memory / (most - least) / 1000:.1f} kB"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(asyncio.run(client(sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])))))
    else:
        print(report())
