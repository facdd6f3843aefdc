# SPDX-License-Identifier: Apache-2.0
"""``@task.vidu_batch`` in Airflow's hands: what it makes, retries, and mapped tasks."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import task

from airflow_provider_vidu.exceptions import ViduRequestError
from tests.quick import asked, breaks_once, lines, many, outcomes, posts
from tests.versions import retries_start_anew

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")
RETRIES = {"retries": 1, "retry_delay": timedelta(0)}


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_function_returns_the_requests_and_the_operator_does_the_rest(run_dag, emulator, videos, deferrable):
    def make_tasks():
        @task
        def prompts():
            return ["a kite", "a boat"]

        @task.vidu_batch(destination=f"{videos}/{{{{ ti.try_number }}}}-{{custom_id}}.mp4", deferrable=deferrable)
        def batch(prompts, seed, ti=None):
            return [asked(f"{ti.task_id}-{prompt[2:]}", prompt=prompt, seed=seed) for prompt in prompts]

        batch(prompts(), seed=7)

    ran = run_dag(make_tasks)
    assert ran.xcom("batch")["counts"] == {"success": 2}
    assert sorted(path.name for path in videos.glob("*.mp4")) == [
        "1-batch-boat.mp4",
        "1-batch-kite.mp4",
    ]
    assert {task["body"]["parameters"]["seed"] for task in emulator.tasks} == {7}
    assert len(posts(emulator)) == 2


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_retry_takes_the_requests_of_the_first_try_whatever_the_function_would_return(
    run_dag, emulator, videos, deferrable
):
    calls = []

    def make_tasks():
        @task.vidu_batch(destination=str(videos), deferrable=deferrable, post_execute=breaks_once, **RETRIES)
        def batch():
            calls.append(1)
            return [asked(uuid4().hex, prompt=f"kite {len(calls)}") for _ in range(2)]

        batch()

    ran = run_dag(make_tasks)
    assert ran.states == {"batch": "success"}
    assert ran.xcom("batch")["counts"] == {"success": 2}
    assert (len(calls), len(posts(emulator))) == (1, 2)


@retries_start_anew
def test_a_retry_pays_again_only_for_what_failed_for_want_of_capacity(run_dag, emulator, videos):
    def make_tasks():
        @task.vidu_batch(destination=str(videos), **RETRIES)
        def batch():
            return [asked("fine"), asked("busy", prompt="fail-by-capacity")]

        batch()

    run_dag(make_tasks)
    assert outcomes(videos) == {"fine": "success", "busy": "failed"}
    assert len(posts(emulator)) == 3


def test_a_function_that_fails_is_called_again(run_dag, emulator, videos):
    calls = []

    def make_tasks():
        @task.vidu_batch(destination=str(videos), **RETRIES)
        def batch():
            calls.append(1)
            if len(calls) == 1:
                raise ConnectionError("the catalogue is away")
            return many(1)

        batch()

    assert run_dag(make_tasks).xcom("batch")["counts"] == {"success": 1}
    assert (len(calls), len(posts(emulator))) == (2, 1)


def test_each_mapped_task_has_requests_of_its_own(run_dag, emulator, videos):
    def make_tasks():
        @task.vidu_batch(destination=f"{videos}/{{custom_id}}.mp4", post_execute=breaks_once, **RETRIES)
        def batch(name, tail):
            return [asked(f"{name}-{tail}", prompt=uuid4().hex)]

        batch.partial(tail="x").expand(name=["kite", "boat"])

    assert run_dag(make_tasks).states == {"batch": "success"}
    assert sorted(path.name for path in videos.glob("*.mp4")) == ["boat-x.mp4", "kite-x.mp4"]
    assert len(posts(emulator)) == 2


def test_braces_in_what_the_function_returns_are_sent_as_they_are(run_dag, emulator, videos):
    def make_tasks():
        @task.vidu_batch(destination=str(videos))
        def batch():
            return [asked("kite", prompt="{{ ds }} {custom_id}")]

        batch()

    run_dag(make_tasks)
    assert [task["body"]["input"]["prompt"] for task in emulator.tasks] == ["{{ ds }} {custom_id}"]
    assert [line["custom_id"] for line in lines(videos)] == ["kite"]


WRONG = {
    "nothing": (None, "requests must be a list of mappings or its JSON text, such as"),
    "no list": ({"kite": 1}, "requests must be a list of mappings or its JSON text"),
    "a generator": ((one for one in many(1)), "requests must consist of JSON values, got <generator"),
    "a date": ([asked("kite", prompt=timedelta(1))], "requests must consist of JSON values, got [{"),
    "no number": ([asked("kite", guidance_scale=float("nan"))], "requests must consist of JSON values, got [{"),
    "a wrong value": ([asked("kite", duration=99)], "item 0 ('kite'): duration must be a whole number from 1 to 10"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_result_fails_the_task_without_retries_and_sends_nothing(run_dag, emulator, videos, name):
    given, text = WRONG[name]

    def make_tasks():
        @task.vidu_batch(destination=str(videos), **RETRIES)
        def batch():
            return given

        batch()

    ran = run_dag(make_tasks)
    assert type(ran.error) is AirflowFailException
    assert text in str(ran.error)
    assert "Nothing was sent or paid." in str(ran.error)
    assert ran.xcom("batch", "vidu_failure")["reason"] == str(ran.error)
    assert emulator.requests == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"fail_on": 2}, "fail_on must be 'any', 'all'"), ({"destination": "s3:/bucket"}, "destination must be")],
)
def test_wrong_arguments_are_refused_when_the_dag_is_parsed(run_dag, arguments, text):
    @task.vidu_batch(**{"destination": "/videos", **arguments})
    def batch():
        return many(1)

    with pytest.raises(ViduRequestError, match=text):
        run_dag(batch)
