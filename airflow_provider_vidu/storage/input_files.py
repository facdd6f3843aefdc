# SPDX-License-Identifier: Apache-2.0
"""
Input files in place of URLs.

They are read through ``ObjectStoragePath``, checked, and sent as data URIs or presigned URLs.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_vidu.exceptions import ViduError, ViduRequestError, ViduStateError
from airflow_provider_vidu.protocol.audio import audio_data_uri
from airflow_provider_vidu.protocol.capabilities import (
    LARGE_IMAGE_BYTES,
    MAX_IMAGE_BYTES,
    MIN_REFERENCE_SIDE,
    kinds_of,
)
from airflow_provider_vidu.protocol.fields import FILE_KINDS, Kind
from airflow_provider_vidu.protocol.media import (
    frame_pair_problem,
    image_data_uri,
    is_cut,
)
from airflow_provider_vidu.protocol.reach import is_local_host
from airflow_provider_vidu.protocol.request import Prepared, Request, refusal
from airflow_provider_vidu.protocol.texts import (
    brief,
    data_uri_bytes,
    is_data_uri,
    is_store_uri,
    is_url,
    looks_like_data_uri,
)
from airflow_provider_vidu.storage.places import changed_at
from airflow_provider_vidu.storage.presigned import presigned
from airflow_provider_vidu.storage.sources import opened

Warn = Callable[..., None]
SETTLED_SECONDS = 60.0
"""Age of a file from which a fault of it is final; a younger one may still be uploaded."""
_RULE = "an http(s) URL, a data URI, or the path or URI of a file that this worker can read"
_LONGEST_PATH = 4096
"""Characters of the longest path that Linux takes."""


def prepared(request: Request, warn: Warn) -> Prepared:
    """
    Build the body of a request whose fields may name files in place of URLs.

    The worker reads a file and sends it as a data URI. It sends a presigned URL for a file in a store if the field
    takes only URLs, or if the file is too large for a data URI.

    :param request: the request.
    :param warn: a logger's ``warning`` method, called for a file that is better passed as a URL.
    :return: the checked body, and what identifies the request; http(s) URLs stay unchanged.
    :raises ViduRequestError: if a file is missing or the API does not accept the request. Nothing was sent.
    :raises ViduStateError: if a store cannot read a file now. Nothing was sent; a retry can help.
    """
    if problems := request.text_problems():
        raise refusal(problems)
    reader = _Reader(request.vidu_type, warn)
    found = {}
    for name, value in request.values.items():
        kinds = kinds_of(request.vidu_type, request.model, name)
        if value is not None and kinds & FILE_KINDS:
            value = reader.replace(name, value)
        elif Kind.URL in kinds and is_store_uri(value):
            value = reader.identify(name, value)
        found[name] = value
    frames = [reader.contents.get(name) for name in ("first_frame_url", "last_frame_url")]
    if request.vidu_type == "start-end2video" and frames[0] and frames[1]:
        problem = frame_pair_problem(frames[0], frames[1])
        if problem:
            raise ViduRequestError(f"{problem}. Nothing was sent or paid. Resize one of the frames.")
    identified = request._replace(values=found)
    body = reader.with_urls(identified).body()
    return Prepared(body, identified.assembled() if reader.urls else body)


class _Reader:
    """
    Replaces paths by data URIs, or by texts that identify files, and remembers what it read.

    ``urls`` has the presigned URLs by the data URI or text that each stands for. A signature differs each time, and the
    same file must make the same request.
    """

    def __init__(self, vidu_type: str, warn: Warn) -> None:
        self.vidu_type = vidu_type
        self.warn = warn
        self.contents: dict[str, bytes] = {}
        self.files: dict[str, tuple[str, str]] = {}
        self.urls: dict[str, str] = {}

    def identify(self, name: str, location: str) -> str:
        signed = presigned(location, name)
        self.urls[signed.identity] = signed.url
        return signed.identity

    def replace(self, name: str, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [self.replace(name, item) for item in value]
        if isinstance(value, dict) and "images" in value:
            return {**value, "images": self.replace(name, value["images"])}
        if not isinstance(value, str) or is_url(value):
            return value
        data = _read(value, name)
        self.contents[name] = data
        try:
            if name == "audio_url":
                found = audio_data_uri(data, name)
            else:
                least = MIN_REFERENCE_SIDE if self.vidu_type == "reference2video" else 1
                found = image_data_uri(data, name, least_side=least)
        except ViduRequestError as error:
            if not is_data_uri(value) and is_cut(data) and _is_still_written(value):
                raise ViduStateError(f"{error} The file changed a moment ago: retry when it is complete.") from error
            raise
        if found not in self.files or is_store_uri(value):
            self.files[found] = name, value
        return found

    def with_urls(self, request: Request) -> Request:
        """Replace what cannot be sent as data, or is better not, by presigned URLs, the largest first."""
        sent = self._signed(request)
        stored = {uri: named for uri, named in self.files.items() if is_store_uri(named[1])}
        for uri in sorted(stored, key=len, reverse=True):
            is_needed = not _is_accepted(sent)
            if not is_needed and not _is_large(uri):
                break
            self._sign(uri, *stored[uri], is_needed=is_needed)
            sent = self._signed(request)
        for uri, (name, _) in self.files.items():
            if _is_large(uri) and uri not in self.urls:
                self.warn("%s: sending %s bytes inside the request. Prefer a URL.", name, f"{data_uri_bytes(uri):,}")
        return sent

    def _sign(self, uri: str, name: str, location: str, *, is_needed: bool) -> None:
        # Without a URL, it is sent as data; if it is too large for that, the check of the body refuses it.
        with suppress(ViduError):
            url = presigned(location, name).url
            # The service cannot fetch from a private store, unless the API itself is private.
            if is_needed or not is_local_host(urlsplit(url).hostname or ""):
                self.urls[uri] = url

    def _signed(self, request: Request) -> Request:
        def signed(value: Any) -> Any:
            if isinstance(value, list):
                return [signed(item) for item in value]
            if isinstance(value, dict):
                return {key: signed(item) for key, item in value.items()}
            return self.urls.get(value, value) if isinstance(value, str) else value

        return request._replace(values={name: signed(value) for name, value in request.values.items()})


def _is_large(uri: str) -> bool:
    return data_uri_bytes(uri) > LARGE_IMAGE_BYTES


def _is_accepted(request: Request) -> bool:
    try:
        request.body()
    except ViduRequestError:
        return False
    return True


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
    with opened(location, name, _RULE, "Put the file where every worker sees it") as (path, stat):
        size, data = stat.st_size, b""
        if size <= MAX_IMAGE_BYTES:
            with path.fs.open(path.path, "rb") as file:
                data = file.read(MAX_IMAGE_BYTES + 1)
            size = max(size, len(data))
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
