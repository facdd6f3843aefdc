# SPDX-License-Identifier: Apache-2.0
"""Storing in a store that has less than AWS and on a file server, call by call."""

from __future__ import annotations

import logging
import re

import pytest
from airflow.providers.common.compat.sdk import get_hook_lineage_collector
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from tests import s3_stub
from tests.quick import asked, posts
from tests.served import serving
from tests.storage.videos import generate, store_video, video

pytestmark = pytest.mark.usefixtures("soon", "emulator", "asked_at_once")
PART = s3_stub.PART_BYTES
LOOKED, NOT_THERE = "HeadObject", ["HeadObject", "ListObjectsV2"]
PROBE = ["PutObject", "DeleteObject"]


@pytest.fixture
def store(run_dag):
    """Store a video of as many bytes as wanted at ``s3://stub@bucket/new/video.mp4``."""

    def run(size: int):
        return store_video(run_dag, size, "s3://stub@bucket/new/video.mp4")

    return run


@pytest.mark.parametrize(
    ("size", "upload", "parts"),
    [
        (1000, ["PutObject"], []),
        (PART - 1, ["PutObject"], []),
        (PART, ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"], [PART]),
        (PART + 1, ["CreateMultipartUpload", *["UploadPart"] * 2, "CompleteMultipartUpload"], [PART, 1]),
        (
            120_000_000,
            ["CreateMultipartUpload", *["UploadPart"] * 15, "CompleteMultipartUpload"],
            [*[PART] * 14, 120_000_000 - 14 * PART],
        ),
    ],
)
def test_a_video_is_uploaded_once_to_its_own_key(store, stub, size, upload, parts):
    assert store(size).xcom("store") == ["s3://stub@bucket/new/video.mp4"]
    assert stub.names() == [*NOT_THERE, *upload, LOOKED]
    assert {key for name, key in stub.calls if name != "ListObjectsV2"} == {"new/video.mp4"}
    assert stub.sizes == parts
    assert {key: found.data == video(size) for key, found in stub.objects.items()} == {"new/video.mp4": True}
    assert stub.uploads == {}


@pytest.mark.parametrize("before", [None, b"another"])
@pytest.mark.parametrize("call", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_an_upload_that_breaks_leaves_what_was_there_and_nothing_else(store, stub, call, before):
    if before:
        stub.put("new/video.mp4", before)
    stub.broken = {call}
    error = store(PART + 1).error
    assert type(error) is ViduDownloadError
    assert "Could not write to s3://stub@bucket/new/video.mp4: " in str(error)
    assert {key: found.data for key, found in stub.objects.items()} == ({"new/video.mp4": before} if before else {})
    assert stub.uploads == {}
    assert ("AbortMultipartUpload" in stub.names()) == (call != "CreateMultipartUpload")
    stub.broken = set()
    assert store(PART + 1).states == {"store": "success"}


def test_an_upload_whose_last_answer_is_lost_is_made_again(store, stub):
    stub.silent = 1
    assert store(PART + 1).states == {"store": "success"}
    assert stub.names().count("CompleteMultipartUpload") == 3
    assert {key: found.data == video(PART + 1) for key, found in stub.objects.items()} == {"new/video.mp4": True}
    assert stub.uploads == {}


@pytest.mark.parametrize("call", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_a_key_that_may_not_upload_in_parts_stores_by_one_put(store, stub, call):
    stub.refuse = {call}
    assert store(PART + 1).states == {"store": "success"}
    assert stub.names()[-2:] == ["PutObject", LOOKED]
    assert {key: found.data == video(PART + 1) for key, found in stub.objects.items()} == {"new/video.mp4": True}
    assert stub.uploads == {}


def test_a_key_that_may_put_nothing_is_asked_once(store, stub):
    stub.refuse = {"PutObject"}
    assert "PermissionError" in str(store(1000).error)
    assert stub.names().count("PutObject") == 1


def test_a_part_that_is_refused_in_the_middle_ends_the_upload(store, stub):
    stub.break_after = {"UploadPart": 2}
    assert type(store(4 * PART).error) is ViduDownloadError
    assert stub.names() == [
        *NOT_THERE, "CreateMultipartUpload", *["UploadPart"] * 3, "AbortMultipartUpload"
    ]  # fmt: skip
    assert (stub.objects, stub.uploads) == ({}, {})


def test_a_store_that_loses_bytes_is_named(store, stub):
    stub.loses = 1
    assert "Wrote 1,000 bytes, but s3://stub@bucket/new/video.mp4 has 999." in str(store(1000).error)


def test_a_right_to_write_alone_is_enough_to_store(store, stub):
    stub.refuse = {"HeadObject", "GetObject", "ListObjectsV2", "DeleteObject", "AbortMultipartUpload"}
    assert store(1000).states == {"store": "success"}
    assert list(stub.objects) == ["new/video.mp4"]


def test_what_is_tried_before_the_submit_is_what_is_done_after_it(run_dag, stub):
    ran = generate(run_dag)
    (key,) = stub.objects
    assert ran.xcom("generate")["files"] == [f"s3://stub@bucket/{key}"]
    assert stub.calls[:2] == [(name, "new/.vidu-probe") for name in PROBE]
    assert stub.names()[2:] == [*NOT_THERE, "PutObject", LOOKED]


def test_a_store_that_takes_no_file_costs_nothing(run_dag, stub, emulator):
    stub.refuse = {"PutObject"}
    error = generate(run_dag).error
    assert type(error) is ViduDownloadError
    assert "Could not write to s3://stub@bucket/new/.vidu-probe: PermissionError" in str(error)
    assert emulator.requests == []
    # Whether one lies there that may not be replaced is looked up.
    assert stub.calls[0] == ("PutObject", "new/.vidu-probe")
    assert stub.names().count("PutObject") == 1


def test_where_nothing_can_be_removed_one_empty_file_stays_and_is_named(run_dag, stub, emulator, caplog):
    stub.refuse = {"DeleteObject"}
    for _ in range(2):
        with caplog.at_level(logging.WARNING):
            assert generate(run_dag).states == {"generate": "success"}
    assert "Could not remove s3://stub@bucket/new/.vidu-probe; it remains: PermissionError: no" in caplog.messages
    assert len(posts(emulator)) == 2
    assert sorted(stub.objects)[0] == "new/.vidu-probe"
    assert len(stub.objects) == 3


def test_a_store_that_lets_write_a_name_once_takes_one_video_after_the_other(run_dag, stub, emulator):
    stub.refuse, stub.is_write_once = {"DeleteObject"}, True
    for _ in range(3):
        assert generate(run_dag).states == {"generate": "success"}
    probes = [key for key in stub.objects if key.startswith("new/.vidu-probe")]
    assert (len(probes), len(stub.objects), len(posts(emulator))) == (3, 6, 3)


def test_a_batch_leaves_its_videos_and_its_manifest_alone(run_dag, stub):
    ran = run_dag(
        lambda: ViduGenerateBatchOperator(
            task_id="batch", requests=[asked("a"), asked("b")], destination="s3://stub@bucket/new/{custom_id}.mp4"
        )
    )
    manifest = ran.xcom("batch")["manifest"].removeprefix("s3://stub@bucket/")
    assert sorted(stub.objects) == sorted(["new/a.mp4", "new/b.mp4", manifest])
    for key in ("new/a.mp4", "new/b.mp4"):
        assert stub.names(key) == ["HeadObject", "PutObject", LOOKED]
    assert stub.names(manifest).count("PutObject") == 1
    assert stub.names(f"{manifest}.waiting")[-1] == "DeleteObject"
    assert stub.names("new/.vidu-probe") == [*PROBE, *PROBE]
    assert set(stub.names()) == {"HeadObject", "ListObjectsV2", "GetObject", "PutObject", "DeleteObject"}


@pytest.fixture
def file_server():
    """A directory of this machine in the place of a file server: what counts is which calls are made of it."""
    from airflow.sdk.io import attach, store

    class Server(LocalFileSystem):
        protocol = "sftp"
        cachable = False

        def __init__(self) -> None:
            super().__init__()
            self.opened: list[str] = []

        def _open(self, path, mode="rb", **kwargs):
            self.opened.append(f"{mode} {path}")
            return super()._open(path, mode, **kwargs)

    attach("sftp", "files", fs=(server := Server()))
    yield server
    del store._STORE_CACHE["sftp-files"]


def test_a_file_server_shows_no_half_file(run_dag, file_server, tmp_path):
    (tmp_path / "[x]").mkdir()
    with serving({"video.mp4": video(1000)}) as url:
        result = {"task_id": "task-1", "urls": [f"{url}/video.mp4"]}
        destination = f"sftp://files@host{tmp_path}/[x]"
        ran = run_dag(lambda: ViduToObjectStorageOperator(task_id="store", result=result, destination=destination))
    assert ran.xcom("store") == [f"sftp://files@{tmp_path}/[x]/task-1.mp4"]
    assert [path.name for path in (tmp_path / "[x]").iterdir()] == ["task-1.mp4"]
    (opened,) = file_server.opened
    assert re.fullmatch(rf"wb {re.escape(str(tmp_path))}/\[x\]/\.[0-9a-f]{{32}}\.part", opened)


def test_what_was_stored_is_an_output_for_lineage(run_dag, stub, monkeypatch):
    collector, outputs = get_hook_lineage_collector(), []
    monkeypatch.setattr(collector, "add_output_asset", lambda context, uri: outputs.append(uri))
    home = get_hook_lineage_collector.__module__
    monkeypatch.setattr(f"{home}.get_hook_lineage_collector", lambda: collector)
    ran = generate(run_dag)
    assert outputs == ran.xcom("generate")["files"]
