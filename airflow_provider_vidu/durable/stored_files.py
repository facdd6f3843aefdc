# SPDX-License-Identifier: Apache-2.0
"""The record of a task instance's stored files, by the Vidu task of each."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_vidu.durable.entries import STORED, Ending
from airflow_provider_vidu.durable.ledger_state import task_states
from airflow_provider_vidu.durable.spending import note_end
from airflow_provider_vidu.durable.state_store import StateStore
from airflow_provider_vidu.exceptions import ViduStateError
from airflow_provider_vidu.storage.places import changed_at

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

KEY = "vidu_stored_"
"""Prefix of the task state keys; a number follows, from 0 and without gaps."""
CHUNK_BYTES = 48 << 10
"""Size limit of a task state; Airflow warns above 64 KB."""
WRITE_SECONDS, WRITE_VIDEOS = 5.0, 10
"""
The record is written after so many seconds or videos, since each write is a round trip.

The next try stores again the videos that a killed worker had not recorded.
"""
_VERSION = 1


class StoredFiles:
    """
    The record of the files that earlier tries of a task instance stored.

    Airflow's task state store (3.3+) holds it, and many threads may use it. Without a usable store it records nothing,
    and each try stores the videos again, at no cost.

    :param context: Airflow's context of the task instance.
    :param log: the operator's logger.
    """

    def __init__(self, context: Context, log: Logger) -> None:
        self._log = log
        self._store = StateStore(context, durable=task_states(context) is not None, log=log)
        self._lock = threading.RLock()
        self._files: dict[str, list[dict[str, Any]]] = {}
        self._chunk_of: dict[str, int] = {}
        self._task_at: dict[str, str] = {}
        self._sizes: list[int] = []
        self._is_read = False
        self._is_off = False
        self._unwritten: set[int] = set()
        self._added = 0
        self._written_at = time.monotonic()

    def files_of(self, task_id: str) -> list[str]:
        """
        List the stored files of a Vidu task.

        :param task_id: Vidu's id of the task.
        :return: their URIs.
        :raises ViduStateError: if the state store cannot be read.
        """
        with self._lock:
            self._read()
            return [file["uri"] for file in self._files.get(task_id, ())]

    def kept(self, task_id: str, uri: str, stat: Mapping[str, Any]) -> bool:
        """
        Check whether a file was stored for a Vidu task and is unchanged since.

        :param task_id: Vidu's id of the task.
        :param uri: the file.
        :param stat: the store's current description of the file.
        """
        found = _entry(uri, stat)
        with self._lock:
            return found["changed_at"] is not None and self._is_usable() and found in self._files.get(task_id, ())

    def is_replaced(self, task_id: str, uri: str, stat: Mapping[str, Any]) -> bool:
        """
        Check whether a file differs from what was stored for a Vidu task, as far as the record knows.

        :param task_id: Vidu's id of the task for which the file was stored.
        :param uri: the file.
        :param stat: the store's current description of the file.
        """
        with self._lock:
            known = self._files.get(task_id, ()) if self._is_usable() else ()
            return bool(known) and _entry(uri, stat) not in known

    def add(self, task_id: str, uri: str, stat: Mapping[str, Any]) -> None:
        """
        Record a stored file, in place of any other at the same URI.

        :param task_id: Vidu's id of the task whose video it holds.
        :param uri: the file.
        :param stat: the store's current description of the file.
        """
        with self._lock:
            if not self._is_usable():
                return
            if before := self._task_at.get(uri):
                self._files[before] = [file for file in self._files[before] if file["uri"] != uri]
                self._unwritten.add(self._chunk_of[before])
            entry = _entry(uri, stat)
            size = len(json.dumps({task_id: [entry]})) + len(", ")
            if task_id not in self._chunk_of:
                if not self._sizes or self._sizes[-1] + size > CHUNK_BYTES:
                    self._sizes.append(0)
                self._chunk_of[task_id] = len(self._sizes) - 1
            number = self._chunk_of[task_id]
            self._files.setdefault(task_id, []).append(entry)
            self._task_at[uri] = task_id
            self._sizes[number] += size
            self._unwritten.add(number)
            self._added += 1
            if self._added >= WRITE_VIDEOS or time.monotonic() - self._written_at >= WRITE_SECONDS:
                self.flush()

    def flush(self) -> None:
        """
        Write the added entries.

        If the state store fails, a later try stores those videos again.
        """
        with self._lock:
            self._added, self._written_at = 0, time.monotonic()
            for number in sorted(self._unwritten):
                files = {of: self._files[of] for of, chunk in self._chunk_of.items() if chunk == number}
                try:
                    self._store.put(f"{KEY}{number}", {"version": _VERSION, "files": files})
                except ViduStateError as error:
                    # Kept for the next write, which the last one of a try is at the latest.
                    self._log.warning("Could not write the record of stored videos yet: %s", error)
                    return
                self._unwritten.discard(number)

    def end(self, task_id: str, files: list[str], result: Mapping[str, Any]) -> None:
        """
        Record in the ledger that every video of a Vidu task is stored.

        :param task_id: Vidu's id of the task.
        :param files: URIs of the files.
        :param result: the result of the task.
        """
        with self._lock:
            known = {file["uri"]: file["size"] for file in self._files.get(task_id, ())}
        sizes = tuple(known[file] for file in files if isinstance(known.get(file), int))
        is_known = len(sizes) == len(files)
        ending = Ending(STORED, tuple(files), result.get("video_seconds"), "", sizes if is_known else ())
        note_end(task_id, ending._replace(ready_seconds=ready_seconds(result)), self._log)

    def _is_usable(self) -> bool:
        if not self._is_off:
            try:
                self._read()
            except ViduStateError as error:
                self._switch_off(error)
        return not self._is_off

    def _switch_off(self, error: ViduStateError) -> None:
        # An unreadable state must not be replaced, and each further call would wait for the store again.
        self._is_off = True
        self._unwritten.clear()
        self._log.warning(
            "Could not use the record of stored videos, so a retry stores them again. After their links have expired, "
            "clearing the task pays for them again: %s",
            error,
        )

    def _read(self) -> None:
        if self._is_read:
            return
        chunks: list[Any] = []
        while (chunk := self._store.get(f"{KEY}{len(chunks)}")) is not None:
            chunks.append(chunk)
        for number, chunk in enumerate(chunks):
            self._sizes.append(len(json.dumps(chunk)))
            for task_id, files in _files(chunk):
                self._files[task_id] = files
                self._chunk_of[task_id] = number
                self._task_at.update((file["uri"], task_id) for file in files)
        self._is_read = True


def ready_seconds(result: Mapping[str, Any]) -> float | None:
    """
    Return the seconds from submit to ready by the server's clock.

    :param result: a result as ``TaskStatus.result`` returns it, or a stored one of any content.
    :return: the seconds, ``None`` if the server returned no such times.
    """
    begun, ended = result.get("submit_time"), result.get("finish_time")
    if not isinstance(begun, (int, float)) or not isinstance(ended, (int, float)):
        return None
    # A server that does not know a time may report 0.
    return ended - begun if 0 < begun <= ended else None


def _entry(uri: str, stat: Mapping[str, Any]) -> dict[str, Any]:
    return {"uri": uri, "size": stat.get("size"), "changed_at": changed_at(stat)}


def _files(chunk: Any) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Return the entries of a task state that this version can read."""
    found = chunk.get("files") if isinstance(chunk, dict) else None
    for task_id, files in found.items() if isinstance(found, dict) else ():
        known = [file for file in files if isinstance(file, dict)] if isinstance(files, list) else []
        yield (
            task_id,
            [
                {name: file.get(name) for name in ("uri", "size", "changed_at")}
                for file in known
                if isinstance(file.get("uri"), str)
            ],
        )
