# SPDX-License-Identifier: Apache-2.0
"""What a server, a connection or a caller may hand to a hook, and the one typed error that comes of it in both."""

from __future__ import annotations

import gzip
import http.server
import json
import threading
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest

from airflow_provider_vidu.exceptions import (
    ViduConnectionSettingsError,
    ViduRefusedError,
    ViduRequestError,
    ViduSubmissionUncertainError,
    ViduUnavailableError,
)
from airflow_provider_vidu.protocol.coding import MAX_ANSWER_BYTES
from airflow_provider_vidu.protocol.response import Submission, TaskStatus
from dev.emulator_client import set_connection
from tests.transports import BODY

ACCEPTED = json.dumps({"output": {"task_id": "t"}, "request_id": "r"}).encode()
RUNNING = json.dumps({"output": {"task_id": "t", "task_status": "Running"}, "request_id": "r"}).encode()


class Server:
    """Answers every request with the same status, headers and body; a header that is ``None`` is left out."""

    def __init__(self) -> None:
        self.status, self.headers, self.bodies = 200, {}, {}
        self.asked: list[dict[str, str]] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(dict(self.headers))
                body = server.bodies[self.command]
                self.send_response(server.status)
                for name, value in {"Content-Length": str(len(body)), **server.headers}.items():
                    if value is not None:
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    found = Server()
    set_connection(monkeypatch, host=found.url)
    yield found
    found.close()


def deflated(data: bytes, window: int) -> bytes:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, window)
    return squeezer.compress(data) + squeezer.flush()


