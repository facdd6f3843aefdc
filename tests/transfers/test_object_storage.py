# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import requests
from airflow.providers.common.compat.sdk import AirflowFailException, Asset

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduRequestError
from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.protocol.request import build
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator

pytestmark = pytest.mark.usefixtures("soon")


@pytest.fixture
def store(run_dag, tmp_path):
    """Store into a directory that does not exist yet."""

    def run(**arguments: object):
        arguments = {"destination": str(tmp_path / "new" / "videos"), **arguments}
        return run_dag(lambda: ViduToObjectStorageOperator(task_id="store", **arguments))

    return run


def files(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in directory.rglob("*") if path.is_file()}


def test_every_url_is_stored_and_its_uri_returned(store, finish, emulator, tmp_path):
    result = finish()
    result["urls"] *= 2
    ran = store(result=result)
    directory = tmp_path / "new" / "videos"
    names = [f"{result['task_id']}.mp4", f"{result['task_id']}-2.mp4"]
    assert ran.xcom("store") == [(directory / name).as_uri() for name in names]
    assert sorted(files(directory)) == sorted(names)
    assert ran.xcom("store", "vidu_task_id") == result["task_id"]
    assert all((directory / name).read_bytes()[4:8] == b"ftyp" for name in names)


def test_a_finished_task_may_be_named_instead_of_its_result(store, finish, emulator, tmp_path):
    task_id = finish()["task_id"]
    ran = store(vidu_task_id=task_id)
    assert list(files(tmp_path)) == [f"{task_id}.mp4"]
    assert ran.states == {"store": "success"}


@pytest.mark.parametrize("change", [" {}\n", "\t{}", "{}\r\n"], ids=ascii)
def test_blanks_and_line_feeds_around_a_link_do_not_keep_its_video_from_being_stored(
    store, finish, emulator, tmp_path, change
):
    result = finish()
    ran = store(result={**result, "urls": [change.format(result["urls"][0])]})
    assert ran.states == {"store": "success"}
    assert list(files(tmp_path)) == [f"{result['task_id']}.mp4"]


def test_what_an_xcom_names_outside_of_the_videos_host_shows_nothing_of_itself(store, finish, emulator, tmp_path):
    """An editor of XComs names a page of the worker's own network; the emulator is one, so that it may be asked."""
    secret = f"{emulator.url}/_emulator/tasks"
    ran = store(result={**finish(), "urls": [secret]})
    assert str(ran.error).startswith(
        f"{secret} returned something other than an MP4 file (application/json). The video of"
    )
    assert files(tmp_path) == {}


@pytest.mark.parametrize("scheme", ["file://", "local://"])
def test_the_destination_may_be_a_templated_uri(store, finish, emulator, tmp_path, scheme):
    ran = store(result=finish(), destination=f"{scheme}{tmp_path}/{{{{ ds_nodash or 'x' }}}}")
    assert ran.states == {"store": "success"}
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize(("given", "told"), [(None, None), ("0.31", 0.31), ("None", None), ("cheap", None)])
def test_assets_are_told_what_was_stored(store, finish, emulator, tmp_path, given, told):
    asset = Asset(name=f"videos-{tmp_path.name}", uri=f"file://{tmp_path}/new/videos")
    ran = store(result=finish(), outlets=[asset], estimated_cost=given)
    assert ran.asset_extras == [{"files": ran.xcom("store"), "video_seconds": 1, "estimated_cost": told}]


def test_a_bucket_takes_the_same_file(store, finish, emulator, s3):
    result = finish()
    ran = store(result=result, destination="s3://store@bucket/new/videos")
    name = f"new/videos/{result['task_id']}.mp4"
    assert ran.xcom("store") == [f"s3://store@bucket/{name}"]
    assert [found["Key"] for found in s3.list_objects_v2(Bucket="bucket")["Contents"]] == [name]
    stored = s3.get_object(Bucket="bucket", Key=name)["Body"].read()
    assert stored == requests.get(result["urls"][0], timeout=10).content


def test_a_broken_download_leaves_nothing_in_a_bucket(store, finish, emulator, s3):
    result = finish()
    emulator.arm({"on": "download", "fault": "truncate", "times": None})
    assert type(store(result=result, destination="s3://store@bucket/broken").error) is ViduDownloadError
    assert "Contents" not in s3.list_objects_v2(Bucket="bucket", Prefix="broken")


def test_a_bucket_that_does_not_exist_is_not_made(store, finish, emulator, s3):
    ran = store(result=finish(), destination="s3://store@mistyped/videos")
    assert ran.states == {"store": "failed"}
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["bucket"]


def test_the_tasks_of_a_map_may_name_their_files_by_their_index(run_dag, finish, tmp_path):
    results = [finish(), finish()]

    def make() -> None:
        ViduToObjectStorageOperator.partial(
            task_id="store", destination=f"{tmp_path}/{{{{ ds_nodash or 'x' }}}}-{{index}}.mp4"
        ).expand(result=results)

    ran = run_dag(make)
    assert ran.states == {"store": "success"}
    assert [name.rpartition("-")[2] for name in sorted(files(tmp_path))] == ["0.mp4", "1.mp4"]


def test_a_task_may_name_its_file_by_its_ids(store, finish, emulator, tmp_path):
    result = finish()
    ran = store(result=result, destination=f"{tmp_path}/{{index}}_{{task_id}}.mp4")
    assert ran.xcom("store") == [f"file://{tmp_path}/0_{result['task_id']}.mp4"]


