# SPDX-License-Identifier: Apache-2.0
"""Runs of the DAG ``batches`` whose worker is killed, and what must hold afterwards."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests

from airflow_provider_vidu.batch.submits import CONCURRENT_SUBMITS
from airflow_provider_vidu.durable.stored_files import WRITE_VIDEOS
from airflow_provider_vidu.storage.video_store import CONCURRENT_VIDEOS
from dev.airflow_bed import AirflowBed
from dev.emulator_process import EmulatorProcess
from tests.system.support.trouble import CarefulRun, until

# What a killed worker had not written down yet is stored again.
UNWRITTEN = WRITE_VIDEOS + CONCURRENT_VIDEOS


class BatchRun(CarefulRun):
    """A run of the DAG ``batches`` or ``batches_in_waves``.

    :param bed: The Airflow that runs it.
    :param emulator: The emulator that it uses.
    :param desk: A directory to be made, where its tasks tell their process ids.
    :param dag_id: The DAG.
    :param conf: Its params.
    """

    def __init__(
        self, bed: AirflowBed, emulator: EmulatorProcess, desk: Path, dag_id: str = "batches", **conf: Any
    ) -> None:
        desk.mkdir()
        super().__init__(bed, emulator, desk, dag_id, **conf)

    def hops(self, try_number: int = 1) -> list[int]:
        """Return the process ids of the workers that a try had so far."""
        file = self.desk / f"hops-{try_number}"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def manifest(self) -> dict[str, dict[str, Any]]:
        """Return the lines of the manifest by custom id."""
        (path,) = (self.desk / "videos").glob("*.jsonl")
        return {line["custom_id"]: line for line in map(json.loads, path.read_text().splitlines())}

    def stored(self) -> dict[str, int]:
        """Return the number of each stored file, which is another one when it is written again."""
        return {path.name: path.stat().st_ino for path in (self.desk / "videos").glob("*.mp4")}

    def kill_after_submits(self, accepted: int) -> None:
        """Kill the worker of the first visit once the emulator has accepted so many submits."""
        until("the worker", self.hops)
        pid = self.hops()[0]
        self.accepted(accepted)
        self.kill(pid)

    def kill_after_stores(self, count: int) -> None:
        """Kill the worker of the second visit once so many videos are stored."""
        until("the second hop", lambda: len(self.hops()) == 2)
        until(f"{count} stored videos", lambda: len(self.stored()) >= count)
        self.kill(self.hops()[1])

    def most_in_flight(self) -> int:
        """Let everything go on until the run ends.

        :return: The most generations that were seen in flight at once.
        """
        seen = []

        def look() -> None:
            states = [task["status"] for task in self.emulator.tasks]
            seen.append(len([state for state in states if state not in ("Success", "Failure")]))

        self.release()
        self.bed.wait(self.dag_id, self.run_id, on_poll=look, every=0.05)
        return max(seen)

    def nothing_was_paid_twice(self, count: int) -> Counter[str]:
        """Check that each of ``count`` items was paid once, and that each paid one is stored, failed or uncertain.

        :return: The items by outcome.
        """
        lines = self.manifest()
        records = {record["task_id"]: record["body"]["input"]["prompt"] for record in self.emulator.tasks}
        assert len(set(records.values())) == len(records)
        told = {line["task_id"]: line["request"]["input"]["prompt"] for line in lines.values() if line["task_id"]}
        assert told.items() <= records.items()
        uncertain = {line["request"]["input"]["prompt"] for line in lines.values() if line["outcome"] == "uncertain"}
        assert {records[task_id] for task_id in records.keys() - told.keys()} <= uncertain
        assert len(uncertain) <= CONCURRENT_SUBMITS
        successes = [name for name, line in lines.items() if line["outcome"] == "success"]
        assert sorted(self.stored()) == sorted(f"{name}.mp4" for name in successes)
        counts = Counter(line["outcome"] for line in lines.values())
        assert counts.keys() <= {"success", "failed", "uncertain"}
        assert counts.total() == count
        return counts

    def all_was_stored(self) -> None:
        """Check that each task that the emulator accepted is a success of the manifest, with its file."""
        lines = self.manifest()
        paid = sorted(record["task_id"] for record in self.emulator.tasks)
        assert sorted(line["task_id"] for line in lines.values()) == paid
        assert {(line["outcome"], len(line["files"])) for line in lines.values()} == {("success", 1)}
        assert sorted(self.stored()) == [f"{name}.mp4" for name in lines]


def store_connection(bed: AirflowBed, emulator: EmulatorProcess, conn_id: str, **extra: Any) -> str:
    """Keep a connection in Airflow's database, as most are: workers and triggerers ask their supervisors for it.

    :return: Its id.
    """
    stored = {"connection_id": conn_id, **emulator.connection, "extra": json.dumps(extra)}
    with suppress(requests.HTTPError):
        bed.request("DELETE", f"/api/v2/connections/{conn_id}")
    bed.request("POST", "/api/v2/connections", stored)
    return conn_id
