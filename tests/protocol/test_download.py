# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.protocol import download
from airflow_provider_vidu.protocol.download import (
    MAX_REQUESTS,
    MAX_VIDEO_BYTES,
    MOST_REQUESTS,
    BrokenOff,
    Download,
    moved_to,
)
from airflow_provider_vidu.protocol.texts import without_secrets

URL = "https://videos.example.com/a.mp4?token=t"
NAME = "https://videos.example.com/a.mp4?token=***"
VIDEO = b"\0\0\0\x0cftypisom" + b"\0\0\0\x0cmoov\0\0\0\0" + b"\0\0\0\x4cmdat" + bytes(range(68))


def begun(received: int = 40, **headers: str) -> Download:
    """A download of which so many bytes have come."""
    download = Download(URL)
    assert download.answered(200, {"Content-Length": str(len(VIDEO)), **headers}) is True
    assert download.take(VIDEO[:received]) == VIDEO[:received]
    return download


def test_a_video_that_comes_whole_is_whole():
    download = begun(len(VIDEO))
    assert download.ended() is None
    assert download.written == len(VIDEO)


def test_the_first_request_asks_for_plain_bytes_and_all_of_them():
    assert Download(URL).headers() == {"Accept-Encoding": "identity"}


@pytest.mark.parametrize(
    ("etag", "if_range"), [({"ETag": '"abc"'}, {"If-Range": '"abc"'}), ({"etag": 'W/"abc"'}, {}), ({}, {})]
)
def test_the_next_request_asks_for_the_rest_of_the_same_bytes(etag, if_range):
    expected = {"Accept-Encoding": "identity", "Range": "bytes=40-", **if_range}
    assert begun(40, **etag).headers() == expected


@pytest.mark.parametrize("total", [f"{len(VIDEO)}", "*"])
def test_a_download_goes_on_where_it_broke_off(total):
    download = begun(40)
    with pytest.raises(BrokenOff, match="the connection ended before byte 100"):
        download.ended()
    assert download.answered(206, {"Content-Range": f"bytes 40-99/{total}"}) is False
    assert download.take(VIDEO[40:]) == VIDEO[40:]
    download.ended()
    assert download.written == len(VIDEO)


@pytest.mark.parametrize("length", [{}, {"Content-Length": "many"}, {"Content-Length": "²"}])
def test_a_length_that_is_not_announced_at_first_may_come_with_the_rest(length):
    download = Download(URL)
    download.answered(200, length)
    download.take(VIDEO[:40])
    with pytest.raises(BrokenOff, match="before the video was complete"):
        download.ended()
    download.answered(206, {"Content-Range": "bytes 40-99/100"})
    download.take(VIDEO[40:90])
    with pytest.raises(BrokenOff):
        download.ended()


@pytest.mark.parametrize(
    "content_range",
    ["", "bytes 0-99/100", "bytes 41-99/100", "bytes 40-98/99", "bytes */100", "40-99/100", "bytes ４0-99/100"],
)
def test_a_host_that_goes_on_elsewhere_or_in_another_file_is_asked_for_all_of_it(content_range):
    headers = {"Content-Range": content_range} if content_range else {}
    assert asked_after(206, headers) == {"Accept-Encoding": "identity"}


@pytest.mark.parametrize(
    ("status", "headers"),
    [(416, {}), (412, {}), (304, {}), (206, {"Content-Range": "bytes 40-99/100", "Content-Encoding": "gzip"})],
)
def test_a_host_that_cannot_go_on_is_asked_for_all_of_it(status, headers):
    assert asked_after(status, headers) == {"Accept-Encoding": "identity"}


def asked_after(status: int, headers: dict[str, str]) -> dict[str, str]:
    """What is asked for after an answer to the request for the rest that cannot be used."""
    download = begun(40)
    with pytest.raises(BrokenOff, match="the host did not resume at byte 40"):
        download.answered(status, headers)
    asked = download.headers()
    # Then a part is one that nobody asked for, and the file begins anew.
    with pytest.raises(ViduDownloadError, match="HTTP 206 instead of the video"):
        download.answered(206, {"Content-Range": "bytes 40-99/100"})
    assert download.answered(200, {}) is True
    assert download.written == 0
    return asked


def test_a_host_that_knows_no_ranges_begins_anew():
    download = begun(40, ETag='"old"')
    assert download.answered(200, {"Content-Length": "96"}) is True
    assert (download.written, download.total) == (0, 96)
    # Its beginning is looked at again.
    with pytest.raises(ViduDownloadError, match="something other than an MP4 file"):
        download.take(b"<html>Bad gateway</html>")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_asked_again(status):
    with pytest.raises(BrokenOff, match=f"HTTP {status} instead of the video"):
        Download(URL).answered(status, {})


@pytest.mark.parametrize(
    ("status", "expired"),
    [(403, True), (404, True), (410, True), (400, False), (401, False), (405, False), (204, False)],
)
def test_what_cannot_pass_is_final_and_says_whether_it_is_the_link(status, expired):
    with pytest.raises(ViduDownloadError, match=f"HTTP {status} instead of the video at https://") as caught:
        begun(40).answered(status, {})
    assert caught.value.expired is expired


def test_a_part_that_nobody_asked_for_is_refused():
    with pytest.raises(ViduDownloadError, match="HTTP 206"):
        Download(URL).answered(206, {"Content-Range": "bytes 0-98/100"})


