# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import zlib

import pytest

from airflow_provider_vidu.protocol.coding import PIECE_BYTES, Decoder, codings_of, undone
from airflow_provider_vidu.protocol.download import BrokenOff, Download

VIDEO = b"\0\0\0\x0cftypisom" + b"\0\0\0\x0cmoov\0\0\0\0" + b"\0\0\0\x4cmdat" + bytes(68)
URL = "https://videos.example.com/a.mp4"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, ([], "")),
        ({"Content-Encoding": "identity"}, ([], "")),
        ({"content-encoding": " GZIP , Deflate"}, (["deflate", "gzip"], "")),
        ({"Transfer-Encoding": "gzip, chunked", "Content-Encoding": "deflate"}, (["gzip", "deflate"], "")),
        ({"Content-Encoding": "gzip, br"}, (["gzip"], "br")),
        ({"Content-Encoding": "aws-chunked"}, ([], "aws-chunked")),
    ],
)
def test_the_coding_that_was_applied_last_is_undone_first(headers, expected):
    assert codings_of(headers) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("name", "encode"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", lambda d: zlib.compress(d)[2:-4])],
)
def test_a_body_may_come_in_pieces_of_any_size(name, encode, size):
    body, decoders = encode(VIDEO), [Decoder(name)]
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    assert b"".join(piece for part in parts for piece in undone(decoders, part)) == VIDEO


def test_a_coding_is_complete_at_its_own_end_alone():
    for name, body in (("gzip", gzip.compress(VIDEO) * 2), ("deflate", zlib.compress(VIDEO))):
        decoder, seen = Decoder(name), []
        for at in range(len(body)):
            list(decoder.pieces(body[at : at + 1]))
            seen.append(decoder.is_complete)
        ends = [at + 1 for at, is_complete in enumerate(seen) if is_complete]
        # After the first of two members, until the second is known to have begun.
        assert ends in ([len(body) // 2, len(body) // 2 + 1, len(body)], [len(body)])


def test_what_follows_the_end_of_a_coded_body_is_left_out():
    decoder = Decoder("gzip")
    assert b"".join(decoder.pieces(gzip.compress(VIDEO) + b"garbage")) == VIDEO
    assert list(decoder.pieces(b"more")) == []


def test_no_piece_is_larger_than_memory_allows():
    sizes = [len(piece) for piece in undone([Decoder("gzip")], gzip.compress(bytes(10 * PIECE_BYTES)))]
    assert max(sizes) <= PIECE_BYTES
    assert sum(sizes) == 10 * PIECE_BYTES


def test_a_broken_coding_is_a_break_of_the_download():
    download = Download(URL)
    download.answered(200, {"Content-Encoding": "gzip"})
    with pytest.raises(BrokenOff, match="its content encoding is broken"):
        list(download.pieces(b"no gzip at all"))
