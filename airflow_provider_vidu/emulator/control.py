# SPDX-License-Identifier: Apache-2.0
"""
The control routes under ``/_emulator/``, which need no key.

Tests use them to inspect the emulator, and to arm faults and failures.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict
from typing import Any

from aiohttp import web

from airflow_provider_vidu.emulator.faults import arm
from airflow_provider_vidu.emulator.state import FAILURES, Emulator

PREFIX = "/_emulator/"
EMULATOR = web.AppKey("emulator", Emulator)


def routes() -> list[web.RouteDef]:
    """List the control routes."""
    return [
        web.get(f"{PREFIX}tasks", _tasks),
        web.get(f"{PREFIX}requests", _requests),
        web.get(f"{PREFIX}faults", _faults),
        web.post(f"{PREFIX}faults", _arm),
        web.delete(f"{PREFIX}faults", _disarm),
        web.post(f"{PREFIX}failures", _fail),
        web.post(f"{PREFIX}key", _rotate_key),
        web.post(f"{PREFIX}reset", _reset),
    ]


async def _tasks(request: web.Request) -> web.Response:
    now = time.time()
    return web.json_response(
        [
            {
                "task_id": generation.task_id,
                "body": generation.body,
                "submit_time": int(generation.submitted),
                "finish_time": int(generation.finish) if now >= generation.finish else None,
                "status": generation.status(now),
                "error_message": generation.error,
                "estimated_cost": generation.estimated_cost,
                "polls": generation.polls,
                "downloads": generation.downloads,
                "authorization_on_download": generation.authorization_on_download,
                "url": f"{request.url.origin()}{generation.path}",
            }
            for generation in request.app[EMULATOR].generations.values()
        ]
    )


async def _requests(request: web.Request) -> web.Response:
    emulator = request.app[EMULATOR]
    return web.json_response({"counts": emulator.counts, "requests": list(emulator.requests)})


async def _faults(request: web.Request) -> web.Response:
    return web.json_response([asdict(fault) for fault in request.app[EMULATOR].faults])


async def _arm(request: web.Request) -> web.Response:
    orders = await _json(request)
    now = asyncio.get_running_loop().time()
    try:
        # Read all orders before arming any: a typing error in one must not leave half of them armed.
        armed = [arm(order, now) for order in (orders if isinstance(orders, list) else [orders])]
    except ValueError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    request.app[EMULATOR].faults.extend(armed)
    return web.json_response({"armed": len(armed)})


async def _disarm(request: web.Request) -> web.Response:
    request.app[EMULATOR].faults.clear()
    return web.json_response({})


async def _fail(request: web.Request) -> web.Response:
    order = await _json(request)
    match order:
        case {"prompt": str(prompt), "family": str(family)} if prompt and family in FAILURES:
            request.app[EMULATOR].failures[prompt] = FAILURES[family]
            return web.json_response({})
    rule = f'{{"prompt": TEXT, "family": {" or ".join(FAILURES)}}}'
    raise web.HTTPBadRequest(text=f"a failure must be {rule}, got {json.dumps(order)}")


async def _rotate_key(request: web.Request) -> web.Response:
    order = await _json(request)
    if not isinstance(order, dict) or not isinstance(order.get("key"), str):
        raise web.HTTPBadRequest(text='the body must be {"key": "new key"}')
    request.app[EMULATOR].key = order["key"]
    return web.json_response({})


async def _reset(request: web.Request) -> web.Response:
    request.app[EMULATOR].reset()
    return web.json_response({})


async def _json(request: web.Request) -> Any:
    try:
        return await request.json()
    except ValueError as error:
        raise web.HTTPBadRequest(text="the body must be JSON") from error
