# SPDX-License-Identifier: Apache-2.0
"""Client of a running emulator's API, and the Airflow connection to it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import requests

from airflow_provider_vidu.emulator import KEY
from airflow_provider_vidu.emulator.client import ViduEmulator

if TYPE_CHECKING:
    import pytest


class Api(ViduEmulator):
    """Client of the emulator's API that returns plain responses."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.headers = {"Authorization": self.key}

    def submit(self, body: object, **options: Any) -> requests.Response:
        return self._send("POST", "/v1/tasks/submit", json=body, **options)

    def status(self, task_id: str, **options: Any) -> requests.Response:
        return self._send("GET", "/v1/tasks/status", params={"task_id": task_id}, **options)

    def accepted(self, body: object) -> str:
        response = self.submit(body)
        assert response.status_code == 200, response.text
        return str(response.json()["output"]["task_id"])

    def ended(self, task_id: str) -> dict[str, Any]:
        while True:
            answer: dict[str, Any] = self.status(task_id).json()
            if answer["output"]["task_status"] not in ("Pending", "Running"):
                return answer
            time.sleep(0.02)

    def video_url(self, body: object) -> str:
        (url,) = self.ended(self.accepted(body))["output"]["urls"]
        return str(url)

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(
            method, self.url + path, **{"headers": self.headers, "allow_redirects": False, "timeout": 10, **options}
        )


def set_connection(monkeypatch: pytest.MonkeyPatch, conn_id: str = "vidu_default", **fields: Any) -> None:
    connection = {"conn_type": "vidu", "password": KEY, **fields}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
