# SPDX-License-Identifier: Apache-2.0
"""Files that outlive a crash of the machine right after they were written."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def flush(descriptor: int) -> None:
    """
    Write what the system keeps of a file or directory to its disk.

    :param descriptor: an open file or directory.
    :raises OSError: if its content is lost. Mounts that cannot flush are passed over.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise


def flush_directory(directory: Path) -> None:
    """
    Write the names in a directory to its disk.

    :param directory: the directory.
    :raises OSError: if they are lost.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)
