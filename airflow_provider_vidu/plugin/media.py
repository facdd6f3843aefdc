# SPDX-License-Identifier: Apache-2.0
"""
Stored videos and batch manifests, for users who may read the DAG's XComs.

A user never names a file, only a task or an entry of the ledger: the server reads the task's return value or the entry
itself. Any user who may edit the DAG's runs can write an XCom, and any DAG author an entry. The server therefore shows
a file that these name only below ``[vidu] media_roots``.
FastAPI reads a route's annotations when the route is declared, so this module does not postpone them.
"""

import json
import logging
import re
from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.configuration import conf
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response
from sqlalchemy import select
from starlette.responses import JSONResponse, StreamingResponse

from airflow_provider_vidu.durable.entries import GROUP
from airflow_provider_vidu.exceptions import ViduError
from airflow_provider_vidu.plugin.ledger_lines import files_of
from airflow_provider_vidu.plugin.ranges import Unsatisfiable, asked_range
from airflow_provider_vidu.plugin.stored import CHUNK_BYTES, NotServed, Stored, open_stored, reading
from airflow_provider_vidu.plugin.xcom_store import Task, reference, values
from airflow_provider_vidu.protocol.mp4 import HEAD_BYTES, is_mp4
from airflow_provider_vidu.protocol.request import without_data
from airflow_provider_vidu.storage.manifest import record_of
from airflow_provider_vidu.storage.roots import Root, read_root, split_roots

LINES_A_PAGE = 200
_LINE_BYTES = 1 << 16
"""Bytes to read first for a single line; most lines are shorter."""

_OFF = (
    "Stored videos are not shown because [vidu] media_roots is empty. To show them, list in media_roots the "
    "directories or buckets from which this server may read, such as s3://aws_default@bucket/videos."
)
# One answer for missing and for forbidden files, so that it does not reveal which files exist.
_NOTHING = "No such stored file"

log = logging.getLogger(__name__)
router = APIRouter(dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.XCOM))])


def is_on() -> bool:
    """Return whether the configuration lets this server show stored videos."""
    return bool(_root_texts())


def _root_texts() -> list[str]:
    return split_roots(conf.get("vidu", "media_roots", fallback=""))


def _roots() -> list[Root]:
    if not is_on():
        raise HTTPException(404, _OFF)
    return [read_root(text) for text in _root_texts()]


def _returned(dag_id: str, run_id: str, task_id: str, map_index: Annotated[int, Path(ge=-1, lt=1 << 31)]) -> Any:
    # The stored value: Airflow's decoder could create objects from it.
    query = select(XComModel.value).where(
        XComModel.dag_id == dag_id,
        XComModel.run_id == run_id,
        XComModel.task_id == task_id,
        XComModel.map_index == map_index,
        XComModel.key == "return_value",
    )
    # FastAPI's session would stay open for as long as a user plays the video.
    with create_session(scoped=False) as session:
        value = session.scalar(query)
    if isinstance(value, str) and (kept := reference(json.dumps(value), Task(dag_id, run_id, task_id))):
        return values([kept]).parsed(kept)
    return value


_TASK = "/{dag_id}/{run_id}/{task_id}/{map_index}"
_Roots = Annotated[list[Root], Depends(_roots)]
_Returned = Annotated[Any, Depends(_returned)]


@router.api_route("/media" + _TASK + "/{file}", methods=["GET", "HEAD"])
def _media(request: Request, roots: _Roots, returned: _Returned, file: str) -> Response:
    try:
        stored = _video(_file(returned, file, roots), roots)
    except NotServed as reason:
        raise _nothing(reason) from None
    return _played(request, stored)


@router.api_route("/stored/{dag_id}/{day}/{stem}/{number}/{file}", methods=["GET", "HEAD"])
def _stored(
    request: Request,
    roots: _Roots,
    dag_id: str,
    day: Annotated[str, Path(pattern=r"^\d{4}-\d\d-\d\d$")],
    stem: str,
    number: Annotated[int, Path(ge=0, lt=GROUP)],
    file: Annotated[int, Path(ge=0, lt=1000)],
) -> Response:
    try:
        files = files_of(dag_id, day, stem, number)
        if file >= len(files):
            raise NotServed(f"The entry has no file {file}")
        return _played(request, _video(files[file], roots))
    except (NotServed, ViduError) as reason:
        raise _nothing(reason) from None


