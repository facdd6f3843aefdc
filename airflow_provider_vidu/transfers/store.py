# SPDX-License-Identifier: Apache-2.0
"""Finished videos on their way from their urls to a destination."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduError, ViduRequestError
from airflow_provider_vidu.protocol.download import MP4_HEAD_BYTES, is_mp4
from airflow_provider_vidu.protocol.texts import is_url
from airflow_provider_vidu.transfers.destination import Destination

if TYPE_CHECKING:
    from typing import BinaryIO

    from airflow.sdk import Context, ObjectStoragePath
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.hooks.download import Downloader

CONCURRENT_VIDEOS = 8
"""Enough to fill a worker's line; few enough for its memory and for hosts that count connections."""

_CHUNK_BYTES = 1 << 20


class VideoStore:
    """
    Stores the videos of finished tasks. Storing costs nothing, and may be repeated as long as the links live.

    A file is written under a temporary name and moved when it is complete, so that whoever watches the destination
    never sees half a video. A file that is complete already, and not older than its generation, is kept; any other is
    replaced, with a warning. Where a link has expired, the task's status is asked for a fresh one once. Local
    directories are created, buckets are not. The API key is never sent to the host that serves the videos.

    :param destination: see :class:`Destination`; Jinja has to be rendered already.
    :param vidu_conn_id: connection of type ``vidu``.
    :param log: where it is told what was stored and kept.
    :raises ViduRequestError: when the destination is none. Nothing was sent.
    """

    def __init__(self, destination: str, vidu_conn_id: str, log: Logger) -> None:
        self.destination = Destination(destination)
        self.vidu_conn_id = vidu_conn_id
        self.log = log

    @cached_property
    def _downloader(self) -> Downloader:
        from airflow_provider_vidu.hooks.vidu import ViduHook

        return ViduHook(self.vidu_conn_id).downloader()

    def uri(self, task_id: str, custom_id: str, index: int) -> str:
        """
        Say where the first video of a task is stored.

        :param task_id: Vidu's id of the task.
        :param custom_id: its author's name for it.
        :param index: its place in a batch.
        """
        return uri_of(located(self.destination.path(task_id, custom_id, index)))

    def store(self, result: Mapping[str, Any], custom_id: str = "", index: int = 0) -> list[str]:
        """
        Store every video of one task, one after the other.

        :param result: what ``TaskStatus.result`` made and ``ViduTaskSensor`` returns.
        :param custom_id: its author's name for it, empty where it has none.
        :param index: its place in a batch or a mapped task.
        :return: the URIs of the files, in the order of the urls.
        :raises ViduRequestError: the result is none, or the custom id cannot be part of a file name.
        :raises ViduDownloadError: a video could not be fetched or stored. It is paid; storing it again is free.
        :raises ViduConnectionSettingsError: the connection is missing or wrong.
        """
        task_id, urls = _checked(result)
        paths = [self.destination.path(task_id, custom_id, index, number) for number in range(1, len(urls) + 1)]
        made_at = result.get("finish_time")
        try:
            return [
                self._store_or_refresh(task_id, urls, number, located(path), made_at)
                for number, path in enumerate(paths)
            ]
        except ViduDownloadError as error:
            raise ViduDownloadError(f"{error} {_paid(task_id, result)}") from error

    def store_all(
        self, items: Iterable[tuple[Mapping[str, Any], str, int]]
    ) -> Iterator[tuple[int, list[str] | ViduError]]:
        """
        Store many tasks' videos, a few at a time. One that fails does not stop the others.

        :param items: result, custom id and index of each, as for :meth:`store`.
        :return: the index of each, in the order in which they are done, with its files or with why there are none.
        :raises ViduConnectionSettingsError: the connection is missing or wrong.
        """
        # Looked up once, here: what follows runs in threads.
        _ = self._downloader
        pool = ThreadPoolExecutor(CONCURRENT_VIDEOS, thread_name_prefix="vidu-store")
        try:
            for done in as_completed([pool.submit(self._outcome, *item) for item in items]):
                yield done.result()
        finally:
            # When the task is ended, only what is on its way is finished.
            pool.shutdown(cancel_futures=True)

    def _outcome(self, result: Mapping[str, Any], custom_id: str, index: int) -> tuple[int, list[str] | ViduError]:
        try:
            return index, self.store(result, custom_id, index)
        except ViduError as error:
            return index, error

    def _store_or_refresh(
        self, task_id: str, urls: list[str], number: int, path: ObjectStoragePath, made_at: Any
    ) -> str:
        try:
            return self._store(urls[number], path, made_at)
        except ViduDownloadError as error:
            if not error.expired:
                raise
            refused = error
        self.log.warning("%s Asking for a fresh link of Vidu task %s.", refused, task_id)
        try:
            # The links of further videos are as old as this one.
            urls[:] = self._fresh_urls(task_id, len(urls))
            return self._store(urls[number], path, made_at)
        except ViduError as error:
            raise ViduDownloadError(f"{refused} A fresh link was asked for: {error}") from error

    def _fresh_urls(self, task_id: str, count: int) -> tuple[str, ...]:
        from airflow_provider_vidu.hooks.vidu import ViduHook

        status = ViduHook(self.vidu_conn_id).get_task(task_id)
        if len(status.urls) != count:
            raise ViduDownloadError(
                f"Vidu task {task_id} is {status.word} and names {len(status.urls)} of {count} urls."
            )
        return status.urls

    def _store(self, url: str, path: ObjectStoragePath, made_at: Any) -> str:
        uri = uri_of(path)
        with beside(path) as partial:
            there = _whole(path)
            # What was there before the video was made is another one, even of the same size.
            is_young = there is not None and isinstance(made_at, (int, float)) and there.changed_at > made_at - 1
            present = there.size if there and is_young else None
            size = self._fetch(url, partial, present, local=is_local(path))
            if size:
                move_into_place(partial, path, size)
        if not size:
            self.log.info("Kept %s, which is complete: %s bytes", uri, f"{present:,}")
        elif there:
            self.log.warning("Stored %s bytes at %s in place of another video", f"{size:,}", uri)
        else:
            self.log.info("Stored %s bytes at %s", f"{size:,}", uri)
        return uri

    def _fetch(self, url: str, partial: ObjectStoragePath, present: int | None, *, local: bool) -> int:
        # A store takes bytes once and in order, a download may have to begin anew.
        with partial.open("wb") if local else tempfile.TemporaryFile() as file:  # type: ignore[no-untyped-call]
            size = self._downloader.fetch(url, cast("BinaryIO", file), present=present)
            if size and not local:
                file.seek(0)
                with partial.open("wb") as target:  # type: ignore[no-untyped-call]
                    shutil.copyfileobj(file, target, _CHUNK_BYTES)
        return size


