# SPDX-License-Identifier: Apache-2.0
"""
The application behind the tabs. Nothing of it is served to a user who has not logged in.

FastAPI reads the annotations of a route when it is declared, so that ``from __future__ import annotations`` would hide
from it what is no global of this module.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import unquote

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from starlette.staticfiles import StaticFiles

from airflow_provider_vidu.plugin import media, videos

_PAGES = Path(__file__).with_name("pages")
_STATIC = StaticFiles(directory=_PAGES)
_FILES = {path.name: path for path in _PAGES.iterdir() if path.is_file()}

_CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        # The page makes its elements one by one; no text ever becomes markup or a script.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
        "style-src 'self'",
        "connect-src 'self'",
        # Vidu's result links and first frames lie on hosts that are not known beforehand.
        "media-src 'self' https: http:",
        "img-src 'self' https: http:",
        "frame-ancestors 'self'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Permissions are asked for anew each time.
    "Cache-Control": "private, no-cache",
}


def _without_nul(request: Request) -> None:
    # PostgreSQL takes no such text, not even to look for it.
    if "\0" in unquote(str(request.url)):
        raise HTTPException(404)


app = FastAPI(
    title="Vidu videos",
    dependencies=[Depends(get_user), Depends(_without_nul)],
    openapi_url=None,
    docs_url=None,
    redoc_url=None,
)
app.include_router(media.router)
app.include_router(videos.router)


@app.middleware("http")
async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers.update(_HEADERS)
    return response


@app.get("/task")
def _task(request: Request) -> Response:
    return _static("task.html", request)


@app.get("/run")
def _run(request: Request) -> Response:
    return _static("run.html", request)


@app.get("/assets/{name}")
def _asset(name: str, request: Request) -> Response:
    return _static(name, request)


def _static(name: str, request: Request) -> Response:
    # Only names that are listed, so that no path is ever made of what was asked for.
    if (path := _FILES.get(name)) is None:
        raise HTTPException(404)
    return _STATIC.file_response(path, path.stat(), request.scope)
