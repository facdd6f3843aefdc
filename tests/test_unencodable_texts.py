# SPDX-License-Identifier: Apache-2.0
"""Texts that UTF-8 cannot encode, such as names of files in another encoding: refused before anything is sent."""

from __future__ import annotations

import json
import os
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import task

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.operators.rescue import ViduRescueOperator
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.protocol.request import Request
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from tests.quick import IMG, QUICK, Store, asked, context_of, tried

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")

BAD = "a kite \ud83d"
NAME = os.fsdecode(b"/data/caf\xe9.png")
SUBJECTS = {"vidu_type": "reference2video", "model": "viduq2", "prompt": "@a", "duration": 1}
REFUSED = {
    "prompt": {"prompt": BAD},
    "first_frame_url": {**IMG, "prompt": None, "first_frame_url": NAME},
    "images": {**SUBJECTS, "images": ["https://example.com/a.png", NAME]},
    "subjects": {**SUBJECTS, "subjects": [{"id": BAD, "images": ["https://example.com/a.png"]}]},
    "seed": {"model": "viduq9", "seed": BAD},
    "extra_input": {"extra_input": {BAD: 1}},
    "extra_parameters": {"extra_parameters": json.dumps({"style": BAD})},
}
RULE = "{} must be text that UTF-8 can encode, got {} in "


def rule(name: str) -> str:
    return RULE.format(name, r"'\udce9'" if name in ("first_frame_url", "images") else r"'\ud83d'")


@pytest.mark.parametrize("name", REFUSED)
def test_a_literal_is_refused_when_the_dag_is_parsed(name):
    for operator in (ViduSubmitOperator, ViduGenerateVideoOperator):
        with pytest.raises(ViduRequestError) as raised:
            operator(task_id="t", **{**QUICK, **REFUSED[name]})
        assert str(raised.value).startswith(rule(name))
        assert str(raised.value).endswith(" Nothing was sent or paid. Correct the arguments.")
        assert ("rename the file if its name has another encoding." in str(raised.value)) is ("udce9" in rule(name))
    with pytest.raises(ViduRequestError) as raised:
        ViduGenerateBatchOperator(task_id="t", requests=[asked("a", **REFUSED[name])], destination="/tmp/v")
    assert rule(name) in str(raised.value)


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_template_or_json_text_gives_is_refused_before_anything_is_sent(emulator, videos, name):
    operator = ViduSubmitOperator(task_id="t", **QUICK)
    for field, value in REFUSED[name].items():
        setattr(operator, field, value)
    with pytest.raises(AirflowFailException) as raised:
        operator.execute(context_of(Store()))
    assert str(raised.value).startswith(rule(name))
    with pytest.raises(AirflowFailException) as raised:
        tried(Store(), videos, json.dumps([asked("a", **REFUSED[name]), asked("b")]))
    assert rule(name) in str(raised.value)
    assert emulator.requests == []


def test_the_names_of_fields_are_checked_and_shown_without_it():
    (problem,) = Request("text2video", "viduq2", {BAD: 1}).problems()
    assert problem == r"a kite \ud83d must be text that UTF-8 can encode, got '\ud83d' in {'a kite \ud83d': 1}"


def test_a_custom_id_is_refused(emulator, videos):
    with pytest.raises(AirflowFailException, match=r"custom_id must be a string of 1 to 180 bytes of printable"):
        tried(Store(), videos, json.dumps([asked(BAD)]))
    assert emulator.requests == []


def test_what_a_decorated_function_returns_is_refused_without_a_retry(run_dag, emulator, videos):
    def make():
        @task.vidu_batch(destination=str(videos), task_id="batch", retries=1, retry_delay=timedelta(0))
        def requests():
            return [asked("a", prompt=BAD)]

        requests()

    ran = run_dag(make)
    assert type(ran.error) is AirflowFailException
    assert str(ran.error).startswith(r"requests must be text that UTF-8 can encode, got '\ud83d' in [{'custom_id': 'a'")
    assert str(ran.error).endswith("Nothing was sent or paid. Correct what the function returns, then clear the task.")
    assert emulator.requests == []


@pytest.mark.parametrize("destination", [f"/tmp/{BAD}", f"s3://store@bucket/{BAD}/"])
def test_a_destination_is_refused_since_the_result_names_its_files(destination):
    for make in (
        lambda: ViduGenerateVideoOperator(task_id="t", destination=destination, **QUICK),
        lambda: ViduGenerateBatchOperator(task_id="t", requests=[asked("a")], destination=destination),
        lambda: ViduToObjectStorageOperator(task_id="t", vidu_task_id="t1", destination=destination),
        lambda: ViduRescueOperator(task_id="t", destination=destination),
    ):
        with pytest.raises(
            ViduRequestError,
            match=r"^destination or manifest must be text that UTF-8 can encode, got .*the destination\.$",
        ):
            make()


def test_an_emoji_is_text_like_any_other(emulator, videos):
    assert tried(Store(), videos, json.dumps([asked("a", prompt="a kite \U0001fa81")]))["counts"] == {"success": 1}
