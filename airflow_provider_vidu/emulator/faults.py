# SPDX-License-Identifier: Apache-2.0
"""
Named faults between a client and the API, armed over the control routes.

A request meets at most one fault: the first armed one that fits its route. A fault marked "accepted" first handles the
request for real. A generation then exists, but the client never learns its task id.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from airflow_provider_vidu.emulator.errors import ERRORS, ApiError, code_of

if TYPE_CHECKING:
    from airflow_provider_vidu.emulator.generation import Generation

ROUTES = ("submit", "status", "download", "any")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Parameters = Mapping[str, Any]
Apply = Callable[[web.Request, Handler, Parameters], Awaitable[web.StreamResponse]]


class Dropped(web.Response):
    """
    Stand for no answer.

    The connection is closed already: aiohttp requires a response, but cannot deliver this one.
    """


class Video(web.FileResponse):
    """
    Answer a download.

    :param path: The finished video.
    :param generation: The generation of the video.
    """

    def __init__(self, path: Path, generation: Generation) -> None:
        super().__init__(path)
        self.path = path
        self.generation = generation


@dataclass(frozen=True, slots=True)
class FaultKind:
    """
    Describe a fault that can be armed.

    :param apply: Makes the answer.
    :param defaults: Parameters of the fault and their default values.
    :param only_on: The only route that the fault fits; by default it fits every route.
    :param times: Default number of requests that meet it; ``None`` until cleared.
    """

    apply: Apply
    defaults: Parameters = field(default_factory=dict)
    only_on: str | None = None
    times: int | None = 1


@dataclass(slots=True)
class Fault:
    """
    Hold an armed fault.

    :param name: A key of :data:`KINDS`.
    :param on: Route that it applies to.
    :param times: Number of requests that will still meet it; ``None`` until cleared.
    :param every: It meets only every n-th request on its route.
    :param until: When it ends by itself, in seconds of the event loop's clock.
    :param parameters: Parameters of its kind.
    """

    name: str
    on: str
    times: int | None
    every: int
    until: float | None
    parameters: Parameters
    passed: int = 0

    def meets(self, route: str) -> bool:
        """Count a request, and return whether it meets this fault."""
        if self.on not in (route, "any"):
            return False
        self.passed += 1
        return self.passed % self.every == 0


def arm(item: object, now: float) -> Fault:
    """
    Read one order and return the armed fault.

    :param item: ``{"fault": NAME, "on": ROUTE, "times": N or null, "every": N}`` and the parameters of the kind.
    :param now: The event loop's time.
    :raises ValueError: If the order is wrong; the text names the reason.
    """
    if not isinstance(item, dict):
        raise ValueError(f"a fault must be an object, got {item!r}")
    order = dict(item)
    name, on = order.pop("fault", None), order.pop("on", "any")
    if name not in KINDS:
        raise ValueError(f"fault must be one of {', '.join(KINDS)}, got {name!r}")
    kind = KINDS[name]
    if on not in ROUTES or kind.only_on not in (None, on):
        raise ValueError(f"on must be one of {kind.only_on or ', '.join(ROUTES)} for {name}, got {on!r}")
    times, every = order.pop("times", kind.times), order.pop("every", 1)
    if order.keys() - kind.defaults.keys():
        raise ValueError(f"parameters of {name} must be among {sorted(kind.defaults)}, got {sorted(order)}")
    if times is not None and not (isinstance(times, int) and times > 0):
        raise ValueError(f"times must be null or a whole number of 1 or more, got {times!r}")
    if not (isinstance(every, int) and every > 0):
        raise ValueError(f"every must be a whole number of 1 or more, got {every!r}")
    if name.endswith("error") and order.get("status") is not None and order["status"] < 400:
        raise ValueError(f"status must be that of an error (400 or above), got {order['status']!r}")
    if order.get("code") is not None and order["code"] not in ERRORS:
        raise ValueError(f"code must be one of {', '.join(ERRORS)}, got {order['code']!r}")
    parameters = {**kind.defaults, **order}
    until = now + parameters["seconds"] if name == "outage" and parameters["seconds"] is not None else None
    return Fault(name, on, times, every, until, parameters)


def take(faults: list[Fault], route: str, now: float) -> Fault | None:
    """
    Find the fault that a request meets, and count it down by one.

    Ended faults are removed.

    :param faults: The armed faults, in the order in which they were armed.
    :param route: The request's route.
    :param now: The event loop's time.
    """
    faults[:] = [fault for fault in faults if fault.until is None or now < fault.until]
    fault = next((fault for fault in faults if fault.meets(route)), None)
    if fault is not None and fault.times is not None:
        fault.times -= 1
        if fault.times <= 0:
            faults.remove(fault)
    return fault


def close(request: web.Request, *, reset: bool = False) -> Dropped:
    """
    Close the connection without an answer.

    :param request: The request that gets no answer.
    :param reset: Whether the peer sees a reset instead of an orderly close.
    """
    if request.transport is not None:
        if reset:
            # A linger time of zero makes the kernel send a reset instead of an orderly close.
            connection: socket.socket = request.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.close()
    return Dropped()


async def _drop(request: web.Request, handler: Handler, parameters: Parameters) -> web.StreamResponse:
    return close(request)


async def _reset(request: web.Request, handler: Handler, parameters: Parameters) -> web.StreamResponse:
    return close(request, reset=True)


async def _hang(request: web.Request, handler: Handler, parameters: Parameters) -> web.StreamResponse:
    await asyncio.sleep(parameters["seconds"])
    return close(request)


async def _rate_limit(request: web.Request, handler: Handler, parameters: Parameters) -> web.StreamResponse:
    response = ApiError(429, "rate_limit").response()
    if parameters["retry_after"] is not None:
        response.headers["Retry-After"] = str(parameters["retry_after"])
    return response


async def _error(request: web.Request, handler: Handler, parameters: Parameters) -> web.StreamResponse:
    status = parameters["status"]
    return ApiError(status, parameters["code"] or code_of(status)).response()


async def _error_200(request: web.Request, handler: Handler, parameters: Parameters) -> web.StreamResponse:
    return ApiError(500, "internal_error").response(status=200)


async def _html(request: web.Request, handler: Handler, parameters: Parameters) -> web.StreamResponse:
    page = "<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>\n"
    return web.Response(status=parameters["status"], text=page, content_type="text/html")


async def _garbage(request: web.Request, handler: Handler, parameters: Parameters) -> web.StreamResponse:
    return web.Response(body=b'{"output": \xff\x00', content_type="application/json")


async def _empty(request: web.Request, handler: Handler, parameters: Parameters) -> web.StreamResponse:
    return web.Response()


async def _no_task_id(request: web.Request, handler: Handler, parameters: Parameters) -> web.StreamResponse:
    return web.json_response({"output": {}, "request_id": ""})


async def _redirect(request: web.Request, handler: Handler, parameters: Parameters) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": parameters["location"]})


def _accepted(then: Apply) -> Apply:
    async def apply(request: web.Request, handler: Handler, parameters: Parameters) -> web.StreamResponse:
        # A refused request raises here and gets its refusal, because nothing was accepted that could be lost.
        await handler(request)
        return await then(request, handler, parameters)

    return apply


async def _unknown_word(request: web.Request, handler: Handler, parameters: Parameters) -> web.StreamResponse:
    return await _with_output(request, handler, {"task_status": parameters["word"]})


async def _no_urls(request: web.Request, handler: Handler, parameters: Parameters) -> web.StreamResponse:
    return await _with_output(request, handler, {"task_status": "Success"})


async def _with_output(request: web.Request, handler: Handler, change: dict[str, str]) -> web.StreamResponse:
    response = await handler(request)
    if not isinstance(response, web.Response) or response.status != 200:
        return response
    answer = json.loads(response.text or "{}")
    output = {key: value for key, value in answer["output"].items() if key not in ("urls", "error_message")}
    return web.json_response({**answer, "output": {**output, **change}})


async def _truncate(request: web.Request, handler: Handler, parameters: Parameters) -> web.StreamResponse:
    whole = await handler(request)
    if not isinstance(whole, Video):
        return whole
    data = await asyncio.to_thread(whole.path.read_bytes)
    response = web.StreamResponse(headers={"Content-Type": "video/mp4", "Content-Length": str(len(data))})
    await response.prepare(request)
    await response.write(data[: len(data) // 2])
    close(request)
    return response


async def _expired(request: web.Request, handler: Handler, parameters: Parameters) -> web.StreamResponse:
    whole = await handler(request)
    if not isinstance(whole, Video):
        return whole
    whole.generation.token = secrets.token_urlsafe(16)
    raise web.HTTPForbidden(text="the link has expired")


_HOLD = {"seconds": 3600}

KINDS: Mapping[str, FaultKind] = {
    "drop": FaultKind(_drop),
    "reset": FaultKind(_reset),
    "hang": FaultKind(_hang, _HOLD),
    "outage": FaultKind(_drop, {"seconds": None}, times=None),
    "accept_then_drop": FaultKind(_accepted(_drop)),
    "accept_then_hang": FaultKind(_accepted(_hang), _HOLD),
    "accept_then_error": FaultKind(_accepted(_error), {"status": 504, "code": None}),
    "rate_limit": FaultKind(_rate_limit, {"retry_after": None}),
    "error": FaultKind(_error, {"status": 500, "code": None}),
    "error_200": FaultKind(_error_200),
    "html": FaultKind(_html, {"status": 502}),
    "garbage": FaultKind(_garbage),
    "empty": FaultKind(_empty),
    "no_task_id": FaultKind(_no_task_id),
    "redirect": FaultKind(_redirect, {"location": "/redirected"}),
    "unknown_word": FaultKind(_unknown_word, {"word": "Queueing"}, only_on="status"),
    "no_urls": FaultKind(_no_urls, only_on="status"),
    "truncate": FaultKind(_truncate, only_on="download"),
    "expired": FaultKind(_expired, only_on="download"),
    "not_a_video": FaultKind(_html, {"status": 200}, only_on="download"),
}
"""Every fault by name."""
