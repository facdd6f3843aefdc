# SPDX-License-Identifier: Apache-2.0
"""The manifest of a batch: one JSON line for each item, in the requests' order."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.protocol.batch import WITH_VIDEO
from airflow_provider_vidu.protocol.errors import family_of
from airflow_provider_vidu.protocol.polling import FAILED
from airflow_provider_vidu.protocol.texts import named
from airflow_provider_vidu.storage import places
from airflow_provider_vidu.storage.destination import before_placeholders

if TYPE_CHECKING:
    from airflow.sdk import Context


_VERSION = 1
"""Version of a manifest's lines. A line without one is of 0.1.0 and reads alike."""
_CONCURRENT_CHECKS = 8
_LONGEST_NAME = 180
"""Longest default name of a manifest in characters, without its mark and its suffix."""


class Record(NamedTuple):
    """
    The result of one item.

    :param custom_id: the author's name for the item.
    :param request: the body as the author passed it, with files by their names.
    :param outcome: one of ``protocol.batch.OUTCOMES``.
    :param reason: why there is no video; for a failed generation the server's own words.
    :param task_id: Vidu's id of the task, empty if none is known.
    :param files: URIs of the stored files.
    :param video_seconds: length of the video.
    :param earlier_task_ids: Vidu's ids of earlier tasks that were submitted for the item.
    :param estimated_cost: CNY of all certain and possible submits of the item, by the price table. It is 0 if it is
        certain that no submit was accepted, and ``None`` if a price is unknown.
    :param family: the family of a failed generation's reason, which says whether a retry can help. It is ``budget``
        for an item that a budget kept from being submitted, and empty otherwise.
    :param reused_from: Vidu's id of the task of an earlier submit whose video this item takes, empty for none.
    :param error: class of the error for which the item was refused or not submitted, empty if there was none.
    """

    custom_id: str
    request: dict[str, Any]
    outcome: str
    reason: str = ""
    task_id: str = ""
    files: tuple[str, ...] = ()
    video_seconds: float | None = None
    earlier_task_ids: tuple[str, ...] = ()
    estimated_cost: float | None = None
    family: str = ""
    reused_from: str = ""
    error: str = ""


def default_name(destination: str, context: Context) -> str:
    """
    Return the default path of a manifest, in the directory of its videos.

    :param destination: the batch's destination, placeholders included.
    :param context: Airflow's context of the task instance.
    :return: a path or URI.
    """
    ti = context["ti"]
    mapped = [] if ti.map_index is None or ti.map_index < 0 else [str(ti.map_index)]
    parts = [ti.dag_id, ti.run_id, ti.task_id, *mapped]
    # The mark is needed because joined parts may be equal for two task instances, and a long name is cut.
    mark = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]
    name = f"{'-'.join(['manifest', *parts])[:_LONGEST_NAME]}-{mark}"
    # The text after the first placeholder differs between videos.
    directory = before_placeholders(destination)
    if directory != destination or directory.endswith(".mp4"):
        directory = directory.rpartition("/")[0]
    return f"{directory.rstrip('/') or '.'}/{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.jsonl"


def write(path: str, records: Iterable[Record]) -> str:
    """
    Write a manifest; it replaces an existing file once it is complete.

    :param path: a path or URI.
    :param records: its lines.
    :return: its URI.
    :raises ViduDownloadError: if the store cannot write it. Stored videos are not affected.
    """
    data = b"".join(map(_line, records))
    target = places.located(path)
    with places.replacing(target, is_flushed=True) as file:
        file.write(data)
    places.note_written(target)
    return places.uri_of(target)


def mark_of(records: Iterable[Record]) -> str:
    """
    Return a hash over the lines of records, to compare them with others.

    :param records: lines of a manifest.
    """
    return hashlib.sha256(b"".join(map(_line, records))).hexdigest()


def _line(record: Record) -> bytes:
    line = {**record._asdict(), "version": _VERSION}
    try:
        return f"{json.dumps(line, ensure_ascii=False)}\n".encode()
    except UnicodeEncodeError:
        # File names may contain half a character: a lone surrogate.
        return f"{json.dumps(line)}\n".encode()


