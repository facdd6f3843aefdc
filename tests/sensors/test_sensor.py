# SPDX-License-Identifier: Apache-2.0
"""The sensor in its three modes, run by Airflow itself."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from airflow_provider_vidu.durable.entries import FAILED as ENDED_FAILED
from airflow_provider_vidu.durable.entries import Ending
from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.protocol import polling
from airflow_provider_vidu.protocol.polling import FAILED, LOST, TIMEOUT, Outcome, how_to_resume
from airflow_provider_vidu.protocol.request import build
from airflow_provider_vidu.protocol.texts import brief
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from tests.quick import Store, context_of
from tests.records import result_of

MODES = {
    "deferrable": {},
    "poke": {"deferrable": False},
    "reschedule": {"deferrable": False, "mode": "reschedule"},
}
FLAGS = {"neither": {}, "soft_fail": {"soft_fail": True}, "never_fail": {"never_fail": True}}


@pytest.fixture(params=MODES)
def wait(request, run_dag):
    """Run one sensor in one mode."""

    def run(vidu_task_id: object, **arguments: object):
        arguments = {"poke_interval": 0.2, **MODES[request.param], **arguments}
        return run_dag(lambda: ViduTaskSensor(task_id="wait", vidu_task_id=vidu_task_id, **arguments))

    return run


def submitted(prompt: str = "a kite") -> str:
    return ViduHook().submit(build("text2video", "viduq2", {"prompt": prompt, "duration": 1})).task_id


def test_every_mode_returns_the_same_result(wait, emulator):
    task_id = submitted()
    emulator.arm({"on": "status", "fault": "unknown_word", "word": "Queueing", "times": 2})
    ran = wait(task_id)
    (task,) = emulator.tasks
    assert ran.states == {"wait": "success"}
    assert ran.xcom("wait") == result_of(task, seconds=1)


# Before each poke of a rescheduled task Airflow clears what it pushed, so there the last poke leaves nothing.
@pytest.mark.parametrize("mode", ["deferrable", "poke"])
def test_the_last_status_word_of_a_wait_is_told(run_dag, emulator, mode):
    task_id = submitted()
    emulator.arm({"on": "status", "fault": "unknown_word", "word": "Queueing", "times": 2})
    arguments = {"poke_interval": 0.2, "expected_seconds": 0.1, **MODES[mode]}
    ran = run_dag(lambda: ViduTaskSensor(task_id="wait", vidu_task_id=task_id, **arguments))
    progress = ran.xcom("wait", "vidu_progress")
    began = progress.pop("submitted_at")
    assert progress == {"task_id": task_id, "state": "Queueing", "expected_seconds": 0.1}
    assert 0 <= time.time() - began < 60


ENDS = {
    "failed": ("fail-by-moderation", None, AirflowFailException, "CreationPolicyViolation"),
    "lost": ("a kite", {"fault": "error", "status": 401}, AirflowFailException, "Lost contact with Vidu task"),
    "unknown": (None, None, AirflowFailException, "does not know this task"),
    "time-out": ("a kite", {"fault": "unknown_word", "word": "Stuck"}, AirflowSensorTimeout, "last status was Stuck"),
}


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("end", ENDS)
def test_every_mode_ends_badly_in_the_same_way(wait, emulator, soon, end, flag, monkeypatch, capfd):
    monkeypatch.setattr(polling, "GRACE_SECONDS", 1.0)
    prompt, fault, error, text = ENDS[end]
    task_id = submitted(prompt) if prompt else "nobody-knows-it"
    if fault:
        emulator.arm({"on": "status", "times": None, **fault})
    ran = wait(task_id, timeout=1 if end == "time-out" else 60, retries=2, retry_delay=timedelta(0), **FLAGS[flag])
    assert ran.states == {"wait": "failed" if flag == "neither" else "skipped"}
    if flag == "neither":
        assert type(ran.error) is error
        assert text in str(ran.error)
        assert task_id in str(ran.error)
        assert ran.xcom("wait", "vidu_failure") == {"task_id": task_id, "reason": str(ran.error), "error": ""}
    else:
        assert ran.xcom("wait", "vidu_failure") is None
        told = [line for line in capfd.readouterr().out.splitlines() if "kipped" in line and task_id in line]
        assert any(text in line for line in told)
        assert end == "failed" or any(how_to_resume(task_id) in line.replace("\\", "") for line in told)


def test_a_failed_generation_ends_its_entry_in_the_ledger(wait, emulator, ledger):
    task_id = submitted("fail-by-moderation")
    ran = wait(task_id)
    assert ledger.ending(task_id) == Ending(ENDED_FAILED, reason=str(ran.error))


def test_a_few_stray_refusals_do_not_end_a_wait(wait, emulator, soon):
    task_id = submitted()
    emulator.arm({"on": "status", "fault": "error", "status": 400, "times": 3})
    assert wait(task_id).states == {"wait": "success"}


def test_an_execution_timeout_bounds_the_whole_wait(wait, emulator):
    task_id = submitted()
    emulator.arm({"on": "status", "fault": "unknown_word", "word": "Stuck", "times": None})
    ran = wait(task_id, execution_timeout=timedelta(seconds=2))
    assert ran.states == {"wait": "failed"}
    assert type(ran.error) is AirflowSensorTimeout
    assert task_id in str(ran.error)


@pytest.mark.parametrize("given", [None, ""])
def test_a_missing_task_id_is_refused_by_name(wait, emulator, given):
    ran = wait(given)
    assert type(ran.error) is AirflowFailException
    rule = f"vidu_task_id must be the task id that ViduSubmitOperator returned, got {given!r}"
    step = "Pass submit.output, or the task_id of a result, then clear this task alone."
    assert str(ran.error) == f"{rule}. The sensor sent and paid nothing. {step}"
    assert emulator.requests == []


@pytest.mark.parametrize("is_list", [False, True])
def test_a_result_in_place_of_a_task_id_is_refused_without_its_links(emulator, finish, is_list):
    result = finish()
    # A mapped task's or a function's output arrives when the task runs.
    wait = ViduTaskSensor(task_id="wait", vidu_task_id="later")
    store = ViduToObjectStorageOperator(task_id="store", vidu_task_id="later", destination="/tmp/v")
    asked = len(emulator.requests)
    steps = ("Pass submit.output, or the task_id of a result, then", "or pass a result as result, then clear")
    for operator, step in zip((wait, store), steps, strict=True):
        operator.vidu_task_id = given = [result] if is_list else result
        with pytest.raises(AirflowFailException) as raised:
            operator.execute(context_of(Store()))
        assert result["urls"][0].partition("token=")[2] not in str(raised.value)
        assert f"got {brief(given)}. " in str(raised.value)
        assert step in str(raised.value)
        assert len(str(raised.value)) < 400
    assert len(emulator.requests) == asked


def test_blanks_around_a_task_id_do_not_matter(run_dag, emulator):
    ran = run_dag(lambda: ViduTaskSensor(task_id="wait", vidu_task_id=f" {submitted()}\n"))
    assert ran.states == {"wait": "success"}


@pytest.mark.parametrize("given", ["soon", "-1", "nan", "inf", "[3.4, 3.4]"])
def test_an_expectation_that_is_no_time_does_not_end_the_wait(run_dag, emulator, given, capfd):
    task_id = submitted()
    ran = run_dag(lambda: ViduTaskSensor(task_id="wait", vidu_task_id=task_id, expected_seconds=given))
    assert ran.states == {"wait": "success"}
    assert f"expected_seconds must be a number of seconds or None, got {given!r}." in capfd.readouterr().out


def test_a_task_id_may_be_a_number(run_dag, emulator):
    ran = run_dag(lambda: ViduTaskSensor(task_id="wait", vidu_task_id=123, timeout=0.1, poke_interval=0.1))
    assert "Vidu task 123 " in str(ran.error)


@pytest.mark.parametrize("given", [None, "None", "", "{{ None }}", 0.01, "{{ 0.01 }}"])
def test_an_expectation_may_be_templated_and_missing(wait, emulator, given):
    task_id = submitted()
    emulator.arm({"on": "status", "fault": "unknown_word", "word": "Queueing", "times": 1})
    assert wait(task_id, expected_seconds=given).states == {"wait": "success"}


def test_a_finished_task_is_not_deferred(run_dag, emulator):
    task_id = submitted()
    ran = run_dag(lambda: ViduTaskSensor(task_id="wait", vidu_task_id=task_id))
    assert ran.states == {"wait": "success"}
    assert [task["polls"] for task in emulator.tasks] == [1]


def test_an_event_of_another_task_than_now_asked_for_is_not_taken_for_its_result(emulator):
    told = ViduHook().get_task(submitted()).result()
    now_asked_for = submitted("a boat")
    event = {"status": "success", "task": told, "message": "ready"}
    sensor = ViduTaskSensor(task_id="wait", vidu_task_id=now_asked_for)
    assert sensor.execute_complete({}, event, waited_for=told["task_id"])["task_id"] == now_asked_for


@pytest.mark.parametrize("now_asked_for", ["{told}", " {told} ", None, ""])
def test_an_event_counts_where_nothing_else_is_asked_for_now(emulator, now_asked_for):
    told = ViduHook().get_task(submitted()).result()
    event = {"status": "success", "task": told, "message": "ready"}
    sensor = ViduTaskSensor(task_id="wait", vidu_task_id=now_asked_for and now_asked_for.format(told=told["task_id"]))
    assert sensor.execute_complete({}, event, waited_for=told["task_id"]) == told


@pytest.mark.parametrize("event", [None, {}, {"status": "done"}, {"status": "success", "task": None, "message": ""}])
def test_a_strange_event_fails_loudly_and_tells_how_to_resume(event):
    sensor = ViduTaskSensor(task_id="wait", vidu_task_id="task-7")
    with pytest.raises(AirflowFailException, match=r"The event must come from a Vidu trigger.*vidu_task_id=\"task-7\""):
        sensor.execute_complete({}, event)


def test_a_trigger_that_airflow_gave_up_is_told_with_the_task_id():
    sensor = ViduTaskSensor(task_id="wait", vidu_task_id="task-7")
    with pytest.raises(AirflowSensorTimeout, match=r"Vidu task task-7 .*vidu_task_id=\"task-7\""):
        sensor.resume_execution("__fail__", {"error": "Trigger timeout"}, {})


@pytest.mark.parametrize("flag", ["soft_fail", "never_fail"])
def test_a_wait_that_is_skipped_since_airflow_gave_its_trigger_up_names_the_task(flag, capfd):
    sensor = ViduTaskSensor(task_id="wait", vidu_task_id="task-7", **{flag: True})
    with pytest.raises(AirflowSkipException):
        sensor.resume_execution("__fail__", {"error": "Trigger timeout"}, {})
    assert how_to_resume("task-7") in capfd.readouterr().out


RESUMED = {
    **{
        status: ("execute_complete", {"event": Outcome(status, "It ended.").event()})
        for status in (TIMEOUT, FAILED, LOST)
    },
    "given up": ("__fail__", {"error": "Trigger timeout"}),
    "broken": ("__fail__", {"error": "Trigger failure", "traceback": ["broken"]}),
}


@pytest.mark.parametrize("flag", ["soft_fail", "never_fail"])
@pytest.mark.parametrize(("method", "kwargs"), RESUMED.values(), ids=list(RESUMED))
def test_a_deferred_wait_that_ends_badly_is_skipped_where_its_author_says_so(flag, method, kwargs):
    sensor = ViduTaskSensor(task_id="wait", vidu_task_id="task-7", **{flag: True})
    with pytest.raises(AirflowSkipException):
        sensor.resume_execution(method, dict(kwargs), {})


@pytest.mark.parametrize(("method", "kwargs"), RESUMED.values(), ids=list(RESUMED))
def test_a_deferred_wait_that_ends_badly_fails_without_retries(method, kwargs):
    sensor = ViduTaskSensor(task_id="wait", vidu_task_id="task-7")
    with pytest.raises((AirflowSensorTimeout, AirflowFailException)):
        sensor.resume_execution(method, dict(kwargs), {})


def test_a_trigger_that_broke_is_told_with_the_task_id_and_not_retried():
    sensor = ViduTaskSensor(task_id="wait", vidu_task_id="task-7")
    with pytest.raises(AirflowFailException, match=r"Vidu task task-7 .*vidu_task_id=\"task-7\""):
        sensor.resume_execution("__fail__", {"error": "Trigger failure", "traceback": ["broken"]}, {})


def test_a_poke_interval_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"poke_interval must be a number of seconds above 0 and at most 31,536,000"):
        ViduTaskSensor(task_id="wait", vidu_task_id="task", poke_interval=0)
