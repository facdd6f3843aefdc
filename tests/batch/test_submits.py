# SPDX-License-Identifier: Apache-2.0
"""The submits of a batch, when the task is killed, its time is over or its state cannot be stored."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import timedelta
from threading import Timer
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
)

from airflow_provider_vidu.batch import results
from airflow_provider_vidu.batch import submits as batch_submits
from airflow_provider_vidu.batch.items import Item
from airflow_provider_vidu.batch.submits import CONCURRENT_SUBMITS, Submits
from airflow_provider_vidu.durable.batch_record import DELIVERED_KEY, BatchRecord
from airflow_provider_vidu.exceptions import ViduDownloadError, ViduTaskNotFoundError
from airflow_provider_vidu.hooks.vidu_async import ViduAsyncHook
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.protocol import pauses
from airflow_provider_vidu.protocol.polling import FAILED, LOST, TIMEOUT, Outcome
from airflow_provider_vidu.triggers.batch import ViduBatchTrigger
from tests.quick import Store, context_of, lines, many, outcomes, posts, tried

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")


@pytest.mark.parametrize("moment", ["before the submits", "while files are read"])
def test_a_task_that_is_killed_before_its_first_post_sends_none(emulator, videos, monkeypatch, moment):
    operator = ViduGenerateBatchOperator(task_id="batch", requests=many(20), destination=str(videos), deferrable=False)
    kind, name = (BatchRecord, "read") if moment == "before the submits" else (Item, "prepared")
    really = getattr(kind, name)

    def killed(self, *args):
        operator.on_kill()
        return really(self, *args)

    monkeypatch.setattr(kind, name, killed)
    with pytest.raises(AirflowException, match=r"20 unsubmitted.*the task was killed"):
        operator.execute(context_of(Store()))
    assert posts(emulator) == []


def test_a_wait_on_the_worker_whose_time_is_over_stores_what_is_ready(emulator, videos, monkeypatch):
    left = []

    async def over(self, hook, log):
        left.append(self.deadline - time.time())
        await asyncio.sleep(0.2)
        raise AirflowTaskTimeout("Time is over")

    monkeypatch.setattr(ViduBatchTrigger, "wait", over)
    told = tried(Store(), videos, many(2), execution_timeout=timedelta(seconds=100))
    assert told["counts"] == {"success": 2}
    assert left[0] <= 90


def test_an_answer_is_believed_where_it_ends_a_wait_and_not_where_the_asking_itself_took_too_long(monkeypatch):
    async def poll(watch, hook):
        watch.last_answer = ViduTaskNotFoundError("no such task")
        return Outcome(hook, "over")

    monkeypatch.setattr(results, "poll", poll)
    believed = {word: asyncio.run(results.poll_all(word, {"t": 0.0}))["t"].believed for word in (LOST, FAILED, TIMEOUT)}
    assert believed == {LOST: True, FAILED: True, TIMEOUT: False}


def test_every_item_is_noted_before_its_post_with_no_more_than_go_together(emulator, videos, monkeypatch):
    store, noted = Store(), []
    really_submit = ViduAsyncHook.submit

    async def submit(self, body):
        chunks = [value["submits"].items() for key, value in store.items() if key != DELIVERED_KEY]
        noted.append([name for submits in chunks for name, one in submits if not one["task_id"]])
        return await really_submit(self, body)

    monkeypatch.setattr(ViduAsyncHook, "submit", submit)
    given = many(10)
    tried(store, videos, given)
    names = [item["custom_id"] for item in given]
    assert noted == [names[:CONCURRENT_SUBMITS]] * 8 + [names[CONCURRENT_SUBMITS:]] * 2


def test_an_intent_that_cannot_be_stored_keeps_its_chunk_from_being_sent_while_the_others_are_stored(emulator, videos):
    store = Store(fails_at=3)
    with pytest.raises(AirflowException, match=r"\(8 success, 2 unsubmitted\).*ViduStateError.*Nothing was sent"):
        tried(store, videos, many(10))
    assert len(posts(emulator)) == 8
    assert tried(store, videos, many(10))["counts"] == {"success": 10}
    assert len(posts(emulator)) == 10


@pytest.mark.parametrize("open_store", [Store, lambda: None], ids=["remembered", "below 3.3"])
def test_a_picture_that_cannot_be_read_for_the_moment_holds_up_no_other_item(emulator, videos, monkeypatch, open_store):
    really_read, store = Item.prepared, open_store()

    def read(self, warn):
        if self.custom_id == "kite-009":
            raise ConnectionError("the bucket is away")
        return really_read(self, warn)

    with monkeypatch.context() as patched:
        patched.setattr(Item, "prepared", read)
        with pytest.raises(AirflowException, match=r"\(1 unsubmitted, 9 success\)"):
            tried(store, videos, [many(10)[-1], *many(9)])
    assert lines(videos)[0]["reason"] == (
        "Could not read its files (ConnectionError: 'the bucket is away'). Nothing was sent or paid for this item. "
        "Retry the task."
    )
    assert len(posts(emulator)) == 9
    if store is not None:
        assert tried(store, videos, many(10))["counts"] == {"success": 10}
        assert len(posts(emulator)) == 10


@pytest.mark.parametrize("error", [None, AirflowTaskTimeout("Time is over")])
def test_ids_that_cannot_be_stored_are_logged_stand_in_the_manifest_and_stop_the_submits(
    emulator, videos, capfd, error
):
    with pytest.raises(AirflowException, match="A retry can recover 2 of them"):
        tried(Store(fails_at=2, error=error), videos, many(10))
    ids = {line["custom_id"]: line["task_id"] for line in lines(videos) if line["outcome"] == "success"}
    assert sorted(ids.values()) == sorted(task["task_id"] for task in emulator.tasks)
    assert len(ids) == 8
    assert "Could not store the accepted submits" in capfd.readouterr().out


@pytest.fixture
def over_at_post(monkeypatch):
    """End the task at its nth POST by a signal to the main thread, as Airflow's timeout does."""

    def end(number: int, frame: object) -> None:
        raise AirflowTaskTimeout("Time is over")

    really_submit, sent = ViduAsyncHook.submit, []

    def arm(number: int) -> None:
        async def submit(self, body):
            sent.append(body)
            if len(sent) == number:
                os.kill(os.getpid(), signal.SIGUSR1)
            accepted = await really_submit(self, body)
            # The main thread has noticed before the answers come.
            await asyncio.sleep(0.5)
            return accepted

        monkeypatch.setattr(ViduAsyncHook, "submit", submit)

    before = signal.signal(signal.SIGUSR1, end)
    yield arm
    signal.signal(signal.SIGUSR1, before)