def record_of(line: str | bytes) -> Record:
    """
    Read one line of a manifest.

    :param line: a line that this version of the package or another one wrote. Unknown keys are ignored; missing
        optional keys take their defaults.
    :raises ValueError: if it is not a line of a manifest.
    """
    given = json.loads(line)
    if not isinstance(given, dict) or not {"custom_id", "request", "outcome"} <= given.keys():
        raise ValueError("a line must be a JSON object with custom_id, request and outcome")
    record = Record(**{name: value for name, value in given.items() if name in Record._fields})
    listed = (record.files, record.earlier_task_ids)
    if not all(isinstance(texts, (list, tuple)) and all(isinstance(text, str) for text in texts) for texts in listed):
        raise ValueError("files and earlier_task_ids must be lists of texts")
    if record.outcome == FAILED and not record.family:
        # Version 0.1.0 wrote no family, only the reason.
        record = record._replace(family=family_of(str(record.reason)).value)
    return record._replace(files=tuple(record.files), earlier_task_ids=tuple(record.earlier_task_ids))


def read(path: str) -> list[Record]:
    """
    Read a manifest.

    :param path: a path or URI.
    :return: its lines; an empty list if the file does not exist.
    :raises ViduDownloadError: if the store cannot read it or it is not a manifest.
    """
    target = places.located(path)
    try:
        data = target.fs.cat_file(target.path)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        # A store without permission to list answers so if there is nothing at all.
        raise ViduDownloadError(
            f"Could not check whether there is a manifest at {path}: {named(error)}. Grant the credentials permission "
            "to read objects and to list the bucket."
        ) from error
    except Exception as error:
        raise ViduDownloadError(f"Could not read the manifest at {path}: {named(error)}.") from error
    try:
        # str.splitlines would split at characters other than "\\n" too.
        return [record_of(line) for line in data.decode().split("\n") if line]
    except ValueError as error:
        raise ViduDownloadError(
            f"The file at {path} is not a manifest: {named(error)}. Move it away, or set another manifest."
        ) from error


def totals(uri: str, records: Sequence[Record]) -> dict[str, Any]:
    """
    Return the totals of a manifest.

    :param uri: its URI.
    :param records: its lines.
    :return: the return value of a batch.
    """
    costs = [record.estimated_cost for record in records]
    return {
        "manifest": uri,
        "counts": dict(Counter(record.outcome for record in records)),
        "video_seconds": sum(record.video_seconds or 0.0 for record in records if record.outcome in WITH_VIDEO),
        "estimated_cost": None if None in costs else round(sum(filter(None, costs)), 5),
    }


def kept(
    path: str, is_wanted: Callable[[Record], bool], is_replaced: Callable[[str, str, Mapping[str, Any]], bool]
) -> list[Record]:
    """
    Find the videos of a manifest whose files still exist.

    :param path: path or URI of the manifest; a missing one has no videos.
    :param is_wanted: returns whether a line counts.
    :param is_replaced: returns whether another file replaced a stored one; called with the Vidu task's id, the URI and
        the store's description of the file.
    :return: the lines of these videos.
    :raises ViduDownloadError: if the manifest or a store cannot be read. Nothing was sent.
    """
    with _before_paying():
        found = [record for record in read(path) if record.outcome in WITH_VIDEO and is_wanted(record)]
        with ThreadPoolExecutor(_CONCURRENT_CHECKS) as pool:
            present = list(pool.map(lambda record: _is_there(record, is_replaced), found))
    return [record for record, is_there in zip(found, present, strict=True) if is_there]


def _is_there(record: Record, is_replaced: Callable[[str, str, Mapping[str, Any]], bool]) -> bool:
    stats = [(file, places.file_at(places.located(file))) for file in record.files]
    return all(stat and not is_replaced(record.task_id, file, stat) for file, stat in stats)


def are_there(files: Sequence[str], sizes: Sequence[int] = ()) -> bool:
    """
    Check whether all files of a video exist, and no other video has replaced them.

    :param files: their URIs.
    :param sizes: their bytes in the same order, empty (default) if unknown.
    :raises ViduDownloadError: if a store cannot be read. Nothing was sent.
    """
    with _before_paying():
        found = [places.file_at(places.located(file)) for file in files]
    return all(found) and (not sizes or [stat.get("size") for stat in found if stat] == list(sizes))


@contextmanager
def _before_paying() -> Iterator[None]:
    try:
        yield
    except ViduDownloadError as error:
        raise ViduDownloadError(
            f"Could not check which videos are stored already. {error} This run on the worker "
            "sent and paid nothing; a retry can help."
        ) from error


def exists(path: str) -> bool:
    """
    Check whether a file exists.

    :param path: a path or URI.
    :return: whether it exists.
    :raises ViduDownloadError: if its store cannot be read.
    """
    return places.file_at(places.located(path)) is not None


def remove(path: str) -> None:
    """
    Remove a manifest; a failure is logged, not raised.

    :param path: a path or URI.
    """
    places.remove(places.located(path))
