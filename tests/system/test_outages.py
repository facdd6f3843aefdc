# SPDX-License-Identifier: Apache-2.0
"""The API, the key or a triggerer goes away in mid-wait; the wait does not, and nothing is submitted again."""

from __future__ import annotations

import pytest

from airflow_provider_vidu.emulator import KEY
from tests.records import result_of
from tests.system.support.trouble import kill_session, until

pytestmark = pytest.mark.system


def waiting(careful, emulator, **conf):
    """A run whose wait is deferred while its generation is held at the emulator."""
    emulator.hold()
    run = careful(**conf)
    run.reaches("wait", "deferred")
    return run


def check_that_it_ended_well(run, emulator):
    assert run.ends(180) == "success"
    (record,) = emulator.tasks
    assert run.posts() == 1
    assert run.bed.xcom(run.dag_id, run.run_id, "wait") == result_of(record, seconds=1)
    assert run.task("wait")["try_number"] == 1
    assert (run.desk / f"{record['task_id']}.mp4").exists()


def test_an_api_that_is_down_for_a_minute_is_waited_for(careful, emulator):
    run = waiting(careful, emulator)
    emulator.release()
    emulator.arm({"on": "any", "fault": "outage", "seconds": 60})
    check_that_it_ended_well(run, emulator)


def test_a_triggerer_that_is_killed_and_started_again_goes_on_with_the_wait(careful, emulator, bed):
    run = waiting(careful, emulator)
    until("the trigger to ask", lambda: emulator.tasks[0]["polls"] > 2)
    (name,) = [name for name in bed.processes if name.startswith("triggerer")]
    kill_session(bed, name)
    bed.start_process(f"{name}-again", "triggerer", "--skip-serve-logs")
    polls = emulator.tasks[0]["polls"]
    until("the new trigger to ask", lambda: emulator.tasks[0]["polls"] > polls + 1)
    emulator.release()
    check_that_it_ended_well(run, emulator)


def test_a_second_triggerer_takes_over_when_the_first_is_killed(careful, emulator, bed):
    (first,) = [name for name in bed.processes if name.startswith("triggerer")]
    run = waiting(careful, emulator)
    until("the first triggerer to ask", lambda: emulator.tasks[0]["polls"] > 2)
    bed.start_process("triggerer-second", "triggerer", "--skip-serve-logs")
    alive = "/api/v2/jobs?job_type=TriggererJob&is_alive=true"
    until("two triggerers", lambda: bed.request("GET", alive)["total_entries"] == 2)
    owner = run.task("wait")["triggerer_job"]["id"]
    kill_session(bed, first)
    until("the second to own the trigger", lambda: (run.task("wait")["triggerer_job"] or {}).get("id", owner) != owner)
    polls = emulator.tasks[0]["polls"]
    until("the second triggerer to ask", lambda: emulator.tasks[0]["polls"] > polls + 1)
    emulator.release()
    check_that_it_ended_well(run, emulator)


def test_a_key_rotated_in_mid_wait_is_picked_up(careful, emulator, bed):
    rotating = {"connection_id": "rotating", "conn_type": "vidu", "host": emulator.url, "password": KEY}
    bed.request("POST", "/api/v2/connections", rotating)
    run = waiting(careful, emulator, conn="rotating")
    until("the trigger to ask", lambda: emulator.tasks[0]["polls"] > 2)
    try:
        emulator.control("POST", "key", {"key": "the-key-after-the-rotation"})
        bed.request("PATCH", "/api/v2/connections/rotating", {**rotating, "password": "the-key-after-the-rotation"})
        emulator.release()
        check_that_it_ended_well(run, emulator)
    finally:
        emulator.control("POST", "key", {"key": KEY})
        bed.request("DELETE", "/api/v2/connections/rotating")


def test_a_wait_that_takes_too_long_ends_as_its_author_chose(bed, emulator):
    emulator.hold()
    run_id = bed.trigger("bounded")
    assert bed.wait("bounded", run_id, 180) == "failed"
    (record,) = emulator.tasks
    states = {task["task_id"]: task["state"] for task in bed.task_instances("bounded", run_id)}
    assert states == {
        "submit": "success",
        "in_time": "failed",
        "in_execution_time": "failed",
        "softly": "skipped",
        "never": "skipped",
    }
    for task_id in ("in_time", "in_execution_time", "softly", "never"):
        log = bed.log("bounded", run_id, task_id)
        assert f"Vidu task {record['task_id']} was not ready in time; its last status was Running" in log
        assert f'ViduTaskSensor(task_id=\\"resume\\", vidu_task_id=\\"{record["task_id"]}\\")' in log
