# SPDX-License-Identifier: Apache-2.0
"""Presigned URLs of input files in object stores, for fields that the service fetches itself."""

from __future__ import annotations

import logging
from typing import NamedTuple

from airflow_provider_vidu.storage.places import changed_at
from airflow_provider_vidu.storage.sources import opened

SIGNED_SECONDS = 24 * 3600
"""
Lifetime of a presigned URL.

The API documents neither how long a task may wait in its queue nor when the service fetches an input. Links to results
expire after 24 hours, and no documented part of a task takes longer. S3 permits up to seven days.
"""

_RULE = "an http(s) URL, or the URI of a file in an object store that can sign URLs"


class Presigned(NamedTuple):
    """
    A presigned URL of a file.

    :param url: the URL. It opens the file for anyone, so it must not be shown.
    :param identity: a text without the signature. It changes with the file's name, its size and, as far as the store
        shows it, its content.
    """

    url: str
    identity: str


def presigned(location: str, name: str) -> Presigned:
    """
    Sign a URL with which the service can fetch a file. Only its first byte is read, since it may have gigabytes.

    :param location: URI of the file.
    :param name: the field that it belongs to.
    :raises ViduRequestError: if there is no such file, its store signs no URLs, or the task may not use it. Nothing was
        sent.
    :raises ViduStateError: if the store cannot be read now. Nothing was sent; a retry can help.
    """
    with opened(location, name, _RULE, "Put the file into such a store") as (path, stat):
        # AWS's library logs every signature at the level DEBUG.
        logging.getLogger("botocore.auth").addFilter(_shows_no_signature)
        try:
            url = path.sign(expiration=SIGNED_SECONDS)
        except NotImplementedError:
            raise ValueError("its store signs no URLs") from None
        if not stat.st_size:
            raise ValueError("it is empty")
        if {".", ".."} & set(path.path.split("/")):
            raise ValueError("HTTP clients leave '.' and '..' out of a URL, so they would look for another name")
        # An archived file, for example, is there but cannot be read.
        path.fs.cat_file(path.path, start=0, end=1)
        # Most stores make the same tag of the same content, which a team may upload again.
        content = stat.get("ETag") or stat.get("etag") or changed_at(stat)
        return Presigned(url, f"{location} ({stat.st_size} bytes, {content})")


def _shows_no_signature(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Signature:")
