# SPDX-License-Identifier: Apache-2.0
"""Copies of stored videos: from their files to another destination."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.protocol.texts import named
from airflow_provider_vidu.storage import sidecar
from airflow_provider_vidu.storage.destination import Destination
from airflow_provider_vidu.storage.places import (
    PART_BYTES,
    file_at,
    is_local,
    located,
    note_written,
    real_name,
    replacing,
    uri_of,
)
from airflow_provider_vidu.storage.sidecar import Origin

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.io.stat import stat_result

    from airflow_provider_vidu.storage.video_store import StoredBefore

log = logging.getLogger(__name__)


def copied(
    files: Sequence[str],
    destination: str,
    result: Mapping[str, Any],
    custom_id: str = "",
    index: int = 0,
    origin: Origin | None = None,
    stored: StoredBefore | None = None,
) -> list[str]:
    """
    Copy the stored videos of a task to a destination. It costs no generation.

    The store itself copies where it can; otherwise the worker reads and writes the bytes. A file that is at its
    destination already stays, and so does an unchanged copy of an earlier try.

    :param files: URIs of the stored videos, in the task's order.
    :param destination: a rendered destination.
    :param result: result of the task that made them.
    :param custom_id: the author's name for the video, empty if it has none.
    :param index: position in a batch or a mapped task.
    :param origin: origin of the videos for their sidecars; ``None`` (default) for no sidecars.
    :param stored: record of the copies for later tries; with ``None`` (default) existing copies are made again.
    :return: the URIs at the destination.
    :raises ViduRequestError: if the destination is not valid.
    :raises ViduDownloadError: if a file could not be copied; a retry can help.
    """
    template, found = Destination(destination), []
    for number, file in enumerate(files, 1):
        source, target = located(file), located(template.path(result["task_id"], custom_id, index, number))
        if real_name(source) != real_name(target):
            _copy_once(source, target, f"copy of {result['task_id']}", stored)
        found.append(uri_of(target))
        if origin:
            sidecar.write(found[-1], origin, result)
    return found


def _copy_once(source: ObjectStoragePath, target: ObjectStoragePath, name: str, stored: StoredBefore | None) -> None:
    there = file_at(target) if stored else None
    if there and stored and stored.kept(name, uri_of(target), there):
        log.info("Kept %s, a copy of %s", uri_of(target), uri_of(source))
        return
    copy = _copy(source, target)
    note_written(target)
    if stored:
        # The name is not the task's id, because the files of the task may belong to another item of the batch.
        stored.add(name, uri_of(target), copy)


def _copy(source: ObjectStoragePath, target: ObjectStoragePath) -> stat_result:
    there = file_at(source)
    size = there.st_size if there else None
    try:
        if not (is_local(target) or source.fs is not target.fs):
            try:
                target.fs.cp_file(source.path, target.path)
            except Exception as error:
                # Several stores with an S3 API refuse the copies that its library makes.
                log.info(
                    "The store of %s could not copy the file itself (%s), so the worker copies it.",
                    uri_of(target),
                    named(error),
                )
                _pass_through(source, target)
        else:
            _pass_through(source, target)
    except ViduDownloadError:
        raise
    except Exception as error:
        # Each store's library raises its own exception types.
        raise ViduDownloadError(
            f"Could not copy {uri_of(source)} to {uri_of(target)}: {named(error)}. Nothing was paid for it. Retry the "
            "task."
        ) from error
    there = file_at(target)
    if not there or there.st_size != size:
        raise ViduDownloadError(
            f"Copied {uri_of(source)} of {size} bytes, but {uri_of(target)} has {there.st_size if there else 'none'}. "
            "Nothing was paid for it. Retry the task."
        )
    return there


def _pass_through(source: ObjectStoragePath, target: ObjectStoragePath) -> None:
    with source.fs.open(source.path, "rb") as file, replacing(target, is_flushed=True) as copy:
        shutil.copyfileobj(file, copy, PART_BYTES)
