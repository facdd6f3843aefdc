# SPDX-License-Identifier: Apache-2.0
"""Storing under names that mean something elsewhere, in a directory and in a store that has less than AWS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import ObjectStoragePath

from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.plugin.stored import open_stored
from airflow_provider_vidu.storage.roots import read_root
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from tests.quick import asked, posts
from tests.served import serving
from tests.storage.videos import generate, video

pytestmark = pytest.mark.usefixtures("soon", "emulator", "asked_at_once")

NAMES = [
    "spring [draft]",
    "star*",
    "what?",
    "100%",
    "%41",
    "a#b",
    "~",
    "~root",
    "a b",
    " a",
    "视频　一",
    "{1}",
    "{a b}",
    "a}",
    "x@y:z;&=+$,!'()|\"<>",
    "a\\b",
    "**",
    "[!a]",
    "?versionid",
]


@pytest.fixture(params=["bucket", "directory"])
def place(request, tmp_path):
    """Where to store, what lies there by its literal names, and the root below which the plugin shows it."""
    if request.param == "directory":
        return (
            str(tmp_path),
            f"file://{tmp_path}",
            lambda: {
                str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
            },
        )
    stub = request.getfixturevalue("stub")
    uri = "s3://stub@bucket"
    return uri, uri, lambda: {key: found.data for key, found in stub.objects.items()}


def read_back(uris: list[str], root: str) -> list[bytes]:
    """Read files by what was returned, as the next task does and as the plugin does."""
    found = [ObjectStoragePath(uri).read_bytes() for uri in uris]
    for uri, data in zip(uris, found, strict=True):
        shown = open_stored(uri, [read_root(root)])
        assert b"".join(shown.chunks(range(shown.size))) == data
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_transfer_takes_each_name_as_it_is(run_dag, place, name):
    destination, root, there = place
    with serving({"video.mp4": video(1000)}) as url:
        ran = run_dag(
            lambda: ViduToObjectStorageOperator(
                task_id="store",
                result={"task_id": "task-1", "urls": [f"{url}/video.mp4"] * 2},
                destination=f"{destination}/{name}/{name}.mp4",
            )
        )
    names = [f"{name}/{name}.mp4", f"{name}/{name}-2.mp4"]
    assert ran.xcom("store") == [f"{root}/{one}" for one in names]
    assert there() == dict.fromkeys(names, video(1000))
    assert read_back(ran.xcom("store"), root) == [video(1000)] * 2


@pytest.mark.parametrize("name", NAMES)
def test_a_generation_takes_each_name_as_it_is(run_dag, place, name, emulator):
    destination, root, there = place
    ran = generate(run_dag, destination=f"{destination}/{name}")
    files = ran.xcom("generate")["files"]
    (task,) = emulator.tasks
    assert files == [f"{root}/{name}/{task['task_id']}.mp4"]
    assert there() == {f"{name}/{task['task_id']}.mp4": read_back(files, root)[0]}


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_takes_each_name_as_it_is(run_dag, place, name, emulator):
    destination, root, there = place
    custom_id = name.strip().replace("\\", "-").replace("\u3000", " ")
    ran = run_dag(
        lambda: ViduGenerateBatchOperator(
            task_id="batch",
            requests=[asked(custom_id)],
            destination=f"{destination}/{name}/{{custom_id}}.mp4",
            manifest=f"{destination}/{name}.jsonl",
        )
    )
    assert ran.xcom("batch")["manifest"] == f"{root}/{name}.jsonl"
    files = [f"{root}/{name}/{custom_id}.mp4"]
    manifest = f"{name}.jsonl"
    assert there().keys() == {f"{name}/{custom_id}.mp4", manifest}
    assert json.loads(there()[manifest])["files"] == files
    assert read_back(files, root) == [there()[f"{name}/{custom_id}.mp4"]]


def test_the_default_manifest_lies_beside_the_videos_whatever_braces_their_directory_has(run_dag, tmp_path):
    ran = run_dag(
        lambda: ViduGenerateBatchOperator(
            task_id="batch", requests=[asked("a")], destination=f"{tmp_path}/{{1}}/{{custom_id}}.mp4"
        )
    )
    assert Path(ran.xcom("batch")["manifest"].removeprefix("file://")).parent == tmp_path / "{1}"


@pytest.mark.parametrize("lost", ["a::b", "a?#b", "a?versionId=3"])
def test_a_name_that_could_not_be_opened_again_costs_nothing(run_dag, stub, emulator, lost):
    error = generate(run_dag, destination=f"s3://stub@bucket/{{{{ '{lost}' }}}}").error
    assert type(error) is AirflowFailException
    assert "destination or manifest must not contain control characters, '::', '?#' or '?versionId=', got " in str(
        error
    )
    manifest = {"destination": "s3://stub@bucket/new", "manifest": f"s3://stub@bucket/{lost}.jsonl"}
    ran = run_dag(lambda: ViduGenerateBatchOperator(task_id="batch", requests=[asked("a")], **manifest))
    assert type(ran.error) is AirflowFailException
    assert posts(emulator) == []
