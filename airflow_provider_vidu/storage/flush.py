# SPDX-License-Identifier: Apache-2.0
"""Files that survive a crash of the machine right after they were written."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def flush(descriptor: int) -> None:
    """
    Flush a file or directory from the system's cache to disk.

    :param descriptor: an open file or directory.
    :raises OSError: if the write failed. Mounts that cannot flush are ignored.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise


def flush_directory(directory: Path) -> None:
    """
    Flush the names in a directory to disk.

    :param directory: the directory.
    :raises OSError: if the write failed.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)
