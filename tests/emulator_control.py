# SPDX-License-Identifier: Apache-2.0
"""What tests say to a running emulator, and to Airflow about it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    import pytest

KEY = "a-key-that-never-shows-7f3a"


class RunningEmulator:
    """The emulator's address and its control routes."""

    def __init__(self, url: str) -> None:
        self.url = url

    def control(self, method: str, name: str, json: object = None) -> Any:
        response = requests.request(method, f"{self.url}/_emulator/{name}", json=json, timeout=10)
        response.raise_for_status()
        return response.json()

    def arm(self, *faults: dict[str, Any]) -> None:
        self.control("POST", "faults", list(faults))

    @property
    def tasks(self) -> list[dict[str, Any]]:
        return self.control("GET", "tasks")

    @property
    def requests(self) -> list[dict[str, Any]]:
        return self.control("GET", "requests")["requests"]


def set_connection(monkeypatch: pytest.MonkeyPatch, conn_id: str = "vidu_default", **fields: Any) -> None:
    connection = {"conn_type": "vidu", "password": KEY, **fields}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
