# SPDX-License-Identifier: Apache-2.0
"""
Input files in place of URLs.

They are read through ``ObjectStoragePath``, checked, and sent as data URIs.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import time
from collections.abc import Callable
from typing import Any

from airflow_provider_vidu.exceptions import ViduRequestError, ViduStateError
from airflow_provider_vidu.protocol.audio import audio_data_uri
from airflow_provider_vidu.protocol.capabilities import (
    LARGE_IMAGE_BYTES,
    MAX_IMAGE_BYTES,
    MIN_REFERENCE_SIDE,
    takes_files,
)
from airflow_provider_vidu.protocol.media import (
    frame_pair_problem,
    image_data_uri,
    is_cut,
)
from airflow_provider_vidu.protocol.request import Request
from airflow_provider_vidu.protocol.texts import brief, is_data_uri, is_url, looks_like_data_uri, named
from airflow_provider_vidu.storage.places import changed_at
from airflow_provider_vidu.storage.roots import find, read_root, split_roots

Warn = Callable[..., None]
SETTLED_SECONDS = 60.0
"""Age of a file from which a fault of it is final; a younger one may still be uploaded."""
_LONGEST_PATH = 4096
"""Characters of the longest path that Linux takes."""


def with_files_read(request: Request, warn: Warn) -> Request:
    """
    Read every file that a request names in place of a URL.

    :param request: the request.
    :param warn: a logger's ``warning`` method, called for a file that is better passed as a URL.
    :return: the request with paths replaced by data URIs; http(s) URLs stay unchanged.
    :raises ViduRequestError: if a file is missing or the API does not accept it. Nothing was sent.
    :raises ViduStateError: if a store cannot read a file now. Nothing was sent; a retry can help.
    """
    vidu_type, model = request.vidu_type, request.model
    reader = _Reader(vidu_type, warn)
    found = {
        name: reader.replace(name, value) if value is not None and takes_files(vidu_type, model, name) else value
        for name, value in request.values.items()
    }
    frames = [reader.contents.get(name) for name in ("first_frame_url", "last_frame_url")]
    if vidu_type == "start-end2video" and frames[0] and frames[1]:
        problem = frame_pair_problem(frames[0], frames[1])
        if problem:
            raise ViduRequestError(f"{problem}. Nothing was sent or paid. Resize one of the frames.")
    return request._replace(values=found)


class _Reader:
    """Replaces paths by data URIs and remembers what it read."""

    def __init__(self, vidu_type: str, warn: Warn) -> None:
        self.vidu_type = vidu_type
        self.warn = warn
        self.contents: dict[str, bytes] = {}

    def replace(self, name: str, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [self.replace(name, item) for item in value]
        if isinstance(value, dict) and "images" in value:
            return {**value, "images": self.replace(name, value["images"])}
        if not isinstance(value, str) or is_url(value):
            return value
        data = _read(value, name)
        if len(data) > LARGE_IMAGE_BYTES:
            self.warn("%s: sending %s bytes inside the request. Prefer a URL.", name, f"{len(data):,}")
        self.contents[name] = data
        try:
            if name == "audio_url":
                return audio_data_uri(data, name)
            least = MIN_REFERENCE_SIDE if self.vidu_type == "reference2video" else 1
            return image_data_uri(data, name, least_side=least)
        except ViduRequestError as error:
            if not is_data_uri(value) and is_cut(data) and _is_still_written(value):
                raise ViduStateError(f"{error} The file changed a moment ago: retry when it is complete.") from error
            raise


def _read(location: str, name: str) -> bytes:
    if is_data_uri(location):
        try:
            return base64.b64decode(location.partition(",")[2], validate=True)
        except binascii.Error as error:
            raise ViduRequestError(
                f"{name} must be a URL, a file or a base64 data URI, got one that is not base64 ({error}). Nothing was "
                "sent or paid. Correct the data URI."
            ) from None
    _refuse_other_texts(location, name)
    from airflow.sdk import ObjectStoragePath

    try:
        path = ObjectStoragePath(_allowed(location, name))
        stat = path.stat()
        if stat.get("type", "file") != "file":
            # A pipe would be waited for, and a device has no end.
            raise ValueError("it is not a regular file")
        size, data = stat.st_size, b""
        if size <= MAX_IMAGE_BYTES:
            with path.fs.open(path.path, "rb") as file:
                data = file.read(MAX_IMAGE_BYTES + 1)
            size = max(size, len(data))
    except ViduRequestError:
        raise
    except (FileNotFoundError, IsADirectoryError, PermissionError, ValueError) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else brief(str(error))
        if "%" in location and isinstance(error, FileNotFoundError):
            reason += " with exactly this name; write a space as a space, not as %20"
        raise ViduRequestError(
            f"{name} must be an http(s) URL, a data URI, or the path or URI of a file that this worker can read, got "
            f"{brief(location)} ({reason}). Nothing was sent or paid. Put the file where every worker sees it, then "
            "clear the task."
        ) from error
    except Exception as error:
        # Each store's library raises its own exception types.
        raise ViduStateError(
            f"{name} must be a file that can be read, got {brief(location)}: {named(error)}. Nothing was sent or paid. "
            "Retry the task, or check the connection that the URI names."
        ) from error
    if size > MAX_IMAGE_BYTES:
        raise ViduRequestError(
            f"{name} must be at most {MAX_IMAGE_BYTES:,} bytes, got {size:,}. Nothing was sent or paid. Use a smaller "
            "file."
        )
    return data


def _is_still_written(location: str) -> bool:
    from airflow.sdk import ObjectStoragePath

    try:
        changed = changed_at(ObjectStoragePath(location).stat())
    except Exception:
        # Each store's library raises its own exception types.
        return False
    return isinstance(changed, (int, float)) and time.time() - changed < SETTLED_SECONDS


def _refuse_other_texts(location: str, name: str) -> None:
    """Refuse what is certainly no path, with the step that helps."""
    if looks_like_data_uri(location):
        raise ViduRequestError(
            f"{name} must be a data URI such as data:image/png;base64,…, got {brief(location)}. Nothing was sent or "
            "paid. Correct the data URI."
        )
    got, step = "", ""
    if location.lstrip()[:1] in ("[", "{"):
        got, step = brief(location), "Pass a list as upstream.output, or by a template with | tojson"
    elif len(location) > _LONGEST_PATH:
        got = f"a text of {len(location):,} characters"
        step = "If it is base64, add a data URI prefix such as 'data:image/png;base64,' in front of it"
    elif re.match(r"(?i)\s*(www\.|//|ftp:|https?:)", location):
        got, step = brief(location), "Write it as https://…"
    if step:
        raise ViduRequestError(
            f"{name} must be an http(s) URL, a data URI, or the path or URI of a file, got {got}. Nothing was sent or "
            f"paid. {step}."
        )


def _allowed(location: str, name: str) -> str:
    """
    Resolve the symbolic links in a path, and refuse one outside the roots.

    :return: the path or URI to read from.
    """
    from airflow.providers.common.compat.sdk import conf

    sources = split_roots(conf.get("vidu", "media_sources", fallback=""))
    if not sources:
        return location
    is_local = "://" not in location or location.startswith(("file://", "local://"))
    if is_local:
        location = os.path.realpath(location.removeprefix("file://").removeprefix("local://"))
    try:
        roots = [read_root(text) for text in sources]
    except ValueError as error:
        raise ViduRequestError(
            f"media_sources in Airflow's section [vidu] must list directories and buckets: {error} Nothing was sent or "
            "paid. Correct it on every worker, then clear the task."
        ) from None
    real = [read_root(os.path.realpath(str(root))) if not root.store else root for root in roots]
    if find(location, real) is None:
        raise ViduRequestError(
            f"{name} must lie below one of [vidu] media_sources ({', '.join(sources)}), got {brief(location)}. Nothing "
            "was sent or paid. Move the file there, or have the administrator add its directory, or its bucket with "
            "the same connection id."
        )
    return location
