# SPDX-License-Identifier: Apache-2.0
"""
The web application behind the tabs; it serves only users who are logged in.

FastAPI reads a route's annotations when the route is declared. With ``from __future__ import annotations`` it could not
resolve names that are not globals of this module.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import unquote

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from starlette.staticfiles import StaticFiles

from airflow_provider_vidu.plugin import chosen, library, media, videos

_PAGES = Path(__file__).with_name("pages")
_STATIC = StaticFiles(directory=_PAGES)
_FILES = {path.name: path for path in _PAGES.iterdir() if path.is_file()}

_CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        # The pages create their elements one by one: no text ever becomes markup or a script.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
        "style-src 'self'",
        "connect-src 'self'",
        # The hosts of Vidu's result links and of first frames are not known in advance.
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
    # The browser must revalidate each time, so that the server checks the permissions again.
    "Cache-Control": "private, no-cache",
}


def _without_nul(request: Request) -> None:
    # PostgreSQL rejects a text with NUL, even in a query.
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
app.include_router(library.router)
app.include_router(chosen.router)


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


@app.get("/library")
def _library(request: Request) -> Response:
    return _static("library.html", request)


@app.get("/assets/{name}")
def _asset(name: str, request: Request) -> Response:
    return _static(name, request)


def _static(name: str, request: Request) -> Response:
    # Only listed names: the request never becomes part of a path.
    if (path := _FILES.get(name)) is None:
        raise HTTPException(404)
    return _STATIC.file_response(path, path.stat(), request.scope)
