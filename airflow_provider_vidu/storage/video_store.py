# SPDX-License-Identifier: Apache-2.0
"""Storage of finished videos: from their links to a destination."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduError
from airflow_provider_vidu.protocol.result_urls import LEFT_OUT, usable, usable_in
from airflow_provider_vidu.protocol.texts import named
from airflow_provider_vidu.storage import sidecar
from airflow_provider_vidu.storage.destination import Destination, before_placeholders
from airflow_provider_vidu.storage.places import file_at, located, note_written, replacing, uri_of

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath
    from airflow.sdk.io.stat import stat_result
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.hooks.download import Downloader

CONCURRENT_VIDEOS = 8
"""
Concurrent downloads of a batch.

They are enough to fill a worker's network link, and few enough for its memory and for hosts that limit connections.
"""
LAST_VIDEOS_SECONDS = 10.0
"""Time for running downloads to finish if Airflow ends the task. A retry stores the others, free of charge."""

LAG_SECONDS = (0.5, 2.0)
"""Pauses before a new file is checked again: a replica of some stores shows it late."""


class StoredBefore(Protocol):
    """Record of stored files for a video store, as in ``durable.stored_files``."""

    def kept(self, task_id: str, uri: str, stat: Mapping[str, Any], /) -> bool:
        """Check whether a file was stored for a Vidu task and is unchanged since."""

    def add(self, task_id: str, uri: str, stat: Mapping[str, Any], /) -> None:
        """Record a stored file."""

    def flush(self) -> None:
        """Write the added entries to the state store."""

    def end(self, task_id: str, files: list[str], result: Mapping[str, Any], /) -> None:
        """Record that every video of a Vidu task is stored."""


class VideoStore:
    """
    Stores the videos of finished tasks.

    Storing costs nothing and can be repeated until the links expire. A file appears at its place only when it is
    complete, so that no reader of the destination sees half a video. The store keeps an unchanged file that an earlier
    try stored for the same Vidu task. It replaces any other file, with a warning. If a link has expired, it requests
    the task's status once for a fresh link. It creates local directories, but no buckets. The store never sends the API
    key to the host that serves the videos.

    :param destination: see :class:`Destination`; Jinja must be rendered already.
    :param vidu_conn_id: connection of type ``vidu``.
    :param log: the operator's logger.
    :param stored: record of stored files for later tries; with ``None`` (default) existing files are stored again.
    :param origin_of: returns the origin of a Vidu task's video for its sidecar; ``None`` (default) for no sidecars.
    :raises ViduRequestError: if the destination is not valid. Nothing was sent.
    """

    def __init__(
        self,
        destination: str,
        vidu_conn_id: str,
        log: Logger,
        stored: StoredBefore | None = None,
        origin_of: Callable[[str], sidecar.Origin] | None = None,
    ) -> None:
        self.destination = Destination(destination)
        self.vidu_conn_id = vidu_conn_id
        self.log = log
        self._stored = stored
        self._origin_of = origin_of

    @cached_property
    def _downloader(self) -> Downloader:
        from airflow_provider_vidu.hooks.vidu import ViduHook

        return ViduHook(self.vidu_conn_id).downloader()

    def uri(self, task_id: str, custom_id: str, index: int) -> str:
        """
        Return the URI of a task's first video.

        :param task_id: Vidu's id of the task.
        :param custom_id: the author's name for the video.
        :param index: position in a batch.
        """
        return uri_of(located(self.destination.path(task_id, custom_id, index)))

    def store(self, result: Mapping[str, Any], custom_id: str = "", index: int = 0) -> list[str]:
        """
        Store every video of one task, one after the other.

        :param result: the dictionary of ``TaskStatus.result``, which ``ViduTaskSensor`` returns.
        :param custom_id: the author's name for the video, empty if it has none.
        :param index: position in a batch or a mapped task.
        :return: the URIs of the files, in the order of the urls.
        :raises ViduRequestError: if the result is not valid, or the custom id cannot be part of a file name.
        :raises ViduDownloadError: if a video could not be fetched or stored. It is paid; storing it again is free.
        :raises ViduConnectionSettingsError: if the connection is missing or wrong.
        """
        try:
            return self._store_videos(result, custom_id, index)
        finally:
            self._remember()

    def _remember(self) -> None:
        if self._stored:
            self._stored.flush()

    def _store_videos(self, result: Mapping[str, Any], custom_id: str, index: int) -> list[str]:
        task_id, urls, unusable = usable_in(result)
        if unusable:
            self.log.warning(LEFT_OUT, task_id, unusable)
        paths = [self.destination.path(task_id, custom_id, index, number) for number in range(1, len(urls) + 1)]
        files, errors = [], []
        for number, path in enumerate(paths):
            try:
                files.append(self._store_or_refresh(task_id, urls, number, located(path)))
            except ViduDownloadError as error:
                # The next link may be good, and expires as well.
                errors.append(error)
        if errors:
            raise ViduDownloadError(f"{errors[0]} {_paid(task_id, result)}") from errors[0]
        if self._origin_of:
            for file in files:
                sidecar.write(file, self._origin_of(task_id), result)
        if self._stored:
            self._stored.end(task_id, files, result)
        return files

    def store_all(
        self, items: Iterable[tuple[Mapping[str, Any], str, int]]
    ) -> Iterator[tuple[int, list[str] | ViduError]]:
        """
        Store the videos of many tasks, a few at a time.

        A failed one does not stop the others.

        :param items: result, custom id and index of each task, as for :meth:`store`.
        :return: the index of each task with its files or its error, in the order in which the tasks finish.
        :raises ViduConnectionSettingsError: if the connection is missing or wrong.
        """
        # Opened once before the threads start: Airflow 3.1 mixes up its answers to threads that ask for a connection.
        _ = self._downloader
        with suppress(Exception):
            # Each item reports this fault.
            _ = located(before_placeholders(self.destination.template)).fs
        pool = ThreadPoolExecutor(CONCURRENT_VIDEOS, thread_name_prefix="vidu-store")
        running = [pool.submit(self._outcome, *item) for item in items]
        try:
            for done in as_completed(running):
                yield done.result()
        finally:
            # If Airflow ends the task, a store that does not answer must not hold it up.
            pool.shutdown(wait=False, cancel_futures=True)
            wait([one for one in running if not one.cancelled()], LAST_VIDEOS_SECONDS)
            self._remember()

    def _outcome(self, result: Mapping[str, Any], custom_id: str, index: int) -> tuple[int, list[str] | ViduError]:
        try:
            return index, self._store_videos(result, custom_id, index)
        except ViduError as error:
            return index, error
        except Exception as error:
            # Whatever it is, the other videos are paid as well.
            self.log.exception("The video of item %s could not be stored", custom_id or index)
            return index, ViduDownloadError(f"It could not be stored: {named(error)}. {_paid(_id_in(result), result)}")

    def _store_or_refresh(self, task_id: str, urls: list[str], number: int, path: ObjectStoragePath) -> str:
        try:
            return self._store(task_id, urls[number], path)
        except ViduDownloadError as error:
            if not error.expired:
                raise
            refused = error
        self.log.warning("%s Requesting a fresh link of Vidu task %s.", refused, task_id)
        try:
            # The links of further videos are as old as this one.
            urls[:] = self._fresh_urls(task_id, len(urls))
            return self._store(task_id, urls[number], path)
        except ViduError as error:
            raise ViduDownloadError(f"{refused} The attempt with a fresh link failed: {error}") from error

    def _fresh_urls(self, task_id: str, count: int) -> list[str]:
        from airflow_provider_vidu.hooks.vidu import ViduHook

        status = ViduHook(self.vidu_conn_id).get_task(task_id)
        urls, unusable = usable(status.urls)
        if len(urls) != count:
            odd = ", ".join(filter(None, (unusable, status.odd_urls)))
            raise ViduDownloadError(
                f"Vidu task {task_id} has status {status.word} and returned {len(urls)} of {count} URLs"
                f"{f' beside {odd}' if odd else ''}."
            )
        return urls

    def _store(self, task_id: str, url: str, path: ObjectStoragePath) -> str:
        uri = uri_of(path)
        there = _file_at(path)
        if there and self._stored and self._stored.kept(task_id, uri, there):
            self.log.info("Kept %s, which was stored for Vidu task %s", uri, task_id)
            return uri
        with replacing(path, is_flushed=True) as file:
            size = self._downloader.fetch(url, file)
        self.log.log(
            logging.WARNING if there else logging.INFO,
            "Stored %s bytes at %s%s",
            f"{size:,}",
            uri,
            " in place of another video" if there else "",
        )
        self._check(task_id, uri, size, path)
        note_written(path)
        return uri

    def _check(self, task_id: str, uri: str, size: int, path: ObjectStoragePath) -> None:
        """Compare the size of the file with the written bytes, and record it."""
        try:
            stat = _stat_of_new(path)
        except PermissionError:
            # Some accounts may write but not read.
            return
        except FileNotFoundError:
            self.log.warning("Stored %s, but it is not there any more: something else removed or moved it.", uri)
            return
        except Exception as error:
            raise ViduDownloadError(f"Wrote {uri}, but could not read its size afterwards: {named(error)}.") from error
        if stat.st_size != size:
            raise ViduDownloadError(f"Wrote {size:,} bytes, but {uri} has {stat.st_size:,}.")
        if self._stored:
            self._stored.add(task_id, uri, stat)


def _stat_of_new(path: ObjectStoragePath) -> stat_result:
    for pause in LAG_SECONDS:
        try:
            return path.stat()
        except FileNotFoundError:
            time.sleep(pause)
            path.fs.invalidate_cache(path.path)
    return path.stat()


def _file_at(path: ObjectStoragePath) -> stat_result | None:
    try:
        return file_at(path)
    except ViduDownloadError:
        # A store may refuse this request; the write then shows the fault.
        return None


def index_of(context: Context) -> int:
    """
    Return the index of this instance in a mapped task, from 0.

    :param context: Airflow's context of the task instance.
    """
    return max(0, context["ti"].map_index or 0)


def _id_in(result: Mapping[str, Any]) -> str:
    return str(result.get("task_id"))


def _paid(task_id: str, result: Mapping[str, Any]) -> str:
    try:
        until = f"at {datetime.fromtimestamp(result['expires_at'], UTC):%Y-%m-%d %H:%M} UTC"
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        # The server returned no time, or one that is out of range.
        until = "24 hours after the generation finished"
    return (
        f"The video of Vidu task {task_id} is paid, and its link is assumed to expire {until}. Retry this task; "
        "storing costs nothing."
    )
