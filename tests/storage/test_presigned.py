# SPDX-License-Identifier: Apache-2.0
"""What identifies a file that the worker does not read, by what each kind of store shows of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_vidu.storage.presigned import presigned

CHANGED_AT = datetime(2026, 11, 28, tzinfo=UTC)
# What stores show of a file, by the fields that each has, and what is taken of it.
SHOWN = {
    "S3": ({"ETag": '"9a0364"', "LastModified": CHANGED_AT}, '"9a0364"'),
    "Google Cloud Storage": ({"etag": "CJj=", "mtime": CHANGED_AT}, "CJj="),
    "Azure": ({"etag": "0x8D", "last_modified": CHANGED_AT}, "0x8D"),
    "a store without tags": ({"LastModified": CHANGED_AT}, CHANGED_AT.timestamp()),
    "a store with neither": ({}, None),
}


@pytest.fixture
def store():
    """A store that signs URLs, and shows of a file what a test says."""
    from airflow.sdk.io import attach, store

    class Signing(MemoryFileSystem):
        protocol = "gs"
        cachable = False
        shown: dict[str, object]

        def info(self, path, **kwargs):
            return {"name": path, "type": "file", "size": 7, **self.shown}

        def sign(self, path, expiration=100, **kwargs):
            return f"https://storage.example.com/{path}?X-Goog-Signature=secret&X-Goog-Expires={expiration}"

    attach("gs", "google", fs=(signing := Signing()))
    signing.pipe_file("/bucket/a.mp4", b"content")
    yield signing
    signing.rm_file("/bucket/a.mp4")
    del store._STORE_CACHE["gs-google"]


@pytest.mark.parametrize(("shown", "taken"), SHOWN.values(), ids=list(SHOWN))
def test_a_file_is_identified_by_its_name_its_size_and_what_the_store_shows_of_its_content(store, shown, taken):
    store.shown = shown
    found = presigned("gs://google@bucket/a.mp4", "video_url")
    assert found.identity == f"gs://google@bucket/a.mp4 (7 bytes, {taken})"
    assert found.url == "https://storage.example.com/bucket/a.mp4?X-Goog-Signature=secret&X-Goog-Expires=86400"
