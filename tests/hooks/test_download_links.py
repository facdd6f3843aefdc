# SPDX-License-Identifier: Apache-2.0
"""Where links, redirects and proxies lead, and where a download does not follow them."""

from __future__ import annotations

import io
import socket
from queue import SimpleQueue

import pytest

from airflow_provider_vidu import exceptions
from airflow_provider_vidu.hooks import guard
from airflow_provider_vidu.hooks.vidu import ViduHook
from dev.emulator_client import set_connection
from tests.hooks.hosts import VIDEO, Answers
from tests.hooks.test_downloader import downloaded, host

pytestmark = pytest.mark.usefixtures("soon", "emulator")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (" {}\n", "/video"),
        ("\t\r\n{}\x00 ", "/video"),
        ("{}/a b/视频.mp4?x=1 2", "/video/a%20b/%E8%A7%86%E9%A2%91.mp4?x=1%202"),
        ("{}/a\tb\nc.mp4", "/video/abc.mp4"),
        ("{}\\a.mp4?b=\\c", "/video/a.mp4?b=\\c"),
        ("{}/a.mp4#t=1", "/video/a.mp4"),
        ("{}/100%.mp4", "/video/100%.mp4"),
        ("{}/100%.mp4?sign=a%2Bb%2f%3D", "/video/100%.mp4?sign=a%2Bb%2f%3D"),
        # A host may have signed the link as it is.
        ("{}/%7ekite%7E~.mp4?a=%7E|[b]'^`{{}}\"", "/video/%7ekite%7E~.mp4?a=%7E|[b]%27^`{}%22"),
        ("{}/a|[b]'^`{{}}\".mp4?", "/video/a|[b]'%5E%60%7B%7D%22.mp4?"),
        ("{}/./a/%2e%2E/b//c/..", "/video/b//"),
        ("{}/../../.%2e/a/.", "/a/"),
        ("{}/https://cdn.example/a.mp4?b=https://c", "/video/https://cdn.example/a.mp4?b=https://c"),
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
    ("location", "path"),
    [
        ("/a b.mp4 ", "/a%20b.mp4"),
        ("\\a.mp4", "/a.mp4"),
        ("/\xe8\xa7\x86.mp4", "/%E8%A7%86.mp4"),
        ("/\xe9.mp4", "/%E9.mp4"),
        ("/%zz?sign=a%2bb|%7E", "/%zz?sign=a%2bb|%7E"),
        ("{}?", "/video/a.mp4?"),
    ],
    ids=ascii,
)
def test_a_redirect_is_followed_as_browsers_do(location, path):
    seen = []

    def answer(handler):
        seen.append(handler.path)
        if handler.path == "/video":
            Answers(b"", status=302, Location=location.format(f"{url}/a.mp4"), Content_Length="0")(handler)
        else:
            Answers()(handler)

    with host(answer) as url:
        assert downloaded(url) == VIDEO
    assert seen == ["/video", path]


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


def test_a_proxy_gets_a_link_as_it_is(public_api, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "")
    seen = []

    def answer(handler):
        seen.append(handler.path)
        Answers()(handler)

    with host(answer) as url:
        monkeypatch.setenv("HTTP_PROXY", url.removesuffix("/video"))
        assert downloaded("http://videos.example/%7ea.mp4?b=%7E|") == VIDEO
    assert seen == ["http://videos.example/%7ea.mp4?b=%7E|"]


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