class _Whole(NamedTuple):
    size: int
    changed_at: float


def _whole(path: ObjectStoragePath) -> _Whole | None:
    try:
        stat = path.stat()
        # Opening it would fetch a whole block.
        head = path.fs.cat_file(path.path, start=0, end=MP4_HEAD_BYTES)
    except OSError:
        # Also where a bucket does not let one look: what is wrong with it, writing will tell.
        return None
    return _Whole(stat.st_size, stat.st_mtime) if is_mp4(head) else None


@contextlib.contextmanager
def beside(path: ObjectStoragePath) -> Iterator[ObjectStoragePath]:
    """
    Give a place for what is to be moved to another one when it is complete. What is there in the end is removed.

    :param path: where it belongs.
    :raises ViduDownloadError: in place of whatever its store raises.
    """
    partial = path.parent / f".{uuid.uuid4().hex}.part"
    with _storage_faults(uri_of(path)):
        if is_local(path):
            # On a bucket it would ask for, and could use, the right to create one.
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
        finally:
            remove(partial)


def probe(path: ObjectStoragePath) -> None:
    """
    Find out whether a file could be written, so that nothing is paid for where it could not.

    :param path: the file, which is not touched.
    :raises ViduDownloadError: when it could not. A retry can help.
    """
    try:
        with beside(path) as partial:
            partial.write_bytes(b"\n")
    except ViduDownloadError as error:
        raise ViduDownloadError(f"{error} Nothing was sent: nothing was paid, a retry can help.") from error


def located(path: str) -> ObjectStoragePath:
    """
    Find a place.

    :param path: a path or any URI of ``ObjectStoragePath``.
    :raises ViduDownloadError: when it is none that this worker can reach.
    """
    from airflow.sdk import ObjectStoragePath

    with _storage_faults(path):
        found = ObjectStoragePath(path)
        # Not as a URI: that would be quoted, and nothing unquotes it again.
        return ObjectStoragePath(str(Path(found.path).absolute())) if is_local(found) else found


def is_local(path: ObjectStoragePath) -> bool:
    """Tell a file system of this machine from a store."""
    return path.protocol in ("", "file", "local")


def uri_of(path: ObjectStoragePath) -> str:
    """Name a place so that ``ObjectStoragePath`` can open it again."""
    # A bucket's text keeps the connection id.
    return f"file://{path.path}" if is_local(path) else str(path)


def move_into_place(partial: ObjectStoragePath, path: ObjectStoragePath, size: int) -> None:
    """
    Give a complete file its name.

    :param partial: where it was written.
    :param path: where it belongs.
    :param size: bytes that were written.
    :raises OSError: when not all of them are there.
    """
    stored = partial.stat().st_size
    if stored != size:
        raise OSError(f"{size:,} bytes were written, but {stored:,} are at {partial}")
    if is_local(path):
        # Moving would put it into a directory of that name.
        Path(partial.path).replace(path.path)
    else:
        partial.move(path)


def remove(partial: ObjectStoragePath) -> None:
    """Remove a file, if that is possible."""
    with contextlib.suppress(Exception):
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _storage_faults(uri: str) -> Iterator[None]:
    try:
        yield
    except ViduError:
        raise
    except Exception as error:
        # Every store raises what its own library does.
        raise ViduDownloadError(
            f"Nothing could be written to {uri}: {type(error).__name__}: {str(error).rstrip('.')}."
        ) from error


def place_of(context: Context) -> int:
    """
    Say which of a mapped task's instances this is, from 0.

    :param context: Airflow's context of the task instance.
    """
    return max(0, context["ti"].map_index or 0)


def _checked(result: Any) -> tuple[str, list[str]]:
    task_id, urls = (result.get("task_id"), result.get("urls")) if isinstance(result, Mapping) else (None, None)
    if not isinstance(task_id, str) or not task_id or not isinstance(urls, list) or not urls:
        raise ViduRequestError(
            f"result: {str(result)[:200]!r} given, allowed: the dictionary that ViduTaskSensor returned, as "
            "sensor.output passes it."
        )
    for url in urls:
        if not is_url(url):
            raise ViduRequestError(f"result: the url {str(url)[:200]!r} given, allowed: http(s) URLs.")
    return task_id, list(urls)


def _paid(task_id: str, result: Mapping[str, Any]) -> str:
    try:
        until = f"{datetime.fromtimestamp(result['expires_at'], UTC):%Y-%m-%d %H:%M} UTC"
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        # A time that the server did not tell, or no such time.
        until = "24 hours after the generation finished"
    return (
        f"The video of Vidu task {task_id} is paid and assumed to stay at its url until {until}: storing it again "
        "costs nothing."
    )
