# SPDX-License-Identifier: Apache-2.0
"""Submitting, run by Airflow itself against the emulator, which counts what it accepted."""

from __future__ import annotations

import inspect
import json
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.emulator import KEY
from airflow_provider_vidu.exceptions import (
    ViduAuthError,
    ViduConnectError,
    ViduConnectionSettingsError,
    ViduRateLimitError,
    ViduRequestError,
)
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.protocol.capabilities import FIELDS
from dev.emulator_client import set_connection
from tests.operators.submits import QUICK, URL


def test_the_task_id_is_returned_and_what_was_asked_is_pushed(submit, emulator):
    ran = submit(prompt="a kite", bgm=True)
    (task,) = emulator.tasks
    assert ran.states == {"submit": "success"}
    assert ran.xcom("submit") == task["task_id"]
    assert ran.xcom("submit", "expected_seconds") == 3.4
    assert ran.xcom("submit", "estimated_cost") == 0.19
    assert ran.xcom("submit", "request_id")
    body = {
        "model": "viduq2-turbo",
        "input": {"prompt": "a kite", "first_frame_url": URL},
        "parameters": {"vidu_type": "img2video", "duration": 1, "resolution": "540p", "bgm": True},
    }
    assert task["body"] == body
    assert ran.xcom("submit", "vidu_request") == {
        **body,
        "estimated_cost": 0.19,
        "estimated_by": "prices of 2026-04-15",
    }


def test_every_field_of_the_api_is_an_argument_and_a_template(emulator):
    arguments = inspect.signature(ViduSubmitOperator.__init__).parameters
    assert set(FIELDS) <= set(arguments)
    assert set(FIELDS) <= set(ViduSubmitOperator.template_fields)
    assert {"model", "vidu_type", "extra_input", "extra_parameters", "vidu_conn_id"} == set(
        ViduSubmitOperator.template_fields
    ) - set(FIELDS)


def test_templated_values_arrive_as_texts_and_leave_as_what_they_spell(submit, emulator):
    params = {"model": "viduq2-turbo", "n": 3, "on": True, "seed": "0"}
    ran = submit(
        params, model="{{ params.model }}", duration="{{ params.n }}", bgm="{{ params.on }}", seed="{{ params.seed }}"
    )
    assert ran.states == {"submit": "success"}
    (task,) = emulator.tasks
    assert task["body"]["parameters"] == {
        "vidu_type": "img2video",
        "duration": 3,
        "seed": 0,
        "resolution": "540p",
        "bgm": True,
    }


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"duration": 11}, r"duration must be a whole number from 1 to 10 \(default 5\), got 11"),
        ({"resolution": "4K"}, r"resolution must be one of 360p, 540p, 720p, 1080p \(default 720p\), got '4K'"),
        ({"first_frame_url": None}, r"first_frame_url must be an http\(s\) URL or a data URI, got nothing"),
        ({"first_frame_url": 5}, "first_frame_url must be .*, got 5"),
        ({"aspect_ratio": "1:1"}, "aspect_ratio is not a field of img2video .* put it into extra_parameters"),
        ({"bgm": "yes"}, r"bgm must be true or false \(default false\), got 'yes'"),
        ({"model": ""}, "model must be .*, got ''"),
        (
            {"extra_parameters": {"duration": 3}},
            "extra_parameters must not contain duration, which is already given as an argument",
        ),
        (
            {"extra_parameters": {"vidu_type": "x"}},
            "extra_parameters must not contain vidu_type, which is already given as an argument",
        ),
        ({"extra_input": [1]}, r"extra_input must be a mapping .*, got \[1\]"),
    ],
)
def test_a_wrong_literal_is_refused_when_the_dag_is_parsed(arguments, text):
    with pytest.raises(ViduRequestError, match=text):
        ViduSubmitOperator(task_id="submit", **(QUICK | arguments))


def test_templates_xcoms_and_files_are_not_judged_when_the_dag_is_parsed():
    from airflow.sdk import DAG

    with DAG("parsed", schedule=None):
        other = ViduSubmitOperator(task_id="other", **QUICK)
        ViduSubmitOperator(
            task_id="submit",
            model="viduq2-turbo",
            first_frame_url="no/such/file.png",
            duration="{{ params.seconds }}",
            prompt=other.output,
            extra_parameters={"new": "{{ params.new }}"},
        )
        ViduSubmitOperator(task_id="open", model="{{ params.model }}", duration=99)


def test_a_pair_and_a_parameter_nobody_knows_are_sent_when_asked_for(submit, emulator):
    emulator.arm({"on": "submit", "fault": "accept_then_drop"})
    ran = submit(
        model="viduq9", duration="7", extra_parameters={"style": {"name": "noir"}}, extra_input={"tail_url": URL}
    )
    assert [task["body"] for task in emulator.tasks] == [
        {
            "model": "viduq9",
            "input": {"first_frame_url": URL, "tail_url": URL},
            "parameters": {
                "vidu_type": "img2video",
                "duration": 7,
                "resolution": "540p",
                "style": {"name": "noir"},
            },
        }
    ]
    assert ran.states == {"submit": "failed"}


FINAL = [
    ({"fault": "error", "status": 400}, "Nothing was paid"),
    ({"fault": "html", "status": 404}, "Check the base URL"),
    ({"fault": "redirect", "location": "/v1/tasks/submit"}, "follows no redirects"),
    ({"fault": "accept_then_drop"}, "may have accepted"),
    ({"fault": "error", "status": 504}, "may have accepted"),
]


