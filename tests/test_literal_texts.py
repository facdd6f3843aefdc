# SPDX-License-Identifier: Apache-2.0
"""Texts that an author wrote without Jinja, where Airflow renders native objects, and values without an end."""

from __future__ import annotations

import pytest

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from tests.quick import QUICK, lines

TEXTS = ["1e5", "007.50", "0x10", "1_000", "True", "None", "[1]", "2026"]


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
