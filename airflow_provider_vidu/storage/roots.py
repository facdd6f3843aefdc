# SPDX-License-Identifier: Apache-2.0
"""
Which files may be shown or read as input: those whose name begins with a root. Names only, nothing is opened here.

Names are compared part by part as they are written, and nothing in them is decoded: neither do the operators encode
anything when they name a file. One that holds ``.`` or ``..`` is below no root.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

MAX_CHARACTERS = 4096
"""The longest name that is looked at; file systems take no longer path, stores no longer key."""

# Stores without links, where a key below a root's key is below the root. A file server has links, which its client
# resolves out of sight.
_STORES = "s3|s3a|gs|gcs|abfs|abfss|adl"
_IN_A_STORE = re.compile(rf"((?:{_STORES})://[^/]+)(?:/(.*))?", re.DOTALL)


class Root(NamedTuple):
    """
    A place below which files may be shown or read.

    :param store: scheme, connection and bucket, e.g. ``s3://aws_default@videos``; empty for this machine's own files.
    :param parts: the names that lead to it.
    """

    store: str
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.store}/{'/'.join(self.parts)}"


class Found(NamedTuple):
    """
    What a name stands for.

    :param root: the root that it is below.
    :param rest: the way from there, at least one name, none of them ``.`` or ``..``.
    """

    root: Root
    rest: tuple[str, ...]


def read_root(text: str) -> Root:
    """
    Read a root of the configuration.

    :param text: an absolute path, a ``file://`` URI, or a URI of an object store as ``ObjectStoragePath`` takes it.
    :raises ValueError: when it is none.
    """
    if (root := _read(text.rstrip("/") or text[:1])) is None:
        raise ValueError(
            f"{text!r} given, allowed: absolute paths without '..', and URIs that begin with one of "
            f"{_STORES.replace('|', ', ')}, such as s3://aws_default@bucket/videos."
        )
    return root


def find(name: object, roots: Iterable[Root]) -> Found | None:
    """
    Find the root that a file is below.

    :param name: a path or URI, or whatever else an XCom holds.
    :param roots: where to look.
    :return: ``None`` where it is below none of them.
    """
    place = _read(name)
    if place is None:
        return None
    for root in roots:
        length = len(root.parts)
        if place.store == root.store and place.parts[:length] == root.parts and place.parts[length:]:
            return Found(root, place.parts[length:])
    return None


def _read(name: object) -> Root | None:
    if not isinstance(name, str) or len(name) > MAX_CHARACTERS or "\0" in name:
        return None
    if match := _IN_A_STORE.fullmatch(name):
        store, path = match[1], match[2] or ""
        if "?versionId=" in path:
            # Names a version of what stands before it, which is not called as this ends.
            return None
    elif (path := name.removeprefix("file://")).startswith("/"):
        store, path = "", path[1:]
    else:
        return None
    parts = tuple(path.split("/")) if path else ()
    return None if {".", ".."} & set(parts) else Root(store, parts)