def test_a_relative_destination_lies_below_the_working_directory(store, finish, emulator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = store(result=finish(), destination="videos")
    (uri,) = ran.xcom("store")
    assert Path(uri.removeprefix("file://")) == next((tmp_path / "videos").iterdir())


@pytest.mark.parametrize(
    "fault", [{"fault": "truncate"}, {"fault": "drop"}, {"fault": "error", "status": 404}], ids=str
)
def test_a_broken_download_leaves_nothing_behind_and_stays_retryable(store, finish, emulator, tmp_path, fault):
    result = finish()
    emulator.arm({"on": "download", "times": None, **fault})
    assert type(store(result=result).error) is ViduDownloadError
    assert files(tmp_path) == {}
    emulator.control("DELETE", "faults")
    assert store(result=result).states == {"store": "success"}
    assert len(files(tmp_path)) == 1


def test_a_pipe_is_not_replaced_by_a_video(store, finish, tmp_path):
    pipe = tmp_path / "v.mp4"
    os.mkfifo(pipe)
    error = store(result=finish(), destination=str(pipe)).error
    assert type(error) is ViduDownloadError
    assert "it is not a regular file" in str(error)
    assert pipe.is_fifo()


def test_storing_twice_leaves_one_file(store, finish, emulator, tmp_path):
    result = finish()
    store(result=result)
    first = files(tmp_path)
    store(result=result)
    assert files(tmp_path) == first


def test_a_hostile_task_id_stays_inside_the_destination(store, finish, emulator, tmp_path):
    store(result={**finish(), "task_id": "../../etc/pass wd"})
    directory = tmp_path / "new" / "videos"
    assert list(files(tmp_path)) == list(files(directory)) == ["______etc_pass_wd.mp4"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"result": {"task_id": "t", "urls": []}}, "the dictionary that ViduTaskSensor returned"),
        ({"result": {"urls": ["http://x/y"]}}, "the dictionary that ViduTaskSensor returned"),
        ({"result": "{{ 'text' }}"}, "result must be the dictionary that ViduTaskSensor returned, got 'text'"),
        ({"vidu_task_id": ""}, "vidu_task_id must be the id of a finished task, got ''"),
        (
            {"result": {"task_id": "t", "urls": ["http://x/y"]}, "destination": "{{ '../' * 3 }}etc"},
            "destination must be a path without '..', got '../../../etc'",
        ),
    ],
)
def test_what_cannot_be_stored_is_refused_by_name(store, emulator, arguments, text):
    ran = store(**arguments)
    assert type(ran.error) is AirflowFailException
    assert text in str(ran.error)
    assert emulator.requests == []


def test_a_result_that_names_a_local_file_gets_nothing_of_it(store, emulator, tmp_path):
    ran = store(result={"task_id": "t", "urls": ["file:///etc/passwd"]})
    assert type(ran.error) is ViduDownloadError
    assert "The links of Vidu task t must be http(s) URLs, got 'file:///etc/passwd'." in str(ran.error)
    assert files(tmp_path) == {}


@pytest.mark.parametrize(
    ("destination", "text"),
    [
        ("", "destination must be a path or URI, got ''."),
        ("{name}", "{custom_id}, {task_id}, {index} (custom_id in batches only), got '{name}'."),
        (
            "{custom_id}.mp4",
            "use {task_id} or {index}, since this video has no custom_id, got '{custom_id}'. Nothing was sent or paid. "
            "Correct the arguments.",
        ),
    ],
)
def test_a_wrong_destination_is_refused_when_the_dag_is_parsed(destination, text):
    with pytest.raises(ViduRequestError) as raised:
        ViduToObjectStorageOperator(task_id="store", vidu_task_id="t", destination=destination)
    assert text in str(raised.value)
    assert re.search(r"Nothing was sent or paid\. Correct the (destination|arguments)\.$", str(raised.value))


def test_a_task_that_is_not_ready_is_refused(store, finish, emulator):
    task_id = finish()["task_id"]
    emulator.arm({"on": "status", "fault": "unknown_word", "word": "Running"})
    ran = store(vidu_task_id=task_id)
    assert type(ran.error) is AirflowFailException
    assert f"Vidu task {task_id} is Running" in str(ran.error)


def test_a_failed_task_is_refused_with_the_servers_reason(store, emulator):
    body = build("text2video", "viduq2", {"prompt": "fail-by-moderation", "duration": 1})
    task_id = ViduHook().submit(body).task_id
    ran = store(vidu_task_id=task_id)
    assert type(ran.error) is AirflowFailException
    assert "CreationPolicyViolation" in str(ran.error)
    told = {"vidu_task_id": task_id, "vidu_failure": {"task_id": "", "reason": str(ran.error), "error": ""}}
    assert {key: ran.xcom("store", key) for key in told} == told


def test_a_success_without_urls_may_be_asked_again(store, finish, emulator):
    task_id = finish()["task_id"]
    emulator.arm({"on": "status", "fault": "no_urls"})
    assert type(store(vidu_task_id=task_id).error) is ViduDownloadError
    assert store(vidu_task_id=f" {task_id}\n").states == {"store": "success"}


@pytest.mark.parametrize("arguments", [{}, {"result": {}, "vidu_task_id": "t"}])
def test_either_a_result_or_a_task_id_has_to_be_given(arguments):
    rule = r"^exactly one of result and vidu_task_id must be given, got (neither|both)\. Nothing was sent or paid\."
    with pytest.raises(ViduRequestError, match=rule):
        ViduToObjectStorageOperator(task_id="store", destination="/tmp", **arguments)
