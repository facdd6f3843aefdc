# SPDX-License-Identifier: Apache-2.0
"""A second api-server of a bed, where people log in and one of them is denied a DAG."""

from __future__ import annotations

import json
import time

import requests

from dev.airflow_bed import AirflowBed
from dev.processes import free_port, tail

USERS = {"ann": "viewer", "ed": "user", "mallory": "viewer"}
"""Everybody's role. Names are passwords."""
DENIED_USER, DENIED_DAG = "mallory", "batches"


class GuardedServer:
    """An api-server with the auth manager of ``denying`` beside a bed's own; it is stopped with the bed.

    :param bed: The Airflow whose database it shows.
    """

    NAME = "api-server-guarded"

    def __init__(self, bed: AirflowBed) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        passwords = bed.home / "passwords.json"
        passwords.write_text(json.dumps({name: name for name in USERS}))
        bed.start_process(
            self.NAME,
            "api-server",
            env={
                "AIRFLOW__API__PORT": str(port),
                "AIRFLOW__API__BASE_URL": self.url,
                "AIRFLOW__CORE__AUTH_MANAGER": "tests.system.support.denying.DenyingAuthManager",
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in USERS.items()),
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            },
        )
        deadline = time.monotonic() + 120
        while not self._is_up():
            if time.monotonic() > deadline or bed.processes[self.NAME].poll() is not None:
                raise RuntimeError(f"It did not start:\n{tail(bed.home / 'logs' / f'{self.NAME}.log')}")
            time.sleep(0.2)

    def _is_up(self) -> bool:
        try:
            return requests.get(f"{self.url}/api/v2/version", timeout=10).ok
        except (requests.ConnectionError, requests.Timeout):
            return False

    def session(self, name: str) -> requests.Session:
        """Log a user in, as a browser does: with a cookie.

        :param name: One of :data:`USERS`.
        """
        answer = requests.post(f"{self.url}/auth/token", json={"username": name, "password": name}, timeout=30)
        answer.raise_for_status()
        session = requests.Session()
        session.cookies.set("_token", answer.json()["access_token"], domain="127.0.0.1")
        return session
