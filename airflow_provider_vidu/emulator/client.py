# SPDX-License-Identifier: Apache-2.0
"""Client of a running emulator's control routes."""

from __future__ import annotations

from typing import Any

import requests

from airflow_provider_vidu.emulator import KEY


class ViduEmulator:
    """
    A running emulator: what it has accepted, and which failures it simulates.

    :param url: Base URL.
    :param key: API key that it accepts.
    """

    def __init__(self, url: str, key: str = KEY) -> None:
        self.url = url
        self.key = key

    @property
    def connection(self) -> dict[str, str]:
        """The fields of an Airflow connection to the emulator."""
        return {"conn_type": "vidu", "host": self.url, "password": self.key}

    @property
    def submitted(self) -> list[dict[str, Any]]:
        """
        The bodies of all accepted submits, in their order.

        Vidu bills accepted submits, so a body that is here twice would have been paid twice. Data URIs are shortened.
        """
        return [task["body"] for task in self.tasks]

    @property
    def estimated_cost(self) -> float | None:
        """What the accepted submits would have cost in CNY by the shipped prices; ``None`` if a price is unknown."""
        costs: list[float | None] = [task["estimated_cost"] for task in self.tasks]
        known = [cost for cost in costs if cost is not None]
        return round(sum(known), 5) if len(known) == len(costs) else None

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """The accepted tasks with their state, polls and downloads, as ``GET /_emulator/tasks`` returns them."""
        found: list[dict[str, Any]] = self.control("GET", "tasks")
        return found

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The last received requests, whatever their answer."""
        found: list[dict[str, Any]] = self.control("GET", "requests")["requests"]
        return found

    def fail(self, prompt: str, family: str = "moderation") -> None:
        """
        Let each later generation fail whose prompt contains a text.

        :param prompt: The text.
        :param family: Reason of the failure: ``moderation`` (default), ``capacity`` or ``account``.
        """
        self.control("POST", "failures", {"prompt": prompt, "family": family})

    def arm(self, *faults: dict[str, Any]) -> None:
        """
        Arm faults between a client and the API.

        :param faults: Orders such as ``{"fault": "accept_then_drop", "on": "submit"}``.
        """
        self.control("POST", "faults", list(faults))

    def reset(self) -> None:
        """Delete all tasks, videos, requests, failures and faults, and restore the key."""
        self.control("POST", "reset")

    def control(self, method: str, name: str, body: object = None) -> Any:
        """
        Send a request to a control route and return its answer.

        :param method: HTTP method.
        :param name: Name of the route under ``/_emulator/``.
        :param body: Content, sent as JSON.
        :raises ValueError: If the emulator refuses the content; the text names the reason.
        """
        response = requests.request(method, f"{self.url}/_emulator/{name}", json=body, timeout=10)
        if response.status_code == 400:
            raise ValueError(response.text)
        response.raise_for_status()
        return response.json()
