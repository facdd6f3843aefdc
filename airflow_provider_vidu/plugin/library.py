# SPDX-License-Identifier: Apache-2.0
"""
Routes of the library: every video that a user may see, with sums over these alone.

The server filters before it counts or sums, so an answer says nothing about other DAGs.
"""

# No "from __future__ import annotations": FastAPI reads the annotations when a route is declared.

import csv
import io
import logging
import time
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import get_user
from fastapi import APIRouter, Depends, HTTPException, Query
from starlette.responses import StreamingResponse

from airflow_provider_vidu.arguments import FORGOTTEN_SECONDS
from airflow_provider_vidu.durable.budget import Budget, budgets
from airflow_provider_vidu.durable.entries import cny_of, day_of
from airflow_provider_vidu.durable.ledger import DEFAULT_ZONE, Ledger
from airflow_provider_vidu.durable.lines import FAMILIES, REPORT, RUNNING, Line, Sums, grouped, sums
from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.plugin import media, xcom_store
from airflow_provider_vidu.plugin.airflow_lines import AirflowLines
from airflow_provider_vidu.plugin.described import described
from airflow_provider_vidu.plugin.filters import FiltersOf
from airflow_provider_vidu.plugin.ledger_lines import LedgerLines
from airflow_provider_vidu.plugin.readers import Reader
from airflow_provider_vidu.plugin.shelf import Kept, Shelf
from airflow_provider_vidu.plugin.waits import waits
from airflow_provider_vidu.protocol.response import RESULT_LIFETIME_SECONDS

LINES_A_PAGE = 48
ROWS_AT_A_TIME = 1000
EXAMPLES = 3
DAGS = 5
UNSTORED = 50

log = logging.getLogger(__name__)
router = APIRouter()


class Library:
    """
    The lines for one request, of the DAGs that its user may read.

    :param user: the user.
    """

    def __init__(self, user: Annotated[BaseUser, Depends(get_user)]) -> None:
        try:
            ledger, self._budgets = Ledger.configured(), budgets()
        except ViduRequestError as error:
            log.error("The library cannot be shown: %s", error)
            raise HTTPException(503, "The configuration of [vidu] is wrong; the api-server's log says how") from error
        self.zone = ledger.zone if ledger else ZoneInfo(DEFAULT_ZONE)
        self.source = "ledger" if ledger else "airflow"
        self.reader = Reader(user)
        self.view = _shelf(ledger.root if ledger else "", self.zone).view()
        self.lines = [kept for kept in self.view.lines if self.reader.may_see_videos(kept.line.entry.dag_id)]

    def about(self) -> dict[str, Any]:
        """Say where the lines come from, and which may be missing."""
        return {
            "source": self.source,
            "elsewhere": self.source == "airflow" and xcom_store.is_configured(),
            "zone": self.zone.key,
            "whole": self.view.is_whole,
            "cut": self.view.is_cut,
            "away": self.view.is_away,
            "media": media.is_on(),
        }

    def budgets(self) -> list[dict[str, Any]]:
        """
        Return the budgets, with what is left of them where that says nothing about other DAGs.

        What is left is known from a sum over all DAGs. So it is shown if the user may see every line of the period; a
        broken entry names no DAG, so nobody may see it.
        """
        today = day_of(time.time(), self.zone)
        return [self._budget(budget, today) for budget in self._budgets if self.source == "ledger"]

    def _budget(self, budget: Budget, today: str) -> dict[str, Any]:
        period = today if budget.period == "daily" else today[:7]
        lines, everything = self.view.lines, sums(_of_period(self.view.lines, period))
        own = sums(_of_period(self.lines, period))
        is_read = self.view.is_whole and not self.view.is_away
        is_in_memory = not self.view.is_cut or lines[-1].line.name.day < period
        return {
            "period": budget.period,
            "limit": cny_of(budget.units),
            "own": cny_of(own.units),
            "left": cny_of(max(0, budget.units - everything.units))
            if is_read and is_in_memory and own.videos == everything.videos
            else None,
            "resets": budget.begins_again(today, self.zone).timestamp(),
        }


def _of_period(lines: list[Kept], period: str) -> Iterator[Line]:
    return (kept.line for kept in lines if kept.line.name.day.startswith(period))


@lru_cache(maxsize=1)
def _shelf(root: str, zone: ZoneInfo) -> Shelf:
    return Shelf(LedgerLines(Ledger(root, zone)) if root else AirflowLines(zone))


LibraryOf = Annotated[Library, Depends(Library)]
"""What the user of a request may see."""


def _sums(found: Sums) -> dict[str, Any]:
    return {"videos": found.videos, "seconds": found.seconds, "cny": cny_of(found.units), "unpriced": found.unpriced}