CODINGS = {
    "gzip": ("gzip", gzip.compress),
    "gzip by its old name": ("X-GZip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "a bare deflate": ("deflate", lambda data: deflated(data, -15)),
    "two of them": ("deflate, gzip", lambda data: gzip.compress(zlib.compress(data))),
    "none": ("identity", bytes),
}


@pytest.mark.parametrize(("coding", "encode"), CODINGS.values(), ids=list(CODINGS))
def test_an_answer_is_decoded_whatever_was_asked_for(hook, server, coding, encode):
    server.headers = {"Content-Encoding": coding}
    server.bodies = {"POST": encode(ACCEPTED), "GET": encode(RUNNING)}
    assert hook.submit() == Submission("t", "r")
    assert hook.get_task("t") == TaskStatus("t", "Running", request_id="r")
    assert {asked["Accept-Encoding"] for asked in server.asked} == {"identity"}


def bomb(answer: bytes) -> bytes:
    """Some 60 kB that grow to 60 MB."""
    return gzip.compress(answer[:-1] + b', "more": "' + b" " * 60_000_000 + b'"}')


TOO_LARGE = {
    "a bomb": ({"Content-Encoding": "gzip"}, bomb),
    "a bomb in a bomb": ({"Content-Encoding": "gzip, gzip"}, lambda answer: gzip.compress(bomb(answer))),
    "plain": ({}, lambda answer: answer + b" " * MAX_ANSWER_BYTES),
    "without a length": ({"Content-Length": None}, lambda answer: answer + b" " * (8 * MAX_ANSWER_BYTES)),
}


@pytest.mark.parametrize(("headers", "make"), TOO_LARGE.values(), ids=list(TOO_LARGE))
def test_an_answer_without_bounds_fills_no_memory_and_is_named(hook, server, headers, make):
    server.headers, server.bodies = headers, {"POST": make(ACCEPTED), "GET": make(RUNNING)}
    tracemalloc.start()
    try:
        with pytest.raises(ViduSubmissionUncertainError, match="HTTP 200: more than 1,048,576 bytes"):
            hook.submit()
        with pytest.raises(ViduUnavailableError, match="HTTP 200: more than 1,048,576 bytes"):
            hook.get_task("t")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 * MAX_ANSWER_BYTES


def test_an_answer_of_the_largest_size_is_read(hook, server):
    server.bodies = {"GET": RUNNING + b" " * (MAX_ANSWER_BYTES - len(RUNNING))}
    assert hook.get_task("t").word == "Running"


@pytest.mark.parametrize(
    ("coding", "body"), [("gzip", RUNNING), ("br", b"\x8b\x1c\x80"), ("zstd", b"(\xb5/\xfd"), ("gzip, br", RUNNING)]
)
def test_an_answer_that_cannot_be_decoded_is_one_without_an_outcome(hook, server, coding, body):
    server.headers, server.bodies = {"Content-Encoding": coding}, {"POST": body, "GET": body}
    with pytest.raises(ViduSubmissionUncertainError, match="HTTP 200: an empty body"):
        hook.submit()
    with pytest.raises(ViduUnavailableError, match="HTTP 200: an empty body"):
        hook.get_task("t")


def test_a_plain_answer_under_the_name_of_an_unknown_coding_is_read(hook, server):
    server.headers, server.bodies = {"Content-Encoding": "utf-8"}, {"POST": ACCEPTED, "GET": RUNNING}
    assert hook.submit().task_id == "t"
    assert hook.get_task("t").word == "Running"


@pytest.mark.parametrize("task_id", ["x" * 257, "a\nERROR forged", "\x1b[31m", " "], ids=ascii)
def test_a_submit_whose_id_is_none_has_an_unknown_outcome(hook, server, task_id):
    server.bodies = {"POST": json.dumps({"output": {"task_id": task_id}}).encode()}
    with pytest.raises(ViduSubmissionUncertainError) as raised:
        hook.submit()
    assert str(raised.value).isprintable()


def test_what_an_answer_says_is_bounded(hook, server):
    urls = ["https://h/a.mp4", "https://h/" + "x" * 9000, *(f"https://h/{number}.mp4" for number in range(200))]
    output = {"task_status": "Success", "urls": urls, "error_message": "e" * 5000}
    server.bodies = {"GET": json.dumps({"output": output, "request_id": "r" * 5000}).encode()}
    status = hook.get_task("t")
    assert status.urls == ("https://h/a.mp4", *(f"https://h/{number}.mp4" for number in range(99)))
    assert {len(status.error_message), len(status.request_id)} == {301}


@pytest.mark.parametrize("task_id", [None, "", 1.5, ["t"], "a\nb", "x" * 257], ids=ascii)
def test_a_task_id_that_is_none_is_refused_before_anything_is_sent(hook, server, task_id):
    with pytest.raises(
        ViduRequestError, match=r"^vidu_task_id must be the id of a task.*Nothing was sent or paid\. Pass"
    ) as raised:
        hook.get_task(task_id)
    assert str(raised.value).isprintable()
    assert server.asked == []


def test_a_task_id_may_be_a_number(hook, server):
    server.bodies = {"GET": RUNNING.replace(b'"t"', b"42")}
    assert hook.get_task(42).task_id == "42"


@pytest.mark.parametrize("body", [None, [], "{}", 5, {"model": {1, 2}}, {("a",): 1}], ids=ascii)
def test_a_body_that_is_none_is_refused_before_anything_is_sent(hook, server, body):
    with pytest.raises(ViduRequestError, match=r"^body must be a mapping .*Nothing was sent or paid\. Build"):
        hook.submit(body)
    assert server.asked == []


HOSTS = ["https://.example", "https://a..b", f"https://{'a' * 64}.com", f"https://{'a.' * 130}com", "https://[::1"]
HOSTS += ["https://h:99999", "https://h h", "https://h\u0000h", "ftp://h", "https://user@h", "https://h?q", "https://"]


@pytest.mark.parametrize("host", HOSTS, ids=ascii)
def test_a_host_that_no_request_can_reach_is_refused_when_the_connection_is_read(hook, monkeypatch, host):
    set_connection(monkeypatch, host=host)
    for call in (hook.submit, lambda: hook.get_task("t")):
        with pytest.raises(ViduConnectionSettingsError, match="host must be a base URL of the form"):
            call()


UNUSABLE = [
    "http:127.0.0.1:9",
    "http://127.0.0.1:99999",
    "socks5://127.0.0.1:9",
    "socks5h://user:secret@127.0.0.1:9",
    "socks4://127.0.0.1:9",
    "ftp://127.0.0.1:9",
]


@pytest.mark.parametrize("proxy", UNUSABLE)
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY", "http_proxy"])
def test_a_proxy_of_the_environment_that_a_wait_cannot_use_is_named_at_once(hook, monkeypatch, variable, proxy):
    monkeypatch.setenv(variable, proxy)
    set_connection(monkeypatch, host="http://api.example")
    for call in (hook.submit, lambda: hook.get_task("t")):
        with pytest.raises(ViduConnectionSettingsError) as raised:
            call()
        assert str(raised.value).startswith("The proxy for http://api.example must be an http:// or https:// URL, got")
        assert "secret" not in str(raised.value)


# The connection's proxies, the environment, and whether the request goes to the proxy.
PROXIES = {
    "the environment's": ({}, {"HTTP_PROXY": "{proxy}"}, True),
    "none for a host that is left out": ({}, {"HTTP_PROXY": "{proxy}", "NO_PROXY": "127.0.0.1"}, False),
    "the environment's without its scheme": ({}, {"HTTP_PROXY": "{place}"}, True),
    "the environment's of any scheme": ({}, {"HTTP_PROXY": "//{place}"}, True),
    "the connection's": ({"http": "{proxy}"}, {}, True),
    "the connection's for all": ({"all": "{proxy}"}, {"NO_PROXY": "127.0.0.1"}, True),
    "the connection's for the host": ({"http://127.0.0.1": "{proxy}"}, {}, True),
    "the connection's own choice of none": ({"https": "{proxy}"}, {"HTTP_PROXY": "{proxy}"}, False),
}


@pytest.mark.parametrize(("extra", "environment", "is_used"), PROXIES.values(), ids=list(PROXIES))
def test_both_hooks_choose_the_same_proxy(hook, server, monkeypatch, extra, environment, is_used):
    proxy = Server()
    try:
        server.bodies = proxy.bodies = {"GET": RUNNING}
        for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value.format(proxy=proxy.url, place=proxy.url.removeprefix("http://")))
        proxies = {name: value.format(proxy=proxy.url) for name, value in extra.items()}
        set_connection(monkeypatch, host=server.url, extra={"proxies": proxies})
        assert hook.get_task("t").word == "Running"
        assert (len(proxy.asked), len(server.asked)) == ((1, 0) if is_used else (0, 1))
    finally:
        proxy.close()


def test_a_refusal_with_a_huge_body_is_a_refusal_all_the_same(hook, server):
    server.status, server.bodies = 400, {"POST": b"x" * (2 * MAX_ANSWER_BYTES)}
    with pytest.raises(ViduRefusedError, match="Nothing was paid"):
        hook.submit(BODY)


def test_a_library_s_words_are_shown_in_one_line_and_without_secrets():
    from airflow_provider_vidu.hooks.connection import ConnectionSettings

    settings = ConnectionSettings("https://h", "sk-secret-4711")
    error = ConnectionError(
        "sk-secret-4711\n[ERROR] at http://user:pw@proxy\r\x1b[31m https://h/a?X-Amz-Signature=abc&b=1"
    )
    assert settings.describe(error) == (
        "ConnectionError: ***\\n[ERROR] at http://***@proxy\\r\\x1b[31m https://h/a?X-Amz-Signature=***&b=1"
    )
