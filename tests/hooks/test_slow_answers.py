# SPDX-License-Identifier: Apache-2.0
"""Servers that send a byte now and then, and answers that are slow but come."""

from __future__ import annotations

import io
import socket
import threading
from contextlib import contextmanager

import pytest

from airflow_provider_vidu import exceptions
from airflow_provider_vidu.hooks import answers
from airflow_provider_vidu.hooks.vidu import ViduHook
from dev.emulator_client import set_connection
from tests.hooks.test_downloader import mp4
from tests.transports import BODY

VIDEO = mp4(9_000)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
SUBMITTED = b'{"output": {"task_id": "task-7"}, "request_id": "r"}'


@contextmanager
def dripping(answer: bytes, *, at_once: int, piece: int, pause: float):
    """Send the beginning of an answer at once, and the rest in pieces, to each client."""
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            connection.recv(65536)
            try:
                connection.sendall(answer[:at_once])
                for at in range(at_once, len(answer), piece):
                    if over.wait(pause):
                        return
                    connection.sendall(answer[at : at + piece])
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            server.shutdown(socket.SHUT_RDWR)


def endless(body: bytes) -> bytes:
    """An answer that takes minutes at the pace of these tests."""
    return HEAD % (len(body) + 5000) + body + b" " * 5000


@pytest.mark.parametrize("at_once", [5, len(HEAD) + 10], ids=["in the head", "in the body"])
@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda hook: hook.submit(BODY), exceptions.ViduSubmissionUncertainError),
        (lambda hook: hook.get_task("task-7"), exceptions.ViduUnavailableError),
    ],
    ids=["submit", "poll"],
)
def test_an_answer_that_drips_is_given_up_after_the_timeout(monkeypatch, call, error, at_once):
    with dripping(endless(SUBMITTED), at_once=at_once, piece=1, pause=0.1) as url:
        set_connection(monkeypatch, host=url, extra={"timeout": 1})
        with pytest.raises(error):
            call(ViduHook())


@pytest.mark.usefixtures("soon")
def test_a_video_that_drips_is_given_up(monkeypatch):
    with dripping(HEAD % len(VIDEO) + VIDEO, at_once=500, piece=1, pause=0.1) as url:
        set_connection(monkeypatch, host=url, extra={"timeout": 1})
        with pytest.raises(exceptions.ViduDownloadError, match="stopped after"):
            ViduHook().download(f"{url}/a.mp4", io.BytesIO())


def test_a_slow_video_outlasts_the_timeout_as_long_as_it_comes(monkeypatch):
    monkeypatch.setattr(answers, "LEAST_BYTES_PER_SECOND", 500)
    target = io.BytesIO()
    with dripping(HEAD % len(VIDEO) + VIDEO, at_once=500, piece=900, pause=0.3) as url:
        set_connection(monkeypatch, host=url, extra={"timeout": 1})
        ViduHook().download(f"{url}/a.mp4", target)
    assert target.getvalue() == VIDEO


def test_an_interim_answer_of_a_proxy_is_not_the_outcome_of_a_submit(monkeypatch):
    answer = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + HEAD % len(SUBMITTED) + SUBMITTED
    with dripping(answer, at_once=len(answer), piece=1, pause=0) as proxy:
        set_connection(monkeypatch, host="http://api.example.com", extra={"proxies": {"http": proxy}})
        assert ViduHook().submit(BODY).task_id == "task-7"
