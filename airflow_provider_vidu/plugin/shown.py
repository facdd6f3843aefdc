# SPDX-License-Identifier: Apache-2.0
"""
The parts of a line that the library keeps in memory and shows.

A DAG author may write any object into the ledger, and any XCom. So texts are short and can be written as UTF-8, and
numbers are finite.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from airflow_provider_vidu.durable.entries import FAILED, GONE, STORED, Ending, Entry
from airflow_provider_vidu.durable.lines import SAME_DIGITS, Line
from airflow_provider_vidu.durable.reused import REUSED

LONGEST_PROMPT, LONGEST_TEXT = 2000, 500
"""Characters of the prompt and the reason for a failure, and of every other text."""
MOST_FILES = 20
_ENDS = (STORED, REUSED, FAILED, GONE)
_PARAMETERS = ("vidu_type", "duration", "resolution", "seed")


def shown(line: Line) -> Line:
    """
    Take the parts of a line that the library shows.

    :param line: the submit as it was read.
    """
    entry, ending = line.entry, line.ending
    entry = Entry(
        text(entry.dag_id),
        text(entry.run_id),
        text(entry.task_id),
        # The type of Airflow's column.
        entry.map_index if -1 <= entry.map_index < 1 << 31 else -1,
        text(entry.custom_id),
        text(entry.vidu_conn_id),
        _request(line),
        text(entry.vidu_task_id),
        text(entry.fingerprint, SAME_DIGITS),
    )
    if ending:
        files = tuple(text(file) for file in ending.files[:MOST_FILES])
        reason = text(ending.reason, LONGEST_PROMPT)
        seconds, ready = amount(ending.video_seconds), amount(ending.ready_seconds)
        # Sums and pages count by these words.
        outcome = ending.outcome if ending.outcome in _ENDS else FAILED
        ending = Ending(outcome, files, seconds, reason, ready_seconds=ready)
    return Line(line.name, entry, ending)


def _request(line: Line) -> dict[str, Any]:
    request = line.entry.request
    asked, parameters = record(request.get("input")), record(request.get("parameters"))
    images = asked.get("images")
    first = asked.get("first_frame_url") or (images[0] if isinstance(images, list) and images else "")
    return {
        "model": text(line.model),
        "input": {"prompt": text(line.prompt, LONGEST_PROMPT), "first_frame_url": text(first)},
        "parameters": {
            name: amount(value) if isinstance(value := parameters.get(name), (int, float)) else text(value)
            for name in _PARAMETERS
        },
    }


def record(value: Any) -> Mapping[str, Any]:
    """
    Return a mapping.

    :param value: a value of any type; anything else counts as empty.
    """
    return value if isinstance(value, Mapping) else {}


def text(value: Any, longest: int = LONGEST_TEXT) -> str:
    """
    Return a text that databases and JSON can hold; equal ones share their memory.

    :param value: a value of any type; anything else counts as empty.
    :param longest: characters to keep.
    """
    found = value[:longest].replace("\0", "\ufffd") if isinstance(value, str) else ""
    return sys.intern(found.encode("utf-8", "replace").decode("utf-8"))


def amount(value: Any) -> float | None:
    """
    Return a finite number of 0 or more.

    :param value: a value of any type; anything else counts as unknown.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number and 0 <= value < 1e12 else None
