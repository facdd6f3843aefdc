# SPDX-License-Identifier: Apache-2.0
"""One list of scenarios runs through both transports."""

from __future__ import annotations

import json
import socket
import threading
import traceback

import pytest
from airflow.sdk.execution_time import comms, task_runner

from airflow_provider_vidu import exceptions
from airflow_provider_vidu.emulator import KEY
from airflow_provider_vidu.hooks.connection import ConnectionSettings
from airflow_provider_vidu.hooks.exchange import Exchange
from airflow_provider_vidu.hooks.vidu import ViduAsyncHook, ViduHook
from airflow_provider_vidu.protocol.request import build
from airflow_provider_vidu.protocol.response import TaskStatus
from dev.emulator_client import set_connection
from tests.transports import BODY


@pytest.fixture
def listener():
    """A socket that listens and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_submit_is_one_documented_post(hook, emulator):
    frame = "https://example.com/a.png"
    asked = {"first_frame_url": frame, "prompt": "let it fly", "duration": 5, "seed": 0, "resolution": "720p"}
    asked |= {"movement_amplitude": "auto", "bgm": False}
    submission = hook.submit(build("img2video", "viduq2-pro", asked))
    (sent,) = emulator.requests
    (task,) = emulator.tasks
    assert (sent["method"], sent["path_qs"]) == ("POST", "/v1/tasks/submit")
    assert sent["headers"]["Authorization"] == KEY
    assert sent["headers"]["Content-Type"] == "application/json"
    assert submission.task_id == task["task_id"]
    assert submission.request_id
    assert task["body"] == {
        "model": "viduq2-pro",
        "input": {"first_frame_url": frame, "prompt": "let it fly"},
        "parameters": {
            "vidu_type": "img2video",
            "duration": 5,
            "seed": 0,
            "resolution": "720p",
            "movement_amplitude": "auto",
            "bgm": False,
        },
    }


def test_a_status_request_is_one_documented_get(hook, emulator):
    task_id = hook.submit().task_id
    status = hook.get_task(task_id)
    sent = emulator.requests[-1]
    (task,) = emulator.tasks
    assert (sent["method"], sent["path_qs"]) == ("GET", f"/v1/tasks/status?task_id={task_id}")
    assert sent["headers"]["Authorization"] == KEY
    assert status == TaskStatus(
        task_id=task_id,
        word="Success",
        urls=(task["url"],),
        submit_time=task["submit_time"],
        finish_time=task["finish_time"],
        error_message="",
        video_seconds=1,
        request_id=status.request_id,
    )


def test_a_task_id_cannot_leave_the_query(hook, emulator):
    with pytest.raises(exceptions.ViduTaskNotFoundError):
        hook.get_task("a&b=c/../d#e f")
    assert emulator.requests[-1]["path_qs"] == "/v1/tasks/status?task_id=a%26b%3Dc%2F..%2Fd%23e%20f"


def test_a_failed_generation_is_told_with_the_servers_own_words(hook, emulator):
    task_id = hook.submit(build("text2video", "viduq2", {"prompt": "fail-by-moderation"})).task_id
    status = hook.get_task(task_id)
    assert (status.word, status.urls) == ("Failure", ())
    assert "CreationPolicyViolation" in status.error_message


# What each fault means for a submit: the error and how many generations the server accepted.
SUBMIT_FAULTS = [
    ({"fault": "rate_limit"}, "ViduRateLimitError", 0),
    ({"fault": "rate_limit", "retry_after": 7}, "ViduRateLimitError", 0),
    ({"fault": "error", "status": 400}, "ViduRefusedError", 0),
    ({"fault": "error", "status": 401}, "ViduAuthError", 0),
    ({"fault": "error", "status": 403}, "ViduAuthError", 0),
    ({"fault": "error", "status": 404}, "ViduRefusedError", 0),
    ({"fault": "redirect", "location": "/v1/tasks/submit"}, "ViduRefusedError", 0),
    ({"fault": "error", "status": 408}, "ViduSubmissionUncertainError", 0),
    ({"fault": "error", "status": 500}, "ViduSubmissionUncertainError", 0),
    ({"fault": "error", "status": 504}, "ViduSubmissionUncertainError", 0),
    ({"fault": "html"}, "ViduSubmissionUncertainError", 0),
    ({"fault": "garbage"}, "ViduSubmissionUncertainError", 0),
    ({"fault": "empty"}, "ViduSubmissionUncertainError", 0),
    ({"fault": "error_200"}, "ViduSubmissionUncertainError", 0),
    ({"fault": "no_task_id"}, "ViduSubmissionUncertainError", 0),
    ({"fault": "drop"}, "ViduSubmissionUncertainError", 0),
    ({"fault": "accept_then_drop"}, "ViduSubmissionUncertainError", 1),
    ({"fault": "accept_then_error", "status": 504}, "ViduSubmissionUncertainError", 1),
]


@pytest.mark.parametrize(("fault", "error", "accepted"), SUBMIT_FAULTS, ids=lambda value: str(value))
def test_a_submit_that_meets_a_fault_is_sent_once_and_its_outcome_named(hook, emulator, fault, error, accepted):
    emulator.arm({"on": "submit", **fault})
    with pytest.raises(getattr(exceptions, error)) as caught:
        hook.submit()
    assert type(caught.value).__name__ == error
    assert [sent["method"] for sent in emulator.requests] == ["POST"]
    assert len(emulator.tasks) == accepted


STATUS_FAULTS = [
    ({"fault": "rate_limit", "retry_after": 7}, "ViduRateLimitError"),
    ({"fault": "error", "status": 400}, "ViduRefusedError"),
    ({"fault": "error", "status": 401}, "ViduAuthError"),
    ({"fault": "error", "status": 500}, "ViduUnavailableError"),
    ({"fault": "html"}, "ViduUnavailableError"),
    ({"fault": "garbage"}, "ViduUnavailableError"),
    ({"fault": "empty"}, "ViduUnavailableError"),
    ({"fault": "error_200"}, "ViduUnavailableError"),
    # aiohttp itself reads once more after the first drop.
    ({"fault": "drop", "times": 2}, "ViduUnavailableError"),
    ({"fault": "redirect", "location": "/"}, "ViduRefusedError"),
]


@pytest.mark.parametrize(("fault", "error"), STATUS_FAULTS, ids=lambda value: str(value))
def test_a_status_request_that_meets_a_fault_names_it_and_the_next_one_succeeds(hook, emulator, fault, error):
    task_id = hook.submit().task_id
    emulator.arm({"on": "status", **fault})
    with pytest.raises(exceptions.ViduApiError, match=task_id) as caught:
        hook.get_task(task_id)
    assert type(caught.value).__name__ == error
    emulator.control("DELETE", "faults")
    assert hook.get_task(task_id).word == "Success"


def test_a_refused_connection_means_that_nothing_was_sent(hook, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    set_connection(monkeypatch, host=f"http://127.0.0.1:{port}")
    with pytest.raises(exceptions.ViduConnectError, match="Nothing was sent or paid"):
        hook.submit()


def test_a_failed_tls_handshake_means_that_nothing_was_sent(hook, emulator, monkeypatch):
    set_connection(monkeypatch, host=emulator.url.replace("http:", "https:"))
    with pytest.raises(exceptions.ViduConnectError):
        hook.submit()


def test_a_host_that_does_not_exist_means_that_nothing_was_sent(hook, monkeypatch):
    set_connection(monkeypatch, host="http://no-such-host.invalid")
    with pytest.raises(exceptions.ViduConnectError):
        hook.submit()


def test_a_submit_without_an_answer_in_time_is_uncertain(hook, listener, monkeypatch):
    set_connection(monkeypatch, host=listener, extra={"timeout": 0.2})
    with pytest.raises(exceptions.ViduSubmissionUncertainError, match="may have accepted"):
        hook.submit()


def test_a_status_request_without_an_answer_in_time_may_be_repeated(hook, listener, monkeypatch):
    set_connection(monkeypatch, host=listener, extra={"timeout": 0.2})
    with pytest.raises(exceptions.ViduUnavailableError, match="Polling costs nothing"):
        hook.get_task("some-task")


def test_a_prepared_request_does_not_show_the_key():
    exchange = Exchange.submit(ConnectionSettings("https://example.com", KEY), BODY)
    assert KEY not in repr(exchange)


def test_the_key_shows_in_no_exception_even_if_the_server_repeats_it(hook, monkeypatch):
    body = json.dumps({"error": {"message": f"bad key {KEY}", "code": "auth_error"}}).encode()
    with socket.create_server(("127.0.0.1", 0)) as server:
        set_connection(monkeypatch, host=f"http://127.0.0.1:{server.getsockname()[1]}")
        answer = b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        with (
            _answering(server, answer),
            pytest.raises(exceptions.ViduAuthError, match=r"bad key \*\*\*") as caught,
        ):
            hook.submit()
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert KEY not in repr(vars(caught.value))


class _answering:
    """Answer one request on a listening socket with fixed bytes."""

    def __init__(self, server: socket.socket, answer: bytes) -> None:
        self.thread = threading.Thread(target=self._serve, args=(server, answer))

    @staticmethod
    def _serve(server: socket.socket, answer: bytes) -> None:
        peer, _ = server.accept()
        with peer:
            peer.recv(65536)
            peer.sendall(answer)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(65536):
                pass

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.thread.join(10)


@pytest.mark.parametrize("name", ["run", "run_and_check", "run_with_advanced_retry"])
def test_the_doors_of_the_http_hook_send_nothing(emulator, name):
    with pytest.raises(exceptions.ViduRequestError, match="must send requests with submit"):
        getattr(ViduHook(), name)("/v1/tasks/submit", data="{}")
    assert [sent for sent in emulator.requests if sent["method"] == "POST"] == []


@pytest.mark.parametrize("interim", [102, 103, 199])
def test_an_interim_answer_is_not_taken_for_the_outcome_of_a_submit(hook, monkeypatch, interim):
    body = b'{"output": {"task_id": "task-7"}, "request_id": "r"}'
    final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 %d Wait\r\nLink: </a>\r\n\r\n" % interim + final)

        thread = threading.Thread(target=answer)
        thread.start()
        set_connection(monkeypatch, host=f"http://127.0.0.1:{server.getsockname()[1]}")
        submission = hook.submit(build("text2video", "viduq2", {"prompt": "a kite"}))
        thread.join()
    assert submission.task_id == "task-7"


async def test_a_worker_that_cannot_await_its_supervisor_finds_a_stored_connection(emulator, monkeypatch):
    asked = []

    async def asend(self, message):
        # What Airflow 3.1 does.
        raise NotImplementedError

    def send(self, message):
        asked.append((message.conn_id, threading.current_thread() is threading.main_thread()))
        given = {"conn_id": message.conn_id, "conn_type": "vidu", "host": emulator.url, "password": KEY}
        empty = dict.fromkeys(("schema", "login", "port", "extra"))
        return comms.ConnectionResult.model_validate(empty | given)

    monkeypatch.setattr(comms.CommsDecoder, "asend", asend)
    monkeypatch.setattr(comms.CommsDecoder, "send", send)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms.CommsDecoder(socket=None), raising=False)
    hook = ViduAsyncHook("stored_in_airflow")
    try:
        assert (await hook.settings()).base_url == emulator.url
    finally:
        await hook.close()
    assert asked == [("stored_in_airflow", False)]
