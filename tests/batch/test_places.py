# SPDX-License-Identifier: Apache-2.0
"""Where the files of a batch may not lie, and what becomes of files that are not what they were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, TaskDeferred

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduRequestError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.storage import places
from tests.quick import Store, asked, context_of, many, outcomes, posts, tried

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")


@pytest.mark.parametrize("is_broken", [False, True], ids=["a directory that is none", "a file that is not a manifest"])
def test_a_manifest_that_could_not_be_written_keeps_everything_from_being_sent(emulator, videos, tmp_path, is_broken):
    (tmp_path / "file").write_text("no manifest")
    path = str(tmp_path / "file") if is_broken else f"{tmp_path}/file/manifest.jsonl"
    with pytest.raises(ViduDownloadError, match=r"Nothing was sent or paid|sent and paid nothing"):
        tried(Store(), videos, many(2), manifest=path)
    assert posts(emulator) == []
    assert (tmp_path / "file").read_text() == "no manifest"


def test_no_two_task_instances_share_a_manifest_and_no_name_is_too_long():
    def name(dag_id, task_id, map_index=-1):
        context = context_of(None, map_index=map_index)
        context["ti"].dag_id, context["ti"].task_id = dag_id, task_id
        return manifests.default_name("/v/{custom_id}.mp4", context)

    names = [
        name("视频", "make"),
        name("图片", "make"),
        name("d", "make", 1),
        name("d", "make-1"),
        name("d", "make", 0),
    ]
    names.append(name("d" * 120, f"group.{'t' * 120}"))
    assert len(set(names)) == len(names)
    assert all(len(Path(path).name.encode()) < 240 for path in names)
    assert names[0] == name("视频", "make")


@pytest.mark.parametrize(
    "manifest", ["{videos}/b.mp4", "file://{videos}/b.mp4", "{videos}//b.mp4", "{videos}/../videos/b.mp4"]
)
def test_a_manifest_in_the_place_of_a_video_is_refused(emulator, videos, manifest):
    with pytest.raises(
        AirflowFailException, match=r"destination and manifest must give each item .* for b, .* file of the manifest"
    ):
        tried(Store(), videos, [asked("a"), asked("b")], manifest=manifest.format(videos=videos))
    assert posts(emulator) == []


@pytest.fixture
def one_directory_of_two_names(videos):
    (videos / "a").mkdir(parents=True)
    (videos / "b").symlink_to("a", target_is_directory=True)


BY_DIRECTORY = "{custom_id}/v.mp4"


@pytest.mark.usefixtures("one_directory_of_two_names")
def test_two_items_whose_directories_are_one_are_refused_with_nothing_paid(emulator, videos):
    with pytest.raises(AirflowFailException, match=f"got file://{videos}/b/v.mp4 for b, which is the file of a"):
        tried(Store(), videos, [asked("a"), asked("b")], destination=f"{videos}/{BY_DIRECTORY}")
    assert posts(emulator) == []


@pytest.mark.usefixtures("one_directory_of_two_names")
def test_an_item_whose_directory_is_that_of_a_stored_video_is_refused_with_nothing_paid(emulator, videos):
    store, destination = Store(), f"{videos}/{BY_DIRECTORY}"
    unfit = asked("c", prompt="fail-by-moderation")
    with pytest.raises(AirflowFailException, match="1 failed"):
        tried(store, videos, [asked("a"), unfit], destination=destination)
    with pytest.raises(AirflowFailException, match="b would replace a at"):
        tried(store, videos, [asked("a"), unfit, asked("b")], max_tries=2, destination=destination)
    assert len(posts(emulator)) == 2


def test_a_disk_that_takes_nothing_more_is_reported_with_what_is_paid(emulator, videos, monkeypatch):
    store, given = Store(), many(2)
    really = places.replacing

    def is_full(path, **more):
        if store:
            raise ViduDownloadError(f"Could not write to {path}: OSError: Read-only file system.")
        return really(path, **more)

    with monkeypatch.context() as patched:
        patched.setattr(places, "replacing", is_full)
        for number in (1, 2):
            with pytest.raises(
                ViduDownloadError, match="2 Vidu tasks of this batch are submitted and billed"
            ) as raised:
                tried(store, videos, given, try_number=number)
            assert all(task["task_id"] in str(raised.value) for task in emulator.tasks)
    assert tried(store, videos, given, try_number=3)["counts"] == {"success": 2}
    assert len(posts(emulator)) == 2


def broken(path, how):
    path.unlink()
    if how == "a directory":
        path.mkdir()
    elif how == "a pipe":
        os.mkfifo(path)
    elif how == "another page":
        path.write_text("<html>")


# How the file was replaced, and the outcome and the downloads of the retry.
REPLACED = {
    "gone": ("success", 2),
    "another page": ("success", 2),
    "a directory": ("not_stored", 2),
    "a pipe": ("not_stored", 1),
}


@pytest.mark.parametrize("how", REPLACED)
def test_a_retry_keeps_no_success_whose_file_is_another_one(emulator, videos, how):
    store, given = Store(), [*many(1), asked("unfit", prompt="fail-by-moderation")]
    with pytest.raises(AirflowFailException):
        tried(store, videos, given)
    broken(videos / "kite-000.mp4", how)
    with pytest.raises(AirflowException):
        tried(store, videos, given, try_number=2)
    outcome, downloads = REPLACED[how]
    assert outcomes(videos)["kite-000"] == outcome
    assert len(posts(emulator)) == 2
    assert [task["downloads"] for task in emulator.tasks if task["downloads"]] == [downloads]


def test_an_item_whose_directory_is_a_file_is_refused_with_nothing_paid(emulator, videos):
    videos.mkdir()
    (videos / "b").write_text("a file")
    with pytest.raises(ViduDownloadError, match=f"{videos}/b is not a directory. Nothing was sent or paid"):
        tried(Store(), videos, [asked("a"), asked("b")], destination=f"{videos}/{{custom_id}}/v.mp4")
    assert posts(emulator) == []


@pytest.mark.parametrize(("one", "other"), [("a", "A"), ("\u00fc", "u\u0308")], ids=ascii)
def test_custom_ids_that_some_directories_take_for_one_are_refused(emulator, videos, one, other):
    with pytest.raises(ViduRequestError, match=r"writes 2 items \(0, 1\) to one file"):
        tried(Store(), videos, [asked(one), asked(other)])
    # In a bucket they are two.
    ViduGenerateBatchOperator(
        task_id="batch", requests=[asked(one), asked(other)], destination="s3://c@bucket/{custom_id}.mp4"
    )


def test_a_pipe_in_the_place_of_a_manifest_is_refused_and_not_waited_for(emulator, videos):
    videos.mkdir()
    os.mkfifo(videos / "m.jsonl")
    with pytest.raises(AirflowFailException, match=r"m\.jsonl, which is not a regular file\. Nothing was sent or paid"):
        tried(Store(), videos, many(1), manifest=f"{videos}/m.jsonl")
    assert posts(emulator) == []


@pytest.mark.parametrize("prices", ["pipe", "/dev/zero"])
def test_prices_that_are_no_file_are_refused_and_not_read(emulator, videos, tmp_path, prices):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AirflowFailException, match=r"prices must be .* a CSV file .*not a regular file"):
        tried(Store(), videos, many(1), prices=str(tmp_path / prices))
    assert posts(emulator) == []


def test_a_store_that_lets_write_a_name_once_takes_a_batch(emulator, lesser_store):
    lesser_store.forget()
    lesser_store.is_write_once = True
    store, destination = Store(), "s3://lesser@bucket/night/{custom_id}.mp4"
    operator = ViduGenerateBatchOperator(task_id="batch", requests=many(2), destination=destination)
    with pytest.raises(TaskDeferred) as deferred_to:
        operator.execute(context_of(store))
    event = {"status": "success", "counts": {}, "message": "It ended."}
    assert operator.execute_complete(context_of(store), event, **deferred_to.value.kwargs)["counts"] == {"success": 2}
    assert len(posts(emulator)) == 2
