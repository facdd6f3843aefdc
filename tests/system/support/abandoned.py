# SPDX-License-Identifier: Apache-2.0
"""Runs of five paid videos each, and what a person or an accident does to them."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import requests

from dev.airflow_bed import AirflowBed
from dev.emulator_process import EmulatorProcess
from tests.system.support.trouble import CarefulRun, until

DAGS = Path(__file__).resolve().parents[1] / "dags"
FIVE = 5


class AbandonedRun(CarefulRun):
    """
    A run of one of the DAGs ``abandoned_…``, which pays for five videos.

    :param bed: The Airflow that runs it.
    :param emulator: The emulator that it uses.
    :param desk: Directory of the run, which must not exist; its name is the way of abandoning.
    :param dag_id: The DAG.
    :param conf: More of its params.
    """

    def __init__(
        self, bed: AirflowBed, emulator: EmulatorProcess, desk: Path, dag_id: str = "abandoned_waiting", **conf: Any
    ) -> None:
        desk.mkdir()
        self.way = desk.name
        super().__init__(bed, emulator, desk, dag_id, **{"way": self.way, "destination": f"{desk}/videos", **conf})

    @property
    def vidu_task_ids(self) -> list[str]:
        """Vidu's ids of its tasks that the emulator accepted."""
        return [task["task_id"] for task in self.emulator.tasks if task["body"]["input"]["prompt"][:-2] == self.way]

    def states(self) -> dict[str, Counter[str]]:
        """Count the states of each task's instances."""
        found: dict[str, Counter[str]] = {}
        for task in self.bed.task_instances(self.dag_id, self.run_id):
            found.setdefault(task["task_id"], Counter())[task["state"]] += 1
        return found

    def is_put_aside(self, task_id: str, count: int = FIVE) -> None:
        """
        Wait until a task is deferred.

        Airflow may answer a person with an error of its database while it is still putting a task of the run aside.

        :param task_id: The task that waits.
        :param count: Number of its instances.
        """
        until(f"{self.way} to be deferred", lambda: self.states().get(task_id) == {"deferred": count}, 600, every=1)

    def mark_run(self, state: str) -> None:
        """Set the run's state as a person does in the UI."""
        self.bed.request("PATCH", self.path, {"state": state})

    def delete(self) -> None:
        """Delete the run as a person does in the UI; Airflow deletes no run that goes on."""
        self.bed.request("DELETE", self.path)

    def batch_is_submitted(self) -> int:
        """Wait until the list of the batch's tasks names all five, and return the worker's process id."""
        until(
            f"{self.way} to list its tasks",
            lambda: any(
                len(ids := self.vidu_task_ids) == FIVE and all(one in file.read_text() for one in ids)
                for file in (self.desk / "videos").glob("*.waiting")
            ),
            300,
        )
        return self.pid("after")


class DoomedDag:
    """
    A DAG with a file of its own.

    :param bed: The Airflow that runs it.
    """

    def __init__(self, bed: AirflowBed) -> None:
        self.dag_id = "abandoned_doomed"
        self._bed = bed
        self._file = bed.dags_folder / f"{self.dag_id}.py"
        self._path = f"/api/v2/dags/{self.dag_id}"
        shutil.copy(DAGS / "abandoned_whole.py", self._file)

    def remove(self) -> None:
        """Remove the file, and delete the DAG once Airflow misses the file."""
        self._file.unlink()
        until("Airflow to miss the DAG's file", lambda: self._bed.request("GET", self._path)["is_stale"], 300)
        self._bed.request("DELETE", self._path)

    def exists(self) -> bool:
        """Return whether Airflow knows the DAG."""
        try:
            self._bed.request("GET", self._path)
        except requests.HTTPError as error:
            if error.response.status_code != 404:
                raise
            return False
        return True

    def clean_up(self) -> None:
        """Remove the file if a test did not come so far."""
        self._file.unlink(missing_ok=True)
