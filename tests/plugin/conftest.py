# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.plugin.shown import TASK, VIDEO


@pytest.fixture(scope="session")
def web(airflow_database):
    from airflow.api_fastapi.app import init_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi.testclient import TestClient

    from airflow_provider_vidu.plugin.app import app

    init_auth_manager()
    app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="ann", role="viewer")
    # A fault of the server is an answer to a browser, too.
    yield TestClient(app, raise_server_exceptions=False)
    app.dependency_overrides.clear()


@pytest.fixture
def videos(tmp_path, monkeypatch):
    """A root with a video, and much else that is none of anybody's business."""
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "a.mp4").write_bytes(VIDEO)
    (videos / "page.mp4").write_bytes(b"<html><script>alert(1)</script></html>")
    (videos / "short.mp4").write_bytes(VIDEO[:6])
    (videos / "empty.mp4").write_bytes(b"")
    (videos / "video.txt").write_bytes(VIDEO)
    (videos / "secret.json").write_text('{"password": "secret"}\n')
    (videos / "directory.mp4").mkdir()
    (videos / "out.mp4").symlink_to("/etc/passwd")
    monkeypatch.setenv("AIRFLOW__VIDU__MEDIA_ROOTS", f"/nowhere, {videos}/")
    return videos


@pytest.fixture
def ask(web):
    """Ask for what a task shows that has returned a value."""
    from airflow_provider_vidu.plugin import media

    def ask(returned, path="0", method="GET", **headers):
        web.app.dependency_overrides[media._returned] = lambda: returned
        kind, rest = ("manifest", path) if path.startswith("?") else ("media", f"/{path}")
        return web.request(method, f"/{kind}/{TASK}{rest}", headers=headers)

    yield ask
    web.app.dependency_overrides.pop(media._returned, None)
