# SPDX-License-Identifier: Apache-2.0
"""
Values of XComs that ``XComObjectStorageBackend`` keeps in an object store.

Airflow's database then has only the URI of the value. No value of this provider is a URI itself. Any user who may edit
a DAG's runs can write such a URI, so only an object below the configured path is read, and only one that the backend
wrote for the same task.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Collection
from typing import Any, NamedTuple

import fsspec.compression  # type: ignore[import-untyped]
import fsspec.utils  # type: ignore[import-untyped]
from airflow.configuration import conf

from airflow_provider_vidu.durable.each import each
from airflow_provider_vidu.plugin.stored import NotServed, open_stored, reading
from airflow_provider_vidu.storage.roots import Root, find, read_root

SECTION, OPTION = "common.io", "xcom_objectstorage_path"
LONGEST_BYTES = 100_000
"""Longest value that is read: JSON may take six bytes for a character."""
PATIENCE_SECONDS = 1.0
"""Longest time for one answer to begin reading values; the next answer goes on."""
VALUES_AT_A_TIME = 32
AGAIN_SECONDS = 60.0
"""Time for which a value that could not be read is not tried again."""
MOST_BYTES = 64 << 20
"""Values in memory. The backend never changes an object, so a value stays valid."""

_URI = re.compile(r'"[a-z][a-z0-9+.-]*://.+"', re.DOTALL)


class Task(NamedTuple):
    """
    The task that pushed an XCom.

    :param dag_id: Airflow's id of the DAG, like the two that follow.
    :param run_id: id of the run.
    :param task_id: id of the task.
    """

    dag_id: str
    run_id: str
    task_id: str


class Reference(NamedTuple):
    """
    A value in an object store.

    :param uri: the URI that Airflow's database holds.
    :param task: the task that pushed it.
    """

    uri: str
    task: Task


def reference(text: str | None, task: Task) -> Reference | None:
    """
    Return the reference that an XCom's text is, ``None`` if it is a value itself.

    :param text: the JSON text in Airflow's database.
    :param task: the task that pushed it.
    """
    if text is None or not _URI.fullmatch(text):
        return None
    try:
        return Reference(json.loads(text), task)
    except ValueError:
        return None


class _Values:
    """Values that were read, and the times of failures. Every method may be called from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: dict[str, str] = {}
        self._failed_at: dict[str, float] = {}
        self._size = 0

    def get(self, uri: str) -> str | None:
        return self._texts.get(uri)

    def has_failed(self, uri: str) -> bool:
        return time.monotonic() - self._failed_at.get(uri, float("-inf")) < AGAIN_SECONDS

    def put(self, uri: str, text: str | None) -> None:
        with self._lock:
            self._size += len(text or "") + len(uri)
            if self._size > MOST_BYTES:
                self._texts, self._failed_at, self._size = {}, {}, len(text or "")
            if text is None:
                self._failed_at[uri] = time.monotonic()
            else:
                self._texts[uri] = text


_VALUES = _Values()


class Found(NamedTuple):
    """
    The values of some references.

    :param texts: JSON texts by reference.
    :param late: number of values that the next answer will read.
    :param away: number of values that cannot be read.
    """

    texts: dict[Reference, str]
    late: int
    away: int

    def parsed(self, one: Reference) -> Any:
        """
        Return the value of a reference, ``None`` if it was not read or is not JSON.

        :param one: the reference.
        """
        try:
            return json.loads(self.texts.get(one, "null"))
        except (ValueError, RecursionError):
            return None


def values(references: Collection[Reference]) -> Found:
    """
    Read values, as many as the time permits.

    :param references: their references.
    """
    root = _root()
    allowed = [one for one in references if root and _is_of_its_task(one, root)]
    texts = {one: text for one in allowed if (text := _VALUES.get(one.uri)) is not None}
    left = [one for one in allowed if one not in texts and not _VALUES.has_failed(one.uri)]
    until = time.monotonic() + PATIENCE_SECONDS
    while root and left and time.monotonic() < until:
        part, left = left[:VALUES_AT_A_TIME], left[VALUES_AT_A_TIME:]
        for one, text in zip(part, each(lambda one: _read(one, root), part), strict=True):
            _VALUES.put(one.uri, text)
            if text is not None:
                texts[one] = text
    return Found(texts, len(left), len(references) - len(texts) - len(left))


def is_configured() -> bool:
    """Return whether Airflow may keep XComs in an object store."""
    return bool(conf.get(SECTION, OPTION, fallback=""))


def _root() -> Root | None:
    try:
        text = conf.get(SECTION, OPTION, fallback="")
        return read_root(text) if text else None
    except ValueError:
        return None


def _is_of_its_task(one: Reference, root: Root) -> bool:
    found = find(one.uri, [root])
    return found is not None and found.rest[:-1] == one.task


def _read(one: Reference, root: Root) -> str | None:
    try:
        stored = open_stored(one.uri, [root])
        with stored.file, reading():
            kind = fsspec.utils.infer_compression(one.uri)
            file = fsspec.compression.compr[kind](stored.file, mode="rb") if kind else stored.file
            data: bytes = file.read(LONGEST_BYTES + 1)
            return data.decode() if len(data) <= LONGEST_BYTES else None
    except NotServed:
        return None