def _file(returned: Any, file: str, roots: list[Root]) -> object:
    match = re.fullmatch(r"(?:(\d{1,15})\.)?(\d{1,3})", file, re.ASCII)
    if match is None:
        raise NotServed(f"{file!r} is not a file number")
    if match[1]:
        files: Any = _lines(returned, int(match[1]), roots, 1)[0][0]["files"]
    else:
        # A transfer returns only the list of files.
        files = returned.get("files") if isinstance(returned, dict) else returned
    if not isinstance(files, list | tuple) or int(match[2]) >= len(files):
        raise NotServed(f"The task has no file {file}")
    return files[int(match[2])]


def _video(name: object, roots: list[Root]) -> Stored:
    # Only videos: other files below a root stay hidden.
    if not str(name).endswith(".mp4"):
        raise NotServed(f"The name of {name!r:.500} does not end with .mp4")
    stored = open_stored(name, roots)
    try:
        with reading():
            if is_mp4(stored.file.read(HEAD_BYTES)):
                return stored
        raise NotServed(f"{name!r:.500} is not an MP4 file")
    except NotServed:
        stored.file.close()
        raise


def _played(request: Request, stored: Stored) -> Response:
    headers = {"Accept-Ranges": "bytes", "Content-Disposition": "inline"}
    try:
        # If-Range requests the whole file if it has changed, and this server does not track changes.
        header = None if "if-range" in request.headers else request.headers.get("range")
        part = asked_range(header, stored.size)
    except Unsatisfiable:
        stored.file.close()
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{stored.size}"})
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{stored.size}"
    status, part = (200, range(stored.size)) if part is None else (206, part)
    headers["Content-Length"] = str(len(part))
    if request.method == "HEAD":
        stored.file.close()
        return Response(status_code=status, headers=headers, media_type="video/mp4")
    return StreamingResponse(stored.chunks(part), status, headers, "video/mp4")


@router.get("/manifest" + _TASK)
def _manifest(roots: _Roots, returned: _Returned, start: Annotated[int, Query(ge=0, lt=1 << 50)] = 0) -> Response:
    try:
        lines, following = _lines(returned, start, roots, LINES_A_PAGE)
        # Rendered inside the try: some values that parse as JSON cannot be written as JSON.
        return JSONResponse({"lines": lines, "next": following})
    except NotServed as reason:
        raise _nothing(reason) from None
    except (ValueError, RecursionError) as error:
        raise _nothing(error) from None


def _lines(returned: Any, start: int, roots: list[Root], count: int) -> tuple[list[dict[str, Any]], int | None]:
    stored = open_stored(returned.get("manifest") if isinstance(returned, dict) else None, roots)
    with stored.file, reading():
        stored.file.seek(start)
        data = stored.file.read(_LINE_BYTES if count == 1 else CHUNK_BYTES)
        if b"\n" not in data:
            data += stored.file.read(CHUNK_BYTES - len(data))
    found: list[dict[str, Any]] = []
    # Whole lines only; the rest belongs to the next page. A start in the middle of a line fails to parse.
    for line in data.split(b"\n")[:-1][:count]:
        try:
            record = record_of(line)
            found.append({"item": start, **record._asdict(), "request": without_data(record.request)})
        except Exception as error:
            # A file below a root may hold anything.
            raise NotServed(f"No manifest line begins at byte {start}: {error!r:.500}") from error
        start += len(line) + 1
    if not found:
        raise NotServed(f"No manifest line begins at byte {start}")
    return found, start if start < stored.size else None


def _nothing(reason: Exception) -> HTTPException:
    log.warning("Not shown: %s", reason)
    return HTTPException(404, _NOTHING)
