# SPDX-License-Identifier: Apache-2.0
"""
Reused videos in the ledger: tasks that took the video of an earlier submit instead of paying.

Their objects lie beside those of the day's submits, so that one LIST finds both. No budget, look-up, rescue or report
reads them.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from airflow_provider_vidu.durable.entries import STORED, Ending, Entry, EntryName, names_in, stem_of
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.durable.lines import Line
from airflow_provider_vidu.exceptions import ViduStateError

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.durable.reuse import Reusable

REUSED = "reused"
"""Outcome of a reused video; it costs nothing."""
PREFIX = "reused-"
"""Begin of the names of such objects."""


def note_reuse(ledger: Ledger | None, entry: Entry, request: str, found: Reusable, log: Logger) -> None:
    """
    Write a reused video. A failure is logged, not raised.

    :param ledger: the ledger, in which the video was found.
    :param entry: what the submit would have been.
    :param request: fingerprint of the request.
    :param found: the task whose video is reused, with the files that are used.
    :param log: the operator's logger.
    """
    assert ledger is not None  # noqa: S101 - for the type checker: without a ledger nothing is found
    place = (entry.dag_id, entry.run_id, entry.task_id, entry.map_index, entry.custom_id)
    # A retry takes the place of the earlier try.
    mark = hashlib.sha256(repr(place).encode("utf-8", "replace")).hexdigest()[:12]
    name = ledger.name(time.time(), 0.0, request)._replace(mark=mark)
    content = entry._replace(vidu_task_id=found.vidu_task_id, fingerprint=request).content()
    try:
        ledger.put(_path(name), {**content, "ending": Ending(REUSED, found.files, found.video_seconds).content()})
    except ViduStateError as error:
        log.warning("The page of all videos will not show that Vidu task %s was reused: %s", found.vidu_task_id, error)


def reused_in(day: str, stems: Iterable[str]) -> list[EntryName]:
    """
    Find the names of a day's reused videos, one for each task and item.

    :param day: the day.
    :param stems: the names of all of its objects.
    """
    ours = (stem.removeprefix(PREFIX) for stem in stems if stem.startswith(PREFIX))
    names = sorted((names[0] for stem in ours if (names := names_in(day, stem))), key=lambda name: name.begun_at)
    return list({(name.mark, name.request): name for name in names}.values())


def reused_line(ledger: Ledger, name: EntryName) -> Line:
    """
    Read a reused video.

    :param ledger: the ledger.
    :param name: its name.
    :raises ViduStateError: if the ledger cannot be read.
    """
    content = ledger.get(_path(name))
    entry = Entry.read(content)
    ending = Ending.read(content.get("ending") if isinstance(content, dict) else None) or Ending(REUSED)
    if not ending.files and entry.vidu_task_id:
        source = ledger.ending(entry.vidu_task_id)
        if source and source.outcome == STORED:
            ending = source
    return Line(name, entry, ending._replace(outcome=REUSED))


def forget_reused(ledger: Ledger, day: str) -> None:
    """
    Remove a day's reused videos from the ledger, but no video.

    :param ledger: the ledger.
    :param day: the day.
    :raises ViduStateError: if the ledger cannot be read.
    """
    stems = ledger.stems_of(day)
    ledger.remove(*(f"spent/{day[:7]}/{day}/{stem}.json" for stem in stems if stem.startswith(PREFIX)))


def _path(name: EntryName) -> str:
    return f"spent/{name.day[:7]}/{name.day}/{PREFIX}{stem_of([name])}.json"
