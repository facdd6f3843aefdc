# SPDX-License-Identifier: Apache-2.0
"""Hosts that cut, break off or lie, and what becomes of a download from them."""

from __future__ import annotations

import gzip
import io
import socket
import zlib
from contextlib import suppress
from threading import Thread

import pytest

from airflow_provider_vidu import exceptions
from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.protocol import download
from airflow_provider_vidu.protocol.download import MAX_REQUESTS
from tests.hooks.hosts import VIDEO, Answers
from tests.hooks.test_downloader import downloaded, host, mp4

pytestmark = pytest.mark.usefixtures("soon", "emulator")


# What has come when the connection ends, and what the host announced.
CUT = {
    "an announced length": (25_000, {"Content_Length": "50000"}),
    "chunks without an end": (25_000, {"Transfer_Encoding": "chunked"}),
    "neither": (25_000, {}),
    "neither, before the pictures": (28, {}),
    "neither, in the head of a box": (20, {}),
    "neither, one byte short": (49_999, {}),
}


@pytest.mark.parametrize(("sent", "headers"), CUT.values(), ids=list(CUT))
def test_half_a_video_is_never_a_success(sent, headers):
    answers = Answers(sent=sent, chunked="Transfer_Encoding" in headers, **headers)
    with answers.url() as url, pytest.raises(exceptions.ViduDownloadError, match=r"stopped after [\d,]+ bytes, at"):
        ViduHook().download(url, io.BytesIO())
    assert len(answers.asked) == MAX_REQUESTS


