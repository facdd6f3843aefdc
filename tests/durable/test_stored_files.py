# SPDX-License-Identifier: Apache-2.0
"""Stored files as a task instance remembers them: through operators that are retried, and rule by rule."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.durable import stored_files
from airflow_provider_vidu.durable.stored_files import StoredFiles
from airflow_provider_vidu.exceptions import ViduStateError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from tests.quick import QUICK, Store, asked, breaks_once, context_of, many, posts, tried
from tests.served import clip, serving

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")
LOG = logging.getLogger("stored")


def files_in(store) -> StoredFiles:
    return StoredFiles(context_of(store), LOG)


def stat(size=10, mtime=5.5):
    return {"size": size, "mtime": mtime, "type": "file"}


def test_a_retry_of_a_transfer_keeps_what_it_stored_though_the_link_has_gone(run_dag, emulator, tmp_path):
    links = {"video.mp4": clip(0.2, "red")}

    def lose_the_link(context, result):
        links.clear()
        breaks_once(context)

    with serving(links) as url:
        ran = run_dag(
            lambda: ViduToObjectStorageOperator(
                task_id="store",
                result={"task_id": "t", "urls": [f"{url}/video.mp4"]},
                destination=str(tmp_path),
                retries=1,
                retry_delay=timedelta(0),
                post_execute=lose_the_link,
            )
        )
    assert ran.xcom("store") == [f"file://{tmp_path}/t.mp4"]


@pytest.mark.parametrize("kind", ["generate", "batch"])
def test_a_retry_fetches_no_video_again_that_lies_where_it_was_stored(run_dag, emulator, tmp_path, kind):
    common = {
        "task_id": "task",
        "destination": str(tmp_path),
        "retries": 1,
        "retry_delay": timedelta(0),
        "post_execute": breaks_once,
    }
    if kind == "generate":
        ran = run_dag(lambda: ViduGenerateVideoOperator(**QUICK, **common))
    else:
        ran = run_dag(lambda: ViduGenerateBatchOperator(requests=[asked("a"), asked("b")], **common))
    assert ran.states == {"task": "success"}
    assert {task["downloads"] for task in emulator.tasks} == {1}
    assert len(posts(emulator)) == len(emulator.tasks)


def test_a_retry_of_a_batch_stores_again_what_another_file_has_replaced(emulator, videos):
    store, given = Store(), [*many(2), asked("unfit", prompt="fail-by-moderation")]
    with pytest.raises(AirflowFailException):
        tried(store, videos, given)
    stored, kept = videos / "kite-000.mp4", videos / "kite-001.mp4"
    video, number = stored.read_bytes(), kept.stat().st_ino
    stored.write_bytes(bytes(len(video)))
    with pytest.raises(AirflowFailException):
        tried(store, videos, given, try_number=2)
    assert (stored.read_bytes(), kept.stat().st_ino) == (video, number)
    assert len(posts(emulator)) == 3


def test_what_was_stored_is_known_to_the_next_try_by_task_place_size_and_time():
    store = Store()
    files = files_in(store)
    files.add("one", "s3://b/1.mp4", stat())
    files.add("one", "s3://b/1-2.mp4", stat(20))
    files.flush()
    assert store == {
        "vidu_stored_0": {
            "version": 1,
            "files": {
                "one": [
                    {"uri": "s3://b/1.mp4", "size": 10, "changed_at": 5.5},
                    {"uri": "s3://b/1-2.mp4", "size": 20, "changed_at": 5.5},
                ]
            },
        }
    }
    later = files_in(store)
    assert later.files_of("one") == ["s3://b/1.mp4", "s3://b/1-2.mp4"]
    assert later.files_of("two") == []
    asked_for = [
        ("one", "s3://b/1.mp4", stat()),
        ("two", "s3://b/1.mp4", stat()),
        ("one", "s3://b/2.mp4", stat()),
        ("one", "s3://b/1.mp4", stat(11)),
        ("one", "s3://b/1.mp4", stat(mtime=6.5)),
    ]
    assert [later.kept(*each) for each in asked_for] == [True, False, False, False, False]
    # Where nothing is known of a file, it is not known to be another one.
    assert [later.is_replaced(*each) for each in asked_for] == [False, False, True, True, True]


@pytest.mark.parametrize(
    ("told", "is_known"),
    [
        ({"LastModified": datetime(2026, 1, 1, tzinfo=UTC)}, True),
        ({"last_modified": datetime(2026, 1, 1, tzinfo=UTC)}, True),
        ({"mtime": datetime(2026, 1, 1, tzinfo=UTC)}, True),
        ({"updated": "2026-01-01T00:00:00Z"}, True),
        ({}, False),
        ({"mtime": ["strange"]}, False),
    ],
)
def test_each_kind_of_store_names_the_time_of_a_change_in_its_own_way(told, is_known):
    store = Store()
    files = files_in(store)
    files.add("one", "x://b/1.mp4", {"size": 1, **told})
    files.flush()
    assert files_in(store).kept("one", "x://b/1.mp4", {"size": 1, **told}) is is_known


def test_a_file_that_another_video_replaced_is_no_file_of_the_first():
    store = Store()
    files = files_in(store)
    files.add("one", "s3://b/1.mp4", stat())
    files.flush()
    files = files_in(store)
    files.add("two", "s3://b/1.mp4", stat())
    files.flush()
    later = files_in(store)
    assert (later.files_of("one"), later.files_of("two")) == ([], ["s3://b/1.mp4"])


def test_many_files_are_written_in_chunks_that_airflow_takes_and_not_one_by_one():
    store = Store()
    files = files_in(store)
    uris = {f"task-{n:04}": f"s3://store@bucket/{'long/' * 20}{n:04}.mp4" for n in range(1000)}
    for task_id, uri in uris.items():
        files.add(task_id, uri, stat())
    files.flush()
    assert list(store) == [f"vidu_stored_{number}" for number in range(len(store))]
    assert max(len(json.dumps(chunk)) for chunk in store.values()) < 64_000
    assert 2 < len(store) < 8
    assert store.writes < 2 * 1000 / stored_files.WRITE_VIDEOS
    later = files_in(store)
    assert {task_id: later.files_of(task_id) for task_id in uris} == {task_id: [uri] for task_id, uri in uris.items()}
    # What is added to an earlier chunk leaves the others alone.
    before = store.writes
    later.add("task-0000", uris["task-0000"], stat(mtime=7.5))
    later.flush()
    assert store.writes == before + 1


@pytest.mark.parametrize(
    "strange",
    [
        {"version": 2, "videos": {"one": "s3://b/1.mp4"}},
        {"files": {"one": [{"uri": 5}, "s3://b/1.mp4"], "two": "s3://b/2.mp4"}},
        {"files": ["one"]},
        ["one"],
        "one",
    ],
)
def test_what_another_version_wrote_is_as_good_as_nothing(strange):
    store = Store(vidu_stored_0=strange)
    files = files_in(store)
    assert files.files_of("one") == []
    files.add("one", "s3://b/1.mp4", stat())
    files.flush()
    assert files_in(store).files_of("one") == ["s3://b/1.mp4"]


class Away(Store):
    """A state store that cannot be read."""

    def get(self, key, default=None):
        raise ConnectionError("Airflow is away")


def test_where_the_store_cannot_be_read_nothing_is_known_and_nothing_replaced(caplog):
    store = Away(vidu_stored_0={"version": 1, "files": {"one": []}})
    files = files_in(store)
    assert not files.kept("one", "s3://b/1.mp4", stat())
    files.add("one", "s3://b/1.mp4", stat())
    files.flush()
    assert store.writes == 0
    assert len([text for text in caplog.messages if text.startswith("Could not use the record of stored videos")]) == 1
    with pytest.raises(ViduStateError, match="Could not read Airflow's task state store"):
        files.files_of("one")


def test_a_write_that_fails_forgets_nothing_of_what_is_written_later(caplog):
    store = Store(fails_at=1)
    files = files_in(store)
    for number in range(30):
        files.add(f"task-{number}", f"s3://b/{number}.mp4", stat())
    files.flush()
    later = files_in(store)
    assert [later.files_of(f"task-{number}") for number in range(30)] == [[f"s3://b/{n}.mp4"] for n in range(30)]
    assert len([text for text in caplog.messages if "record of stored videos yet" in text]) == 1


def test_where_the_store_cannot_be_written_the_video_is_stored_all_the_same(emulator, tmp_path, caplog):
    operator = ViduToObjectStorageOperator(
        task_id="store", vidu_task_id=None, result={}, destination=str(tmp_path / "videos")
    )
    with serving({"video.mp4": clip(0.2, "red")}) as url:
        operator.result = {"task_id": "t", "urls": [f"{url}/video.mp4"]}
        context = context_of(Store(fails_at=1))
        context["ti"].xcom_push = lambda **_: None
        (uri,) = operator.execute(context)
    assert Path(uri.removeprefix("file://")).exists()


def test_without_a_store_nothing_is_known_and_nothing_said(caplog):
    files = files_in(None)
    files.add("one", "s3://b/1.mp4", stat())
    files.flush()
    assert files_in(None).files_of("one") == []
    assert caplog.messages == []
