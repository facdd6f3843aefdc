# SPDX-License-Identifier: Apache-2.0
"""A generate task whose tries run on workers that do not see each other's files."""

from __future__ import annotations

import shutil

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_vidu.durable import stored_files
from airflow_provider_vidu.durable.attempt import Attempt
from airflow_provider_vidu.durable.state_store import SUBMIT_KEY
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.protocol import response
from airflow_provider_vidu.protocol.polling import LOST, Outcome
from tests.quick import QUICK, Store, context_of, posts

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")


def tried(store, videos, max_tries=1, **arguments):
    arguments = {**QUICK, "destination": str(videos), "deferrable": False, **arguments}
    context = context_of(store, max_tries)
    context["ti"].xcom_push = lambda key, value: None
    return ViduGenerateVideoOperator(task_id="generate", **arguments).execute(context)


@pytest.fixture
def killed_after_storing(emulator, videos, monkeypatch):
    """The state that a worker leaves which dies after the video is stored; its links have expired meanwhile."""
    store = Store()
    tried(store, videos)
    store[SUBMIT_KEY] = Attempt.from_state(store[SUBMIT_KEY])._replace(delivered=False).state()
    monkeypatch.setattr(response, "RESULT_LIFETIME_SECONDS", -1)
    return store


@pytest.mark.parametrize("max_tries", [1, 2], ids=["retried", "cleared"])
def test_a_stored_video_is_returned_although_its_links_have_expired(emulator, videos, killed_after_storing, max_tries):
    (video,) = videos.glob("*.mp4")
    before = video.stat()
    returned = tried(killed_after_storing, videos, max_tries)
    assert returned["files"] == [f"file://{video}"]
    assert video.stat() == before
    assert (len(posts(emulator)), emulator.tasks[0]["downloads"]) == (1, 1)


@pytest.mark.parametrize("max_tries", [1, 2], ids=["retried", "cleared"])
def test_a_video_stored_on_another_machine_is_not_paid_again(emulator, videos, killed_after_storing, max_tries):
    (video,) = videos.glob("*.mp4")
    shutil.rmtree(videos)
    with pytest.raises(AirflowFailException) as raised:
        tried(killed_after_storing, videos, max_tries)
    assert f"An earlier try stored its video at file://{video}. Nothing is submitted or paid." in str(raised.value)
    assert len(posts(emulator)) == 1
    del killed_after_storing[SUBMIT_KEY]
    assert tried(killed_after_storing, videos, 2)["files"] != [f"file://{video}"]
    assert len(posts(emulator)) == 2


@pytest.mark.parametrize("max_tries", [1, 2], ids=["retried", "cleared"])
def test_a_stored_video_is_returned_although_the_server_knows_its_task_no_more(
    emulator, videos, killed_after_storing, max_tries
):
    (video,) = videos.glob("*.mp4")
    emulator.control("POST", "reset")
    returned = tried(killed_after_storing, videos, max_tries, timeout=0.5)
    assert (returned["files"], returned["urls"], returned["task_id"]) == ([f"file://{video}"], [], video.stem)
    assert posts(emulator) == []


def test_clearing_a_delivered_task_makes_a_new_video_wherever_it_runs(emulator, videos):
    store = Store()
    tried(store, videos)
    shutil.rmtree(videos)
    tried(store, videos, 2)
    assert len(posts(emulator)) == 2


def test_a_retry_whose_destination_is_none_names_what_was_paid(emulator, videos):
    store = Store()
    tried(store, videos)
    store[SUBMIT_KEY] = Attempt.from_state(store[SUBMIT_KEY])._replace(delivered=False).state()
    (task,) = emulator.tasks
    operator = ViduGenerateVideoOperator(task_id="generate", **QUICK, destination="{{ params.place }}")
    operator.destination = ""
    with pytest.raises(AirflowFailException) as raised:
        operator.execute(context_of(store) | {"task_state_store": store})
    assert f"An earlier try submitted Vidu task {task['task_id']} at " in str(raised.value)
    assert f'vidu_task_id="{task["task_id"]}"' in str(raised.value)


def test_the_reason_of_a_failure_is_raised_where_the_state_store_has_gone(emulator, videos):
    class Gone(Store):
        is_gone = False

        def get(self, key, default=None):
            if self.is_gone and key.startswith(stored_files.KEY):
                raise ConnectionError("Airflow is away")
            return super().get(key, default)

    store = Gone()
    tried(store, videos)
    store.is_gone = True
    context = context_of(store)
    operator = ViduGenerateVideoOperator(task_id="generate", **QUICK, destination=str(videos))
    event = Outcome(LOST, "The server does not know the task.").event()
    with pytest.raises(AirflowException, match="The server does not know the task"):
        operator.execute_complete(context, event)
