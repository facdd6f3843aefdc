# SPDX-License-Identifier: Apache-2.0
"""Videos that hosts encode, whole or in pieces."""

from __future__ import annotations

import gzip
import io
import zlib

import pytest

from airflow_provider_vidu import exceptions
from airflow_provider_vidu.hooks.vidu import ViduHook
from tests.hooks.hosts import VIDEO, Answers
from tests.hooks.test_downloader import downloaded, host

pytestmark = pytest.mark.usefixtures("soon", "emulator")


def test_each_chunk_may_be_a_gzip_file_of_its_own():
    pieces = [VIDEO[at : at + 9000] for at in range(0, len(VIDEO), 9000)]

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for member in map(gzip.compress, pieces):
            # Of the last one's beginning the first byte comes by itself.
            for part in (member[:1], member[1:]):
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        handler.wfile.write(b"0\r\n\r\n")

    with host(answer) as url:
        assert downloaded(url) == VIDEO


def bare(data: bytes) -> bytes:
    squeezer = zlib.compressobj(wbits=-15)
    return squeezer.compress(data) + squeezer.flush()


def members(data: bytes) -> bytes:
    return gzip.compress(data[:7]) + gzip.compress(data[7:])


CODINGS = {
    "gzip": ("Content_Encoding", "gzip", gzip.compress),
    "gzip of two members": ("Content_Encoding", "gzip", members),
    "zlib": ("Content_Encoding", "deflate", zlib.compress),
    "a bare deflate": ("Content_Encoding", "Deflate", bare),
    "two codings": ("Content_Encoding", "deflate, x-gzip", lambda data: gzip.compress(zlib.compress(data))),
    "gzip for the transfer": ("Transfer_Encoding", "gzip, chunked", gzip.compress),
    "chunks with a trailer": ("Transfer_Encoding", "chunked", bytes),
    "none, said aloud": ("Content_Encoding", "identity", bytes),
}


@pytest.mark.parametrize("is_announced", [False, True])
@pytest.mark.parametrize(("name", "coding", "encode"), CODINGS.values(), ids=list(CODINGS))
def test_an_encoded_video_is_decoded_and_stored(name, coding, encode, is_announced):
    body, is_chunked = encode(VIDEO), "chunked" in coding
    length = {"Content_Length": str(len(body))} if is_announced and not is_chunked else {}
    with Answers(body, chunked=is_chunked, **{name: coding}, **length).url() as url:
        assert downloaded(url) == VIDEO


def test_an_encoded_video_that_was_cut_begins_again(soon):
    body = gzip.compress(VIDEO, 0)
    answers = Answers(body, Content_Encoding="gzip", Content_Length=str(len(body)))

    def cut_at_first(handler):
        answers.sent = None if answers.asked else len(body) // 2
        answers(handler)

    with host(cut_at_first) as url:
        assert downloaded(url) == VIDEO
    assert [asked.get("Range") for asked in answers.asked] == [None, None]


@pytest.mark.parametrize("coding", ["aws-chunked", "utf-8", "UTF-8", "binary", "none", "br"])
def test_a_plain_video_under_the_name_of_an_unknown_coding_is_stored(coding):
    with Answers(Content_Encoding=coding, Content_Length=str(len(VIDEO))).url() as url:
        assert downloaded(url) == VIDEO


@pytest.mark.parametrize(
    ("coding", "named"),
    [
        ("br", "in the content encoding br"),
        ("x" * 300, "in an unknown content encoding"),
        ("a b", "in an unknown content encoding"),
    ],
)
def test_a_coding_that_cannot_be_undone_is_named(coding, named):
    answers = Answers(b"\x8b\x0f\x80" * 9, Content_Encoding=coding, Content_Type="video/mp4")
    with answers.url() as url, pytest.raises(exceptions.ViduDownloadError) as raised:
        ViduHook().download(url, io.BytesIO())
    assert str(raised.value) == f"{url} returned something other than an MP4 file (video/mp4, {named})."
