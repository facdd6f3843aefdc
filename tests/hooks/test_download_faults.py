# SPDX-License-Identifier: Apache-2.0
"""Hosts that cut, encode, misdirect or lie, and what becomes of a download from them."""

from __future__ import annotations

import gzip
import io
import socket
import zlib
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from threading import Thread
from urllib.parse import quote

import pytest

from airflow_provider_vidu import exceptions
from airflow_provider_vidu.hooks import guard
from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.protocol import download
from airflow_provider_vidu.protocol.download import MAX_REQUESTS
from dev.emulator_client import set_connection
from tests.hooks.test_downloader import downloaded, host, mp4

pytestmark = pytest.mark.usefixtures("soon", "emulator")

VIDEO = mp4(50_000)


class Answers:
    """A host that gives the same answer again and again, and closes each connection after so many bytes of it."""

    def __init__(self, body: bytes = VIDEO, *, sent: int | None = None, status: int = 200, chunked=False, **headers):
        self.body, self.sent, self.status, self.chunked = body, sent, status, chunked
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.asked: list[dict[str, str]] = []

    def __call__(self, handler) -> None:
        self.asked.append(dict(handler.headers))
        handler.send_response(self.status)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.send_header("Connection", "close")
        handler.end_headers()
        body = self.body[: self.sent]
        if self.chunked:
            pieces = [body[at : at + 9000] for at in range(0, len(body), 9000)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
            body += b"0\r\nX-Trailer: 1\r\n\r\n" if self.sent is None else b""
        handler.wfile.write(body)
        handler.close_connection = True

    @contextmanager
    def url(self):
        # A function, which becomes the handler's method.
        with host(lambda handler: self(handler)) as address:
            yield address


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


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (" {}\n", "/video"),
        ("\t\r\n{}\x00 ", "/video"),
        ("{}/a b/视频.mp4?x=1 2", "/video/a%20b/%E8%A7%86%E9%A2%91.mp4?x=1%202"),
        ("{}/a\tb\nc.mp4", "/video/abc.mp4"),
        ("{}\\a.mp4?b=\\c", "/video/a.mp4?b=%5Cc"),
        ("{}/a.mp4#t=1", "/video/a.mp4"),
        ("{}/100%.mp4", "/video/100%25.mp4"),
        ("{}/100%.mp4?sign=a%2Bb%2f%3D", "/video/100%25.mp4?sign=a%2Bb%2F%3D"),
        ("HTTP{}", "/video"),
    ],
    ids=ascii,
)
def test_what_a_browser_plays_from_a_link_is_downloaded(change, path):
    seen = []

    def answer(handler):
        seen.append(handler.path)
        Answers()(handler)

    with host(answer) as url:
        assert downloaded(change.format(url.removeprefix("http") if change == "HTTP{}" else url)) == VIDEO
    assert seen == [path]


@pytest.mark.parametrize(
    "location", ["/a b.mp4 ", "\\a.mp4", "/\xe8\xa7\x86.mp4", "/\xe9.mp4", "/%zz?sign=a%2Bb"], ids=ascii
)
def test_a_redirect_is_followed_as_browsers_do(location):
    seen = []

    def answer(handler):
        seen.append(handler.path)
        if handler.path == "/video":
            Answers(b"", status=302, Location=location, Content_Length="0")(handler)
        else:
            Answers()(handler)

    with host(answer) as url:
        assert downloaded(url) == VIDEO
    expected = {"/a b.mp4 ": "/a%20b.mp4", "\\a.mp4": "/a.mp4", "/%zz?sign=a%2Bb": "/%25zz?sign=a%2Bb"}
    assert seen == ["/video", expected.get(location) or quote(location.encode("latin-1"))]


def test_nothing_of_a_redirect_but_its_head_is_read():
    def answer(handler):
        if handler.path != "/video":
            return Answers()(handler)
        # It announces more than it ever sends.
        Answers(b"x", status=302, Location="/a.mp4", Content_Length="1000000")(handler)
        handler.wfile.flush()
        try:
            read.put(handler.rfile.read(1))
        except ConnectionResetError:
            # So ends a connection of which not all was read.
            read.put(b"")
        return None

    read = SimpleQueue()
    with host(answer) as url:
        assert downloaded(url) == VIDEO
    assert read.get(timeout=10) == b""


def test_a_circle_of_redirects_ends():
    answers = Answers(b"", status=302, Location="/video", Content_Length="0")
    with answers.url() as url, pytest.raises(exceptions.ViduDownloadError, match="redirects more than 20 times"):
        ViduHook().download(url, io.BytesIO())
    assert len(answers.asked) == 21


@pytest.mark.parametrize(
    "link", ["http://a:99999/", "http://[::1/a.mp4", "http://.example/a.mp4", f"http://{'a' * 64}.b/"]
)
def test_a_link_that_leads_nowhere_is_asked_for_once(soon, link):
    with pytest.raises(exceptions.ViduDownloadError, match="has no valid host"):
        ViduHook().download(link, io.BytesIO())


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


