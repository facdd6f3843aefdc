# SPDX-License-Identifier: Apache-2.0
"""What a submit does about a task state store that cannot be reached, and in what order it writes there."""

from __future__ import annotations

import json
import time
from functools import partial
from types import SimpleNamespace

import pytest
import requests
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_vidu.durable.attempt import Attempt
from airflow_provider_vidu.durable.state_store import SUBMIT_KEY, SubmitRecord
from airflow_provider_vidu.exceptions import ViduAuthError, ViduStateError
from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.protocol.request import build, fingerprint
from tests.quick import QUICK, posts
from tests.versions import FOREVER

AWAY, TIMED_OUT = ConnectionError("Airflow is away"), AirflowTaskTimeout("Time is over")


class Store:
    """A task state store that Airflow cannot reach at the given calls."""

    def __init__(self, *failing_calls: str, error: BaseException | None = None) -> None:
        self.failing_calls, self.error = list(failing_calls), error or AWAY
        self.calls, self.written, self.value = [], [], None

    def _call(self, name):
        self.calls.append(name)
        if name in self.failing_calls:
            self.failing_calls.remove(name)
            raise self.error

    def get(self, key, default=None):
        if key != SUBMIT_KEY:
            return default
        self._call("get")
        return self.value

    def set(self, key, value, *, retention=None):
        assert retention is FOREVER
        self._call(f"set {'id' if value['vidu_task_id'] else 'intent'}")
        self.written.append(value)
        self.value = value

    def delete(self, key):
        self._call("delete")
        self.value = None


class Pushed(dict):
    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def xcom_push(self, *, key, value):
        if self.error and key == "request_id":
            raise self.error
        self[key] = value


def executed(store: Store, error: BaseException | None = None, **arguments: object):
    pushed = Pushed(error)
    ti = SimpleNamespace(max_tries=1, xcom_push=pushed.xcom_push)
    operator = ViduSubmitOperator(task_id="submit", **(QUICK | arguments))
    return operator.execute({"ti": ti, "task_state_store": store}), pushed


@pytest.mark.parametrize("call", ["get", "set intent"])
def test_a_store_that_cannot_be_asked_lets_nothing_be_sent(emulator, call):
    with pytest.raises(ViduStateError, match=r"Airflow is away.*Retry the task"):
        executed(Store(call))
    assert emulator.requests == []


@pytest.mark.parametrize("error", [AWAY, TIMED_OUT], ids=["away", "timed out"])
def test_an_accepted_task_that_cannot_be_remembered_is_logged_pushed_and_returned(emulator, capfd, error):
    store = Store("set id", error=error)
    task_id, pushed = executed(store)
    (task,) = emulator.tasks
    assert (task_id, pushed["vidu_task_id"]) == (task["task_id"], task["task_id"])
    assert store.calls == ["get", "set intent", "set id"]
    assert (
        f"Vidu task {task_id} was accepted, but could not be stored in Airflow's task state store. Clearing this task "
        "would submit and pay again. "
        f'Resume the wait at no cost with ViduTaskSensor(task_id="resume", vidu_task_id="{task_id}").'
    ) in capfd.readouterr().out


@pytest.mark.parametrize("error", [AWAY, TIMED_OUT], ids=["away", "timed out"])
def test_an_accepted_task_whose_request_id_cannot_be_pushed_is_returned(emulator, error):
    task_id, pushed = executed(Store(), error)
    assert task_id == emulator.tasks[0]["task_id"]
    assert "request_id" not in pushed


def test_a_delivery_that_cannot_be_stored_is_told_as_what_a_clear_does(emulator, capfd):
    store = Store()
    store.set = partial(fails_the_second_time, store.set)
    task_id, _ = executed(store)
    assert f"Could not store that Vidu task {task_id} was delivered; a clear would re-attach" in capfd.readouterr().out
    assert (store.value["vidu_task_id"], store.value["delivered"]) == (task_id, False)


def fails_the_second_time(set_really, key, value, *, retention):
    if value["delivered"]:
        raise AWAY
    set_really(key, value, retention=retention)


