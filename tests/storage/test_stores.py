# SPDX-License-Identifier: Apache-2.0
"""Storing in a store that has less than AWS, call by call, and under names that mean something elsewhere."""

from __future__ import annotations

import json
import logging
import re
import struct
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, get_hook_lineage_collector
from airflow.sdk import ObjectStoragePath
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.plugin.stored import open_stored
from airflow_provider_vidu.protocol import schedule
from airflow_provider_vidu.storage.roots import read_root
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from tests import s3_stub
from tests.quick import QUICK, asked, posts
from tests.served import serving

pytestmark = pytest.mark.usefixtures("soon", "emulator", "asked_at_once")
PART = s3_stub.PART_BYTES
LOOKED, NOT_THERE = "HeadObject", ["HeadObject", "ListObjectsV2"]
PROBE = ["PutObject", "DeleteObject"]


@pytest.fixture
def asked_at_once(monkeypatch):
    """The emulator's videos are ready before any could be."""
    monkeypatch.setattr(schedule, "first_ask", lambda expected, jitter: 0.05)


@pytest.fixture(scope="module")
def stub_server():
    with s3_stub.running() as stub, pytest.MonkeyPatch.context() as patch:
        keys = {"aws_access_key_id": "id", "aws_secret_access_key": "secret"}
        extra = {**keys, "endpoint_url": stub.url, "region_name": "us-east-1"}
        patch.setenv("AIRFLOW_CONN_STUB", json.dumps({"conn_type": "aws", "extra": extra}))
        # The recipe of the documentation, but for the host names, which an address of this machine has none of.
        (recipe,) = re.findall(
            r"```json\n(.*?)```", (Path(__file__).parents[2] / "docs/stores.md").read_text("utf-8"), re.DOTALL
        )
        read = json.loads(recipe)
        del read["extra"]["config_kwargs"]["s3"]
        patch.setenv("AIRFLOW_CONN_RECIPE", json.dumps({**read, "extra": {**read["extra"], "endpoint_url": stub.url}}))
        yield stub


@pytest.fixture
def stub(stub_server):
    stub_server.forget()
    return stub_server


def video(size: int) -> bytes:
    """Make a file whose boxes add up, as long as wanted."""
    head = struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 512, b"isom") + struct.pack(">I4s", 8, b"moov")
    return head + struct.pack(">I4s", size - len(head), b"mdat") + bytes(size - len(head) - 8)


@pytest.fixture
def store(run_dag):
    """Store a video of as many bytes as wanted at ``s3://stub@bucket/new/video.mp4``."""

    def run(size: int, conn_id: str = "stub"):
        with serving({"video.mp4": video(size)}) as url:
            result = {"task_id": "task-1", "urls": [f"{url}/video.mp4"]}
            destination = f"s3://{conn_id}@bucket/new/video.mp4"
            return run_dag(lambda: ViduToObjectStorageOperator(task_id="store", result=result, destination=destination))

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


@pytest.mark.parametrize("size", [1000, PART + 1])
def test_the_recipe_for_other_stores_sends_no_checksums_of_aws(store, stub, size):
    stub.takes_checksums = False
    assert type(store(size).error) is ViduDownloadError
    assert store(size, "recipe").states == {"store": "success"}


def generate(run_dag, **arguments):
    arguments = {"task_id": "generate", **QUICK, "destination": "s3://stub@bucket/new", **arguments}
    return run_dag(lambda: ViduGenerateVideoOperator(**arguments))


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
    monkeypatch.setattr("airflow.sdk.lineage.get_hook_lineage_collector", lambda: collector)
    ran = generate(run_dag)
    assert outputs == ran.xcom("generate")["files"]