ADDRESSES = {
    "8.8.8.8": True,
    "2001:4860:4860::8888": True,
    "::ffff:8.8.8.8": True,
    "64:ff9b::808:808": True,
    **dict.fromkeys(("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"), False),
    **dict.fromkeys(("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1"), False),
    **dict.fromkeys(("ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1"), False),
    **dict.fromkeys(("2002:7f00:1::", "2002:a00:1::1", "198.18.0.1", "192.0.2.1"), False),
    **dict.fromkeys(("64:ff9b:1::808:808", "fec0::1", "::127.0.0.1", "::10.0.0.1"), False),
}


@pytest.mark.parametrize(("address", "expected"), ADDRESSES.items())
def test_an_address_is_public_or_it_is_not(address, expected):
    assert guard.is_public(address) is expected


@pytest.fixture
def public_api(monkeypatch):
    """A connection whose API has a public address, so that no link may lead to this machine."""
    really_resolve = socket.getaddrinfo

    def resolve(name, *args, **kwargs):
        found = {"api.example": "8.8.8.8", "rebound.example": "127.0.0.1"}.get(name, name)
        return really_resolve(found, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    set_connection(monkeypatch, host="https://api.example")


REFUSED = r"^The host of a result link must have a public address, got '{}'\. Nothing was downloaded\. If"


@pytest.mark.parametrize("name", ["127.0.0.1", "rebound.example", "0177.0.0.1", "2130706433"])
def test_a_link_into_the_workers_own_network_is_refused(public_api, name):
    answers = Answers()
    with answers.url() as url, pytest.raises(exceptions.ViduDownloadError, match=REFUSED.format(name)):
        ViduHook().download(url.replace("127.0.0.1", name), io.BytesIO())
    assert answers.asked == []


def test_a_redirect_into_the_workers_own_network_is_refused(public_api, monkeypatch):
    inside = Answers()
    # The first of the two hosts counts as public here.
    really_public, passed = guard.is_public, []

    def is_public(address):
        passed.append(address)
        return len(passed) == 1 or really_public(address)

    monkeypatch.setattr(guard, "is_public", is_public)
    with inside.url() as target:
        outside = Answers(b"", status=302, Location=target, Content_Length="0")
        with outside.url() as url, pytest.raises(exceptions.ViduDownloadError, match=REFUSED.format(r"127\.0\.0\.1")):
            ViduHook().download(url, io.BytesIO())
    assert (len(outside.asked), inside.asked) == (1, [])


def test_a_link_into_the_network_is_followed_where_the_configuration_says_so(public_api, monkeypatch):
    monkeypatch.setenv("AIRFLOW__VIDU__ALLOW_PRIVATE_RESULT_HOSTS", "True")
    with Answers().url() as url:
        assert downloaded(url) == VIDEO


def test_a_configuration_that_is_no_boolean_is_named(public_api, monkeypatch):
    monkeypatch.setenv("AIRFLOW__VIDU__ALLOW_PRIVATE_RESULT_HOSTS", "maybe")
    with Answers().url() as url, pytest.raises(exceptions.ViduDownloadError) as raised:
        ViduHook().download(url, io.BytesIO())
    assert str(raised.value) == (
        "allow_private_result_hosts in Airflow's section [vidu] must be True or False, got 'maybe'. Nothing "
        "was downloaded. Correct the configuration of the workers."
    )


def test_a_link_into_the_network_is_followed_where_the_api_itself_is_there(monkeypatch):
    set_connection(monkeypatch, host="http://localhost:1")
    with Answers().url() as url:
        assert downloaded(url) == VIDEO


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_a_video_is_fetched_by_the_proxy_for_downloads(public_api, monkeypatch, variable):
    monkeypatch.setenv("NO_PROXY", "")
    proxy = Answers()
    with proxy.url() as url:
        address = url.removesuffix("/video")
        set_connection(monkeypatch, host="https://api.example", extra={"download_proxies": {"http": address}})
        assert downloaded("http://videos.example/a.mp4") == VIDEO
        set_connection(monkeypatch, host="https://api.example")
        # Without a scheme, as curl takes it.
        monkeypatch.setenv(variable, address.removeprefix("http://"))
        assert downloaded("http://videos.example/a.mp4") == VIDEO
    assert len(proxy.asked) == 2


def test_a_proxy_that_downloads_cannot_use_is_refused_before_anything_is_paid(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    extra = {"proxies": {"https": "http://127.0.0.1:9"}}
    set_connection(monkeypatch, host="https://api.example", extra=extra)
    with pytest.raises(exceptions.ViduConnectionSettingsError, match="Set another one as download_proxies in the conn"):
        ViduHook().settings()
    set_connection(monkeypatch, host="https://api.example", extra={**extra, "download_proxies": extra["proxies"]})
    assert ViduHook().settings().download_proxy("https://videos.example") == "http://127.0.0.1:9"


def test_behind_a_proxy_an_address_in_the_link_is_refused_and_a_name_is_the_proxys(public_api, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "")
    proxy = Answers()
    with proxy.url() as url:
        monkeypatch.setenv("HTTP_PROXY", url.removesuffix("/video"))
        for address in ("10.0.0.1", "0x7f.1", "0177.0.0.1", "2130706433", "[::1]"):
            with pytest.raises(exceptions.ViduDownloadError, match="must have a public address"):
                ViduHook().download(f"http://{address}/a.mp4", io.BytesIO())
        assert downloaded("http://videos.example/a.mp4") == VIDEO
    assert len(proxy.asked) == 1


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
