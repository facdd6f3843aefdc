# SPDX-License-Identifier: Apache-2.0
"""Batches on a real Airflow: two hops, faults everywhere, and workers that die while they submit."""

from __future__ import annotations

import json
import random
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from PIL import Image

from airflow_provider_vidu.batch.submits import CONCURRENT_SUBMITS
from airflow_provider_vidu.durable.stored_files import WRITE_VIDEOS
from airflow_provider_vidu.storage.video_store import CONCURRENT_VIDEOS
from dev.video import read_video
from tests.system.support.trouble import CarefulRun, until

pytestmark = pytest.mark.system


class BatchRun(CarefulRun):
    """A run of the DAG ``batches``."""

    def __init__(self, bed, emulator, desk: Path, **conf) -> None:
        super().__init__(bed, emulator, desk, "batches", **conf)

    def hops(self, try_number: int = 1) -> list[int]:
        """Return the process ids of the workers that a try had so far."""
        file = self.desk / f"hops-{try_number}"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def manifest(self) -> dict[str, dict]:
        (path,) = (self.desk / "videos").glob("*.jsonl")
        return {line["custom_id"]: line for line in map(json.loads, path.read_text().splitlines())}


@pytest.fixture
def batch(bed, emulator, tmp_path):
    emulator.release()
    return lambda name="one", **conf: BatchRun(bed, emulator, made(tmp_path / name), **conf)


def made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def store_connection(bed, emulator, conn_id: str, **extra) -> str:
    """Keep a connection in Airflow's database, as most are: workers and triggerers ask their supervisors for it."""
    stored = {"connection_id": conn_id, **emulator.connection, "extra": json.dumps(extra)}
    with suppress(requests.HTTPError):
        bed.request("DELETE", f"/api/v2/connections/{conn_id}")
    bed.request("POST", "/api/v2/connections", stored)
    return conn_id


COUNT = 100
# How many items, the seed, and how many requests a minute: so that a small batch is not submitted between two looks.
KILLS = [(150, seed, 3000) for seed in range(3)]
KILLS += [pytest.param(1000, seed, None, marks=pytest.mark.long) for seed in range(10)]


