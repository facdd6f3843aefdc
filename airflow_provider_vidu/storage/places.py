# SPDX-License-Identifier: Apache-2.0
"""Places in a store or on this machine: files are written whole, read and removed there, under their literal names."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduError, ViduRequestError
from airflow_provider_vidu.protocol.texts import named
from airflow_provider_vidu.storage.destination import name_problem

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

PART_BYTES = 8 << 20
"""A smaller file is one PUT, any other is sent in parts of this size: UCloud US3 takes no other size, all others do."""

_PROBE = ".vidu-probe"
_FILE_SERVERS = {"ftp", "hdfs", "sftp", "smb", "ssh", "webhdfs"}
"""They show a file while it is written, and rename; a store does neither."""

log = logging.getLogger(__name__)


def located(path: str) -> ObjectStoragePath:
    """
    Find a place.

    :param path: a path or any URI of ``ObjectStoragePath``.
    :raises ViduRequestError: when its name cannot be opened again.
    :raises ViduDownloadError: when this worker cannot reach it.
    """
    from airflow.sdk import ObjectStoragePath

    if problem := name_problem(path):
        raise ViduRequestError(f"{problem}.")
    with _storage_faults(path):
        if "://" in path or path.startswith(("file:", "local:")):
            found = ObjectStoragePath(path)
            if not is_local(found):
                return found
            path = found.path
        # Not as a URI, which would be quoted and never unquoted; what follows two slashes would be a host.
        return ObjectStoragePath(f"/{str(Path(path).absolute()).lstrip('/')}")


def is_local(path: ObjectStoragePath) -> bool:
    """Check whether a place is on a file system of this machine."""
    return path.protocol in ("", "file", "local")


def uri_of(path: ObjectStoragePath) -> str:
    """Name a place so that ``ObjectStoragePath`` can open it again."""
    # A bucket's text keeps the connection id.
    return f"file://{path.path}" if is_local(path) else str(path)


@contextlib.contextmanager
def replacing(path: ObjectStoragePath) -> Iterator[BinaryIO]:
    """
    Write a file that takes its place only when the ``with`` block ends well; otherwise nothing of it stays.

    On this machine and on file servers it has a temporary name until then. A store replaces a key in one step, so it
    is uploaded once, to its own key, without copies: many stores refuse those that fsspec asks for.

    :param path: where it belongs.
    :raises ViduDownloadError: in place of whatever its store raises.
    """
    with _storage_faults(uri_of(path)):
        if is_local(path):
            target = Path(path.path)
            # In a bucket this would ask for, and could use, the right to create one.
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.parent / f".{uuid.uuid4().hex}.part"
            try:
                with partial.open("wb") as file:
                    yield file
                partial.replace(target)
            finally:
                with contextlib.suppress(OSError):
                    partial.unlink(missing_ok=True)
        else:
            # A store takes bytes once and in order, a download may have to begin again.
            with tempfile.TemporaryFile() as file:
                yield cast("BinaryIO", file)
                file.seek(0)
                if path.protocol not in _FILE_SERVERS:
                    _upload(cast("BinaryIO", file), path)
                    return
                beside = path.with_name(f".{uuid.uuid4().hex}.part")
                try:
                    _upload(cast("BinaryIO", file), beside)
                    beside.fs.mv(beside.path, path.path)
                finally:
                    remove(beside)


def _upload(source: BinaryIO, path: ObjectStoragePath) -> None:
    target = path.fs.open(path.path, "wb", block_size=PART_BYTES)
    try:
        # Each write fills one part.
        shutil.copyfileobj(source, target, PART_BYTES)
        target.close()
    except BaseException:
        # Closing it, which its end would do as well, would complete an upload that lacks its rest.
        try:
            target.discard()
        except Exception:
            log.warning("The parts of the broken upload to %s could not be removed", uri_of(path), exc_info=True)
        with contextlib.suppress(AttributeError):
            target.closed = True
        raise


def note_written(path: ObjectStoragePath) -> None:
    """
    Name a file as an output of the task, for listeners that collect lineage.

    :param path: the file.
    """
    from airflow.providers.common.compat.sdk import get_hook_lineage_collector

    try:
        get_hook_lineage_collector().add_output_asset(context=path, uri=uri_of(path))
    except Exception:
        # The file is there, and paid.
        log.exception("%s could not be named as an output of the task", uri_of(path))


def probe(path: ObjectStoragePath) -> None:
    """
    Find out whether a file could be written, so that nothing is paid for where it could not.

    It writes one byte beside it, by the same calls, and removes it. Where a store lets write but not remove, that file
    stays and the next probe replaces it, or writes another one where it may not.

    :param path: the file, which is not touched.
    :raises ViduDownloadError: when it could not. A retry can help.
    """
    refuse_taken(path)
    try:
        trial = path.with_name(_PROBE)
        try:
            _write_a_byte(trial)
        except ViduDownloadError:
            if is_local(path) or not _is_there(trial):
                raise
            # Some stores let write a name once and neither replace nor remove it.
            trial = path.with_name(f"{_PROBE}-{uuid.uuid4().hex}")
            _write_a_byte(trial)
    except ViduDownloadError as error:
        raise ViduDownloadError(f"{error} Nothing was sent: nothing was paid, a retry can help.") from error
    remove(trial)


def _write_a_byte(path: ObjectStoragePath) -> None:
    with replacing(path) as file:
        file.write(b"\n")


def _is_there(path: ObjectStoragePath) -> bool:
    try:
        path.stat()
    except Exception:
        return False
    return True


def refuse_taken(path: ObjectStoragePath) -> None:
    """
    Refuse a place on this machine that no video could take: a directory, a pipe or a device.

    :param path: the file.
    :raises ViduRequestError: if one of them lies there. Nothing was sent.
    """
    place = Path(path.path)
    if not is_local(path) or not place.exists() or place.is_file():
        return
    kind = "a directory" if place.is_dir() else "no regular file"
    raise ViduRequestError(
        f"destination must name a file or a directory for files, got {place}, which is {kind}. Nothing was sent or "
        "paid. Remove it, or choose another name."
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
                f"Nothing could be written to {uri_of(path)}: {there} is no directory. Nothing was sent: nothing was "
                "paid, a retry can help."
            )


def remove(path: ObjectStoragePath) -> None:
    """
    Remove a file that nobody needs, by its own name; one that cannot be removed is logged.

    :param path: the file.
    """
    try:
        # Not by unlink(), which takes the name for a pattern and deletes in bulk.
        path.fs.rm_file(path.path)
    except FileNotFoundError:
        pass
    except Exception as error:
        log.warning("%s could not be removed and stays: %s", uri_of(path), named(error))


@contextlib.contextmanager
def _storage_faults(uri: str) -> Iterator[None]:
    try:
        yield
    except ViduError:
        raise
    except ImportError as error:
        raise ViduDownloadError(
            f"Nothing could be written to {uri}: {named(error)}. Stores that speak S3 need no library of their own: "
            "write s3://connection_id@bucket/…, as docs/stores.md says."
        ) from error
    except Exception as error:
        # Every store raises what its own library does.
        raise ViduDownloadError(f"Nothing could be written to {uri}: {named(error)}.") from error
