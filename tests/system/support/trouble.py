# SPDX-License-Identifier: Apache-2.0
"""Trouble to order: runs of the DAG ``careful`` that are watched, killed, cleared and marked."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from dev.airflow_bed import AirflowBed
from dev.emulator_process import EmulatorProcess


def until(what: str, reached: Callable[[], object], timeout: float = 120, every: float = 0.1) -> None:
    """Wait until something holds.

    :param what: What is waited for, for the error.
    :param reached: Tells whether it holds.
    :param timeout: Seconds to wait at most.
    :param every: Seconds between two looks; those at Airflow's API take time that its tasks need.
    """
    deadline = time.monotonic() + timeout
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {timeout:.0f} s for {what}")
        time.sleep(every)


class CarefulRun:
    """A run of the DAG ``careful`` or ``careful_mapped``.

    :param bed: The Airflow that runs it.
    :param emulator: The emulator that it uses.
    :param desk: An empty directory where its tasks tell their process ids.
    :param dag_id: The DAG.
    :param conf: More of its params.
    """

    def __init__(
        self, bed: AirflowBed, emulator: EmulatorProcess, desk: Path, dag_id: str = "careful", **conf: Any
    ) -> None:
        self.bed, self.emulator, self.desk, self.dag_id = bed, emulator, desk, dag_id
        (desk / "hold").touch()
        self.run_id = bed.trigger(dag_id, {"desk": str(desk), **conf})

    @property
    def path(self) -> str:
        """The run's path in the REST API."""
        return f"/api/v2/dags/{self.dag_id}/dagRuns/{self.run_id}"

    def release(self) -> None:
        """Let the task go on that stopped where ``stop`` says."""
        (self.desk / "hold").unlink(missing_ok=True)

    def pid(self, place: str, try_number: int = 1, map_index: int = 0) -> int:
        """Wait until a try of the submit is before or after its work, and return its process id.

        :param place: ``before`` or ``after``.
        :param try_number: The try.
        :param map_index: Of a mapped task.
        """
        file = self.desk / f"submit-{map_index}-{place}-{try_number}"
        until(file.name, lambda: file.exists() and file.read_text())
        return int(file.read_text())

    def kill(self, pid: int, *, whole: bool = False) -> None:
        """SIGKILL a task's process.

        :param pid: The task's process.
        :param whole: Whether the worker that supervises it dies with it, as when a machine is lost.
        """
        task = psutil.Process(pid)
        worker = task.parent()
        if whole and worker:
            worker.kill()
        task.kill()

    def accepted(self, count: int = 1) -> None:
        """Wait until the emulator has accepted so many submits."""
        until(f"{count} submits to be accepted", lambda: len(self.emulator.tasks) >= count)

    def posts(self) -> int:
        """Return how many submits have reached the emulator."""
        return sum(request["method"] == "POST" for request in self.emulator.requests)

    def posted(self) -> None:
        """Wait until a submit has reached the emulator."""
        until("a POST", self.posts)

    def task(self, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return a task instance as the REST API describes it."""
        found = [
            task
            for task in self.bed.task_instances(self.dag_id, self.run_id)
            if (task["task_id"], task["map_index"]) == (task_id, map_index)
        ]
        return dict(found[0])

    def state_keys(self, task_id: str) -> list[str]:
        """Return the keys of a task's states (Airflow 3.3 and newer)."""
        found = self.bed.request("GET", f"{self.path}/taskInstances/{task_id}/state-store")["task_state_store"]
        return [state["key"] for state in found]

    def reaches(self, task_id: str, *states: str, timeout: float = 120) -> str:
        """Wait until a task is in one of some states, and return which."""
        until(f"{task_id} to be {states}", lambda: self.task(task_id)["state"] in states, timeout)
        return str(self.task(task_id)["state"])

    def clear(self, *task_ids: str) -> None:
        """Clear tasks as a person does in the UI, without those downstream."""
        body = {"dry_run": False, "dag_run_id": self.run_id, "task_ids": list(task_ids), "only_failed": False}
        self.bed.request("POST", f"/api/v2/dags/{self.dag_id}/clearTaskInstances", body)

    def mark(self, task_id: str, state: str) -> None:
        """Set a task's state as a person does in the UI."""
        self.bed.request("PATCH", f"{self.path}/taskInstances/{task_id}", {"new_state": state})

    def log(self, task_id: str, try_number: int = 1) -> str:
        """Return a task's log as text."""
        return self.bed.log(self.dag_id, self.run_id, task_id, try_number)

    def ends(self, timeout: float = 120) -> str:
        """Let everything go on, wait for the end of the run and return its state."""
        self.release()
        return self.bed.wait(self.dag_id, self.run_id, timeout)


def kill_session(bed: AirflowBed, name: str) -> None:
    """SIGKILL one of Airflow's processes with all its children, and forget it.

    :param bed: The Airflow.
    :param name: Its name there, such as ``triggerer-1``.
    """
    process = bed.processes.pop(name)
    for member in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getsid(member.pid) == process.pid:
                os.kill(member.pid, signal.SIGKILL)
    process.wait()