def test_a_video_without_a_length_that_was_cut_goes_on(soon):
    def first_half_first(handler):
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(VIDEO) - 1}/*")
        handler.end_headers()
        handler.wfile.write(VIDEO[start:] if start else VIDEO[:20_000])
        handler.close_connection = True

    with host(first_half_first) as url:
        assert downloaded(url) == VIDEO


def test_a_host_that_closes_each_connection_after_some_bytes_is_asked_until_all_are_there(soon):
    asked = []

    def few(handler):
        asked.append(start := int(handler.headers.get("Range", "bytes=0-")[6:-1]))
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(VIDEO) - 1}/{len(VIDEO)}")
        handler.send_header("Content-Length", str(len(VIDEO) - start))
        handler.end_headers()
        handler.wfile.write(VIDEO[start:][:6_000])
        handler.close_connection = True

    with host(few) as url:
        assert downloaded(url) == VIDEO
    assert asked == list(range(0, 50_000, 6_000))


TYPE, INDEX, PICTURES = VIDEO[:16], VIDEO[16:28], VIDEO[28:]
LARGE = b"\0\0\0\1mdat" + (16 + 100).to_bytes(8, "big") + bytes(100)
WHOLE = {
    "the index first": TYPE + INDEX + PICTURES,
    "the index last": TYPE + PICTURES + INDEX,
    "a box of 64 bits": TYPE + LARGE + INDEX,
    "fragments": TYPE + INDEX + b"\0\0\0\x0cmoof\0\0\0\0" + b"\0\0\0\x0cmdat\0\0\0\0",
    "some bytes after it": TYPE + PICTURES + INDEX + b"\0\0\0",
    "what is no box after it": TYPE + PICTURES + INDEX + b"\0\0\0\2 end of file",
}


@pytest.mark.parametrize("video", WHOLE.values(), ids=list(WHOLE))
def test_a_whole_video_without_a_length_is_stored(video):
    with Answers(video).url() as url:
        assert downloaded(url) == video


ENDLESS = TYPE + INDEX + b"\0\0\0\0mdat" + bytes(50_000)
# How its end is told, and how the first half of it is cut off.
FRAMED = {
    "chunks": (ENDLESS, {"chunked": True, "Transfer_Encoding": "chunked"}),
    "a length": (ENDLESS, {"Content_Length": str(len(ENDLESS))}),
    "gzip": (gzip.compress(ENDLESS, 0), {"Content_Encoding": "gzip"}),
    "deflate": (zlib.compress(ENDLESS, 0), {"Content_Encoding": "deflate"}),
}


@pytest.mark.parametrize(("body", "headers"), FRAMED.values(), ids=list(FRAMED))
def test_pictures_that_go_to_the_end_of_the_file_are_whole_where_its_end_is_told(body, headers):
    with Answers(body, **headers).url() as url:
        assert downloaded(url) == ENDLESS
    with (
        Answers(body, sent=len(body) // 2, **headers).url() as url,
        pytest.raises(exceptions.ViduDownloadError, match=r"stopped after [\d,]+ bytes"),
    ):
        ViduHook().download(url, io.BytesIO())


def test_pictures_that_go_to_the_end_of_a_file_whose_end_is_not_told_are_never_a_success():
    with (
        Answers(ENDLESS).url() as url,
        pytest.raises(exceptions.ViduDownloadError, match="host had announced no length"),
    ):
        ViduHook().download(url, io.BytesIO())


def test_a_small_body_cannot_fill_the_disk(monkeypatch):
    monkeypatch.setattr(download, "MAX_VIDEO_BYTES", 1_000_000)
    body = gzip.compress(TYPE + INDEX + b"\0\0\0\0mdat" + bytes(50_000_000))
    target = io.BytesIO()
    with (
        Answers(body, Content_Encoding="gzip").url() as url,
        pytest.raises(exceptions.ViduDownloadError, match="at most 1,000,000 bytes, got"),
    ):
        ViduHook().download(url, target)
    assert len(target.getvalue()) <= 1_000_000


def test_a_host_that_speaks_no_http_shows_nothing_of_itself():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet():
            with suppress(OSError):
                while True:
                    with server.accept()[0] as client:
                        client.sendall(b"SSH-2.0-secret\r\n")

        Thread(target=greet, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/a.mp4"
        with pytest.raises(exceptions.ViduDownloadError) as raised:
            ViduHook().download(url, io.BytesIO())
    assert str(raised.value) == (
        f"The download of {url} stopped after 0 bytes, at request 5: ConnectionError, BadStatusLine."
    )


def test_broken_chunks_show_nothing_of_themselves():
    answers = Answers(b"secret\r\nmore\r\n", Transfer_Encoding="chunked")
    with answers.url() as url, pytest.raises(exceptions.ViduDownloadError) as raised:
        ViduHook().download(url, io.BytesIO())
    assert str(raised.value) == (
        f"The download of {url} stopped after 0 bytes, at request 5: ProtocolError, InvalidChunkLength."
    )


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "a\x7f<b>", "x" * 500, ""], ids=ascii)
def test_what_is_no_video_shows_nothing_of_itself(kind):
    answers = Answers(b"root:x:0:0:secret", Content_Type=kind)
    with answers.url() as url, pytest.raises(exceptions.ViduDownloadError) as raised:
        ViduHook().download(url, io.BytesIO())
    shown = "text/html" if kind.startswith("text") else "of no known type"
    assert str(raised.value) == f"{url} returned something other than an MP4 file ({shown})."


def test_an_error_shows_nothing_that_opens_a_link():
    with host(lambda handler: Answers(status=404)(handler)) as url:
        link = url.replace("http://", "http://user:secret@") + "?token=secret&n=1"
        with pytest.raises(exceptions.ViduDownloadError) as raised:
            ViduHook().download(link, io.BytesIO())
    assert str(raised.value).startswith("HTTP 404 instead of the video at http://***@127.0.0.1:")
    assert "/video?token=***&n=1. Result links" in str(raised.value)


def test_all_announced_bytes_that_are_no_whole_video_are_stored_with_a_warning(caplog):
    with Answers(VIDEO[:25_000], Content_Length="25000").url() as url:
        assert downloaded(url) == VIDEO[:25_000]
        assert f"{url} sent all 25,000 announced bytes, but they are not a complete MP4" in caplog.text
    caplog.clear()
    with Answers(Content_Length="50000").url() as url:
        assert downloaded(url) == VIDEO
    assert caplog.text == ""


# Status, its Content-Range, and whether all of the video came.
NOT_POLLED = {
    "a proxy's copy": (203, None, True),
    "all of it as a part": (206, f"bytes 0-{len(VIDEO) - 1}/{len(VIDEO)}", True),
    "a first part": (206, f"bytes 0-{len(VIDEO) - 1}/{len(VIDEO) + 1}", False),
    "a later part": (206, f"bytes 1-{len(VIDEO)}/{len(VIDEO) + 1}", False),
    "a part of unknown size": (206, f"bytes 0-{len(VIDEO) - 1}/*", False),
    "no content": (204, None, False),
}


@pytest.mark.parametrize(("status", "content_range", "is_whole"), NOT_POLLED.values(), ids=list(NOT_POLLED))
def test_a_whole_video_counts_under_another_status(status, content_range, is_whole):
    headers = {"Content_Range": content_range} if content_range else {}
    with Answers(status=status, Content_Length=str(len(VIDEO)), **headers).url() as url:
        if is_whole:
            assert downloaded(url) == VIDEO
        else:
            with pytest.raises(exceptions.ViduDownloadError, match=f"HTTP {status} instead of the video"):
                ViduHook().download(url, io.BytesIO())


def test_user_and_password_in_a_link_open_it_and_are_never_shown(caplog):
    answers = Answers(VIDEO[:1000], Content_Length="1000")
    with answers.url() as url:
        assert downloaded(url.replace("http://", "http://reader:p%40ss@")) == VIDEO[:1000]
    assert [asked["Authorization"] for asked in answers.asked] == ["Basic cmVhZGVyOnBAc3M="]
    assert "reader" not in caplog.text
    assert "sent all 1,000 announced bytes" in caplog.text


CHANGED = {
    "another strong tag": ({"ETag": '"a"'}, {"ETag": '"b"'}),
    "another weak tag": ({"ETag": 'W/"a"'}, {"ETag": 'W/"b"'}),
    "another time": (
        {"Last-Modified": "Wed, 15 Apr 2026 07:00:00 GMT"},
        {"Last-Modified": "Wed, 15 Apr 2026 08:00:00 GMT"},
    ),
}


@pytest.mark.parametrize(("before", "after"), CHANGED.values(), ids=list(CHANGED))
def test_halves_of_two_files_are_never_joined(before, after):
    other = mp4(50_000).replace(b"\0" * 1000, b"\1" * 1000)

    def changes(handler):
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        is_first = not asked
        asked.append(start)
        video, headers = (VIDEO, before) if is_first else (other, after)
        handler.send_response(206 if start else 200)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(video) - start))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(video) - 1}/{len(video)}")
        handler.end_headers()
        handler.wfile.write(video[start:] if not is_first else video[:25_000])
        handler.close_connection = True

    asked: list[int] = []
    with host(changes) as url:
        assert downloaded(url) == other
    assert asked[0] == asked[-1] == 0


@pytest.mark.parametrize("count", [1, 20])
def test_interim_answers_are_passed_over(count):
    def hints_first(handler):
        handler.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * (count - 1))
        Answers(VIDEO, Content_Length="50000")(handler)

    with host(hints_first) as url:
        assert downloaded(url) == VIDEO


def test_a_host_that_sends_nothing_but_interim_answers_is_given_up():
    def hints_only(handler):
        handler.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 30)
        handler.close_connection = True

    with host(hints_only) as url, pytest.raises(exceptions.ViduDownloadError, match="stopped after 0 bytes"):
        ViduHook().download(url, io.BytesIO())
