# SPDX-License-Identifier: Apache-2.0
"""
Measurement of hundreds of mapped sensors that one triggerer of a real Airflow serves.

It compares ``ViduTaskSensor`` with the http provider's sensor. No video is ready until all sensors are deferred. The
benchmark measures a minute of steady polling; then all videos become ready at once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import datetime
from pathlib import Path
from statistics import mean
from typing import Any

import psutil
from airflow.models import Connection
from airflow.secrets import BaseSecretsBackend

from dev.airflow_bed import AirflowBed

SENSORS, STEADY_SECONDS = 300, 60.0
ROOT = Path(__file__).resolve().parents[1]
WAYS = {"`ViduTaskSensor`": "vidu_sensors", "`HttpSensor(deferrable=True)`": "http_sensors"}


class CountedConnections(BaseSecretsBackend):
    """Return the connections and record which process looked them up."""

    def get_connection(self, conn_id: str) -> Connection | None:
        with open(os.environ["BENCHMARK_LOOK_UPS"], "a", encoding="utf-8") as file:
            file.write(f"{' '.join(psutil.Process().cmdline())} {os.getpid()} {conn_id}\n")
        document = json.loads(os.environ["BENCHMARK_CONNECTIONS"]).get(conn_id)
        return Connection.from_json(json.dumps(document), conn_id) if document else None


def ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def cpu_of(leader: int) -> float:
    """Sum up the CPU seconds of a process and its children."""
    process = psutil.Process(leader)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def measure(bed: AirflowBed, dag_id: str, url: str, look_ups: Path) -> dict[str, float]:
    """Run one DAG of sensors and release them once all are deferred."""
    ask(f"{url}/hold")
    look_ups.write_text("")
    triggerer = bed.processes["triggerer-1"].pid
    run_id = bed.trigger(dag_id)
    path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances?state=deferred&limit=1"
    began = time.monotonic()
    while bed.request("GET", path)["total_entries"] < SENSORS:
        if time.monotonic() - began > 900:
            raise TimeoutError(bed.failures(dag_id, run_id))
        time.sleep(1)
    before, polls, counted = cpu_of(triggerer), ask(f"{url}/counts")["polls"], time.monotonic()
    time.sleep(STEADY_SECONDS)
    used, polls = cpu_of(triggerer) - before, ask(f"{url}/counts")["polls"] - polls
    lasted = time.monotonic() - counted
    released = ask(f"{url}/release")["released"]
    state = bed.wait(dag_id, run_id, 900, every=2)
    assert state == "success", bed.failures(dag_id, run_id)
    ends = [datetime.fromisoformat(task["end_date"]).timestamp() for task in bed.task_instances(dag_id, run_id)]
    noticed = ask(f"{url}/counts")["noticed"]
    lines = [line for line in look_ups.read_text("utf-8").splitlines() if "triggerer" in line]
    return {
        "look_ups": len(lines),
        "cpu_ms": 1000 * used / polls,
        "cpu_percent": 100 * used / lasted,
        "noticed": mean(noticed) - released,
        "noticed_last": max(noticed) - released,
        "resumed": mean(ends) - released,
        "resumed_last": max(ends) - released,
    }


def report() -> str:
    api = subprocess.Popen([sys.executable, "-m", "benchmarks.api", "inf"], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    home = Path(tempfile.mkdtemp(prefix="vidu-bench-"))
    try:
        assert api.stdout is not None
        url = f"http://127.0.0.1:{api.stdout.readline().strip()}"
        connections = {
            "vidu_default": {"conn_type": "vidu", "host": url, "password": "a-key-for-this"},
            "api": {"conn_type": "http", "host": url},
        }
        env = {
            "AIRFLOW__SECRETS__BACKEND": "benchmarks.triggerer.CountedConnections",
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(SENSORS),
            "BENCHMARK_CONNECTIONS": json.dumps(connections),
            "BENCHMARK_LOOK_UPS": str(home / "look-ups"),
            "BENCHMARK_SENSORS": str(SENSORS),
            "PYTHONPATH": str(ROOT),
        }
        with AirflowBed(home / "airflow", ROOT / "benchmarks" / "dags", env=env) as bed:
            found = {way: measure(bed, dag_id, url, home / "look-ups") for way, dag_id in WAYS.items()}
    finally:
        api.terminate()
        api.wait()
        shutil.rmtree(home, ignore_errors=True)
    lines = [
        f"{SENSORS} mapped sensors, all deferred in one triggerer, polling every 5 s; CPU of the triggerer's processes "
        f"over {STEADY_SECONDS:g} s. Then all videos become ready at once: seconds until the triggerer noticed, "
        "and until the tasks ended, with 4 worker slots.",
        "",
        "| sensor | lookups in the triggerer | its CPU | CPU per poll | noticed after: mean, last | task ended after: "
        "mean, last |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {way} | {one['look_ups']:,} | {one['cpu_percent']:.0f} % | {one['cpu_ms']:.1f} ms | {one['noticed']:.1f}, "
        f"{one['noticed_last']:.1f} s | {one['resumed']:.0f}, {one['resumed_last']:.0f} s |"
        for way, one in found.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(report())