@pytest.mark.parametrize("when", ["settings", "_send"])
def test_time_that_is_over_before_anything_left_is_left_to_the_retries(emulator, monkeypatch, when):
    def is_over(*arguments):
        raise TIMED_OUT

    monkeypatch.setattr(ViduHook, when, is_over)
    store = Store()
    with pytest.raises(AirflowTaskTimeout):
        executed(store)
    assert (store.calls, store.value) == (["get", "set intent", "delete"], None)
    assert posts(emulator) == []


def test_time_that_is_over_during_the_post_is_uncertain_and_keeps_the_intent(emulator, monkeypatch):
    really_send = requests.Session.send

    def is_over(*arguments, **options):
        really_send(*arguments, **options)
        raise TIMED_OUT

    store = Store()
    with monkeypatch.context() as patched:
        patched.setattr(requests.Session, "send", is_over)
        with pytest.raises(AirflowFailException, match="The API may have accepted"):
            executed(store)
    assert store.calls == ["get", "set intent"]
    assert len(emulator.tasks) == 1


def test_a_clear_that_cannot_read_the_picture_just_then_attaches_to_what_runs(slow_emulator, frame):
    pictured = {"vidu_type": "img2video", "model": "viduq2-turbo", "first_frame_url": str(frame)}
    store = Store()
    operator = ViduSubmitOperator(task_id="submit", **pictured)
    ti = SimpleNamespace(max_tries=1, xcom_push=Pushed().xcom_push)
    task_id = operator.execute({"ti": ti, "task_state_store": store})
    frame.unlink()
    cleared = SimpleNamespace(max_tries=2, xcom_push=Pushed().xcom_push)
    assert operator.execute({"ti": cleared, "task_state_store": store}) == task_id
    assert len(slow_emulator.tasks) == 1


def test_a_refused_submit_leaves_the_record_of_the_earlier_task(slow_emulator):
    store = Store()
    task_id, _ = executed(store)
    before = store.value | {"max_tries": 0}
    store.value = dict(before)
    slow_emulator.arm({"on": "submit", "fault": "error", "status": 401})
    with pytest.raises(ViduAuthError):
        executed(store, prompt="another kite")
    assert (store.value, before["vidu_task_id"]) == (before, task_id)


def test_the_intent_is_stored_before_the_post_and_the_task_id_before_the_return(emulator):
    store = Store()
    executed(store)
    assert store.calls == ["get", "set intent", "set id", "set id"]


def test_each_post_has_an_intent_of_its_own(emulator, soon):
    emulator.arm({"on": "submit", "fault": "rate_limit"})
    store = Store()
    executed(store)
    assert store.calls == ["get", "set intent", "delete", "set intent", "set id", "set id"]


def test_attaching_makes_a_later_retry_a_retry_again_and_the_video_undelivered_until_it_returns(slow_emulator):
    body = build("text2video", "viduq2", {name: QUICK[name] for name in ("prompt", "duration", "resolution")})
    task_id = ViduHook().submit(body).task_id
    store = Store()
    cleared = Attempt(fingerprint(body, "vidu_default"), 0, time.time(), {}, task_id, delivered=True)
    store.value = cleared.state()
    returned, _ = executed(store)
    assert returned == task_id
    assert store.written == [cleared._replace(max_tries=1, delivered=done).state() for done in (False, True)]
    assert len(slow_emulator.tasks) == 1


def test_an_intent_that_cannot_be_deleted_does_not_hide_the_refusal(emulator):
    emulator.arm({"on": "submit", "fault": "error", "status": 400})
    with pytest.raises(AirflowFailException, match="Nothing was paid"):
        executed(Store("delete"))


def test_below_airflow_3_3_one_line_tells_that_nothing_is_remembered(emulator, capfd):
    task_id, _ = executed(None)
    assert task_id == emulator.tasks[0]["task_id"]
    told = [line for line in capfd.readouterr().out.splitlines() if "durable needs Airflow 3.3 or newer" in line]
    assert len(told) == 1


def test_what_is_not_durable_neither_reads_nor_writes(emulator, capfd):
    store = Store()
    executed(store, durable=False)
    assert store.calls == []
    assert "durable" not in capfd.readouterr().out


def test_an_attempt_survives_the_store():
    attempt = Attempt("f", 1, 2.5, {"request_id": "r"}, "task-1", delivered=True)
    store = Store()
    store.value = json.loads(json.dumps(attempt.state()))
    assert SubmitRecord({"task_state_store": store}, durable=True, log=None).read() == attempt