def test_time_that_is_over_during_the_posts_loses_nothing_that_was_accepted(emulator, videos, over_at_post):
    store = Store()
    over_at_post(CONCURRENT_SUBMITS + 1)
    with pytest.raises(AirflowTaskTimeout):
        tried(store, videos, many(20))
    (notes,) = videos.glob("*.waiting")
    assert notes.read_text().count('"outcome": "submitted"') == 16
    assert len(posts(emulator)) == 16
    assert tried(store, videos, many(20))["counts"] == {"success": 20}
    assert len(emulator.tasks) == 20


def test_a_post_without_an_answer_when_time_is_over_is_uncertain(emulator, videos, monkeypatch, over_at_post):
    emulator.arm({"on": "submit", "fault": "accept_then_hang"})
    monkeypatch.setattr(batch_submits, "LAST_ANSWERS_SECONDS", 2.0)
    store = Store()
    over_at_post(3)
    with pytest.raises(AirflowTaskTimeout):
        tried(store, videos, many(3))
    with pytest.raises(AirflowFailException):
        tried(store, videos, many(3))
    assert sorted(outcomes(videos).values()) == ["success", "success", "uncertain"]
    assert len(posts(emulator)) == 3


def test_a_killed_task_submits_nothing_more_and_waits_for_what_was_accepted(emulator, videos, monkeypatch):
    operator = ViduGenerateBatchOperator(
        task_id="batch", requests=many(20), destination=str(videos), deferrable=False, retries=0
    )
    really_submit = Submits._submit_chunk

    def killed(self, marks, *others):
        really_submit(self, marks, *others)
        operator.on_kill()

    monkeypatch.setattr(Submits, "_submit_chunk", killed)
    ti = SimpleNamespace(max_tries=1, try_number=1, dag_id="dag", run_id="run", task_id="batch", map_index=-1)
    with pytest.raises(AirflowException, match="12 unsubmitted"):
        operator.execute({"ti": ti, "task_state_store": Store(), "outlets": []})
    assert len(posts(emulator)) == 8


def test_below_airflow_3_3_nothing_is_retried_once_something_was_submitted(emulator, videos, capfd):
    emulator.arm({"on": "submit", "fault": "error", "status": 403, "every": 10})
    with pytest.raises(AirflowFailException, match="a retry would pay again"):
        tried(None, videos, many(20))
    assert list(outcomes(videos).values()).count("success") == 15
    assert capfd.readouterr().out.count("Airflow older than 3.3 keeps no record of a try.") == 1


def test_below_airflow_3_3_what_goes_wrong_before_the_first_submit_may_be_retried(emulator, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ViduDownloadError):
        tried(None, tmp_path / "file", many(2))


def test_long_submits_say_how_far_they_are(emulator, videos, monkeypatch, capfd):
    monkeypatch.setattr(batch_submits, "PROGRESS_SECONDS", 0.0)
    tried(Store(), videos, many(10))
    out = capfd.readouterr().out
    assert [f"Submitted {number} of 10" in out for number in (0, 8)] == [True, True]


def test_an_unexpected_error_of_one_post_leaves_the_others_as_they_are(emulator, videos, monkeypatch):
    really_submit, sent = ViduAsyncHook.submit, []

    async def odd(self, body):
        sent.append(body)
        if len(sent) == 2:
            raise RuntimeError("odd")
        return await really_submit(self, body)

    store = Store()
    with monkeypatch.context() as patched:
        patched.setattr(ViduAsyncHook, "submit", odd)
        with pytest.raises(AirflowException, match=r"RuntimeError: odd"):
            tried(store, videos, many(10))
    assert sorted(outcomes(videos).values()) == ["success"] * 7 + ["uncertain"] + ["unsubmitted"] * 2
    assert len(posts(emulator)) == 7


def test_a_task_that_is_killed_while_a_refused_post_waits_sends_it_no_more(emulator, videos, monkeypatch):
    monkeypatch.setattr(pauses, "RESEND_SECONDS", 1.0)
    emulator.arm({"on": "submit", "fault": "rate_limit", "times": None})
    operator = ViduGenerateBatchOperator(task_id="batch", requests=many(1), destination=str(videos), deferrable=False)
    kill = Timer(0.3, operator.on_kill)
    kill.start()
    with pytest.raises(AirflowException, match="1 unsubmitted"):
        operator.execute(context_of(Store()))
    kill.join()
    assert len(posts(emulator)) == 1
