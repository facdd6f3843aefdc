# SPDX-License-Identifier: Apache-2.0
"""Stored files, opened for reading where they lie below a root, and nothing else."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from airflow_provider_vidu.storage.roots import Found, Root, find

CHUNK_BYTES = 1 << 20
"""How much of a file is in memory at a time, for each reader."""


class NotServed(Exception):
    """There is no such file, it is below no root, or it is not what may be shown: who asks is not told which."""


class Stored(NamedTuple):
    """
    An open file.

    :param file: to be closed.
    :param size: in bytes.
    """

    file: BinaryIO
    size: int

    def chunks(self, part: range) -> Iterator[bytes]:
        """
        Read a part piece by piece, and close the file.

        :param part: which bytes.
        """
        with closing(self.file):
            self.file.seek(part.start)
            left = len(part)
            while left and (chunk := self.file.read(min(left, CHUNK_BYTES))):
                left -= len(chunk)
                yield chunk


def open_stored(name: object, roots: Iterable[Root]) -> Stored:
    """
    Open a file.

    :param name: a path or URI, or whatever else an XCom holds.
    :param roots: the places below which files may be read.
    :raises NotServed: when there is no such file below any of them.
    """
    if (found := find(name, roots)) is None:
        raise NotServed(f"{name!r:.500} is below no root")
    with reading():
        return _in_a_store(found) if found.root.store else _on_this_machine(found)


@contextmanager
def reading() -> Iterator[None]:
    """
    Read a file, whatever its store raises.

    :raises NotServed: in place of it.
    """
    try:
        yield
    except Exception as error:
        # Every store raises what its own library does.
        raise NotServed(f"It cannot be read: {error!r:.500}") from error


def _on_this_machine(found: Found) -> Stored:
    root = os.path.realpath(str(found.root), strict=True)
    real = os.path.realpath(os.path.join(root, *found.rest), strict=True)
    # Raises ValueError where a link leads elsewhere.
    names = Path(real).relative_to(root).parts
    with ExitStack() as opened:
        directory = _open(root, os.O_DIRECTORY, opened)
        # All links are resolved by now. One that is put there from here on is not followed.
        for name in names[:-1]:
            directory = _open(name, os.O_DIRECTORY | os.O_NOFOLLOW, opened, directory)
        # A pipe would keep whoever opens it waiting.
        last = _open(names[-1], os.O_NOFOLLOW | os.O_NONBLOCK, opened, directory)
        status = os.fstat(last)
        if not stat.S_ISREG(status.st_mode):
            raise IsADirectoryError(f"{real} is no file")
        return Stored(os.fdopen(os.dup(last), "rb"), status.st_size)


def _open(name: str, flags: int, opened: ExitStack, directory: int | None = None) -> int:
    descriptor = os.open(name, os.O_RDONLY | flags, dir_fd=directory)
    opened.callback(os.close, descriptor)
    return descriptor


def _in_a_store(found: Found) -> Stored:
    from airflow.sdk import ObjectStoragePath

    # The store is the configuration's own; what an XCom says is nothing but a key in it.
    root = ObjectStoragePath(str(found.root))
    key = "/".join([root.path.rstrip("/"), *found.rest])
    # Without a cache what is asked for is read, and not the 50 MB around it.
    file = root.fs.open(key, "rb", block_size=CHUNK_BYTES, cache_type="none")
    return Stored(cast("BinaryIO", file), int(file.size))
