# SPDX-License-Identifier: Apache-2.0
"""
Places in a store or on this machine.

Files are written whole, read and removed there, under their literal names.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduError, ViduRequestError
from airflow_provider_vidu.protocol.texts import named
from airflow_provider_vidu.storage.destination import name_problem
from airflow_provider_vidu.storage.flush import flush, flush_directory

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.io.stat import stat_result

PART_BYTES = 8 << 20
"""
Part size of an upload; a smaller file is one PUT.

UCloud US3 accepts no other part size; all other stores accept this one.
"""

_FILE_SERVERS = {"ftp", "hdfs", "sftp", "smb", "ssh", "webhdfs"}
"""Protocols of file servers. They show a file while it is written and can rename it; object stores do neither."""

log = logging.getLogger(__name__)


def located(path: str) -> ObjectStoragePath:
    """
    Open a place as an ``ObjectStoragePath``.

    :param path: a path or any URI of ``ObjectStoragePath``.
    :raises ViduRequestError: if ``ObjectStoragePath`` would read its name differently.
    :raises ViduDownloadError: if this worker cannot reach it.
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
        # A path, because a URI would be quoted and never unquoted. Two slashes in front would make a host.
        return ObjectStoragePath(f"/{str(Path(path).absolute()).lstrip('/')}")


def is_local(path: ObjectStoragePath) -> bool:
    """Check whether a place is on a file system of this machine."""
    return path.protocol in ("", "file", "local")


def real_name(path: ObjectStoragePath) -> str:
    """Name a place so that two names of one file are the same."""
    return os.path.realpath(path.path) if is_local(path) else uri_of(path).replace("//", "/")


def uri_of(path: ObjectStoragePath) -> str:
    """Return the URI of a place, with which ``ObjectStoragePath`` can open it again."""
    # The string of an object store's path contains the connection id.
    return f"file://{path.path}" if is_local(path) else str(path)


@contextlib.contextmanager
def replacing(path: ObjectStoragePath, *, is_flushed: bool = False) -> Iterator[BinaryIO]:
    """
    Write a file that appears at its place only if the ``with`` block succeeds.

    On this machine and on file servers the file has a temporary name until then. An object store replaces a key in one
    step, so the file is uploaded once, directly to its key. Many stores refuse the copies that fsspec would make.

    :param path: destination of the file.
    :param is_flushed: whether a local file survives a crash of this machine right after it; this takes milliseconds.
    :raises ViduDownloadError: in place of any error of the store.
    """
    with _storage_faults(uri_of(path)):
        if is_local(path):
            target = Path(path.path)
            # Only for local paths: in an object store mkdir needs, and may use, the right to create a bucket.
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists() and not target.is_file() and not target.is_dir():
                # A pipe or a device would be replaced without an error.
                raise FileExistsError("it is not a regular file")
            partial = target.parent / f".{uuid.uuid4().hex}.part"
            try:
                with partial.open("wb") as file:
                    yield file
                    if is_flushed:
                        file.flush()
                        flush(file.fileno())
                partial.replace(target)
                if is_flushed:
                    flush_directory(target.parent)
            finally:
                with contextlib.suppress(OSError):
                    partial.unlink(missing_ok=True)
        else:
            # An upload takes its bytes once and in order, while a download may have to restart.
            with tempfile.TemporaryFile() as file:
                yield cast("BinaryIO", file)
                file.seek(0)
                if path.protocol not in _FILE_SERVERS:
                    _upload_or_again(cast("BinaryIO", file), path)
                    return
                beside = path.with_name(f".{uuid.uuid4().hex}.part")
                try:
                    _upload(cast("BinaryIO", file), beside, PART_BYTES)
                    beside.fs.mv(beside.path, path.path)
                finally:
                    remove(beside)


def _upload_or_again(source: BinaryIO, path: ObjectStoragePath) -> None:
    part = PART_BYTES
    try:
        return _upload(source, path, part)
    except FileNotFoundError:
        # The client asked once more to complete an upload that was complete: the first answer was lost.
        pass
    except PermissionError:
        size = source.seek(0, os.SEEK_END)
        if size < part:
            raise
        # A key may permit a PUT but no upload in parts, as one without kms:Decrypt. One part is one PUT.
        part = size + 1
    source.seek(0)
    _upload(source, path, part)


def _upload(source: BinaryIO, path: ObjectStoragePath, part: int) -> None:
    target = path.fs.open(path.path, "wb", block_size=part)
    try:
        # Each write fills one part.
        shutil.copyfileobj(source, target, PART_BYTES)
        target.close()
    except BaseException:
        # Closing the file would complete the partial upload, and so would its garbage collection.
        try:
            target.discard()
        except Exception:
            log.warning("Could not remove the parts of the failed upload to %s", uri_of(path), exc_info=True)
        with contextlib.suppress(AttributeError):
            target.closed = True
        raise


def note_written(path: ObjectStoragePath) -> None:
    """
    Report a file as an output of the task to listeners that collect lineage.

    :param path: the file.
    """
    from airflow.providers.common.compat.sdk import get_hook_lineage_collector

    try:
        get_hook_lineage_collector().add_output_asset(context=path, uri=uri_of(path))
    except Exception:
        # The file is there, and paid.
        log.exception("Could not report %s as an output of the task", uri_of(path))


def file_at(path: ObjectStoragePath) -> stat_result | None:
    """
    Find a file.

    :param path: the file.
    :return: the store's description of it, ``None`` if there is no file.
    :raises ViduDownloadError: if the store cannot be read.
    """
    try:
        # The exists() method would report a missing file for every fault of a store.
        stat = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:
        # Each store's library raises its own exception types.
        raise ViduDownloadError(f"Could not check whether {uri_of(path)} exists: {named(error)}.") from error
    return stat if stat.get("type") == "file" else None


def changed_at(stat: Mapping[str, Any]) -> float | str | None:
    """
    Return the modification time of a file; each kind of store has its own name for it.

    :param stat: the store's description of the file.
    :return: epoch seconds, or the store's own text; ``None`` if it names none.
    """
    times = (stat.get(name) for name in ("mtime", "LastModified", "last_modified", "updated"))
    found = next((time for time in times if time is not None), None)
    if isinstance(found, datetime):
        return found.timestamp()
    return found if isinstance(found, (int, float, str)) else None


def remove(path: ObjectStoragePath) -> None:
    """
    Remove a file by its literal name; a failure is logged, not raised.

    :param path: the file.
    """
    try:
        # The unlink() method would read the name as a pattern and delete in bulk.
        path.fs.rm_file(path.path)
    except FileNotFoundError:
        pass
    except Exception as error:
        log.warning("Could not remove %s; it remains: %s", uri_of(path), named(error))


@contextlib.contextmanager
def _storage_faults(uri: str) -> Iterator[None]:
    try:
        yield
    except ViduError:
        raise
    except ImportError as error:
        raise ViduDownloadError(
            f"Could not write to {uri}: {named(error)}. Stores with an S3 API need no library of their own: use "
            "s3://connection_id@bucket/…, as docs/stores.md says."
        ) from error
    except Exception as error:
        # Each store's library raises its own exception types.
        raise ViduDownloadError(f"Could not write to {uri}: {named(error)}.") from error