@pytest.mark.parametrize(("fault", "text"), FINAL, ids=lambda value: str(value))
def test_a_refusal_or_an_unknown_outcome_ends_the_task_without_retries(submit, emulator, fault, text):
    emulator.arm({"on": "submit", **fault})
    ran = submit(retries=3, retry_delay=timedelta(0))
    assert type(ran.error) is AirflowFailException
    assert text in str(ran.error)
    assert [sent["method"] for sent in emulator.requests] == ["POST"]


def test_moderation_at_submit_is_told_and_final(submit, emulator):
    ran = submit(prompt="forbidden-by-moderation", retries=3)
    assert type(ran.error) is AirflowFailException
    assert "Nothing was paid. Content moderation refused the text. Change it." in str(ran.error)


RETRYABLE = [
    ({"fault": "error", "status": 401}, 1, ViduAuthError),
    ({"fault": "error", "status": 403}, 1, ViduAuthError),
    ({"fault": "rate_limit"}, 4, ViduRateLimitError),
    ({"fault": "rate_limit", "retry_after": 61}, 1, ViduRateLimitError),
]


@pytest.mark.parametrize(("fault", "posts", "error"), RETRYABLE, ids=lambda value: str(value))
def test_what_was_surely_not_accepted_and_may_pass_stays_retryable(submit, emulator, soon, fault, posts, error):
    emulator.arm({"on": "submit", "times": None, **fault})
    assert type(submit().error) is error
    assert [sent["method"] for sent in emulator.requests] == ["POST"] * posts
    assert emulator.tasks == []


def test_a_rate_limit_that_passes_is_ridden_out_by_one_try(submit, emulator, soon):
    emulator.arm({"on": "submit", "times": 3, "fault": "rate_limit"})
    ran = submit()
    (task,) = emulator.tasks
    assert ran.xcom("submit") == task["task_id"]
    assert [sent["method"] for sent in emulator.requests] == ["POST"] * 4


def test_an_outcome_that_is_unknown_is_never_sent_again_even_after_a_rate_limit(submit, emulator, soon):
    emulator.arm({"on": "submit", "fault": "rate_limit"}, {"on": "submit", "fault": "accept_then_drop"})
    assert type(submit(retries=2, retry_delay=timedelta(0)).error) is AirflowFailException
    assert [sent["method"] for sent in emulator.requests] == ["POST"] * 2
    assert len(emulator.tasks) == 1


def test_a_failed_connection_and_a_missing_one_stay_retryable(submit, emulator, monkeypatch, soon):
    set_connection(monkeypatch, host="http://127.0.0.1:1")
    assert type(submit().error) is ViduConnectError
    monkeypatch.delenv("AIRFLOW_CONN_VIDU_DEFAULT")
    assert type(submit().error) is ViduConnectionSettingsError


def test_the_key_shows_neither_in_logs_nor_in_xcom_nor_in_errors(submit, emulator, capfd):
    ran = submit()
    emulator.arm({"on": "submit", "fault": "error", "status": 401})
    failed = submit()
    logged = capfd.readouterr()
    assert "Accepted as Vidu task" in logged.out
    assert KEY not in logged.out + logged.err + str(failed.error)
    assert KEY not in json.dumps([ran.xcom("submit", key) for key in ("return_value", "vidu_request", "request_id")])


def test_an_execution_timeout_during_the_post_does_not_pay_twice(submit, emulator):
    emulator.arm({"on": "submit", "fault": "accept_then_hang", "seconds": 30, "times": 2})
    ran = submit(execution_timeout=timedelta(seconds=2), retries=1, retry_delay=timedelta(0))
    assert type(ran.error) is AirflowFailException
    assert "may have accepted" in str(ran.error)
    assert len(emulator.tasks) == 1


def test_a_wrong_value_of_a_mapped_submit_is_final_too(run_dag, emulator):
    quick = {"task_id": "submit", "retries": 1, "retry_delay": timedelta(0), "model": "viduq2-turbo"}
    ran = run_dag(lambda: ViduSubmitOperator.partial(**quick, first_frame_url=URL).expand(duration=[11]))
    assert type(ran.error) is AirflowFailException
    assert "duration must be a whole number from 1 to 10 (default 5), got 11" in str(ran.error)


def test_the_outputs_of_a_mapped_task_are_a_list_of_images(run_dag, emulator):
    from airflow.sdk import task

    @task
    def picture_url(number: int) -> str:
        return f"https://example.com/{number}.png"

    def make() -> None:
        asked = {"vidu_type": "reference2video", "model": "viduq2", "prompt": "a cat", "duration": 1}
        ViduSubmitOperator(task_id="submit", images=picture_url.expand(number=[1, 2]), **asked)

    assert run_dag(make).states["submit"] == "success"
    urls = ["https://example.com/1.png", "https://example.com/2.png"]
    assert [one["body"]["input"]["images"] for one in emulator.tasks] == [urls]


def test_mapped_submits_each_return_their_own_task(run_dag, emulator):
    prompts = ["one", "two", "three"]
    quick = QUICK | {"task_id": "submit"}
    ran = run_dag(lambda: ViduSubmitOperator.partial(**quick).expand(prompt=prompts))
    assert ran.states == {"submit": "success"}
    assert sorted(task["body"]["input"]["prompt"] for task in emulator.tasks) == sorted(prompts)
