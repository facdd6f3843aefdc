# SPDX-License-Identifier: Apache-2.0
"""Batches on a real Airflow: two hops, faults everywhere, and workers that die while they submit."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from PIL import Image

from airflow_provider_vidu.batch.submits import CONCURRENT_SUBMITS
from airflow_provider_vidu.durable.batch_record import DELIVERED_KEY
from dev.video import read_video
from tests.system.support.batches import UNWRITTEN, store_connection
from tests.system.support.trouble import until

pytestmark = pytest.mark.system


COUNT = 100
# How many items, the seed, and how many requests a minute: so that a small batch is not submitted between two looks.
KILLS = [pytest.param(150, 0, 3000, marks=pytest.mark.matrix), (150, 1, 3000), (150, 2, 3000)]
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
    # Not the last ones: the worker might be done before it is killed.
    accepted = random.Random(seed).randrange(1, count - (count // 3 if pace else 20 * CONCURRENT_SUBMITS))
    run.kill_after_submits(accepted)
    run.ends(300)
    counts = run.nothing_was_paid_twice(count)
    # pytest -s shows how far each came.
    print(f"killed after {accepted} submits, {len(run.hops(2))} hops after it: {dict(counts)}")


@pytest.mark.parametrize("seed", [pytest.param(0, marks=pytest.mark.matrix), 1, 2])
def test_a_worker_killed_while_it_stores_pays_nothing_twice_and_stores_the_rest(batch, bed, emulator, seed):
    run = batch(count=COUNT)
    run.kill_after_stores(random.Random(seed).randrange(2 * UNWRITTEN, COUNT - UNWRITTEN))
    before = run.stored()
    assert run.ends(300) == "success", bed.failures(run.dag_id, run.run_id)
    assert run.hops(2), "the kill came too late"
    run.all_was_stored()
    assert len(before.items() - run.stored().items()) <= UNWRITTEN


@pytest.mark.parametrize("is_killed", [False, True], ids=["undisturbed", "killed in the second wave"])
def test_waves_keep_to_their_number_in_flight_and_pay_each_item_once(batch, emulator, is_killed):
    if is_killed:
        emulator.arm({"on": "download", "fault": "hang"})
    run = batch(dag_id="batches_in_waves", count=8)
    if is_killed:
        until("a download that hangs", lambda: any(request["status"] is None for request in emulator.requests))
        run.kill(run.hops()[1])
    assert run.most_in_flight() == 2
    run.all_was_stored()
    assert (len(emulator.tasks), run.posts()) == (8, 8)
    hops = [len(run.hops(number)) for number in (1, 2)]
    chunks = [key for key in run.state_keys("batch") if key.startswith("vidu_batch_") and key != DELIVERED_KEY]
    # The waves of a try share a chunk; the next try leaves it alone.
    if is_killed:
        assert (hops[0], hops[1] > 3, len(chunks)) == (2, True, 2)
    else:
        assert (hops[0] > 4, hops[1], len(chunks)) == (True, 0, 1)


def test_a_nights_batch_calls_each_video_as_its_picture_is(bed, emulator, tmp_path):
    emulator.release()
    folder = tmp_path / "pictures"
    folder.mkdir()
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
