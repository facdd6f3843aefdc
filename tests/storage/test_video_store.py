# SPDX-License-Identifier: Apache-2.0
"""Storing from a real emulator into a directory and into a server that speaks S3."""

from __future__ import annotations

import logging
from pathlib import Path
from threading import Event

import pytest
import requests
from airflow.sdk import ObjectStoragePath

from airflow_provider_vidu.durable.stored_files import StoredFiles
from airflow_provider_vidu.exceptions import ViduDownloadError, ViduRequestError
from airflow_provider_vidu.protocol import download
from airflow_provider_vidu.protocol.texts import without_secrets
from airflow_provider_vidu.storage import video_store
from airflow_provider_vidu.storage.video_store import VideoStore
from tests.hooks.test_downloader import host
from tests.quick import Store, context_of
from tests.storage.videos import LOG, files, store_at

pytestmark = pytest.mark.usefixtures("soon")


def content(url: str) -> bytes:
    return requests.get(url, timeout=10).content


@pytest.fixture(params=["directory", "bucket"])
def place(request, tmp_path):
    """A directory that does not exist yet and a bucket: where to store, what lies there, and how to write there."""
    if request.param == "directory":
        root = tmp_path / "new"
        return Place(str(root), f"file://{root}", root)
    return Place("s3://store@bucket/new", "s3://store@bucket/new", request.getfixturevalue("s3"))


class Place:
    def __init__(self, destination: str, uri: str, where: object) -> None:
        self.destination, self.uri, self._where = destination, uri, where

    def files(self) -> dict[str, bytes]:
        if isinstance(self._where, Path):
            return {name: (self._where / name).read_bytes() for name in files(self._where)}
        found = self._where.list_objects_v2(Bucket="bucket").get("Contents", ())
        return {
            item["Key"].removeprefix("new/"): self._where.get_object(Bucket="bucket", Key=item["Key"])["Body"].read()
            for item in found
        }

    def write(self, name: str, data: bytes) -> None:
        if isinstance(self._where, Path):
            self._where.mkdir()
            (self._where / name).write_bytes(data)
        else:
            self._where.put_object(Bucket="bucket", Key=f"new/{name}", Body=data)


def test_videos_are_stored_in_the_order_of_their_urls(emulator, finish, place):
    result, other = finish(), finish()
    urls = [*result["urls"], *other["urls"]]
    stored = store_at(f"{place.destination}/{{index}}/{{custom_id}}.mp4").store({**result, "urls": urls}, "sku 7", 3)
    names = ["3/sku 7.mp4", f"3/sku 7-{result['task_id']}-2.mp4"]
    assert stored == [f"{place.uri}/{name}" for name in names]
    assert place.files() == dict(zip(names, map(content, urls), strict=True))
    assert [ObjectStoragePath(uri).read_bytes() for uri in stored] == list(map(content, urls))


def test_a_broken_download_is_taken_up_and_stored_whole(emulator, finish, place):
    result = finish()
    emulator.arm({"on": "download", "fault": "truncate", "times": 2})
    store_at(place.destination).store(result)
    assert place.files() == {f"{result['task_id']}.mp4": content(result["urls"][0])}


@pytest.mark.parametrize(
    "fault",
    [{"fault": "truncate", "times": None}, {"fault": "not_a_video"}, {"fault": "empty", "times": None}],
    ids=str,
)
def test_what_did_not_come_whole_leaves_nothing_and_says_that_it_is_paid(emulator, finish, place, fault):
    result = {**finish(), "expires_at": 1800000000.0}
    emulator.arm({"on": "download", **fault})
    with pytest.raises(ViduDownloadError) as caught:
        store_at(place.destination).store(result)
    assert str(caught.value).endswith(
        f"The video of Vidu task {result['task_id']} is paid, and its link is assumed to expire at "
        "2027-01-15 08:00 UTC. Retry this task; storing costs nothing."
    )
    assert place.files() == {}


def remembering(place: Place, state: Store | None) -> VideoStore:
    """A store whose files a task instance remembers, as each of its tries makes one."""
    stored = StoredFiles(context_of(state), LOG)
    return VideoStore(place.destination, "vidu_default", LOG, stored)


