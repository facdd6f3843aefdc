# SPDX-License-Identifier: Apache-2.0
"""Airflow's REST API, as the tests and the demo ask it."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import requests

FINISHED = frozenset({"success", "failed"})


class AirflowApi(ABC):
    """
    Start runs and read what becomes of them.

    :param url: Base URL of the API server.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = requests.Session()
        self._http.trust_env = False

    @abstractmethod
    def _until(self, what: str, reached: Callable[[], bool], timeout: float = 120) -> None:
        """Wait until something is reached; whoever runs Airflow knows what can be said where it is not."""

    def request(self, method: str, path: str, json: Any = None, *, accept: str = "application/json") -> Any:
        """
        Call the REST API and return the decoded answer, or text for another media type.

        :param method: HTTP method.
        :param path: Path and query, for instance ``/api/v2/dags``.
        :param json: Body.
        :param accept: Media type of the answer.
        :raises requests.HTTPError: If the answer is not a 2xx; its text contains the body.
        """
        if "Authorization" not in self._http.headers:
            token = self._http.get(f"{self.url}/auth/token", timeout=30).json()["access_token"]
            self._http.headers["Authorization"] = f"Bearer {token}"
        answer = self._http.request(method, self.url + path, json=json, headers={"Accept": accept}, timeout=60)
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text[:2000]}", response=answer)
        return answer.json() if accept == "application/json" and answer.content else answer.text

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, *, paused: bool = False) -> str:
        """
        Start a run once Airflow has parsed the DAG, and return its run id.

        :param dag_id: DAG to run; this method unpauses it first.
        :param conf: The run's configuration, which is also its params.
        :param paused: Pause the DAG instead, so that its tasks exist but never run.
        """
        self._until(f"DAG {dag_id}", lambda: self._pause(dag_id, paused), timeout=60)
        body = {"logical_date": None, "conf": dict(conf or {})}
        return str(self.request("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def _pause(self, dag_id: str, paused: bool) -> bool:
        try:
            self.request("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": paused})
        except requests.HTTPError as error:
            if error.response.status_code != 404:
                raise
            if broken := self.request("GET", "/api/v2/importErrors")["import_errors"]:
                raise RuntimeError("\n".join(e["stack_trace"] for e in broken)) from None
            return False
        return True

    def wait(
        self,
        dag_id: str,
        run_id: str,
        timeout: float = 120,
        on_poll: Callable[[], object] | None = None,
        every: float = 0.2,
    ) -> str:
        """
        Wait until a run ends and return its state, ``success`` or ``failed``.

        :param dag_id: The DAG.
        :param run_id: The run, from :meth:`trigger`.
        :param timeout: Maximum wait in seconds.
        :param on_poll: Function to call after each poll, including the last one.
        :param every: Seconds between two polls; each takes api-server time that the tasks need, too.
        """
        deadline = time.monotonic() + timeout
        while True:
            state = str(self.request("GET", _run_path(dag_id, run_id))["state"])
            if on_poll:
                on_poll()
            if state in FINISHED:
                return state
            if time.monotonic() > deadline:
                tasks = {(t["task_id"], t["map_index"]): t["state"] for t in self.task_instances(dag_id, run_id)}
                raise TimeoutError(f"{dag_id} is {state} after {timeout:.0f} s: {tasks}")
            time.sleep(every)

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return all task instances of a run, as the REST API describes them."""
        path = _run_path(dag_id, run_id) + "/taskInstances?limit=100000"
        return list(self.request("GET", path)["task_instances"])

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int | None = None
    ) -> Any:
        """
        Return the value of one XCom.

        :param map_index: Index of a mapped task; ``None`` for an unmapped one.
        """
        index = -1 if map_index is None else map_index
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/{key}?map_index={index}"
        return self.request("GET", path)["value"]

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """Return the complete log of a task as JSON lines."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/logs/{try_number}"
        return str(
            self.request("GET", f"{path}?map_index={map_index}&full_content=true", accept="application/x-ndjson")
        )

    def failures(self, dag_id: str, run_id: str, *, tasks: int = 3, lines: int = 25) -> str:
        """Return the number of failed tasks of a run and the end of the first logs, as readable text."""
        failed = [task for task in self.task_instances(dag_id, run_id) if task["state"] == "failed"]
        parts = [f"{len(failed)} failed"]
        for task in failed[:tasks]:
            log = self.log(dag_id, run_id, task["task_id"], task["try_number"], task["map_index"])
            texts = []
            for record in map(json.loads, filter(None, log.splitlines())):
                errors = record.get("error_detail") or []
                text = " ".join([record["event"], *(f"{e['exc_type']}: {e['exc_value']}" for e in errors)])
                # Airflow marks its own log groups with such lines.
                if not text.startswith("::"):
                    texts.append(f"  {text}")
            name = task["task_id"] if task["map_index"] < 0 else f"{task['task_id']}[{task['map_index']}]"
            parts += [f"The end of the log of {name}:", *texts[-lines:]]
        return "\n".join(parts)


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
