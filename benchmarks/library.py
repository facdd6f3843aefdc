# SPDX-License-Identifier: Apache-2.0
"""
Time and memory of the api-server for the page of all videos, on ledgers of two sizes.

The application runs in this process, without Airflow's other routes, on an empty database and a ledger in a directory.
Each size has a process of its own, because memory that was used once is not given back.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

SIZES = (200, 20_000)
ASKED = {
    "first page": "entries",
    "while older entries are read": "entries",
    "a further page": "entries?offset=48",
    "the last page": "entries?offset={last}",
    "a search in all prompts": "entries?text=number+77",
    "spending by day and DAG": "spend",
    "failures": "failures",
    "CSV of all": "entries.csv",
}


def fill(root: str, count: int) -> None:
    """Write the objects of single submits within thirty days: one in ten has failed, twenty still run."""
    from airflow_provider_vidu.durable.entries import Ending, Entry, ended, spent_at
    from airflow_provider_vidu.durable.ledger import Ledger

    ledger, chance, now = Ledger(root), random.Random(1), time.time()
    for number in range(count):
        name = ledger.name(now - number * 30 * 86_400 / count, chance.choice([0.31, 1.25, None]), f"{number:064x}")
        parameters = {"vidu_type": "img2video", "duration": 5, "resolution": "720p"}
        asked = {"prompt": f"Kite number {number} over the sea. {'It turns slowly. ' * chance.randint(1, 10)}"}
        request = {"model": chance.choice(["viduq2", "viduq2-turbo"]), "input": asked, "parameters": parameters}
        dag_id = chance.choice(["shop", "news", "ads"])
        entry = Entry(dag_id, f"run-{number // 50}", "make", -1, "", "vidu_default", request, f"task-{number}")
        objects = {spent_at([name]): {"entries": [entry.content()]}, name.accepted: entry.content()}
        if number >= 20:
            failed = Ending("failed", reason="TaskPromptPolicyViolation")
            stored = Ending("stored", (f"/videos/{number}.mp4",), 5.0)
            objects[ended(entry.vidu_task_id)] = (stored if number % 10 else failed).content()
        for path, content in objects.items():
            place = Path(root, path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(json.dumps(content))


def measure(root: str, count: int) -> dict[str, list[float]]:
    """Ask for each thing once, in this process, and return seconds, also of the processor, and megabytes."""
    os.environ["AIRFLOW__VIDU__LEDGER"] = f"{root}-none"
    from airflow.api_fastapi.app import init_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.security import get_user
    from airflow.utils.db import initdb
    from fastapi.testclient import TestClient

    from airflow_provider_vidu.plugin.app import app

    initdb()
    init_auth_manager()
    app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="ann", role="viewer")
    web = TestClient(app)
    web.get("/entries").raise_for_status()
    os.environ["AIRFLOW__VIDU__LEDGER"] = root
    before = psutil.Process().memory_info().rss
    found: dict[str, list[float]] = {}
    for name, path in ASKED.items():
        if name == "a further page":
            began = time.perf_counter(), time.process_time()
            while not web.get("/entries").json()["whole"]:
                time.sleep(1)
            found["until all entries are read"] = [time.perf_counter() - began[0], time.process_time() - began[1]]
        began = time.perf_counter(), time.process_time()
        web.get(f"/{path.format(last=count - 48)}").raise_for_status()
        found[name] = [time.perf_counter() - began[0], time.process_time() - began[1]]
    return {**found, "memory": [(psutil.Process().memory_info().rss - before) / (1 << 20)]}


def _cell(amount: float, busy: float | None = None) -> str:
    return f"{amount:.0f} MiB" if busy is None else f"{amount:.2f} s ({busy:.2f})"


def report() -> str:
    columns = {}
    for count in SIZES:
        with tempfile.TemporaryDirectory(prefix="vidu-bench-") as home:
            fill(f"{home}/ledger", count)
            env = os.environ | {"AIRFLOW_HOME": home, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/db"}
            command = [sys.executable, "-m", "benchmarks.library", f"{home}/ledger", str(count)]
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
            columns[count] = json.loads(done.stdout.splitlines()[-1])
    lines = [
        "In brackets: the processor's part, which other processes on the machine do not change.",
        "",
        "| | " + " | ".join(f"{count:,} entries" for count in SIZES) + " |",
        "|---|---|---|",
    ]
    for name in columns[SIZES[0]]:
        cells = (_cell(*columns[count][name]) for count in SIZES)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