def test_whatever_one_video_meets_the_others_are_stored(emulator, finish, place, monkeypatch):
    really_store = VideoStore._store_videos

    def store(self, result, custom_id, index):
        if index == 1:
            raise RuntimeError("nobody foresaw this")
        return really_store(self, result, custom_id, index)

    monkeypatch.setattr(VideoStore, "_store_videos", store)
    videos = [(finish(), "", index) for index in range(3)]
    found = dict(VideoStore(place.destination, "vidu_default", LOG).store_all(videos))
    assert [type(found[index]) for index in range(3)] == [list, ViduDownloadError, list]
    assert str(found[1]).startswith(
        "It could not be stored: RuntimeError: nobody foresaw this. The video of Vidu task "
    )


def test_a_listener_that_fails_fails_no_video(emulator, finish, place, monkeypatch):
    class Collector:
        def add_output_asset(self, **named):
            raise ValueError("Asset name cannot exceed 1500 characters")

    monkeypatch.setattr("airflow.providers.common.compat.sdk.get_hook_lineage_collector", Collector)
    assert len(VideoStore(place.destination, "vidu_default", LOG).store(finish())) == 1


def test_a_file_that_an_earlier_try_stored_is_kept_without_asking_its_host(emulator, finish, place, caplog):
    result, state = finish(), Store()
    result["urls"] *= 2
    first = remembering(place, state).store(result)
    there, asked = place.files(), len(emulator.requests)
    with caplog.at_level(logging.INFO):
        assert remembering(place, state).store({**result, "urls": ["http://127.0.0.1:9/gone"] * 2}) == first
    assert (place.files(), len(emulator.requests)) == (there, asked)
    assert [message for message in caplog.messages if message.startswith("Kept")] == [
        f"Kept {uri}, which was stored for Vidu task {result['task_id']}" for uri in first
    ]


@pytest.mark.parametrize("finish_time", [None, 0, 4e9])
def test_the_file_of_another_task_is_another_video_of_whatever_size_and_age(
    emulator, finish, place, caplog, finish_time
):
    result, other, state = finish(), finish(), Store()
    place.destination += "/video.mp4"
    (uri,) = remembering(place, state).store(other)
    video = content(result["urls"][0])
    remembering(place, state).store({**result, "finish_time": finish_time})
    assert place.files() == {"video.mp4": video}
    assert f"Stored {len(video):,} bytes at {uri} in place of another video" in caplog.messages
    # And back again: what was stored for it is not there any more.
    assert StoredFiles(context_of(state), LOG).files_of(other["task_id"]) == []
    remembering(place, state).store(other)
    assert place.files() == {"video.mp4": content(other["urls"][0])}


def test_a_file_that_was_changed_since_is_replaced(emulator, finish, tmp_path):
    result, state = finish(), Store()
    place = Place(str(tmp_path / "new"), f"file://{tmp_path}/new", tmp_path / "new")
    (uri,) = remembering(place, state).store(result)
    path, video = Path(uri.removeprefix("file://")), content(result["urls"][0])
    path.write_bytes(video[:-1] + b"x")
    remembering(place, state).store(result)
    assert path.read_bytes() == video


@pytest.mark.parametrize("state", [None, Store()], ids=["no state store", "a state store"])
def test_a_file_that_no_earlier_try_stored_is_replaced_however_much_it_looks_like_the_video(
    emulator, finish, place, caplog, state
):
    result = finish()
    name, video = f"{result['task_id']}.mp4", content(result["urls"][0])
    place.write(name, video[:-1] + b"x")
    remembering(place, state).store(result)
    assert place.files() == {name: video}
    assert f"Stored {len(video):,} bytes at {place.uri}/{name} in place of another video" in caplog.messages


@pytest.mark.parametrize("what", ["shorter", "longer", "no video", "empty"])
def test_a_file_that_is_not_complete_is_replaced(emulator, finish, place, what):
    result = finish()
    name = f"{result['task_id']}.mp4"
    video = content(result["urls"][0])
    place.write(
        name, {"shorter": video[:-1], "longer": video + b"x", "no video": b"x" * len(video), "empty": b""}[what]
    )
    store_at(place.destination).store(result)
    assert place.files() == {name: video}


def test_too_large_a_video_is_refused(emulator, finish, place, monkeypatch):
    monkeypatch.setattr(download, "MAX_VIDEO_BYTES", 1000)
    with pytest.raises(ViduDownloadError, match="at most 1,000 bytes, got"):
        store_at(place.destination).store(finish())
    assert place.files() == {}


