# SPDX-License-Identifier: Apache-2.0
"""Arguments that templates give as texts: JSON, and what looks like a number."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.emulator import KEY
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from tests.quick import QUICK, Store, lines, tried

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")

REFERENCES = {"vidu_type": "reference2video", "model": "viduq2", "duration": 1, "resolution": "540p"}
URLS = ["https://h/a.png", "https://h/b.png"]


def test_json_texts_are_understood_where_lists_and_mappings_are_meant(run_dag, emulator):
    templates = {
        "images": "{{ params.images | tojson }}",
        "extra_input": "{{ params.extra | tojson }}",
        "extra_parameters": '{"more": {{ params.number }}}',
    }
    params = {"images": URLS, "extra": {"note": "a"}, "number": 5}
    run_dag(
        lambda: ViduSubmitOperator(task_id="submit", **REFERENCES, prompt="{{ params.number }}", **templates),
        params=params,
    )
    (task,) = emulator.tasks
    assert task["body"]["input"] == {"prompt": "5", "images": URLS, "note": "a"}
    assert task["body"]["parameters"]["more"] == 5


def test_json_texts_are_understood_in_a_batch(emulator, videos):
    subjects = [{"id": "cat", "images": URLS[:1], "voice_id": ""}]
    given = [
        {"custom_id": "a", **REFERENCES, "prompt": "@cat", "subjects": json.dumps(subjects)},
        {"custom_id": "b", **REFERENCES, "prompt": "p", "images": json.dumps(URLS), "extra_input": '{"note": 1}'},
    ]
    with pytest.raises(AirflowFailException, match="2 failed"):
        # The emulator cannot fetch these pictures, which is all the same here.
        tried(Store(), videos, given)
    sent = {task["body"]["input"]["prompt"]: task["body"]["input"] for task in emulator.tasks}
    assert sent == {
        "@cat": {"prompt": "@cat", "subjects": subjects},
        "p": {"prompt": "p", "images": URLS, "note": 1},
    }


def test_each_request_of_a_batch_and_each_subject_may_be_json_text(emulator, videos):
    subject = {"id": "cat", "images": URLS[:1], "voice_id": ""}
    given = [json.dumps({"custom_id": "a", **REFERENCES, "prompt": "@cat", "subjects": [json.dumps(subject)]})]
    with pytest.raises(AirflowFailException, match="1 failed"):
        tried(Store(), videos, given)
    assert emulator.tasks[0]["body"]["input"] == {"prompt": "@cat", "subjects": [subject]}


def test_a_list_that_is_no_json_is_refused_before_anything_is_sent(run_dag, emulator):
    ran = run_dag(
        lambda: ViduSubmitOperator(task_id="submit", **REFERENCES, prompt="p", images="{{ params.images }}"),
        params={"images": URLS},
    )
    assert type(ran.error) is AirflowFailException
    assert "images" in str(ran.error)
    assert emulator.requests == []


# What the author's template says, and what is sent.
NATIVE = {"123": "123", "1.5": "1.5", "007": "007", "True": "True", "-4": "-4", "a kite": "a kite", "0.10 x": "0.10 x"}


@pytest.mark.parametrize("text", NATIVE)
def test_a_text_that_looks_like_a_number_is_a_text_where_native_objects_are_rendered(run_dag, emulator, videos, text):
    quick = {name: value for name, value in QUICK.items() if name != "prompt"}

    def make():
        ViduSubmitOperator(task_id="submit", **quick, prompt="{{ params.text }}", seed="{{ params.seed }}")
        ViduGenerateBatchOperator(
            task_id="batch",
            requests=[{"custom_id": "{{ params.text }}", **quick, "prompt": "{{ params.text }}"}],
            destination=str(videos),
        )

    ran = run_dag(make, params={"text": text, "seed": "7"}, render_template_as_native_obj=True)
    assert ran.states == {"submit": "success", "batch": "success"}
    assert {task["body"]["input"]["prompt"] for task in emulator.tasks} == {NATIVE[text]}
    assert [line["custom_id"] for line in lines(videos)] == [NATIVE[text]]


def test_a_task_id_that_looks_like_a_number_is_waited_for(run_dag, emulator):
    ran = run_dag(
        lambda: ViduTaskSensor(task_id="wait", vidu_task_id="{{ params.id }}", timeout=0.2, poke_interval=0.1),
        params={"id": "1234567"},
        render_template_as_native_obj=True,
    )
    assert "Vidu task 1234567 " in str(ran.error)


def test_names_that_look_like_numbers_stay_texts_where_native_objects_are_rendered(
    run_dag, emulator, tmp_path, monkeypatch
):
    connection = {"conn_type": "vidu", "password": KEY, "host": emulator.url}
    monkeypatch.setenv("AIRFLOW_CONN_7", json.dumps(connection))
    monkeypatch.delenv("AIRFLOW_CONN_VIDU_DEFAULT")
    subject = {"id": "{{ params.seven }}", "images": URLS[:1], "voice_id": "{{ params.seven }}"}
    conn = {"vidu_conn_id": "{{ params.seven }}"}

    def make():
        made = ViduGenerateVideoOperator(task_id="make", **QUICK, **conn)
        result = "{{ ti.xcom_pull('make') | tojson }}"
        made >> ViduToObjectStorageOperator(task_id="store", result=result, destination=str(tmp_path), **conn)
        made >> ViduSubmitOperator(task_id="submit", **REFERENCES, prompt="@7", subjects=[subject], **conn)

    ran = run_dag(make, params={"seven": "7"}, render_template_as_native_obj=True)
    assert ran.states == {"make": "success", "store": "success", "submit": "success"}
    assert emulator.tasks[1]["body"]["input"]["subjects"] == [{"id": "7", "images": URLS[:1], "voice_id": "7"}]
