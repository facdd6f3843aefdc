# SPDX-License-Identifier: Apache-2.0
"""
Comparison of a thousand videos as one batch with a hundred videos as mapped tasks.

Both run on a real Airflow against the emulator. The emulator generates at once, so the benchmark measures the work of
the workers, the triggerer and the emulator, all on this machine. Most of the time goes into drawing and fetching real
video files.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2

from dev.airflow_bed import AirflowBed
from dev.emulator_process import EmulatorProcess

BATCH, MAPPED = 1000, 100
EVERY = 0.05
ROOT = Path(__file__).resolve().parents[1]


class Watcher:
    """Sample the sizes in Airflow's database and the number of busy workers."""

    def __init__(self, bed: AirflowBed, dag_id: str) -> None:
        self._bed, self._dag_id = bed, dag_id
        self.busy_seconds = 0.0
        self.sizes = {"trigger": 0, "resume": 0}
        self._looked_at = time.monotonic()
        self._database = psycopg2.connect(bed.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", ""))
        self._database.autocommit = True

    def look(self) -> None:
        now = time.monotonic()
        self.busy_seconds += len(self._bed.worker_processes()) * (now - self._looked_at)
        self._looked_at = now
        with self._database.cursor() as cursor:
            cursor.execute(
                "SELECT length(t.kwargs), length(i.next_kwargs::text) FROM task_instance i "
                "LEFT JOIN trigger t ON t.id = i.trigger_id WHERE i.dag_id = %s",
                (self._dag_id,),
            )
            for kwargs, resume in cursor.fetchall():
                self._note("trigger", kwargs)
                self._note("resume", resume)

    def _note(self, name: str, size: int | None) -> None:
        self.sizes[name] = max(self.sizes[name], size or 0)

    def close(self) -> None:
        self._database.close()


def measure(bed: AirflowBed, dag_id: str, home: Path) -> dict[str, Any]:
    """Run one DAG to its end and return its measurements."""
    visits = home / "visits"
    visits.write_text("")
    with closing(Watcher(bed, dag_id)) as watcher:
        began = time.monotonic()
        run_id = bed.trigger(dag_id)
        state = bed.wait(dag_id, run_id, 3600, watcher.look, every=EVERY)
        wall = time.monotonic() - began
    assert state == "success", bed.failures(dag_id, run_id)
    return {
        "run_id": run_id,
        "visits": len(visits.read_text().splitlines()),
        "busy": watcher.busy_seconds,
        "wall": wall,
        "sizes": watcher.sizes,
    }


@contextmanager
def servers() -> Iterator[tuple[AirflowBed, Path]]:
    home = Path(tempfile.mkdtemp(prefix="vidu-bench-"))
    env = {
        "BENCHMARK_BATCH": str(BATCH),
        "BENCHMARK_MAPPED": str(MAPPED),
        "BENCHMARK_HOME": str(home),
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(MAPPED),
        "PYTHONPATH": str(ROOT),
    }
    dags = home / "dags"
    dags.mkdir()
    (dags / "many.py").symlink_to(ROOT / "benchmarks" / "dags" / "many.py")
    try:
        with EmulatorProcess(home / "emulator.log", speed=1e6) as emulator:
            connections = {"vidu_default": emulator.connection}
            with AirflowBed(home / "airflow", dags, env=env, connections=connections) as bed:
                yield bed, home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def report() -> str:
    with servers() as (bed, home):
        batch = measure(bed, "batch", home)
        returned = bed.xcom("batch", batch["run_id"], "videos")
        assert returned["counts"] == {"success": BATCH}, returned
        event, xcom = (home / "event").stat().st_size, len(json.dumps(returned))
        mapped = measure(bed, "mapped", home)
    factor = BATCH / MAPPED
    resume, trigger = batch["sizes"]["resume"], batch["sizes"]["trigger"]
    return "\n".join(
        [
            f"Videos of 1 s at 540p, {os.cpu_count()} cores for Airflow, PostgreSQL and the emulator together, 4 "
            "worker slots. The generations end at once, so the mapped tasks find theirs ready in their first run on a "
            "worker. With real generations they need two.",
            "",
            "| operator | runs on a worker | worker time | wall time |",
            "|---|---|---|---|",
            f"| {BATCH:,} as one batch | {batch['visits']} | {batch['busy']:.0f} s | {batch['wall']:.0f} s |",
            f"| {MAPPED} mapped `ViduGenerateVideoOperator` | {mapped['visits']} | {mapped['busy']:.0f} s | "
            f"{mapped['wall']:.0f} s |",
            f"| {BATCH:,} of these, extrapolated | {mapped['visits'] * factor:,.0f} | "
            f"{mapped['busy'] * factor:,.0f} s | {mapped['wall'] * factor:,.0f} s |",
            "",
            "The batch stores in Airflow's database, with ids of 36 characters: the trigger's arguments "
            f"{trigger:,} bytes, its event {event:,} bytes, the second run's arguments {resume:,} bytes without the "
            f"event, the XCom {xcom:,} bytes.",
        ]
    )


if __name__ == "__main__":
    print(report())
