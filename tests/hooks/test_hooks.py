# SPDX-License-Identifier: Apache-2.0
"""One list of scenarios runs through both transports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import traceback

import pytest
from airflow.sdk import BaseHook

from airflow_provider_vidu import exceptions
from airflow_provider_vidu.hooks.connection import ConnectionSettings
from airflow_provider_vidu.hooks.exchange import Exchange
from airflow_provider_vidu.hooks.vidu import ViduAsyncHook, ViduHook
from airflow_provider_vidu.protocol.request import build
from airflow_provider_vidu.protocol.response import TaskStatus
from dev.emulator_client import KEY, RunningEmulator, set_connection
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


def test_the_bearer_scheme_is_the_connections_choice(hook, emulator, monkeypatch):
    set_connection(monkeypatch, host=emulator.url, extra={"auth_scheme": "bearer", "X-Mine": "1", "number": 5})
    hook.submit()
    headers = emulator.requests[-1]["headers"]
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert not {"x-mine", "number", "auth_scheme"} & {name.lower() for name in headers}


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


class _Recorder:
    """A proxy that refuses everything and remembers that it was asked."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.asked = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.getsockname()[1]}"

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.server.accept()
                self.asked.set()
                with peer:
                    peer.recv(65536)
                    peer.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def proxies():
    """A proxy for the connection and one for the environment."""
    both = (_Recorder(), _Recorder())
    yield both
    for proxy in both:
        proxy.server.close()


def test_the_connections_proxy_wins_over_the_environments_and_its_password_shows_nowhere(hook, proxies, monkeypatch):
    mine, environments = proxies
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://{environments.address}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    extra = {"proxies": {"https": f"http://user:pr0xy-pass@{mine.address}"}}
    set_connection(monkeypatch, host="https://api.example.com", extra=extra)
    with pytest.raises(exceptions.ViduApiError) as caught:
        hook.get_task("some-task")
    assert (mine.asked.is_set(), environments.asked.is_set()) == (True, False)
    assert "pr0xy-pass" not in "".join(traceback.format_exception(caught.value))


def test_the_connections_verify_wins_over_the_environments_ca_bundle(hook, emulator, monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "no-such-bundle.pem"))
    set_connection(monkeypatch, host=emulator.url.replace("http:", "https:"), extra={"verify": False})
    # The emulator speaks no TLS: a handshake that fails for that reason was begun without reading the bundle.
    with pytest.raises(exceptions.ViduConnectError, match="SSL"):
        hook.submit()


def test_an_airflow_that_does_not_answer_is_a_passing_fault(hook, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("the api-server is down")

    async def abroken(*_: object) -> None:
        broken()

    monkeypatch.setattr(BaseHook, "get_connection", broken)
    monkeypatch.setattr(BaseHook, "aget_connection", abroken)
    with pytest.raises(
        exceptions.ViduConnectError, match=r"Could not read the connection .* from Airflow \(RuntimeError\)"
    ):
        hook.get_task("some-task")


def test_a_prepared_request_does_not_show_the_key():
    exchange = Exchange.submit(ConnectionSettings("https://example.com", KEY), BODY)
    assert KEY not in repr(exchange)


def test_a_missing_connection_is_named(hook):
    with pytest.raises(exceptions.ViduConnectionSettingsError, match="There is no Airflow connection 'vidu_default'"):
        hook.submit()


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


def test_the_connection_test_is_free_and_tells_a_good_key_from_a_bad_one(emulator, monkeypatch):
    assert ViduHook().test_connection() == (True, f"Connected: {emulator.url} accepted the API key.")
    set_connection(monkeypatch, host=emulator.url, password="wrong-key")
    works, text = ViduHook().test_connection()
    assert not works
    assert "HTTP 401" in text
    assert emulator.tasks == []


def test_the_connection_test_names_the_scheme_that_works(monkeypatch):
    from airflow_provider_vidu.emulator.server import Settings, running

    with running(Settings(key=KEY, auth_scheme="bearer")) as url:
        set_connection(monkeypatch, host=url)
        answer = ViduHook().test_connection()
        assert answer == (False, "The API key is valid, but needs another scheme: set auth_scheme to bearer.")
        set_connection(monkeypatch, host=url, extra={"auth_scheme": "bearer"})
        assert ViduHook().test_connection()[0]


def test_the_connection_test_tells_a_wrong_address_and_a_missing_connection(emulator, monkeypatch):
    set_connection(monkeypatch, host=f"{emulator.url}/elsewhere")
    works, text = ViduHook().test_connection()
    assert (works, "base URL" in text) == (False, True)
    monkeypatch.delenv("AIRFLOW_CONN_VIDU_DEFAULT")
    assert ViduHook().test_connection()[0] is False


async def test_the_async_hook_picks_up_a_rotated_key(emulator: RunningEmulator, monkeypatch):
    with ViduAsyncHook.shared() as hook:
        task_id = (await hook.submit(BODY)).task_id
        await asyncio.to_thread(emulator.control, "POST", "key", {"key": "a-new-key"})
        with pytest.raises(exceptions.ViduAuthError):
            await hook.get_task(task_id)
        set_connection(monkeypatch, host=emulator.url, password="a-new-key")
        assert (await hook.get_task(task_id)).task_id == task_id


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
