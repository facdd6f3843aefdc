# SPDX-License-Identifier: Apache-2.0
"""Bundles of the certificates that a connection trusts."""

from __future__ import annotations

import os
import re
import ssl
from functools import lru_cache


def is_bundle(path: str) -> bool:
    """
    Check that HTTP libraries can load a CA bundle.

    :param path: path of a file in PEM format, or of a directory as ``c_rehash`` makes it.
    """
    try:
        if os.path.isdir(path):
            return any(re.fullmatch(r"[0-9a-f]{8}\.\d+", name) for name in os.listdir(path))
        return _loads(path, os.stat(path).st_mtime)
    except (OSError, ValueError):
        return False


@lru_cache(maxsize=16)
def _loads(path: str, changed_at: float) -> bool:
    # Each request reads the settings, and a bundle takes milliseconds.
    ssl.create_default_context(cafile=path)
    return True