def test_a_batch_full_of_faults_takes_two_hops_and_its_manifest_is_complete_and_true(batch, bed, emulator):
    emulator.arm(
        {"on": "download", "fault": "truncate", "every": 30, "times": 3},
        {"on": "any", "fault": "rate_limit", "every": 10, "times": None},
    )
    run = batch(count=COUNT, failing=1, conn=store_connection(bed, emulator, "vidu_stored"))
    assert run.ends(400) == "success", bed.failures(run.dag_id, run.run_id)
    assert len(run.hops()) == 2
    returned = bed.xcom(run.dag_id, run.run_id, "batch")
    counts = {"success": COUNT * 19 // 20, "failed": COUNT // 20}
    assert returned["counts"] == counts
    records = {record["task_id"]: record for record in emulator.tasks}
    lines = run.manifest()
    assert list(lines) == [f"item-{number:05}" for number in range(COUNT)]
    assert sorted(line["task_id"] for line in lines.values()) == sorted(records)
    for line in lines.values():
        record = records[line["task_id"]]
        assert line["request"]["input"] == record["body"]["input"]
        assert {"success": "Success", "failed": "Failure"}[line["outcome"]] == record["status"]
        assert len(line["files"]) == (line["outcome"] == "success")
    some = [lines[f"item-{number:05}"]["files"][0].removeprefix("file://") for number in (1, 50, 99)]
    assert [read_video(Path(path)).seconds for path in some] == [1.0] * 3
    assert {record["downloads"] for record in records.values() if record["status"] == "Success"} <= {1, 2}
    log = run.log("batch")
    assert f"{COUNT} of {COUNT} done, {COUNT // 20} failed, about ¥" in log


@pytest.mark.parametrize(("count", "seed", "pace"), KILLS)
def test_a_worker_killed_at_any_moment_of_the_submits_pays_nothing_twice_and_loses_nothing(
    batch, bed, emulator, count, seed, pace
):
    conn = store_connection(bed, emulator, f"vidu_at_{pace}", max_requests_per_minute=pace)
    run = batch(count=count, failing=19, conn=conn)
    until("the worker", run.hops)
    pid = run.hops()[0]
    # Not the last ones: the worker might be done before it is killed.
    accepted = random.Random(seed).randrange(1, count - (count // 3 if pace else 20 * CONCURRENT_SUBMITS))
    run.accepted(accepted)
    run.kill(pid)
    run.ends(300)
    lines = run.manifest()
    records = {record["task_id"]: record["body"]["input"]["prompt"] for record in emulator.tasks}
    assert len(set(records.values())) == len(records)
    told = {line["task_id"]: line["request"]["input"]["prompt"] for line in lines.values() if line["task_id"]}
    assert told.items() <= records.items()
    uncertain = {line["request"]["input"]["prompt"] for line in lines.values() if line["outcome"] == "uncertain"}
    assert {records[task_id] for task_id in records.keys() - told.keys()} <= uncertain
    assert len(uncertain) <= CONCURRENT_SUBMITS
    counts = Counter(line["outcome"] for line in lines.values())
    assert counts.keys() <= {"success", "failed", "uncertain"}
    assert counts.total() == count
    # pytest -s shows how far each came.
    print(f"killed after {accepted} submits, {len(run.hops(2))} hops after it: {dict(counts)}")


def stored(run) -> dict[str, int]:
    """Return the number of each stored file, which is another one when it is written again."""
    return {path.name: path.stat().st_ino for path in (run.desk / "videos").glob("*.mp4")}


# What a killed worker had not written down yet is stored again.
UNWRITTEN = WRITE_VIDEOS + CONCURRENT_VIDEOS


@pytest.mark.parametrize("seed", range(3))
def test_a_worker_killed_while_it_stores_pays_nothing_twice_and_stores_the_rest(batch, bed, emulator, seed):
    run = batch(count=COUNT)
    until("the second hop", lambda: len(run.hops()) == 2)
    few = random.Random(seed).randrange(2 * UNWRITTEN, COUNT - UNWRITTEN)
    until(f"{few} stored videos", lambda: len(stored(run)) >= few)
    run.kill(run.hops()[1])
    before = stored(run)
    assert run.ends(300) == "success", bed.failures(run.dag_id, run.run_id)
    assert run.hops(2), "the kill came too late"
    lines = run.manifest()
    assert sorted(line["task_id"] for line in lines.values()) == sorted(record["task_id"] for record in emulator.tasks)
    assert {(line["outcome"], len(line["files"])) for line in lines.values()} == {("success", 1)}
    assert sorted(stored(run)) == [f"{name}.mp4" for name in lines]
    assert len(before.items() - stored(run).items()) <= UNWRITTEN


def test_a_nights_batch_calls_each_video_as_its_picture_is(bed, emulator, tmp_path):
    emulator.release()
    folder = made(tmp_path / "pictures")
    for name in ("red", "green", "blue"):
        Image.new("RGB", (160, 90), name).save(folder / f"{name}.png")
    videos = tmp_path / "videos"
    dag_id = "example_vidu_nightly_batch"
    run_id = bed.trigger(dag_id, {"folder": str(folder), "destination": videos.as_uri()})
    assert bed.wait(dag_id, run_id, 180) == "success", bed.failures(dag_id, run_id)
    (directory,) = videos.iterdir()
    assert sorted(path.name for path in directory.glob("*.mp4")) == ["blue.mp4", "green.mp4", "red.mp4"]
    returned = bed.xcom(dag_id, run_id, "videos")
    assert returned["counts"] == {"success": 3}
    assert Path(returned["manifest"].removeprefix("file://")).parent == directory
