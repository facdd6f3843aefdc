# SPDX-License-Identifier: Apache-2.0
"""Downloads from the emulator, and from a host that does what the emulator does not."""

from __future__ import annotations

import io
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from airflow_provider_vidu import exceptions
from airflow_provider_vidu.emulator import KEY
from airflow_provider_vidu.hooks.download import _CHUNK_BYTES as CHUNK
from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.protocol import download
from airflow_provider_vidu.protocol.download import MAX_REQUESTS
from tests.transports import BODY

pytestmark = pytest.mark.usefixtures("soon")


@pytest.fixture
def url(emulator):
    """The link of a finished video."""
    hook = ViduHook()
    (url,) = hook.get_task(hook.submit(BODY).task_id).urls
    return url


def downloaded(url: str) -> bytes:
    target = io.BytesIO()
    assert ViduHook().download(url, target) == len(target.getvalue())
    return target.getvalue()


def asked(emulator) -> list[str | None]:
    """The ranges that downloads have asked for."""
    found = [request for request in emulator.requests if request["path_qs"].startswith("/files/")]
    return [request["headers"].get("Range") for request in found]


def rest_of(video: bytes) -> str:
    """The range that is asked for when half of a video has come."""
    return f"bytes={len(video) // 2}-"


def test_a_download_gives_the_files_bytes_and_never_the_key(emulator, url):
    assert downloaded(url)[4:8] == b"ftyp"
    assert "Authorization" not in emulator.requests[-1]["headers"]


def test_a_download_does_not_take_credentials_from_a_netrc_file(emulator, url, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    downloaded(url)
    assert [sent["headers"].get("Authorization") for sent in emulator.requests] == [KEY, KEY, None]


def test_a_broken_download_goes_on_where_it_broke_off(emulator, url):
    whole = downloaded(url)
    emulator.arm({"on": "download", "fault": "truncate"})
    assert downloaded(url) == whole
    assert asked(emulator) == [None, None, rest_of(whole)]
    assert emulator.requests[-1]["headers"].get("Authorization") is None


def test_a_host_that_answers_with_everything_makes_the_file_begin_anew(emulator, url):
    whole = downloaded(url)
    emulator.arm({"on": "download", "fault": "truncate", "times": 2})
    assert downloaded(url) == whole
    rest = rest_of(whole)
    assert asked(emulator)[1:] == [None, rest, rest]


@pytest.mark.parametrize(
    "fault", [{"fault": "drop"}, {"fault": "reset"}, {"fault": "html"}, {"fault": "rate_limit"}], ids=str
)
def test_what_passes_is_outlasted(emulator, url, fault):
    emulator.arm({"on": "download", "times": MAX_REQUESTS - 1, **fault})
    assert downloaded(url)[4:8] == b"ftyp"


# How a download fails, and how often its host was asked.
FAILURES = [
    ({"fault": "truncate"}, "stopped after", MAX_REQUESTS),
    ({"fault": "drop"}, "stopped after 0 bytes", MAX_REQUESTS),
    ({"fault": "error", "status": 500}, "HTTP 500 instead of the video", MAX_REQUESTS),
    ({"fault": "error", "status": 404}, "HTTP 404 instead of the video", 1),
    ({"fault": "expired"}, "HTTP 403 instead of the video", 1),
    ({"fault": "empty"}, "the response was empty", 5),
    ({"fault": "not_a_video"}, r"something other than an MP4 file \(text/html\)", 1),
]


@pytest.mark.parametrize(("fault", "text", "requests"), FAILURES, ids=str)
def test_a_download_that_is_not_whole_is_refused(emulator, url, fault, text, requests):
    emulator.arm({"on": "download", "times": None, **fault})
    with pytest.raises(exceptions.ViduDownloadError, match=text):
        downloaded(url)
    assert len(asked(emulator)) == requests


def test_too_large_a_video_is_refused_before_any_of_it_is_written(emulator, url, monkeypatch):
    monkeypatch.setattr(download, "MAX_VIDEO_BYTES", 1000)
    target = io.BytesIO()
    with pytest.raises(exceptions.ViduDownloadError, match="must have at most 1,000 bytes"):
        ViduHook().download(url, target)
    assert target.getvalue() == b""


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.com/a", "/etc/passwd", "https://"])
def test_only_http_is_downloaded(emulator, url):
    with pytest.raises(
        exceptions.ViduDownloadError, match=r"^url must be an http\(s\) URL, got .* Nothing was downloaded\.$"
    ):
        ViduHook().download(url, io.BytesIO())


def test_a_target_that_cannot_be_written_is_not_taken_for_a_break(emulator, url):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        ViduHook().download(url, Full())
    assert len(asked(emulator)) == 1


def mp4(size: int) -> bytes:
    """Boxes of so many bytes all told: the file's type, an index and pictures."""
    head = b"\0\0\0\x10ftypisom\0\0\2\0" + b"\0\0\0\x0cmoov\0\0\0\0"
    return (head + (size - len(head)).to_bytes(4, "big") + b"mdat").ljust(size, b"x")


VIDEO = mp4(60)


@contextmanager
def host(do_get):
    """A host of videos: what a request gets is written by the given function."""
    handler = type("Handler", (BaseHTTPRequestHandler,), {"protocol_version": "HTTP/1.1", "do_GET": do_get})
    handler.log_message = lambda *arguments: None
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/video"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("size", [1, 4, 7, 8, 9, 100])
def test_a_download_may_come_in_pieces_of_any_size_and_without_its_length(emulator, size):
    def in_pieces(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(VIDEO), size):
            piece = VIDEO[start : start + size]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    with host(in_pieces) as address:
        assert downloaded(address) == VIDEO


LONG, OTHER = mp4(3 * CHUNK), mp4(77)


@pytest.mark.parametrize("changes", [False, True])
def test_the_rest_is_asked_for_only_of_the_same_bytes(emulator, changes):
    seen = []

    def first_half_first(handler):
        condition, first = handler.headers.get("If-Range"), not seen
        seen.append(condition)
        if first:
            body, status, headers = LONG[:CHUNK], 200, {"ETag": '"one"', "Content-Length": len(LONG)}
        elif changes and condition:
            body, status, headers = OTHER, 200, {"ETag": '"two"', "Content-Length": len(OTHER)}
        else:
            body, status = LONG[CHUNK:], 206
            headers = {"Content-Range": f"bytes {CHUNK}-{len(LONG) - 1}/{len(LONG)}", "Content-Length": len(body)}
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    with host(first_half_first) as address:
        assert downloaded(address) == (OTHER if changes else LONG)
    assert seen == [None, '"one"']
