# SPDX-License-Identifier: Apache-2.0
"""Stored files below a root, opened for reading; no other file is ever opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from airflow_provider_vidu.storage.roots import Found, Root, find

CHUNK_BYTES = 1 << 20
"""Bytes of a file that are in memory at a time, for each reader."""


class NotServed(Exception):
    """
    Signal that a file may not be served.

    The file does not exist, is not below any root, or is not of a kind that may be shown. The answer to the user does
    not say which.
    """


class Stored(NamedTuple):
    """
    Hold an open file.

    :param file: The file; the caller closes it.
    :param size: Size in bytes.
    """

    file: BinaryIO
    size: int

    def chunks(self, part: range) -> Iterator[bytes]:
        """
        Read a part chunk by chunk, then close the file.

        :param part: The bytes to read.
        """
        with closing(self.file):
            self.file.seek(part.start)
            left = len(part)
            while left and (chunk := self.file.read(min(left, CHUNK_BYTES))):
                left -= len(chunk)
                yield chunk


def open_stored(name: object, roots: Iterable[Root]) -> Stored:
    """
    Open a file below a root.

    :param name: A path or URI; an XCom may also hold a value of any other type.
    :param roots: The places below which files may be read.
    :return: The open file.
    :raises NotServed: If there is no such file below any of the roots.
    """
    if (found := find(name, roots)) is None:
        raise NotServed(f"{name!r:.500} is not below any root")
    with reading():
        return _in_a_store(found) if found.root.store else _on_this_machine(found)


@contextmanager
def reading() -> Iterator[None]:
    """
    Turn every error inside the ``with`` block into one type.

    :raises NotServed: In place of the store's own error.
    """
    try:
        yield
    except Exception as error:
        # Every store raises its own library's errors.
        raise NotServed(f"The file cannot be read: {error!r:.500}") from error


def _on_this_machine(found: Found) -> Stored:
    root = os.path.realpath(str(found.root), strict=True)
    real = os.path.realpath(os.path.join(root, *found.rest), strict=True)
    # Raises ValueError if a link leads out of the root.
    names = Path(real).relative_to(root).parts
    with ExitStack() as opened:
        directory = _open(root, os.O_DIRECTORY, opened)
        # All links are resolved by now. O_NOFOLLOW rejects a link that is created from here on.
        for name in names[:-1]:
            directory = _open(name, os.O_DIRECTORY | os.O_NOFOLLOW, opened, directory)
        # Without O_NONBLOCK, opening a pipe would block.
        last = _open(names[-1], os.O_NOFOLLOW | os.O_NONBLOCK, opened, directory)
        status = os.fstat(last)
        if not stat.S_ISREG(status.st_mode):
            raise IsADirectoryError(f"{real} is not a regular file")
        return Stored(os.fdopen(os.dup(last), "rb"), status.st_size)


def _open(name: str, flags: int, opened: ExitStack, directory: int | None = None) -> int:
    descriptor = os.open(name, os.O_RDONLY | flags, dir_fd=directory)
    opened.callback(os.close, descriptor)
    return descriptor


def _in_a_store(found: Found) -> Stored:
    from airflow.sdk import ObjectStoragePath

    # The configuration chooses the store; the XCom supplies only a key in it.
    root = ObjectStoragePath(str(found.root))
    key = "/".join([root.path.rstrip("/"), *found.rest])
    # Without a cache, fsspec reads only the requested bytes, not the 50 MB around them.
    file = root.fs.open(key, "rb", block_size=CHUNK_BYTES, cache_type="none")
    return Stored(cast("BinaryIO", file), int(file.size))
