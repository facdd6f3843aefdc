# SPDX-License-Identifier: Apache-2.0
"""Store the videos of a finished task."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator

from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.protocol.fields import is_url
from airflow_provider_vidu.protocol.response import TaskState, TaskStatus, identifier

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

_LOCAL = ("", "file", "local")


class ViduToObjectStorageOperator(BaseOperator):
    """
    Stream every video of a finished task to object storage or a local directory. Costs nothing; retries are safe.

    A file is written under a temporary name and moved when it is complete, so that whoever watches the
    destination never sees half a video. The API key is not sent to the host that serves the videos.

    :param result: what ``ViduTaskSensor`` returned; give this or ``vidu_task_id``. (templated)
    :param vidu_task_id: Vidu's id of a finished task, whose urls are asked for. (templated)
    :param destination: a directory: a path or any URI of ``ObjectStoragePath``, e.g. ``s3://aws_default@bucket/dir``.
        Files are called ``<task id>.mp4``; further videos of a task ``<task id>-2.mp4`` and so on. A bucket has to
        exist; moving a file there needs the right to list, read, write and delete. (templated)
    :param vidu_conn_id: connection of type ``vidu``. (templated)
    """

    template_fields: Sequence[str] = ("result", "vidu_task_id", "destination", "vidu_conn_id")

    def __init__(
        self,
        *,
        destination: str,
        result: Mapping[str, Any] | None = None,
        vidu_task_id: str | None = None,
        vidu_conn_id: str = "vidu_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (result is None) == (vidu_task_id is None):
            raise ValueError("Give either result (what ViduTaskSensor returned) or vidu_task_id.")
        self.destination = destination
        self.result = result
        self.vidu_task_id = vidu_task_id
        self.vidu_conn_id = vidu_conn_id

    def execute(self, context: Context) -> list[str]:
        """
        Download and store.

        :param context: Airflow's context of the task instance.
        :return: the URIs of the stored files, in the order of the urls.
        :raises ViduDownloadError: when a video did not arrive whole; a retry is free while its link lives.
        """
        from airflow.sdk import ObjectStoragePath

        from airflow_provider_vidu.hooks.vidu import ViduHook

        hook = ViduHook(self.vidu_conn_id)
        result = self.result if self.vidu_task_id is None else self._ask(hook)
        task_id, urls = self._checked(result)
        if not isinstance(self.destination, str) or not self.destination.strip():
            raise AirflowFailException(f"destination: {self.destination!r} given, allowed: a directory's path or URI.")
        directory = ObjectStoragePath(self.destination)
        if directory.protocol in _LOCAL:
            directory = ObjectStoragePath(Path(directory.path).absolute().as_uri())
            # Only here: on a bucket it would ask for, and could use, the right to create one.
            directory.mkdir(parents=True, exist_ok=True)
        # The id comes from outside and becomes a file name.
        stem = re.sub(r"[^A-Za-z0-9_-]", "_", task_id)
        return [
            self._store(hook, url, directory / (f"{stem}.mp4" if number == 1 else f"{stem}-{number}.mp4"))
            for number, url in enumerate(urls, start=1)
        ]

    def _ask(self, hook: Any) -> dict[str, Any]:
        vidu_task_id = identifier(self.vidu_task_id)
        if not vidu_task_id:
            raise AirflowFailException(
                f"vidu_task_id: {self.vidu_task_id!r} given, allowed: the id of a finished task."
            )
        status: TaskStatus = hook.get_task(vidu_task_id)
        if status.state is TaskState.FAILURE:
            raise AirflowFailException(
                f"Vidu task {vidu_task_id} ended as {status.word}: {status.error_message or 'the API gave no reason'}. "
                "There is no video to store."
            )
        if status.state is not TaskState.SUCCESS:
            raise AirflowFailException(
                f"Vidu task {vidu_task_id} is {status.word}, so there is no video to store. Wait for it with "
                "ViduTaskSensor first."
            )
        if not status.urls:
            raise ViduDownloadError(f"Vidu task {vidu_task_id} succeeded, but the API names no urls yet: retry.")
        return status.result()

    @staticmethod
    def _checked(result: Any) -> tuple[str, list[str]]:
        task_id, urls = (result.get("task_id"), result.get("urls")) if isinstance(result, Mapping) else (None, None)
        if not isinstance(task_id, str) or not task_id or not isinstance(urls, list) or not urls:
            raise AirflowFailException(
                f"result: {str(result)[:200]!r} given, allowed: the dictionary that ViduTaskSensor returned, as "
                "sensor.output passes it."
            )
        for url in urls:
            if not is_url(url):
                raise AirflowFailException(f"result: the url {str(url)[:200]!r} given, allowed: http(s) URLs.")
        return task_id, urls

    def _store(self, hook: Any, url: str, path: ObjectStoragePath) -> str:
        partial = path.parent / f".{path.name}.{uuid.uuid4().hex}.part"
        try:
            with partial.open("wb") as file:  # type: ignore[no-untyped-call]
                size = hook.download(url, file)
            stored = partial.stat().st_size
            if stored != size:
                raise ViduDownloadError(f"{size:,} bytes came from {url}, but {stored:,} are at {partial}.")
            partial.move(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        self.log.info("Stored %s bytes at %s", f"{size:,}", path)
        # A bucket's text keeps the connection id, so that ObjectStoragePath can open it again.
        return path.as_uri() if path.protocol in _LOCAL else str(path)
