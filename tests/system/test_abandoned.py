# SPDX-License-Identifier: Apache-2.0
"""Fifty paid videos are abandoned in ten ways, and one run of the rescue stores them all."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from dev.video import read_video
from tests.system.support.abandoned import FIVE, AbandonedRun, DoomedDag

pytestmark = [pytest.mark.system, pytest.mark.long]


@pytest.fixture(autouse=True)
def _new_ledger(bed):
    """Begin with an empty ledger: other tests of the session abandon tasks, too."""
    ledger = Path(bed.env["AIRFLOW__VIDU__LEDGER"])
    if ledger.exists():
        ledger.rename(f"{ledger}-before")


@pytest.fixture
def start(bed, emulator, tmp_path):
    return lambda way, *dag_id, **conf: AbandonedRun(bed, emulator, tmp_path / way, *dag_id, **conf)


@pytest.fixture
def doomed(bed):
    doomed = DoomedDag(bed)
    yield doomed
    doomed.clean_up()


@pytest.fixture
def rescue(bed):
    """Run the rescue, and return what it returns."""

    def run(destination: Path) -> dict:
        dag_id = "abandoned_rescue"
        run_id = bed.trigger(dag_id, {"destination": destination.as_uri()})
        assert bed.wait(dag_id, run_id, 300) == "success", bed.failures(dag_id, run_id)
        return bed.xcom(dag_id, run_id, "rescue")

    return run


def kept(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Return the time and the content of each file."""
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in directory.iterdir()}


def abandon(start, doomed, tmp_path) -> dict[str, AbandonedRun]:
    """Pay for five videos in each of ten runs, and abandon them while their generations are held."""
    # Airflow runs four tasks at a time, so the killed ones come first.
    killed = start("killed", is_held=True)
    for index in range(FIVE):
        killed.kill(killed.pid("after", map_index=index))
    one_visit = start("one visit", "abandoned_one_visit")
    one_visit.kill(one_visit.batch_is_submitted(), whole=True)

    (tmp_path / "file").touch()
    runs = {
        "killed": killed,
        "one visit": one_visit,
        "late": start("late", "abandoned_late"),
        "deleted": start("deleted", "abandoned_batch"),
        "marked success": start("marked success"),
        "marked failed": start("marked failed", "abandoned_whole"),
        "removed": start("removed", doomed.dag_id),
        "skipped": start("skipped", is_wanted=False),
        # No user can write below a file, not even root.
        "unwritable": start("unwritable", destination=f"{tmp_path}/file/videos"),
        "run marked failed": start("run marked failed", "abandoned_whole"),
    }
    runs["deleted"].is_put_aside("batch", 1)
    runs["deleted"].mark_run("failed")
    runs["deleted"].delete()
    runs["marked success"].is_put_aside("wait")
    runs["marked success"].mark("wait", "success")
    runs["marked failed"].is_put_aside("generate")
    runs["marked failed"].mark("generate", "failed")
    runs["removed"].is_put_aside("generate")
    doomed.remove()
    runs["run marked failed"].is_put_aside("generate")
    runs["run marked failed"].mark_run("failed")
    for way in ("skipped", "unwritable"):
        runs[way].is_put_aside("wait")
    return runs


def test_fifty_videos_that_were_abandoned_in_ten_ways_are_stored_once_and_play(
    start, doomed, rescue, bed, emulator, tmp_path
):
    emulator.hold()
    runs = abandon(start, doomed, tmp_path)
    ends = {
        "killed": "failed",
        "one visit": "failed",
        "marked success": "success",
        "marked failed": "failed",
        "late": "failed",
        "run marked failed": "failed",
    }
    assert {way: runs[way].ends(300) for way in ends} == ends
    assert bed.request("GET", "/api/v2/dags/abandoned_batch/dagRuns")["total_entries"] == 0
    assert not doomed.exists()

    emulator.release()
    # These two runs go on until their videos are ready, which then nobody stores.
    assert runs["skipped"].ends(300) == "success"
    assert runs["unwritable"].ends(300) == "failed"
    left = {way: run.states() for way, run in runs.items() if way not in ("deleted", "removed")}
    # pytest -s shows what each way leaves behind.
    print(*left.items(), sep="\n")
    assert left["skipped"]["wait"] == {"success": FIVE}
    assert left["skipped"]["store"].keys() == {"skipped"}
    assert left["unwritable"]["store"] == {"failed": FIVE}
    paid = {way: run.vidu_task_ids for way, run in runs.items()}
    assert {way: len(ids) for way, ids in paid.items()} == dict.fromkeys(runs, FIVE)
    assert not list(tmp_path.rglob("*.mp4"))

    rescued = tmp_path / "rescued"
    returned = rescue(rescued)
    ids = sorted(task["task_id"] for task in emulator.tasks)
    assert len(ids) == 50
    assert (returned["counts"], returned["video_seconds"]) == ({"success": 50}, 50)
    manifest = Path(returned["manifest"].removeprefix("file://"))
    assert sorted(path.name for path in rescued.iterdir()) == sorted([f"{id_}.mp4" for id_ in ids] + [manifest.name])
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert sorted(line["task_id"] for line in lines) == ids
    assert {line["outcome"] for line in lines} == {"success"}
    assert all(line["files"] == [(rescued / f"{line['task_id']}.mp4").as_uri()] for line in lines)
    owners = Counter(tuple(line["custom_id"].split("/")[:2]) for line in lines)
    assert owners == {(run.dag_id, run.run_id): FIVE for run in runs.values()}
    facts = Counter(read_video(rescued / f"{id_}.mp4") for id_ in ids)
    assert [(one.codec, one.seconds) for one in facts] == [("h264", 1.0)]

    before = kept(rescued)
    assert rescue(rescued) == {"manifest": None, "counts": {}, "video_seconds": 0, "estimated_cost": 0}
    assert kept(rescued) == before
    assert len(emulator.tasks) == emulator.control("GET", "requests")["counts"]["submit"] == 50
    assert {task["downloads"] for task in emulator.tasks} == {1}