def test_a_bucket_that_does_not_exist_is_told_and_not_made(emulator, finish, s3):
    with pytest.raises(
        ViduDownloadError, match=r"Could not write to s3://store@mistyped/.*bucket does not exist.*is paid"
    ):
        store_at("s3://store@mistyped/videos").store(finish())
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["bucket"]


@pytest.mark.parametrize(
    ("destination", "text"),
    [
        ("s3://nobody@bucket/videos", "nobody"),
        ("strange://bucket/videos", "strange"),
        ("/proc/videos", "FileNotFoundError|PermissionError"),
        ("{file}/videos", "NotADirectoryError|FileExistsError"),
        ("{directory}/video.mp4", "IsADirectoryError"),
    ],
)
def test_a_place_that_takes_no_file_is_told_with_its_own_words(emulator, finish, tmp_path, destination, text):
    (tmp_path / "file").write_text("a file")
    (tmp_path / "video.mp4").mkdir()
    destination = destination.replace("{file}", f"{tmp_path}/file").replace("{directory}", str(tmp_path))
    with pytest.raises(ViduDownloadError, match=rf"Could not write to .*({text}).*is paid"):
        store_at(destination).store(finish())
    assert files(tmp_path) == ["file"]


@pytest.mark.parametrize("name", ["a b", "视频", "100%", "x?y", "a#b", "[x]"])
def test_a_local_directory_keeps_its_name(emulator, finish, tmp_path, name):
    (uri,) = store_at(tmp_path / name).store(finish())
    assert uri.startswith(f"file://{tmp_path}/{name}/")
    assert files(tmp_path) == [uri.removeprefix(f"file://{tmp_path}/")]


def test_many_are_stored_together_and_what_fails_stops_no_other(emulator, finish, place):
    result = finish()
    (url,) = result["urls"]
    video = content(url)
    items = [
        (
            {**result, "task_id": f"task-{index}", "urls": [f"{url}x" if index % 20 == 7 else url]},
            "../x" if index == 50 else f"sku-{index}",
            index,
        )
        for index in range(100)
    ]
    # Two of the downloads that begin break once.
    emulator.arm({"on": "download", "fault": "truncate", "times": 2})
    outcomes = dict(store_at(f"{place.destination}/{{custom_id}}.mp4").store_all(items))
    lost = {7, 27, 47, 67, 87}
    assert outcomes.keys() == set(range(100))
    assert {index for index, files in outcomes.items() if type(files) is ViduDownloadError} == lost
    assert all(
        f"HTTP 403 instead of the video at {without_secrets(url + 'x')}" in str(outcomes[index]) for index in lost
    )
    assert type(outcomes[50]) is ViduRequestError
    stored = {f"sku-{index}.mp4" for index in range(100)} - {f"sku-{index}.mp4" for index in {50, *lost}}
    assert {index: files for index, files in outcomes.items() if index not in {50, *lost}} == {
        index: [f"{place.uri}/sku-{index}.mp4"] for index in range(100) if index not in {50, *lost}
    }
    assert place.files() == dict.fromkeys(stored, video)


def test_a_host_that_hangs_does_not_hold_up_a_task_whose_time_is_over(emulator, finish, tmp_path, monkeypatch):
    monkeypatch.setattr(video_store, "LAST_VIDEOS_SECONDS", 0.1)
    is_over = Event()
    with host(lambda handler: is_over.wait()) as url:
        result = finish()
        items = [(result, "", 0), ({**result, "task_id": "task-hangs", "urls": [url]}, "", 1)]
        reading = store_at(tmp_path).store_all(items)
        assert next(reading)[0] == 0
        reading.close()
        assert not is_over.is_set()
        is_over.set()
    assert [path.stem for path in tmp_path.glob("*.mp4")] == [result["task_id"]]


def test_what_has_not_begun_is_left_when_the_reader_stops(emulator, finish, tmp_path):
    result = finish()
    items = [({**result, "task_id": f"task-{index}"}, "", index) for index in range(1000)]
    reading = store_at(tmp_path).store_all(items)
    next(reading)
    reading.close()
    stored = files(tmp_path)
    assert 0 < len(stored) < 1000
    assert not [name for name in stored if name.endswith(".part")]
