# SPDX-License-Identifier: Apache-2.0
"""The manifest of a batch: one line of JSON for each item, in the order of the requests."""

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
from airflow_provider_vidu.protocol.errors import family_of
from airflow_provider_vidu.protocol.polling import FAILED, SUCCESS
from airflow_provider_vidu.protocol.texts import named
from airflow_provider_vidu.storage import places
from airflow_provider_vidu.storage.destination import before_placeholders

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.io.stat import stat_result


_VERSION = 1
"""Version of a manifest's lines. A line without one is of 0.1.0 and reads alike."""
_CONCURRENT_LOOKS = 8
_LONGEST_NAME = 180
"""Characters of a manifest's own name, before what sets it apart and what ends it."""


class Record(NamedTuple):
    """
    What became of an item.

    :param custom_id: its author's name for it.
    :param request: the body as its author gave it, files by their names.
    :param outcome: one of ``protocol.batch.OUTCOMES``.
    :param reason: why there is no video; for a failed generation the server's own words.
    :param task_id: Vidu's id of the task, empty where none is known.
    :param files: URIs of the stored files.
    :param video_seconds: length of the video.
    :param earlier_task_ids: Vidu's ids of the tasks that were submitted for it before that one.
    :param estimated_cost: CNY of all that was submitted for it, or perhaps was, by the price table; 0 where surely
        nothing was, ``None`` where a price is unknown.
    :param family: the family of a failed generation's reason, which says whether a retry can help; empty otherwise.
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


def default_name(destination: str, context: Context) -> str:
    """
    Name the manifest of a task instance, beside its videos.

    :param destination: the batch's destination, placeholders included.
    :param context: Airflow's context of the task instance.
    :return: a path or URI.
    """
    ti = context["ti"]
    mapped = [] if ti.map_index is None or ti.map_index < 0 else [str(ti.map_index)]
    parts = [ti.dag_id, ti.run_id, ti.task_id, *mapped]
    # Other parts may read alike, and a file's name has an end.
    mark = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]
    name = f"{'-'.join(['manifest', *parts])[:_LONGEST_NAME]}-{mark}"
    # What follows the first placeholder differs from video to video.
    directory = before_placeholders(destination)
    if directory != destination or directory.endswith(".mp4"):
        directory = directory.rpartition("/")[0]
    return f"{directory.rstrip('/') or '.'}/{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.jsonl"


def write(path: str, records: Iterable[Record]) -> str:
    """
    Write a manifest; what was there is replaced once it is complete.

    :param path: a path or URI.
    :param records: its lines.
    :return: its URI.
    :raises ViduDownloadError: when it cannot be written. What was stored is not affected.
    """
    data = b"".join(map(_line, records))
    target = places.located(path)
    with places.replacing(target) as file:
        file.write(data)
    places.note_written(target)
    return places.uri_of(target)


def mark_of(records: Iterable[Record]) -> str:
    """
    Tell records from others: a hash over their lines.

    :param records: lines of a manifest.
    """
    return hashlib.sha256(b"".join(map(_line, records))).hexdigest()


def _line(record: Record) -> bytes:
    line = {**record._asdict(), "version": _VERSION}
    try:
        return f"{json.dumps(line, ensure_ascii=False)}\n".encode()
    except UnicodeEncodeError:
        # Half a character, as file names may hold.
        return f"{json.dumps(line)}\n".encode()


def record_of(line: str | bytes) -> Record:
    """
    Read one line of a manifest, of this version of the package or another one.

    :param line: a line. Unknown keys are ignored, those that may be absent take their defaults.
    :raises ValueError: if it is no such line.
    """
    given = json.loads(line)
    if not isinstance(given, dict) or not {"custom_id", "request", "outcome"} <= given.keys():
        raise ValueError("a line must be a JSON object with custom_id, request and outcome")
    record = Record(**{name: value for name, value in given.items() if name in Record._fields})
    listed = (record.files, record.earlier_task_ids)
    if not all(isinstance(texts, (list, tuple)) and all(isinstance(text, str) for text in texts) for texts in listed):
        raise ValueError("files and earlier_task_ids must be lists of texts")
    if record.outcome == FAILED and not record.family:
        # 0.1.0 wrote the reason alone.
        record = record._replace(family=family_of(str(record.reason)).value)
    return record._replace(files=tuple(record.files), earlier_task_ids=tuple(record.earlier_task_ids))


def read(path: str) -> list[Record]:
    """
    Read a manifest.

    :param path: a path or URI.
    :return: its lines, none where there is no such file.
    :raises ViduDownloadError: when it cannot be read or is none.
    """
    target = places.located(path)
    try:
        text = target.fs.cat_file(target.path).decode()
        # Not by str.splitlines, which takes more than "\\n" for the end of a line.
        lines = filter(None, text.split("\n"))
        return [record_of(line) for line in lines]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        # A store without the right to list answers so where there is nothing at all.
        raise ViduDownloadError(
            f"Whether there is a manifest at {path} could not be read: {named(error)}. The credentials need the right "
            "to read there and to list the bucket."
        ) from error
    except ValueError as error:
        raise ViduDownloadError(
            f"The file at {path} is no manifest: {named(error)}. Move it away, or name another manifest."
        ) from error
    except Exception as error:
        raise ViduDownloadError(f"The manifest at {path} could not be read: {named(error)}.") from error


def totals(uri: str, records: Sequence[Record]) -> dict[str, Any]:
    """
    Sum a manifest up.

    :param uri: its URI.
    :param records: its lines.
    :return: what a batch returns.
    """
    costs = [record.estimated_cost for record in records]
    return {
        "manifest": uri,
        "counts": dict(Counter(record.outcome for record in records)),
        "video_seconds": sum(record.video_seconds or 0.0 for record in records if record.outcome == SUCCESS),
        "estimated_cost": None if None in costs else round(sum(filter(None, costs)), 5),
    }


def kept(
    path: str, is_wanted: Callable[[Record], bool], is_replaced: Callable[[str, str, Mapping[str, Any]], bool]
) -> list[Record]:
    """
    Find the videos of a manifest whose files are there still.

    :param path: a path or URI of the manifest; where there is none, none are found.
    :param is_wanted: says whether a line counts.
    :param is_replaced: says of a Vidu task's id, a URI and what its store says of it whether another file lies there.
    :return: its lines.
    :raises ViduDownloadError: if the manifest or a store cannot be read. Nothing was sent.
    """
    with _before_paying():
        found = [record for record in read(path) if record.outcome == SUCCESS and is_wanted(record)]
        with ThreadPoolExecutor(_CONCURRENT_LOOKS) as pool:
            present = list(pool.map(lambda record: _is_there(record, is_replaced), found))
    return [record for record, is_there in zip(found, present, strict=True) if is_there]


def _is_there(record: Record, is_replaced: Callable[[str, str, Mapping[str, Any]], bool]) -> bool:
    stats = [(file, _stat(file)) for file in record.files]
    return all(stat and not is_replaced(record.task_id, file, stat) for file, stat in stats)


def are_there(files: Sequence[str]) -> bool:
    """
    Say whether all files of a video are there.

    :param files: their URIs.
    :raises ViduDownloadError: if a store cannot be read. Nothing was sent.
    """
    with _before_paying():
        return all(map(exists, files))


@contextmanager
def _before_paying() -> Iterator[None]:
    try:
        yield
    except ViduDownloadError as error:
        raise ViduDownloadError(
            f"What is stored already has to be known first. {error} Nothing was sent: nothing was paid, a retry can "
            "help."
        ) from error


def exists(path: str) -> bool:
    """
    Tell whether a file is there.

    :param path: a path or URI.
    :return: whether it is.
    :raises ViduDownloadError: when its store does not tell.
    """
    return _stat(path) is not None


def _stat(path: str) -> stat_result | None:
    target = places.located(path)
    try:
        # Not by exists(), which takes every fault of a store for an absent file.
        stat = target.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:
        # Every store raises what its own library does.
        raise ViduDownloadError(f"Whether {path} is there could not be read: {named(error)}.") from error
    return stat if stat.get("type") == "file" else None


def remove(path: str) -> None:
    """
    Remove a manifest, if that is possible.

    :param path: a path or URI.
    """
    places.remove(places.located(path))
