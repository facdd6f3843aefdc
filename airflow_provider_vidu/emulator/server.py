# SPDX-License-Identifier: Apache-2.0
"""
The emulated service: its routes, and two ways to run it.

Where the API's documentation is silent the emulator assumes, and this is all that it assumes:

* an unknown task id is answered with 400, code null and the words "task not found";
* ``urls``, ``finish_time`` and ``usage`` come once there is something to tell, not as empty values before;
* the list of models has the shape that OpenAI's has;
* what :mod:`scenes` says of lengths and :mod:`media` of files that cannot be used.

Words in the prompt (or in lip-sync's text) stand for what moderation, a busy service and an empty account do:
``forbidden-by-moderation`` is refused at submit; ``fail-by-moderation``, ``fail-by-capacity`` and ``fail-by-account``
are accepted and end in Failure.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp import web

from airflow_provider_vidu.emulator import control, faults
from airflow_provider_vidu.emulator.control import EMULATOR
from airflow_provider_vidu.emulator.errors import ApiError
from airflow_provider_vidu.emulator.state import Emulator, Settings, prompt_of
from airflow_provider_vidu.protocol.capabilities import CAPABILITIES, check

__all__ = ["Settings", "create_app", "running", "serve"]

_REFUSED_WORD = "forbidden-by-moderation"
# An image of 50 MB, which the API takes, is 67 MB in base64.
_MAX_BODY_BYTES = 80 * 1024**2


def create_app(settings: Settings) -> web.Application:
    """
    Build the application.

    :param settings: how it behaves; host and port are the caller's business.
    """
    app = web.Application(middlewares=[_record, _answer_errors, _meet_faults], client_max_size=_MAX_BODY_BYTES)
    app.add_routes(
        [
            web.post("/v1/tasks/submit", _submit, name="submit"),
            web.get("/v1/tasks/status", _status, name="status"),
            web.get("/v1/models", _models, name="models"),
            web.get("/files/{task_id}.mp4", _download, name="download"),
            *control.routes(),
        ]
    )

    async def live(app: web.Application) -> AsyncIterator[None]:
        with ExitStack() as stack:
            directory = settings.directory or Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="vidu-emulator-"))
            )
            await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
            async with aiohttp.ClientSession() as client:
                app[EMULATOR] = Emulator(settings, directory, client)
                yield
                app[EMULATOR].close()

    app.cleanup_ctx.append(live)
    return app


async def serve(settings: Settings, on_listening: Callable[[str], None], stop: asyncio.Event) -> None:
    """
    Run until told to stop.

    :param settings: how the emulator behaves.
    :param on_listening: called with the base URL once requests are answered.
    :param stop: set to end it.
    """
    # Hanging requests are a feature here: the end does not wait long for them.
    runner = web.AppRunner(create_app(settings), shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        on_listening(f"http://{host}:{runner.addresses[0][1]}")
        await stop.wait()
    finally:
        await runner.cleanup()


@contextmanager
def running(settings: Settings | None = None) -> Iterator[str]:
    """
    Run the emulator in a thread of this process, on a free port of the loopback address.

    :param settings: how it behaves, without regard to its host and port.
    :return: the base URL.
    """
    listening: Future[tuple[str, Callable[[], object]]] = Future()

    async def main() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()

        def on_listening(url: str) -> None:
            listening.set_result((url, lambda: loop.call_soon_threadsafe(stop.set)))

        await serve(replace(settings or Settings(), host="127.0.0.1", port=0), on_listening, stop)

    def target() -> None:
        try:
            asyncio.run(main())
        except Exception as error:
            if listening.done():
                raise
            listening.set_exception(error)

    thread = threading.Thread(target=target, name="vidu-emulator", daemon=True)
    thread.start()
    url, stop = listening.result()
    try:
        yield url
    finally:
        stop()
        thread.join()


@web.middleware
async def _record(request: web.Request, handler: faults.Handler) -> web.StreamResponse:
    if request.path.startswith(control.PREFIX):
        return await handler(request)
    emulator = request.app[EMULATOR]
    emulator.counts[request.match_info.route.name or "other"] += 1
    entry: dict[str, Any] = {
        "method": request.method,
        "path_qs": request.path_qs,
        "headers": dict(request.headers),
        "body_size": request.content_length or 0,
        # Stays None as long as there is no answer: a hanging request is visible as such.
        "status": None,
    }
    emulator.requests.append(entry)
    try:
        response = await handler(request)
    except web.HTTPException as error:
        entry["status"] = error.status
        raise
    entry["status"] = "dropped" if isinstance(response, faults.Dropped) else response.status
    return response


@web.middleware
async def _answer_errors(request: web.Request, handler: faults.Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return error.response()


@web.middleware
async def _meet_faults(request: web.Request, handler: faults.Handler) -> web.StreamResponse:
    if request.path.startswith(control.PREFIX):
        return await handler(request)
    route = request.match_info.route.name or "other"
    fault = faults.take(request.app[EMULATOR].faults, route, asyncio.get_running_loop().time())
    if fault is None:
        return await handler(request)
    return await faults.KINDS[fault.name].apply(request, handler, fault.parameters)


async def _submit(request: web.Request) -> web.Response:
    emulator = _authorized(request)
    try:
        body = await request.json()
    except ValueError as error:
        raise ApiError(400, "param_error", "the body is not JSON") from error
    problems = _shape_problems(body) or check(body)
    if problems:
        raise ApiError(400, "param_error", "; ".join(problems))
    if _REFUSED_WORD in prompt_of(body):
        raise ApiError(400, "sensitive_check_error")
    generation = await emulator.accept(body)
    return web.json_response({"output": {"task_id": generation.task_id}, "request_id": uuid4().hex})


async def _status(request: web.Request) -> web.Response:
    task_id = request.query.get("task_id", "")
    generation = _authorized(request).generations.get(task_id)
    if generation is None:
        raise ApiError(400, None, f"task not found: {task_id}")
    generation.polls += 1
    now = time.time()
    word = generation.status(now)
    output: dict[str, Any] = {
        "task_id": generation.task_id,
        "task_status": word,
        "submit_time": int(generation.submitted),
    }
    answer: dict[str, Any] = {"output": output, "request_id": uuid4().hex}
    if word in ("Success", "Failure"):
        output["finish_time"] = int(generation.finish)
    if word == "Failure":
        output["error_message"] = generation.error
    elif word == "Success":
        output["urls"] = [f"{request.url.origin()}{generation.path}"]
        answer["usage"] = {"duration": generation.video_seconds}
    return web.json_response(answer)


async def _models(request: web.Request) -> web.Response:
    names = dict.fromkeys(model for _, model in CAPABILITIES)
    return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})


async def _download(request: web.Request) -> web.StreamResponse:
    emulator = request.app[EMULATOR]
    generation = emulator.generations.get(request.match_info["task_id"])
    if generation is None or request.query.get("token") != generation.token:
        raise web.HTTPForbidden(text="the link is not valid")
    if generation.status(time.time()) != "Success":
        raise web.HTTPForbidden(text="there is no video yet")
    generation.authorization_on_download |= "Authorization" in request.headers
    generation.downloads += request.method == "GET"
    return faults.Video(await emulator.video(generation), generation)


def _authorized(request: web.Request) -> Emulator:
    emulator = request.app[EMULATOR]
    if not emulator.authorized(request.headers.get("Authorization")):
        raise ApiError(401, "auth_error")
    return emulator


def _shape_problems(body: object) -> list[str]:
    if not isinstance(body, dict):
        return ["the body has to be an object"]
    problems = [f"{name} has to be an object" for name in ("input", "parameters") if not _is_object(body, name)]
    if not isinstance(body.get("model"), str):
        problems.append("model has to be a string")
    if _is_object(body, "parameters") and not isinstance(body["parameters"].get("vidu_type"), str):
        problems.append("parameters.vidu_type has to be a string")
    return problems


def _is_object(body: dict[str, Any], name: str) -> bool:
    return isinstance(body.get(name), dict)
