# SPDX-License-Identifier: Apache-2.0
"""What both hooks take from a connection: scheme, proxies and certificates; and its test."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import traceback

import pytest
from airflow.sdk import BaseHook

from airflow_provider_vidu import exceptions
from airflow_provider_vidu.emulator import KEY
from airflow_provider_vidu.emulator.client import ViduEmulator
from airflow_provider_vidu.hooks.vidu import ViduAsyncHook, ViduHook
from dev.emulator_client import set_connection
from tests.transports import BODY
from tests.versions import missing_connections_are_named


def test_the_bearer_scheme_is_the_connections_choice(hook, emulator, monkeypatch):
    set_connection(monkeypatch, host=emulator.url, extra={"auth_scheme": "bearer", "X-Mine": "1", "number": 5})
    hook.submit()
    headers = emulator.requests[-1]["headers"]
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert not {"x-mine", "number", "auth_scheme"} & {name.lower() for name in headers}


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
    # A directory without the certificates of its links.
    (tmp_path / "0a1b2c3d.0").symlink_to(tmp_path / "nowhere")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
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


@missing_connections_are_named
def test_a_missing_connection_is_named(hook):
    with pytest.raises(exceptions.ViduConnectionSettingsError, match="There is no Airflow connection 'vidu_default'"):
        hook.submit()


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


async def test_the_async_hook_picks_up_a_rotated_key(emulator: ViduEmulator, monkeypatch):
    with ViduAsyncHook.shared() as hook:
        task_id = (await hook.submit(BODY)).task_id
        await asyncio.to_thread(emulator.control, "POST", "key", {"key": "a-new-key"})
        with pytest.raises(exceptions.ViduAuthError):
            await hook.get_task(task_id)
        set_connection(monkeypatch, host=emulator.url, password="a-new-key")
        assert (await hook.get_task(task_id)).task_id == task_id
