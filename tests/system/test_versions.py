# SPDX-License-Identifier: Apache-2.0
"""
Trouble that every supported version of Airflow must survive, with a ledger.

Airflow 3.3 and newer remembers a try itself; below it the ledger does. The emulator counts what was paid, and each paid
video must be stored in the end.
"""

from __future__ import annotations

import pytest

from airflow_provider_vidu.batch.submits import CONCURRENT_SUBMITS
from dev.video import read_video
from tests.system.support.batches import store_connection

pytestmark = [pytest.mark.system, pytest.mark.matrix]

COUNT = 40


def assert_paid_and_stored(run, emulator, count=1):
    """Check how many submits were accepted, that no other was sent, and that each has its video."""
    assert (len(emulator.tasks), run.posts()) == (count, count)
    paid = {f"{task['task_id']}.mp4" for task in emulator.tasks}
    assert {path.name for path in run.desk.glob("*.mp4")} == paid
    assert [read_video(run.desk / name).seconds for name in paid] == [1.0] * count


def test_a_worker_killed_in_its_post_sends_no_second_one_and_a_person_fetches_the_video(careful, emulator, tmp_path):
    emulator.arm({"on": "submit", "fault": "accept_then_hang"})
    run = careful()
    pid = run.pid("before")
    run.accepted()
    run.kill(pid, whole=True)
    assert run.ends(180) == "failed"
    assert run.task("submit")["try_number"] == 2
    assert "its outcome is unknown. It may have been accepted and will then be billed" in run.log("submit", 2)
    (task,) = emulator.tasks
    resumed = careful(dag_id="resumed", vidu_task_id=task["task_id"])
    assert resumed.ends() == "success"
    assert_paid_and_stored(run, emulator)


@pytest.mark.parametrize("whole", [False, True], ids=["the task", "the task and its worker"])
def test_a_kill_after_the_post_and_before_the_id_is_pushed_pays_once(careful, emulator, whole):
    run = careful(stop="after-0")
    run.kill(run.pid("after"), whole=whole)
    assert run.ends(180) == "success", run.bed.failures(run.dag_id, run.run_id)
    assert run.task("submit")["try_number"] == 2
    assert_paid_and_stored(run, emulator)


def test_an_automatic_retry_attaches_to_what_was_paid(careful, emulator):
    run = careful(stop="break")
    assert run.ends() == "success", run.bed.failures(run.dag_id, run.run_id)
    assert run.task("submit")["try_number"] == 2
    assert_paid_and_stored(run, emulator)


def test_a_clear_attaches_while_the_generation_runs(careful, emulator):
    emulator.hold()
    run = careful()
    run.reaches("wait", "deferred")
    run.clear("submit")
    run.pid("after", try_number=2)
    run.reaches("submit", "success")
    emulator.release()
    assert run.ends() == "success", run.bed.failures(run.dag_id, run.run_id)
    assert_paid_and_stored(run, emulator)


def test_a_clear_after_the_delivery_makes_one_more_video(careful, emulator):
    run = careful()
    assert run.ends() == "success", run.bed.failures(run.dag_id, run.run_id)
    run.clear("submit", "wait", "store")
    run.reaches("store", "success")
    assert run.bed.xcom(run.dag_id, run.run_id, "submit") == emulator.tasks[1]["task_id"]
    assert_paid_and_stored(run, emulator, 2)


def test_a_batch_whose_worker_is_killed_in_its_first_visit_pays_nothing_twice(batch, bed, emulator):
    conn = store_connection(bed, emulator, "vidu_slow", max_requests_per_minute=600)
    run = batch(count=COUNT, conn=conn)
    run.kill_after_submits(COUNT // 2)
    run.ends(300)
    assert run.hops(2), "the kill came too late"
    counts = run.nothing_was_paid_twice(COUNT)
    assert counts["success"] >= COUNT - CONCURRENT_SUBMITS


def test_a_batch_whose_worker_is_killed_in_its_second_visit_stores_every_video(batch, bed, emulator):
    run = batch(count=COUNT)
    run.kill_after_stores(COUNT // 4)
    assert run.ends(300) == "success", bed.failures(run.dag_id, run.run_id)
    assert run.hops(2), "the kill came too late"
    run.all_was_stored()
    assert run.posts() == COUNT
