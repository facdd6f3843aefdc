# SPDX-License-Identifier: Apache-2.0
"""What tables, config loaders and copied texts make of URLs and paths, through the public operators."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor
from dev.emulator_client import set_connection
from tests.quick import QUICK, asked

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")

IMAGE = {"vidu_type": "img2video", "model": "viduq2-turbo", "prompt": "p", "duration": 1}
URL = "https://example.com/a.png"


def of_picture(run_dag, url):
    return run_dag(lambda: ViduSubmitOperator(task_id="submit", **IMAGE, first_frame_url=url))


@pytest.mark.parametrize("around", ["\u00a0{}", "\ufeff{}", "\u200b{}\u200b", '"{}"', "<{}>", " {} \n"])
def test_what_a_cell_leaves_around_a_url_is_not_sent(run_dag, emulator, around):
    assert of_picture(run_dag, around.format(URL)).states == {"submit": "success"}
    assert emulator.tasks[0]["body"]["input"]["first_frame_url"] == URL


# What was given for a picture, and the step that the error names.
WRONG = {
    "www.example.com/a.png": "Write it as https://…",
    "//example.com/a.png": "Write it as https://…",
    "ftp://example.com/a.png": "Write it as https://…",
    f"['{URL}']": "Pass a list as upstream.output, or by a template with | tojson",
    "file:///tmp/a%20b.png": "a blank is a blank, not %20",
}


@pytest.mark.parametrize(("given", "step"), WRONG.items())
def test_what_is_no_url_is_refused_with_the_step_that_helps(run_dag, emulator, given, step):
    ran = of_picture(run_dag, given)
    assert type(ran.error) is AirflowFailException
    assert step in str(ran.error)
    assert "Nothing was sent or paid" in str(ran.error)
    assert emulator.requests == []


def test_two_urls_of_one_cell_are_refused_when_the_dag_is_parsed():
    with pytest.raises(ViduRequestError, match="first_frame_url must be an http"):
        ViduSubmitOperator(task_id="submit", **IMAGE, first_frame_url=f"{URL}, {URL}")


def test_a_picture_of_the_workers_own_network_is_not_paid_for(run_dag, emulator, monkeypatch):
    set_connection(monkeypatch, host="https://api.modelverse.cn")
    ran = of_picture(run_dag, "http://minio:9000/a.png?X-Amz-Signature=s")
    assert type(ran.error) is AirflowFailException
    assert str(ran.error) == (
        "first_frame_url must be a URL that the service can reach, got a host of a private network: "
        "'http://minio:9000/a.png?X-Amz-Signature=***'. Nothing was sent or paid. Pass a public URL, or the path or "
        "s3:// URI of a file if the field takes files."
    )


def test_a_path_as_manifest_is_rendered(run_dag, emulator, tmp_path):
    ran = run_dag(
        lambda: ViduGenerateBatchOperator(
            task_id="batch", requests=[asked("a")], destination=tmp_path, manifest=tmp_path / "{{ params.name }}.jsonl"
        ),
        params={"name": "night"},
    )
    assert ran.states == {"batch": "success"}
    assert (tmp_path / "night.jsonl").exists()


def test_a_relative_destination_is_warned_of(run_dag, emulator, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ran = run_dag(lambda: ViduGenerateVideoOperator(task_id="make", **QUICK, destination="videos"))
    assert ran.states == {"make": "success"}
    assert len(list(Path("videos").glob("*.mp4"))) == 1
    assert f"the working directory of this worker: {tmp_path}/videos/" in capsys.readouterr().out


@pytest.mark.parametrize("missing", ["None", "nan"])
def test_a_wait_for_a_missing_task_is_refused(run_dag, emulator, missing):
    ran = run_dag(
        lambda: ViduTaskSensor(task_id="wait", vidu_task_id="{{ params.id }}", timeout=5), params={"id": missing}
    )
    assert type(ran.error) is AirflowFailException
    assert emulator.requests == []


def test_a_workbook_as_prices_is_refused_with_the_step_that_helps(run_dag, emulator, tmp_path):
    book = tmp_path / "prices.xlsx"
    book.write_bytes(b"PK\3\4 and more")
    ran = run_dag(lambda: ViduSubmitOperator(task_id="submit", **QUICK, prices=str(book)))
    assert type(ran.error) is AirflowFailException
    assert "it is a workbook; save it as CSV" in str(ran.error)
    assert emulator.requests == []