@pytest.mark.parametrize("pieces", [1, 7, 8, 9, 100])
def test_pieces_may_be_of_any_size(pieces):
    download = Download(URL)
    download.answered(200, {})
    written = b"".join(download.take(VIDEO[at : at + pieces]) for at in range(0, len(VIDEO), pieces))
    download.ended()
    assert (written, download.written) == (VIDEO, len(VIDEO))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"oops", r"something other than an MP4 file \(of no known type\)"),
        (b"<html></html>", r"something other than an MP4 file \(of no known type\)"),
    ],
)
def test_what_is_no_video_is_refused(body, text):
    download = Download(URL)
    download.answered(200, {})
    with pytest.raises(ViduDownloadError, match=text):  # noqa: PT012 - either of the two may tell
        download.take(body)
        download.ended()
    assert download.written == 0


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "0"}])
def test_an_empty_answer_is_asked_again(headers):
    download = Download(URL)
    download.answered(200, headers)
    with pytest.raises(BrokenOff, match="the response was empty"):
        download.ended()


def test_more_bytes_than_were_announced_are_refused():
    download = begun(len(VIDEO))
    download.take(b"more")
    with pytest.raises(ViduDownloadError, match="announced 100 bytes, but sent 104"):
        download.ended()


def test_too_large_a_video_is_refused_before_it_comes_where_it_says_so():
    assert Download(URL).answered(200, {"Content-Length": f"{MAX_VIDEO_BYTES}"}) is True
    with pytest.raises(ViduDownloadError, match="at most 5,368,709,120 bytes, got 5,368,709,121 or more"):
        Download(URL).answered(200, {"Content-Length": f"{MAX_VIDEO_BYTES + 1}"})


def test_too_large_a_video_is_refused_while_it_comes_where_it_does_not(monkeypatch):
    monkeypatch.setattr(download, "MAX_VIDEO_BYTES", 50)
    begin = Download(URL)
    begin.answered(200, {})
    assert begin.take(VIDEO[:50]) == VIDEO[:50]
    with pytest.raises(ViduDownloadError, match="at most 50 bytes, got 51 or more"):
        begin.take(VIDEO[50:51])


BASE = "https://videos.example.com/a/b.mp4?token=t"
MOVES = {
    "whole": ("https://other.example/c.mp4", "https://other.example/c.mp4"),
    "of the same host": ("/c.mp4?x=1", "https://videos.example.com/c.mp4?x=1"),
    "of the same folder": ("c.mp4", "https://videos.example.com/a/c.mp4"),
    "of the same scheme": ("//other.example/c.mp4", "https://other.example/c.mp4"),
    "blanks around it": (" /c.mp4\t", "https://videos.example.com/c.mp4"),
    "a blank in it": ("/c d.mp4", "https://videos.example.com/c d.mp4"),
    "slashes of Windows": ("\\c.mp4", "https://videos.example.com/c.mp4"),
    "a host after slashes of Windows": ("\\\\other.example\\c.mp4", "https://other.example/c.mp4"),
    "bytes of UTF-8": ("/视频.mp4".encode().decode("latin-1"), "https://videos.example.com/%E8%A7%86%E9%A2%91.mp4"),
    "bytes of Latin-1": ("/\xe9.mp4", "https://videos.example.com/%E9.mp4"),
    "a lone per cent": ("/100%.mp4?s=a%2Bb", "https://videos.example.com/100%.mp4?s=a%2Bb"),
}


@pytest.mark.parametrize(("location", "target"), MOVES.values(), ids=list(MOVES))
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_where_a_browser_would_go(status, location, target):
    assert moved_to(BASE, status, {"location": location}) == target


@pytest.mark.parametrize(
    ("status", "headers"),
    [(200, {"Location": "/c.mp4"}), (304, {"Location": "/c.mp4"}), (302, {}), (302, {"Location": ""})],
)
def test_what_leads_nowhere_is_no_redirect(status, headers):
    assert moved_to(BASE, status, headers) is None


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://a/b.mp4",
        "http://[::1/a.mp4",
        "//[::1/a.mp4",
        "http://a:99999/",
        "http://a:0/",
        "http:",
    ],
)
def test_a_redirect_to_what_is_no_url_is_refused(location):
    with pytest.raises(ViduDownloadError) as caught:
        moved_to(BASE, 302, {"Location": location})
    assert str(caught.value) == (
        f"{without_secrets(BASE)} redirects to something that is not an http(s) URL. A retry cannot help."
    )


def test_pauses_grow_and_end():
    broken = begun(40)
    assert [broken.resume_after("why") for _ in range(MAX_REQUESTS - 1)] == [1.0, 2.0, 4.0, 8.0]
    with pytest.raises(ViduDownloadError) as caught:
        broken.resume_after("the connection was reset")
    assert str(caught.value) == (
        f"The download of {NAME} stopped after 40 bytes, at request 5: the connection was reset."
    )


def test_requests_that_bring_something_new_do_not_use_up_the_tries():
    broken = begun(40)
    pauses = [broken.resume_after("why") for _ in range(3)]
    broken.take(b"new")
    pauses += [broken.resume_after("why") for _ in range(3)]
    # Less than before is nothing new, as after a restart.
    broken.written -= 1
    pauses.append(broken.resume_after("why"))
    assert pauses == [1.0, 2.0, 4.0, 1.0, 2.0, 4.0, 8.0]
    with pytest.raises(ViduDownloadError, match="at request 8: why"):
        broken.resume_after("why")


def test_a_host_that_gives_a_byte_at_a_time_is_given_up():
    broken = begun(40)
    for _ in range(MOST_REQUESTS - 1):
        broken.take(b"!")
        broken.resume_after("why")
    broken.take(b"!")
    with pytest.raises(ViduDownloadError, match=f"at request {MOST_REQUESTS}"):
        broken.resume_after("why")


def test_a_length_beside_a_transfer_coding_is_not_the_files():
    download = Download(URL)
    download.answered(200, {"Content-Length": "17", "Transfer-Encoding": "chunked"})
    download.take(VIDEO)
    download.ended()
    assert (download.total, download.written) == (None, len(VIDEO))
