# SPDX-License-Identifier: Apache-2.0
"""Checks of a place before a submit, so that no video is paid for that cannot be stored."""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduRequestError
from airflow_provider_vidu.storage.places import file_at, is_local, remove, replacing, uri_of

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_PROBE = ".vidu-probe"


@contextmanager
def nothing_paid() -> Iterator[None]:
    """
    Say of a fault of a destination before the submit that nothing was paid, and name the next step.

    :raises ViduDownloadError: in place of such a fault.
    """
    try:
        yield
    except ViduDownloadError as error:
        raise ViduDownloadError(f"{error} Nothing was sent or paid. Check the destination, then retry.") from error


def probe(path: ObjectStoragePath) -> None:
    """
    Check that a file can be written, so that no unusable video is paid for.

    It writes one byte to a file beside it with the same calls, and removes that file. If a store permits writing but
    not removing, the probe file stays. The next probe replaces it, or writes another one if that is not permitted.

    :param path: the file, which stays untouched.
    :raises ViduDownloadError: if the store refuses the write. A retry can help.
    :raises ViduRequestError: if a directory has that name. Nothing was sent.
    """
    refuse_taken(path)
    with nothing_paid():
        trial = path.with_name(_PROBE)
        try:
            _write_a_byte(trial)
        except ViduDownloadError:
            if is_local(path) or not _is_there(trial):
                raise
            # Some stores let write a name once and neither replace nor remove it.
            trial = path.with_name(f"{_PROBE}-{uuid.uuid4().hex}")
            _write_a_byte(trial)
    remove(trial)


def _write_a_byte(path: ObjectStoragePath) -> None:
    with replacing(path) as file:
        file.write(b"\n")


def _is_there(path: ObjectStoragePath) -> bool:
    try:
        return file_at(path) is not None
    except ViduDownloadError:
        return False


def refuse_taken(path: ObjectStoragePath) -> None:
    """
    Refuse a local path that no video can replace: a directory, a pipe, a device, or a file that others protect.

    :param path: the path of the file.
    :raises ViduRequestError: if it is one of them. Nothing was sent.
    """
    place = Path(path.path)
    if not is_local(path) or not place.exists():
        return
    if place.is_file():
        _refuse_foreign(place)
        return
    kind = "a directory" if place.is_dir() else "not a regular file"
    raise ViduRequestError(
        "The path of a video, sidecar or manifest must not lead to an existing directory, pipe or device, got "
        f"{place}, which is {kind}. Nothing was sent or paid. Remove it, or choose another name."
    )


def _refuse_foreign(file: Path) -> None:
    try:
        directory, owner = file.parent.stat(), file.stat().st_uid
    except OSError:
        # It has gone since, or cannot be read: the write will tell.
        return
    if directory.st_mode & stat.S_ISVTX and os.geteuid() not in (0, directory.st_uid, owner):
        raise ViduRequestError(
            "The path of a video, sidecar or manifest must lead to a file that this worker's user may replace, got "
            f"{file}, which belongs to user id {owner} in a directory with the sticky bit. Nothing was sent or paid. "
            "Remove it, or choose another name."
        )


def refuse_below_file(path: ObjectStoragePath) -> None:
    """
    Refuse a place on this machine whose directory could not be made, since a file lies on the way to it.

    :param path: the file.
    :raises ViduDownloadError: if one lies there. Nothing was sent; a retry can help.
    """
    if is_local(path):
        there = next(one for one in Path(path.path).parents if os.path.lexists(one))
        if not there.is_dir():
            raise ViduDownloadError(
                f"Could not write to {uri_of(path)}: {there} is not a directory. Nothing was sent or paid. Remove that "
                "file, then retry the task."
            )
