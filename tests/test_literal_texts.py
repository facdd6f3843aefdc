# SPDX-License-Identifier: Apache-2.0
"""Texts that an author wrote without Jinja, where Airflow renders native objects, and values without an end."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from tests.quick import QUICK, lines

TEXTS = ["1e5", "007.50", "0x10", "1_000", "True", "[1]", "2026"]


def test_an_authors_text_is_sent_as_it_was_written(run_dag, emulator, videos):
    quick = {name: value for name, value in QUICK.items() if name != "prompt"}

    def make():
        ViduSubmitOperator(task_id="submit", **quick, prompt="1e5")
        requests = [{"custom_id": text, **quick, "prompt": text} for text in TEXTS]
        ViduGenerateBatchOperator(task_id="batch", requests=requests, destination=str(videos))

    ran = run_dag(make, render_template_as_native_obj=True)
    assert ran.states == {"submit": "success", "batch": "success"}
    assert sorted(task["body"]["input"]["prompt"] for task in emulator.tasks) == sorted([*TEXTS, "1e5"])
    assert [line["custom_id"] for line in lines(videos)] == TEXTS


def test_a_destination_and_a_task_id_of_digits_stay_texts(run_dag, finish, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make():
        store = ViduToObjectStorageOperator(task_id="store", result=finish(), destination="2026")
        store >> ViduTaskSensor(task_id="wait", vidu_task_id="1e5", timeout=0.2, poke_interval=0.1)

    ran = run_dag(make, render_template_as_native_obj=True)
    assert len(list((tmp_path / "2026").glob("*.mp4"))) == 1
    assert "Vidu task 1e5 " in str(ran.error)


def cyclic() -> dict[str, object]:
    found: dict[str, object] = {}
    found["again"] = found
    return found


def deep() -> dict[str, object]:
    found: dict[str, object] = {}
    for _ in range(5000):
        found = {"deeper": found}
    return found


@pytest.mark.parametrize("value", [cyclic(), deep()], ids=["cyclic", "deep"])
@pytest.mark.parametrize("argument", ["extra_input", "extra_parameters"])
def test_a_value_that_json_cannot_hold_is_refused_when_the_dag_is_parsed(argument, value):
    with pytest.raises(ViduRequestError, match=f"{argument} must be a mapping of names to values that JSON"):
        ViduSubmitOperator(task_id="submit", **QUICK, **{argument: value})


@pytest.mark.parametrize("value", [cyclic(), deep()], ids=["cyclic", "deep"])
def test_a_picture_that_json_cannot_hold_is_refused_when_the_dag_is_parsed(value):
    with pytest.raises(ViduRequestError, match="first_frame_url must be"):
        ViduSubmitOperator(
            task_id="submit", vidu_type="img2video", model="viduq2-pro", prompt="p", first_frame_url=value
        )


@pytest.mark.parametrize("missing", ["None", "nan", "null", " None\n"])
def test_a_text_that_a_template_makes_of_a_missing_value_is_refused(run_dag, emulator, missing):
    quick = {name: value for name, value in QUICK.items() if name != "prompt"}
    ran = run_dag(
        lambda: ViduSubmitOperator(task_id="submit", **quick, prompt="{{ params.text }}"), params={"text": missing}
    )
    assert type(ran.error) is AirflowFailException
    assert str(ran.error).startswith("prompt must be a non-blank string of at most 2,000 characters, got ")
    assert "as a template renders a missing value" in str(ran.error)
    assert emulator.requests == []


@pytest.mark.parametrize("destination", [Path("s3://bucket/videos"), "gs:/bucket/videos", "None", "nan"])
def test_a_destination_that_lost_a_slash_or_is_missing_is_refused_when_the_dag_is_parsed(destination):
    with pytest.raises(ViduRequestError, match="destination must be a path, or a URI with two slashes"):
        ViduGenerateVideoOperator(task_id="make", **QUICK, destination=destination)


def test_base64_without_the_beginning_of_a_data_uri_is_refused_with_the_next_step(run_dag, emulator):
    ran = run_dag(
        lambda: ViduSubmitOperator(
            task_id="submit", vidu_type="img2video", model="viduq2-pro", prompt="p", first_frame_url="iVBORw0K" * 900
        )
    )
    assert type(ran.error) is AirflowFailException
    assert "got a text of 7,200 characters. Nothing was sent or paid. If it is base64, add" in str(ran.error)
    assert emulator.requests == []


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda **given: ViduSubmitOperator(**QUICK, **given), "multiple_outputs must be False for ViduSubmitOperator"),
        (
            lambda **given: ViduToObjectStorageOperator(destination="/videos", vidu_task_id="t", **given),
            "multiple_outputs must be False for ViduToObjectStorageOperator",
        ),
    ],
)
def test_outputs_that_fail_after_the_payment_are_refused_when_the_dag_is_parsed(make, rule):
    with pytest.raises(ViduRequestError, match=rule):
        make(task_id="t", multiple_outputs=True)


def test_a_submit_has_to_hand_its_task_on():
    with pytest.raises(ViduRequestError, match="do_xcom_push must be True, since the XCom hands the task id on"):
        ViduSubmitOperator(task_id="submit", **QUICK, do_xcom_push=False)
    ViduGenerateVideoOperator(task_id="make", **QUICK, do_xcom_push=False, multiple_outputs=True)
