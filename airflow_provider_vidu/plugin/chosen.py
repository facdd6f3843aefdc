# SPDX-License-Identifier: Apache-2.0
"""Entries of the library side by side, with their whole requests."""

# No "from __future__ import annotations": FastAPI reads the annotations when a route is declared.

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.models.xcom import XComModel
from fastapi import APIRouter, HTTPException, Query
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_vidu.durable.lines import Line
from airflow_provider_vidu.exceptions import ViduError
from airflow_provider_vidu.plugin.described import described
from airflow_provider_vidu.plugin.ledger_lines import entry_at
from airflow_provider_vidu.plugin.library import LibraryOf
from airflow_provider_vidu.plugin.shelf import Kept
from airflow_provider_vidu.plugin.shown import LONGEST_PROMPT, record, text
from airflow_provider_vidu.protocol.capabilities import row_of

MOST = 4
"""Entries that a user compares at a time."""
MOST_FIELDS = 40
LONGEST_LINE = 20_000
"""Characters of Python; a request that the API accepts is shorter."""

log = logging.getLogger(__name__)
router = APIRouter()


@router.get("/chosen")
def chosen(
    library: LibraryOf,
    session: SessionDep,
    entry: Annotated[list[Annotated[str, Query(max_length=2000)]], Query(max_length=MOST)] = [],  # noqa: B006 - FastAPI copies it
) -> dict[str, Any]:
    """
    Return some entries, each with the fields of its whole request and with a line of Python that makes it again.

    :param library: what the user may see.
    :param session: session of the metadata database.
    :param entry: addresses of the entries; one that the user may not see counts as missing.
    """
    found = {kept.address: kept for kept in library.lines if kept.address in entry}
    page = [found[address] for address in dict.fromkeys(entry) if address in found]
    try:
        requests = [_request(session, kept, library.source) for kept in page]
    except ViduError as error:
        log.error("Entries cannot be compared: %s", error)
        # The page takes 503 for a wrong configuration.
        raise HTTPException(424, "The ledger cannot be read; the api-server's log says why") from error
    return {
        **library.about(),
        "entries": [
            {**one, "fields": _fields(request), "python": python_of(kept.line, request)}
            for one, kept, request in zip(described(session, library.reader, page), page, requests, strict=True)
        ],
    }


def _request(session: Session, kept: Kept, source: str) -> Mapping[str, Any]:
    """Return the request of a line with all of its fields; the library keeps only some in memory."""
    if source == "ledger":
        _, _, day, stem, number = kept.address.split("/")
        entry = entry_at(day, stem, int(number))
        return entry.request if entry else {}
    entry = kept.line.entry
    query = select(XComModel.value).where(
        XComModel.dag_id == entry.dag_id,
        XComModel.run_id == entry.run_id,
        XComModel.task_id == entry.task_id,
        XComModel.map_index == entry.map_index,
        XComModel.key == "vidu_request",
    )
    return record(session.scalar(query))


def _sections(request: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for section in ("input", "parameters"):
        for name, value in record(request.get(section)).items():
            yield section, name, value


def _fields(request: Mapping[str, Any]) -> dict[str, str]:
    found = {"model": text(request.get("model"))}
    for _, name, value in _sections(request):
        shown = value if isinstance(value, str) else _as_json(value)
        found[text(name)] = text(shown, LONGEST_PROMPT)
    return dict(list(found.items())[:MOST_FIELDS])


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""


def python_of(line: Line, request: Mapping[str, Any]) -> str | None:
    """
    Write a request as an item of a batch, on one line of Python.

    :param line: the submit.
    :param request: its request.
    :return: the line, ``None`` if the request is empty or too long.
    """
    if not request:
        return None
    entry, row = line.entry, row_of({"model": line.model, "parameters": {"vidu_type": line.job}})
    item = {"custom_id": entry.custom_id or entry.task_id, "model": line.model, "vidu_type": line.job}
    extras: dict[str, dict[str, Any]] = {}
    for section, name, value in _sections(request):
        if name == "vidu_type":
            continue
        if row and name in row.fields:
            item[name] = value
        else:
            extras.setdefault(f"extra_{section}", {})[name] = value
    try:
        made = repr({**item, **extras})
    except RecursionError:
        return None
    files = " ".join(line.ending.files) if line.ending else ""
    # repr() escapes what is not printable, line breaks included.
    about = repr(f"Vidu task {entry.vidu_task_id} {files}".strip())[1:-1]
    found = f"{made}  # {about}"
    return found if len(found) <= LONGEST_LINE else None
