# SPDX-License-Identifier: Apache-2.0
"""
Cost of the ledger in the first run of a batch of a thousand on a worker.

The runs take turns in workers of a real Airflow, which keeps their task states. The triggerer is
stopped, so that nothing else happens once a batch has deferred.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from dev.airflow_bed import AirflowBed
from dev.emulator_process import EmulatorProcess
from dev.processes import free_port

ITEMS, ROUNDS = 1000, int(os.environ.get("BENCHMARK_ROUNDS", "3"))
ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def bucket() -> Iterator[tuple[str, dict[str, object]]]:
    """Yield a URI on moto and the connection for it."""
    import boto3

    port = free_port()
    # In a process of its own, as any store is.
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        while True:
            try:
                requests.get(url, timeout=1)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        keys = {"aws_access_key_id": "id", "aws_secret_access_key": "secret"}
        boto3.client("s3", **keys, endpoint_url=url, region_name="us-east-1").create_bucket(Bucket="bucket")
        extra = {**keys, "endpoint_url": url, "region_name": "us-east-1"}
        yield "s3://bench@bucket", {"conn_type": "aws", "extra": extra}
    finally:
        server.terminate()
        server.wait()


@contextmanager
def servers() -> Iterator[tuple[AirflowBed, Path, str]]:
    with tempfile.TemporaryDirectory(prefix="vidu-bench-") as text, bucket() as (remote, aws):
        home = Path(text)
        dags = home / "dags"
        dags.mkdir()
        (dags / "visits.py").symlink_to(ROOT / "benchmarks" / "dags" / "visits.py")
        env = {"BENCHMARK_BATCH": str(ITEMS), "BENCHMARK_HOME": text, "PYTHONPATH": str(ROOT)}
        # The videos are of the far future: only the submits count.
        with EmulatorProcess(home / "emulator.log", speed=1e-3) as emulator:
            connections = {"vidu_default": emulator.connection, "bench": aws}
            with AirflowBed(home / "airflow", dags, env=env, connections=connections) as bed:
                bed.processes["triggerer-1"].terminate()
                yield bed, home, remote


def visit(bed: AirflowBed, home: Path, options: dict[str, str], *, reuse: bool) -> float:
    """Run the task and return the seconds from the start of the operator until it defers."""
    run_id = bed.trigger("visits", {"options": options, "reuse": reuse})
    deadline = time.monotonic() + 600
    while not (written := home / f"{run_id}.seconds").exists():
        if time.monotonic() > deadline:
            raise TimeoutError(bed.failures("visits", run_id))
        time.sleep(0.5)
    return float(written.read_text())


def report() -> str:
    seconds: dict[str, list[float]] = {}
    with servers() as (bed, home, remote):
        both = {"daily_budget": "1e6", "monthly_budget": "1e6"}
        for number in range(ROUNDS):
            for name, options in {
                "none": {},
                "directory": {"ledger": f"{home}/ledger-{number}"},
                "directory, daily and monthly budget": {"ledger": f"{home}/budget-{number}", **both},
                "directory, `reuse`": {"ledger": f"{home}/reuse-{number}"},
                "bucket (moto)": {"ledger": f"{remote}/ledger-{number}"},
                "bucket (moto), daily and monthly budget": {"ledger": f"{remote}/budget-{number}", **both},
            }.items():
                seconds.setdefault(name, []).append(visit(bed, home, options, reuse="reuse" in name))
    base = sorted(seconds["none"])[ROUNDS // 2]
    lines = [
        f"First run of a batch of {ITEMS:,} on a worker, median of {ROUNDS}. Airflow, PostgreSQL, the emulator "
        f"and moto share {os.cpu_count()} cores.",
        "",
        "| ledger | seconds | ratio |",
        "|---|---|---|",
    ]
    for name, times in seconds.items():
        median = sorted(times)[ROUNDS // 2]
        lines.append(f"| {name} | {median:.1f} | {median / base:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(report())
