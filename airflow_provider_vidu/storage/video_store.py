# SPDX-License-Identifier: Apache-2.0
"""Finished videos on their way from their urls to a destination."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduError, ViduRequestError
from airflow_provider_vidu.protocol.texts import is_url, named, plain_url, shown
from airflow_provider_vidu.storage.destination import Destination
from airflow_provider_vidu.storage.places import located, note_written, replacing, uri_of

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath
    from airflow.sdk.io.stat import stat_result
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.hooks.download import Downloader

CONCURRENT_VIDEOS = 8
"""Enough to fill a worker's line; few enough for its memory and for hosts that count connections."""


class StoredBefore(Protocol):
    """What a store of videos asks of the memory of what was stored; ``durable.stored_files`` has one."""

    def kept(self, task_id: str, uri: str, stat: Mapping[str, Any], /) -> bool:
        """Check whether a file is one that was stored for a Vidu task, and unchanged since."""

    def add(self, task_id: str, uri: str, stat: Mapping[str, Any], /) -> None:
        """Remember a file."""

    def flush(self) -> None:
        """Write what was added."""


class VideoStore:
    """
    Stores the videos of finished tasks. Storing costs nothing, and may be repeated as long as the links live.

    A file takes its place when it is complete, so that no reader of the destination sees half a video. One that an
    earlier try stored for the same Vidu task, and that is unchanged, is kept; any other is replaced, with a warning.
    Where a link has expired, the task's status is asked for a fresh one once. Local directories are created, buckets
    are not. The API key is never sent to the host that serves the videos.

    :param destination: see :class:`Destination`; Jinja has to be rendered already.
    :param vidu_conn_id: connection of type ``vidu``.
    :param log: the operator's logger.
    :param stored: remembers what is stored for later tries; ``None`` (default) stores again what is there.
    :raises ViduRequestError: when the destination is none. Nothing was sent.
    """

    def __init__(self, destination: str, vidu_conn_id: str, log: Logger, stored: StoredBefore | None = None) -> None:
        self.destination = Destination(destination)
        self.vidu_conn_id = vidu_conn_id
        self.log = log
        self._stored = stored

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
        try:
            return self._store_videos(result, custom_id, index)
        finally:
            self._remember()

    def _remember(self) -> None:
        if self._stored:
            self._stored.flush()

    def _store_videos(self, result: Mapping[str, Any], custom_id: str, index: int) -> list[str]:
        task_id, urls = _checked(result)
        paths = [self.destination.path(task_id, custom_id, index, number) for number in range(1, len(urls) + 1)]
        try:
            return [self._store_or_refresh(task_id, urls, number, located(path)) for number, path in enumerate(paths)]
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
        self.log.warning("%s Asking for a fresh link of Vidu task %s.", refused, task_id)
        try:
            # The links of further videos are as old as this one.
            urls[:] = self._fresh_urls(task_id, len(urls))
            return self._store(task_id, urls[number], path)
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

    def _store(self, task_id: str, url: str, path: ObjectStoragePath) -> str:
        uri = uri_of(path)
        there = _stat(path)
        if there and self._stored and self._stored.kept(task_id, uri, there):
            self.log.info("Kept %s, which was stored for Vidu task %s", uri, task_id)
            return uri
        with replacing(path) as file:
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
        """Compare what is there with what was written, and remember it."""
        try:
            stat = path.stat()
        except PermissionError:
            # Some may write and not read.
            return
        except Exception as error:
            raise ViduDownloadError(f"{uri} was written, but is not there: {named(error)}.") from error
        if stat.st_size != size:
            raise ViduDownloadError(f"{size:,} bytes were written, but {stat.st_size:,} are at {uri}.")
        if self._stored:
            self._stored.add(task_id, uri, stat)


def _stat(path: ObjectStoragePath) -> stat_result | None:
    try:
        stat = path.stat()
    except Exception:
        # Also where a store does not let one look: writing shows what is wrong with it.
        return None
    return stat if stat.get("type") == "file" else None


def place_of(context: Context) -> int:
    """
    Say which of a mapped task's instances this is, from 0.

    :param context: Airflow's context of the task instance.
    """
    return max(0, context["ti"].map_index or 0)


def _id_in(result: Mapping[str, Any]) -> str:
    return str(result.get("task_id"))


def _checked(result: Any) -> tuple[str, list[str]]:
    task_id, urls = (result.get("task_id"), result.get("urls")) if isinstance(result, Mapping) else (None, None)
    if not isinstance(task_id, str) or not task_id or not isinstance(urls, list) or not urls:
        raise ViduRequestError(
            f"result: {shown(result)} given, allowed: the dictionary that ViduTaskSensor returned, as "
            "sensor.output passes it."
        )
    plain = [plain_url(url) if isinstance(url, str) else url for url in urls]
    for url in plain:
        if not is_url(url):
            raise ViduRequestError(f"result: the url {shown(url)} given, allowed: http(s) URLs.")
    return task_id, plain


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
