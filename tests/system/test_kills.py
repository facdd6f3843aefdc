# SPDX-License-Identifier: Apache-2.0
"""A worker dies, and the emulator counts what was accepted."""

from __future__ import annotations

from contextlib import suppress

import psutil
import pytest

from dev.video import read_video

pytestmark = pytest.mark.system


def prompts(emulator):
    return sorted(task["body"]["input"]["prompt"] for task in emulator.tasks)


def test_a_worker_killed_before_the_post_costs_nothing_and_its_retry_submits(careful, emulator):
    run = careful(stop="before-0")
    run.kill(run.pid("before"))
    assert run.ends() == "success"
    (record,) = emulator.tasks
    assert run.bed.xcom(run.dag_id, run.run_id, "submit") == record["task_id"]
    assert run.task("submit")["try_number"] == 2


@pytest.mark.parametrize(("fault", "accepted"), [("accept_then_hang", 1), ("hang", 0)])
def test_a_worker_killed_during_the_post_is_never_followed_by_a_second_post(careful, emulator, fault, accepted):
    emulator.arm({"on": "submit", "fault": fault})
    run = careful()
    pid = run.pid("before")
    run.posted()
    run.kill(pid)
    assert run.ends() == "failed"
    assert (len(emulator.tasks), run.posts()) == (accepted, 1)
    log = run.log("submit", 2)
    assert "its outcome is unknown. The API may have accepted and billed it" in log
    assert run.task("submit")["try_number"] == 2


@pytest.mark.matrix
def test_a_worker_killed_in_its_post_leaves_a_video_that_a_person_can_fetch(careful, emulator):
    emulator.arm({"on": "submit", "fault": "accept_then_hang"})
    run = careful()
    pid = run.pid("before")
    run.accepted()
    run.kill(pid, whole=True)
    assert run.ends(180) == "failed"
    assert "its outcome is unknown" in run.log("submit", 2)
    (task,) = emulator.tasks
    assert careful(dag_id="resumed", vidu_task_id=task["task_id"]).ends() == "success"
    assert run.posts() == 1
    assert read_video(run.desk / f"{task['task_id']}.mp4").seconds == 1.0


@pytest.mark.matrix
def test_an_automatic_retry_attaches_to_what_was_paid(careful, emulator):
    run = careful(stop="break")
    assert run.ends() == "success", run.bed.failures(run.dag_id, run.run_id)
    assert (run.posts(), run.task("submit")["try_number"]) == (1, 2)
    assert read_video(run.desk / f"{emulator.tasks[0]['task_id']}.mp4").seconds == 1.0


@pytest.mark.matrix
def test_a_lost_machine_right_after_the_post_loses_no_video(careful, emulator):
    run = careful(stop="after-0")
    run.kill(run.pid("after"), whole=True)
    assert run.ends(180) == "success"
    (record,) = emulator.tasks
    assert run.bed.xcom(run.dag_id, run.run_id, "submit") == record["task_id"]
    assert (run.posts(), run.task("submit")["try_number"]) == (1, 2)


def test_a_worker_killed_at_the_moment_of_the_acceptance_pays_once(careful, emulator):
    run = careful()
    pid = run.pid("before")
    run.accepted()
    # It may have ended already, which is one of the moments that this is about.
    with suppress(psutil.NoSuchProcess):
        run.kill(pid)
    state = run.ends()
    (record,) = emulator.tasks
    assert run.posts() == 1
    if state == "success":
        assert run.bed.xcom(run.dag_id, run.run_id, "submit") == record["task_id"]
    else:
        assert "its outcome is unknown" in run.log("submit", 2)


@pytest.mark.matrix
def test_of_mapped_submits_the_killed_one_attaches_and_the_others_do_not_notice(careful, emulator):
    run = careful(dag_id="careful_mapped", stop="after-1")
    run.kill(run.pid("after", map_index=1))
    assert run.ends() == "success"
    assert prompts(emulator) == ["mapped 0", "mapped 1", "mapped 2"]
    ids = {record["body"]["input"]["prompt"]: record["task_id"] for record in emulator.tasks}
    for index in range(3):
        assert run.bed.xcom(run.dag_id, run.run_id, "submit", map_index=index) == ids[f"mapped {index}"]
    assert [run.task("submit", index)["try_number"] for index in range(3)] == [1, 2, 1]


@pytest.mark.parametrize(
    ("prompt", "state", "count"), [("fail-by-moderation", "failed", 1), ("fail-by-capacity", "failed", 2)]
)
def test_a_retry_after_a_failed_generation_submits_anew_only_where_that_can_help(
    careful, emulator, prompt, state, count
):
    run = careful(prompt=prompt, stop="break")
    assert run.ends() == state
    assert (len(emulator.tasks), run.posts()) == (count, count)
    submit, wait = run.task("submit"), run.task("wait")
    if count == 1:
        assert (submit["state"], submit["try_number"], wait["state"]) == ("failed", 2, "upstream_failed")
        assert "Content moderation stopped it" in run.log("submit", 2)
    else:
        # The second generation fails as well, and that is final for the wait.
        assert (submit["state"], submit["try_number"]) == ("success", 2)
        assert (wait["state"], wait["try_number"]) == ("failed", 1)
        assert "The service was short of capacity" in run.log("wait")


def test_a_retry_after_a_bad_key_submits_once(careful, emulator):
    emulator.arm({"on": "submit", "fault": "error", "status": 401})
    run = careful()
    assert run.ends() == "success"
    assert (len(emulator.tasks), run.posts()) == (1, 2)