@router.get("/entries")
def entries(
    library: LibraryOf,
    filters: FiltersOf,
    session: SessionDep,
    offset: Annotated[int, Query(ge=0, lt=1 << 31)] = 0,
) -> dict[str, Any]:
    """
    Return a page of the library, the newest first.

    :param library: what the user may see.
    :param filters: the lines to show.
    :param session: session of the metadata database.
    :param offset: number of lines to skip.
    :return: ``entries``, each with the number of ``takes`` of its request, their ``sums`` over all pages, the ``next``
        offset, and the ``choices`` for the filters.
    """
    found = [kept for kept in library.lines if filters.permit(kept.line)]
    page = found[offset : offset + LINES_A_PAGE]
    following = offset + LINES_A_PAGE
    takes = Counter(kept.line.same for kept in library.lines)
    return {
        **library.about(),
        "entries": [
            {**one, "takes": takes[kept.line.same] if kept.line.same else 1}
            for one, kept in zip(described(session, library.reader, page), page, strict=True)
        ],
        "next": following if following < len(found) else None,
        "sums": _sums(sums(kept.line for kept in found)),
        "choices": _choices(library.lines),
    }


def _choices(lines: list[Kept]) -> dict[str, list[str]]:
    columns = {"dag": "dag", "model": "model", "job": "vidu_type", "connection": "connection"}
    found = {name: {str(kept.line.value(column)) for kept in lines} for name, column in columns.items()}
    return {name: sorted(values - {""}) for name, values in found.items()}


@router.get("/entries.csv")
def entries_csv(library: LibraryOf, filters: FiltersOf) -> StreamingResponse:
    """
    Return the columns of the ledger's report as CSV, one row for each submit, the oldest first.

    :param library: what the user may see.
    :param filters: the lines to show.
    """
    found = [kept.line for kept in reversed(library.lines) if filters.permit(kept.line)]
    headers = {"Content-Disposition": 'attachment; filename="vidu-videos.csv"'}
    return StreamingResponse(_rows(found), headers=headers, media_type="text/csv; charset=utf-8")


def _rows(found: list[Line]) -> Iterator[str]:
    for start in range(0, max(1, len(found)), ROWS_AT_A_TIME):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerows([REPORT] if start == 0 else [])
        writer.writerows([_cell(line.value(key)) for key in REPORT] for line in found[start : start + ROWS_AT_A_TIME])
        yield text.getvalue()


def _cell(value: object) -> str:
    text = str(value)
    # A spreadsheet program would run a text of a DAG author as a formula.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


@router.get("/spend")
def spend(
    library: LibraryOf,
    filters: FiltersOf,
    by: Literal["day", "week", "month"] = "day",
    of: Literal["dag", "model", "connection"] = "dag",
) -> dict[str, Any]:
    """
    Return what was spent in each period, and on what, and how long the videos took.

    :param library: what the user may see.
    :param filters: the submits to sum.
    :param by: length of a period.
    :param of: the column to sum by.
    """
    found = [kept.line for kept in library.lines if filters.permit(kept.line)]
    return {
        **library.about(),
        "rows": [
            {"period": period, "of": value, **_sums(total)} for (period, value), total in grouped(found, [by, of])
        ],
        "outcomes": {outcome: _sums(total) for (outcome,), total in grouped(found, ["outcome"])},
        "sums": _sums(sums(found)),
        "waits": waits(found, library.zone),
        "budgets": library.budgets(),
    }


@router.get("/failures")
def failures(library: LibraryOf, filters: FiltersOf, session: SessionDep) -> dict[str, Any]:
    """
    Return failures grouped by the reader's next step, and the videos that nobody has stored yet.

    :param library: what the user may see.
    :param filters: the submits to look at.
    :param session: session of the metadata database.
    """
    now = time.time()
    families: dict[str, list[Kept]] = {family: [] for family in FAMILIES}
    unstored = []
    for kept in library.lines:
        if not filters.permit(kept.line):
            continue
        if family := kept.line.family_at(now):
            families[family].append(kept)
        age = now - kept.line.name.begun_at / 1000
        if kept.line.outcome == RUNNING and age > FORGOTTEN_SECONDS:
            unstored.append(kept)
    return {
        **library.about(),
        "families": [
            {
                "family": family,
                **_sums(sums(kept.line for kept in members)),
                "dags": Counter(kept.line.entry.dag_id for kept in members).most_common(DAGS),
                "examples": described(session, library.reader, members[:EXAMPLES]),
            }
            for family, members in families.items()
            if members
        ],
        "unstored": [
            # A link lives from when its video is ready, so at least this long after the submit.
            {**entry, "dies_at": entry["at"] + RESULT_LIFETIME_SECONDS}
            for entry in described(session, library.reader, unstored[:UNSTORED])
        ],
        "unstored_sums": _sums(sums(kept.line for kept in unstored)),
    }
