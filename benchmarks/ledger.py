# SPDX-License-Identifier: Apache-2.0
"""
Cost of the ledger in the first run of a batch of a thousand on a worker.

The batch runs in this process, with a task state store in memory, against an emulator in another process. So the
baseline is the smallest, and the ratios are the largest that a real Airflow can see.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import requests
from airflow.providers.common.compat.sdk import TaskDeferred

from dev.emulator_process import EmulatorProcess
from dev.processes import free_port

ITEMS, ROUNDS = 1000, int(os.environ.get("BENCHMARK_ROUNDS", "3"))
QUICK = {"vidu_type": "text2video", "model": "viduq2", "duration": 1, "resolution": "540p"}


class Store(dict):  # type: ignore[type-arg]
    def set(self, key: str, value: object, *, retention: object) -> None:
        self[key] = value


def visit(place: Path, run: str, *, reuse: bool = False) -> float:
    """Submit a batch and return the seconds until it defers."""
    from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator

    items = [{"custom_id": f"{number:04}", "prompt": f"{run} {number}", **QUICK} for number in range(ITEMS)]
    operator = ViduGenerateBatchOperator(
        task_id="batch", requests=items, destination=f"{place}/{run}/{{custom_id}}.mp4", reuse=reuse
    )
    ti = SimpleNamespace(dag_id="dag", run_id=run, task_id="batch", map_index=-1, max_tries=1, try_number=1)
    began = time.perf_counter()
    try:
        operator.execute({"ti": ti, "task_state_store": Store(), "outlets": []})  # type: ignore[arg-type, typeddict-item]
    except TaskDeferred:
        return time.perf_counter() - began
    raise AssertionError("the batch did not defer")


@contextmanager
def set_to(**options: str) -> Iterator[None]:
    names = {f"AIRFLOW__VIDU__{name.upper()}": value for name, value in options.items()}
    os.environ.update(names)
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


@contextmanager
def bucket() -> Iterator[str]:
    import boto3

    port = free_port()
    # In a process of its own, as any store is.
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    while True:
        try:
            requests.get(url, timeout=1)
            break
        except requests.ConnectionError:
            time.sleep(0.1)
    keys = {"aws_access_key_id": "id", "aws_secret_access_key": "secret"}
    extra = {**keys, "endpoint_url": url, "region_name": "us-east-1"}
    os.environ["AIRFLOW_CONN_BENCH"] = json.dumps({"conn_type": "aws", "extra": extra})
    client = boto3.client("s3", **keys, endpoint_url=url, region_name="us-east-1")
    client.create_bucket(Bucket="bucket")
    try:
        yield "s3://bench@bucket/ledger"
    finally:
        server.terminate()
        server.wait()


def report() -> str:
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="vidu-bench-") as home, bucket() as remote:
        place = Path(home)
        # The videos are of the far future: only the submits count.
        with EmulatorProcess(place / "emulator.log", speed=1e-3) as emulator:
            os.environ["AIRFLOW_CONN_VIDU_DEFAULT"] = json.dumps(emulator.connection)
            visit(place, "warm-up")
            for number in range(ROUNDS):
                for name, options in {
                    "none": {},
                    "directory": {"ledger": f"{home}/ledger-{number}"},
                    "directory, daily and monthly budget": {
                        "ledger": f"{home}/budget-{number}",
                        "daily_budget": "1e6",
                        "monthly_budget": "1e6",
                    },
                    "directory, `reuse`": {"ledger": f"{home}/reuse-{number}"},
                    "bucket (moto)": {"ledger": f"{remote}-{number}"},
                    "bucket (moto), daily budget": {"ledger": f"{remote}-budget-{number}", "daily_budget": "1e6"},
                }.items():
                    with set_to(**options):
                        run = f"{name}-{number}".replace(" ", "").replace("`", "").replace(",", "-")
                        seconds.setdefault(name, []).append(visit(place, run, reuse="reuse" in name))
    base = sorted(seconds["none"])[ROUNDS // 2]
    lines = [
        f"First run of a batch of {ITEMS:,} on a worker, median of {ROUNDS}, a task state store in memory. The run, "
        f"the emulator and moto share {os.cpu_count()} cores.",
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
