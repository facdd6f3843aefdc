# SPDX-License-Identifier: Apache-2.0
"""
Configured roots: the places below which files may be shown or read as input.

This module opens no file. It compares names part by part as they are written and decodes nothing, because the operators
encode nothing when they name a file. A name with a part ``.`` or ``..`` is below no root.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

MAX_CHARACTERS = 4096
"""Longest name that is compared. File systems accept no longer path and stores no longer key."""

# Object stores have no links, so a key below a root's key is below the root. A file server has links, which its client
# resolves invisibly.
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
    The position of a file below a root.

    :param root: the root.
    :param rest: the parts of the name after the root: at least one, none of them ``.`` or ``..``.
    """

    root: Root
    rest: tuple[str, ...]


def split_roots(text: str) -> list[str]:
    """
    Split the text of an option that lists roots.

    Airflow below 3.2 splits an empty text into one empty root, so the provider cannot leave this to Airflow.

    :param text: the option, with commas between the roots.
    :return: the texts of the roots; an empty list only if the option is empty.
    """
    return [root.strip() for root in text.split(",")] if text else []


def read_root(text: str) -> Root:
    """
    Parse a root of the configuration.

    :param text: an absolute path, a ``file://`` URI, or a URI of an object store as ``ObjectStoragePath`` accepts it.
    :raises ValueError: if it is not a root.
    """
    if (root := _read(text.rstrip("/") or text[:1])) is None:
        raise ValueError(
            "a root must be an absolute path without '..', or a URI that begins with one of "
            f"{_STORES.replace('|', ', ')}, such as s3://aws_default@bucket/videos, got {text!r}."
        )
    return root


def find(name: object, roots: Iterable[Root]) -> Found | None:
    """
    Find the root that contains a file.

    :param name: a path or URI; any other value of an XCom is below no root.
    :param roots: the roots to search.
    :return: its position, or ``None`` if no root contains it.
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
            # The name means a version of the key before it, so its end is not the name of the file.
            return None
    elif (path := name.removeprefix("file://")).startswith("/"):
        store, path = "", path[1:]
    else:
        return None
    parts = tuple(path.split("/")) if path else ()
    return None if {".", ".."} & set(parts) else Root(store, parts)
