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


@pytest.fixture
def library(web, monkeypatch):
    """Ask the library as somebody; ``denied`` maps users to the DAGs that they may not read."""
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.security import get_user

    from airflow_provider_vidu.plugin import library, readers, shelf

    denied = {"mallory": {"shop"}, "trent": {"news"}}
    asked = SimpleAuthManager.is_authorized_dag

    def is_authorized_dag(self, *, user, details=None, **rest):
        is_denied = details and details.id in denied.get(user.username, ())
        return not is_denied and asked(self, user=user, details=details, **rest)

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", is_authorized_dag)
    # Every request reads what is new, and waits for all of it.
    monkeypatch.setattr(shelf, "FRESH_SECONDS", -1.0)
    monkeypatch.setattr(shelf, "PATIENCE_SECONDS", 30.0)
    monkeypatch.setattr(readers, "DECISIONS", readers._Decisions())
    library._shelf.cache_clear()

    def ask(route="entries", user="ann", role="viewer", status=200, **query):
        someone = {get_user: lambda: SimpleAuthManagerUser(username=user, role=role)}
        monkeypatch.setattr(web.app, "dependency_overrides", someone)
        answer = web.get(f"/{route}", params=query)
        assert answer.status_code == status, answer.text
        is_json = answer.headers["content-type"] == "application/json"
        return answer.json() if is_json else answer.text

    yield ask
    library._shelf.cache_clear()
