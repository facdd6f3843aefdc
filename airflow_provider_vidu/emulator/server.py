# SPDX-License-Identifier: Apache-2.0
"""
The emulated service: its routes, and two ways to run it.

These are the emulator's only assumptions beyond the API's documentation:

* the answer to an unknown task id is 400, with code null and the words "task not found";
* ``urls``, ``finish_time`` and ``usage`` are absent until they have a value, not empty;
* the list of models has the same shape as OpenAI's;
* the lengths in :mod:`scenes`, and the failures for unusable files in :mod:`media`.

Words in the prompt (or in lip-sync's text) simulate moderation, a busy service and an empty account. The emulator
refuses ``forbidden-by-moderation`` at submit. It accepts ``fail-by-moderation``, ``fail-by-capacity`` and
``fail-by-account``, and these generations end in Failure.
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
# The API takes images of up to 50 MB, which are 67 MB in base64.
_MAX_BODY_BYTES = 80 * 1024**2


def create_app(settings: Settings) -> web.Application:
    """
    Build the application.

    :param settings: How the emulator behaves; the caller applies host and port.
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
    Run the emulator until a stop event.

    :param settings: How the emulator behaves.
    :param on_listening: Called with the base URL once the emulator answers requests.
    :param stop: Event that stops the emulator.
    """
    # Hanging requests are a feature here, so the shutdown does not wait long for them.
    # The log of a test is the user's; /_emulator/requests lists the requests.
    runner = web.AppRunner(create_app(settings), access_log=None, shutdown_timeout=0.5)
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
    Run the emulator in a thread of this process, on a free loopback port.

    :param settings: How the emulator behaves; host and port are ignored.
    :return: The base URL.
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
        # None until there is an answer, so that a hanging request is visible.
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
        raise ApiError(400, "param_error", "the body must be JSON") from error
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
        return ["the body must be an object"]
    problems = [f"{name} must be an object" for name in ("input", "parameters") if not _is_object(body, name)]
    if not isinstance(body.get("model"), str):
        problems.append("model must be a string")
    if _is_object(body, "parameters") and not isinstance(body["parameters"].get("vidu_type"), str):
        problems.append("parameters.vidu_type must be a string")
    return problems


def _is_object(body: dict[str, Any], name: str) -> bool:
    return isinstance(body.get(name), dict)
