# SPDX-License-Identifier: Apache-2.0
"""A person clears and marks tasks, and the emulator counts what was accepted."""

from __future__ import annotations

import time

import pytest

from tests.system.support.trouble import until

pytestmark = pytest.mark.system


def test_clearing_a_submit_that_still_runs_attaches_while_its_generation_does(careful, emulator):
    emulator.hold()
    run = careful(stop="after-0")
    run.pid("after")
    run.clear("submit")
    run.reaches("wait", "deferred")
    emulator.release()
    assert run.ends() == "success"
    (record,) = emulator.tasks
    assert run.bed.xcom(run.dag_id, run.run_id, "submit") == record["task_id"]


@pytest.mark.matrix
def test_clearing_a_submit_whose_generation_runs_attaches(careful, emulator):
    emulator.hold()
    run = careful()
    run.reaches("wait", "deferred")
    run.clear("submit")
    run.pid("after", try_number=2)
    run.reaches("submit", "success")
    emulator.release()
    assert run.ends() == "success"
    (record,) = emulator.tasks
    assert run.bed.xcom(run.dag_id, run.run_id, "submit") == record["task_id"]


@pytest.mark.matrix
def test_clearing_a_submit_whose_video_was_delivered_asks_for_a_new_one(careful, emulator):
    run = careful()
    assert run.ends() == "success"
    run.clear("submit", "wait", "store")
    run.reaches("store", "success")
    first, second = emulator.tasks
    assert run.bed.xcom(run.dag_id, run.run_id, "submit") == second["task_id"] != first["task_id"]
    assert run.bed.xcom(run.dag_id, run.run_id, "wait")["task_id"] == second["task_id"]


def test_clearing_a_submit_whose_generation_failed_asks_for_a_new_one(careful, emulator):
    run = careful(prompt="fail-by-moderation")
    assert run.ends() == "failed"
    assert run.task("wait")["try_number"] == 1
    assert "CreationPolicyViolation" in run.log("wait")
    run.clear("submit", "wait", "store")
    run.reaches("submit", "success")
    run.accepted(2)
    assert run.ends() == "failed"
    assert len(emulator.tasks) == 2


def test_clearing_a_submit_whose_outcome_is_unknown_submits_with_a_warning(careful, emulator):
    emulator.arm({"on": "submit", "fault": "accept_then_drop"})
    run = careful()
    assert run.ends() == "failed"
    assert run.task("submit")["try_number"] == 1
    run.clear("submit", "wait", "store")
    run.reaches("store", "success")
    assert len(emulator.tasks) == 2
    assert "its outcome is unknown" in run.log("submit", 2)


def test_clearing_a_submit_in_the_middle_of_its_post_submits_with_a_warning(careful, emulator):
    emulator.arm({"on": "submit", "fault": "accept_then_hang"})
    run = careful()
    run.posted()
    run.clear("submit")
    assert run.ends() == "success"
    assert len(emulator.tasks) == 2
    assert "its outcome is unknown" in run.log("submit", 2)


def waiting(careful, emulator):
    """A run whose trigger has begun to ask."""
    emulator.hold()
    run = careful()
    run.reaches("wait", "deferred")
    until("the trigger to ask", lambda: emulator.tasks[0]["polls"] > 2)
    return run


def test_clearing_a_deferred_wait_waits_again_and_submits_nothing(careful, emulator):
    run = waiting(careful, emulator)
    run.clear("wait")
    until("the second try", lambda: run.task("wait")["try_number"] == 2)
    emulator.release()
    assert run.ends() == "success"
    assert run.posts() == 1


@pytest.mark.parametrize("state", ["success", "failed"])
def test_marking_a_deferred_wait_ends_its_trigger_and_tells_that_the_task_runs_on(careful, emulator, state):
    run = waiting(careful, emulator)
    run.mark("wait", state)
    (task,) = emulator.tasks
    told = f"The wait for Vidu task {task['task_id']} was killed. The task cannot be cancelled: it keeps running"
    until("the trigger to tell", lambda: told in run.log("wait"))
    polls = emulator.tasks[0]["polls"]
    time.sleep(3)
    assert emulator.tasks[0]["polls"] == polls
    assert run.task("wait")["state"] == state
    assert run.posts() == 1
