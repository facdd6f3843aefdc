# SPDX-License-Identifier: Apache-2.0
"""The links, the connection and the key with which videos are fetched to be stored."""

from __future__ import annotations

import pytest

from airflow_provider_vidu.exceptions import ViduConnectionSettingsError, ViduDownloadError
from airflow_provider_vidu.protocol.texts import without_secrets
from dev.emulator_client import set_connection
from tests.storage.videos import files, store_at
from tests.versions import missing_connections_are_named

pytestmark = pytest.mark.usefixtures("soon")


def downloads(emulator) -> int:
    return sum(request["path_qs"].startswith("/files/") for request in emulator.requests)


@pytest.mark.parametrize("expires_at", [None, "soon", 1e300, float("nan"), 9e14])
def test_a_time_that_is_none_is_not_told(emulator, tmp_path, expires_at):
    result = {"task_id": "t", "urls": [f"{emulator.url}/files/t.mp4"], "expires_at": expires_at}
    with pytest.raises(ViduDownloadError, match=r"expire 24 hours after the generation finished\. "):
        store_at(tmp_path / "videos").store(result)


def test_an_expired_link_is_refreshed_once(emulator, finish, tmp_path):
    result = finish()
    emulator.arm({"on": "download", "fault": "expired"})
    asked = len(emulator.requests)
    store_at(tmp_path).store(result)
    assert [request["path_qs"].partition("?")[0] for request in emulator.requests][asked:] == [
        f"/files/{result['task_id']}.mp4",
        "/v1/tasks/status",
        f"/files/{result['task_id']}.mp4",
    ]
    assert files(tmp_path) == [f"{result['task_id']}.mp4"]


def test_a_link_that_expires_twice_fails_naming_both(emulator, finish, tmp_path):
    result = finish()
    emulator.arm({"on": "download", "fault": "expired", "times": None})
    with pytest.raises(ViduDownloadError) as caught:
        store_at(tmp_path).store(result)
    refused = [request for request in emulator.requests if request["path_qs"].startswith("/files/")]
    urls = [f"{emulator.url}{request['path_qs']}" for request in refused]
    assert len(set(urls)) == 2
    assert all(f"HTTP 403 instead of the video at {without_secrets(url)}. " in str(caught.value) for url in urls)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"fault": "no_urls"}, "has status Success and returned 0 of 1 URLs"),
        ({"fault": "unknown_word", "word": "Gone"}, "has status Gone and returned 0 of 1 URLs"),
        ({"fault": "error", "status": 500}, "HTTP 500"),
    ],
    ids=str,
)
def test_a_link_that_cannot_be_refreshed_fails_naming_both_reasons(emulator, finish, tmp_path, fault, text):
    result = finish()
    emulator.arm({"on": "download", "fault": "expired"}, {"on": "status", **fault})
    with pytest.raises(ViduDownloadError, match="HTTP 403 instead of the video") as caught:
        store_at(tmp_path).store(result)
    assert "The attempt with a fresh link failed: " in str(caught.value)
    assert text in str(caught.value)
    assert downloads(emulator) == 1


def test_what_is_no_expired_link_is_not_refreshed(emulator, finish, tmp_path):
    result = finish()
    emulator.arm({"on": "download", "fault": "error", "status": 400})
    with pytest.raises(ViduDownloadError, match="HTTP 400"):
        store_at(tmp_path).store(result)
    assert downloads(emulator) == 1


@missing_connections_are_named
def test_a_missing_connection_is_named(emulator, finish, tmp_path, monkeypatch):
    result = finish()
    monkeypatch.delenv("AIRFLOW_CONN_VIDU_DEFAULT")
    with pytest.raises(ViduConnectionSettingsError, match="no Airflow connection"):
        store_at(tmp_path).store(result)
    with pytest.raises(ViduConnectionSettingsError, match="no Airflow connection"):
        next(store_at(tmp_path).store_all([(result, "", 0)]))


def test_the_connection_is_looked_up_once_for_many(emulator, finish, tmp_path, monkeypatch):
    from airflow.sdk import BaseHook

    result, seen = finish(), []
    get = BaseHook.get_connection
    monkeypatch.setattr(
        BaseHook, "get_connection", classmethod(lambda cls, conn_id: seen.append(conn_id) or get(conn_id))
    )
    items = [({**result, "task_id": f"task-{index}"}, "", index) for index in range(20)]
    assert len(dict(store_at(tmp_path).store_all(items))) == 20
    assert seen == ["vidu_default"]


def test_the_key_goes_along_with_no_download(emulator, finish, tmp_path, monkeypatch):
    set_connection(monkeypatch, host=emulator.url, extra={"auth_scheme": "bearer"})
    result = finish()
    emulator.arm({"on": "download", "fault": "truncate"})
    store_at(tmp_path).store(result)
    assert downloads(emulator) == 2
    assert [task["authorization_on_download"] for task in emulator.tasks] == [False]
