# SPDX-License-Identifier: Apache-2.0
"""What tables, config loaders and copied texts make of URLs and paths, through the public operators."""

from __future__ import annotations

import os
import time
from decimal import Decimal
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.exceptions import ViduRequestError, ViduStateError
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
    "file:///tmp/a%20b.png": "write a space as a space, not as %20",
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
        "'http://minio:9000/a.png?X-Amz-Signature=***'. Nothing was sent or paid. Pass a public URL or the URI of a "
        "file in a public store. Where the field takes files, pass a path or the URI of a file in a private store."
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


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://cdn.example.com/a.heic", "a .heic file"),
        ("https://cdn.example.com/clip.MP4?v=1", "a .mp4 file"),
        ("https://drive.google.com/file/d/abc/view", "a page that shows an image"),
        ("https://www.dropbox.com/s/abc/a.png?dl=0", "a page that shows an image"),
        ("https://github.com/o/r/blob/main/a.png", "a page that shows an image"),
    ],
)
def test_a_url_that_is_no_image_by_its_form_is_not_paid_for(run_dag, emulator, url, kind):
    ran = of_picture(run_dag, url)
    assert type(ran.error) is AirflowFailException
    assert str(ran.error).startswith(f"first_frame_url must be a png, jpeg or webp image, got the URL of {kind}: ")
    assert emulator.requests == []


@pytest.mark.parametrize("url", ["https://www.dropbox.com/s/abc/a.png?dl=1", "https://cdn.example.com/a.gif.png"])
def test_a_url_that_may_be_an_image_is_sent(run_dag, emulator, url):
    assert of_picture(run_dag, url).states == {"submit": "success"}


# What extra_input or extra_parameters holds, and the rule that it breaks.
EXTRAS = {
    "a path": ({"extra_input": {"last_frame_url": "/data/a.png"}}, "extra_input must pass last_frame_url as an http"),
    "paths": (
        {"extra_input": {"images": ["/data/a.png"]}},
        "extra_input must pass images as a list of images, each an",
    ),
    "the wrong half": (
        {"extra_input": {"duration": 10}},
        "extra_input must not contain duration, which belongs to extra",
    ),
    "the other half": (
        {"extra_parameters": {"prompt": "p"}},
        "extra_parameters must not contain prompt, which belongs",
    ),
}


@pytest.mark.parametrize(("extras", "rule"), EXTRAS.values(), ids=list(EXTRAS))
def test_a_known_field_in_the_wrong_place_is_refused_when_the_dag_is_parsed(extras, rule):
    with pytest.raises(ViduRequestError, match=rule):
        ViduSubmitOperator(task_id="submit", **QUICK, **extras)


@pytest.mark.parametrize(("given", "sent"), [(Decimal("1"), 1), (Decimal("2.00"), 2)])
def test_a_number_of_a_database_is_understood(run_dag, emulator, given, sent):
    quick = QUICK | {"duration": given}
    assert run_dag(lambda: ViduSubmitOperator(task_id="submit", **quick)).states == {"submit": "success"}
    assert emulator.tasks[0]["body"]["parameters"]["duration"] == sent


@pytest.mark.parametrize(("age", "error"), [(0, ViduStateError), (3600, AirflowFailException)])
@pytest.mark.parametrize("size", [0, 40])
def test_a_picture_that_is_still_uploaded_is_left_to_a_retry(run_dag, emulator, frame, age, error, size):
    frame.write_bytes(frame.read_bytes()[:size])
    changed = time.time() - age
    os.utime(frame, (changed, changed))
    ran = of_picture(run_dag, str(frame))
    assert type(ran.error) is error
    assert ("retry when it is complete" in str(ran.error)) == (age == 0)
    assert ("an empty file" in str(ran.error)) == (size == 0)
    assert emulator.requests == []


def test_a_video_that_is_taken_at_once_is_stored(run_dag, emulator, tmp_path, monkeypatch):
    replace = Path.replace

    def taken(self, target):
        moved = replace(self, target)
        return (
            replace(moved, f"{target}.taken") if Path(target).parent == tmp_path and moved.suffix == ".mp4" else moved
        )

    def make():
        ViduGenerateVideoOperator(task_id="make", **QUICK, destination=str(tmp_path / "{task_id}.mp4"))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", taken)
        ran = run_dag(make)
    assert ran.states == {"make": "success"}
    assert len(list(tmp_path.glob("*.mp4.taken"))) == 1
