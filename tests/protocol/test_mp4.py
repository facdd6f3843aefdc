# SPDX-License-Identifier: Apache-2.0
"""Files that begin or end otherwise than most videos do."""

from __future__ import annotations

import pytest

from airflow_provider_vidu.protocol.download import BrokenOff, Download


def box(kind: bytes, content: bytes = b"") -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


TYPE, INDEX, PICTURES = box(b"ftyp", b"isom"), box(b"moov", b"\0" * 4), box(b"mdat", bytes(range(68)))
WHOLE = {
    "index first": TYPE + INDEX + PICTURES,
    "index last": TYPE + PICTURES + INDEX,
    "free space first": box(b"free", b"\0" * 20) + TYPE + INDEX + PICTURES,
    "skipped space first": box(b"skip") + TYPE + INDEX + PICTURES,
    "QuickTime's wide first": box(b"wide") + TYPE + PICTURES + INDEX,
    "QuickTime without a type": INDEX + PICTURES,
    "pictures first": PICTURES + INDEX,
    "a segment's type first": box(b"styp", b"msdh") + INDEX + PICTURES,
    "zeros at the end": TYPE + INDEX + PICTURES + b"\0" * 64,
    "a few bytes at the end": TYPE + INDEX + PICTURES + b"\0" * 3,
}
PARTS = {
    "no index": TYPE + PICTURES,
    "no pictures": TYPE + INDEX,
    "zeros in place of the index": TYPE + PICTURES + b"\0" * 64,
    "zeros in place of the rest": TYPE + INDEX + PICTURES[:40] + b"\0" * 20,
}


def arrived(video: bytes) -> Download:
    download = Download("https://videos.example.com/a.mp4")
    download.answered(200, {})
    assert download.take(video) == video
    return download


@pytest.mark.parametrize("video", WHOLE.values(), ids=list(WHOLE))
def test_a_file_with_all_its_boxes_is_whole_without_an_announced_length(video):
    download = arrived(video)
    download.ended()
    assert not download.lacks_boxes


@pytest.mark.parametrize("video", PARTS.values(), ids=list(PARTS))
def test_a_file_without_some_of_its_boxes_is_asked_for_again(video):
    with pytest.raises(BrokenOff, match="before the video was complete"):
        arrived(video).ended()
