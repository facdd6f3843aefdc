# SPDX-License-Identifier: Apache-2.0
"""Files right after they were written: shown late, flushed to the disk, and many at once."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from airflow_provider_vidu.durable.each import each
from airflow_provider_vidu.storage import video_store
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator

pytestmark = pytest.mark.usefixtures("soon")


@pytest.mark.parametrize(("hidden", "warned"), [(2, False), (3, True)])
def test_an_object_that_a_replica_shows_late_is_stored(
    run_dag, finish, lesser_store, monkeypatch, capsys, hidden, warned
):
    lesser_store.forget()
    lesser_store.hidden = hidden
    monkeypatch.setattr(video_store, "LAG_SECONDS", (0.01, 0.01))
    result = finish()
    ran = run_dag(
        lambda: ViduToObjectStorageOperator(task_id="store", result=result, destination="s3://lesser@bucket/videos")
    )
    assert ran.states == {"store": "success"}
    assert lesser_store.names(f"videos/{result['task_id']}.mp4").count("PutObject") == 1
    assert ("it is not there any more" in capsys.readouterr().out) == warned


def test_a_video_and_its_directory_are_flushed_before_the_success(run_dag, finish, tmp_path, monkeypatch):
    flushed, really = [], os.fsync

    def fsync(descriptor):
        flushed.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    ran = run_dag(
        lambda: ViduToObjectStorageOperator(task_id="store", result=finish(), destination=str(tmp_path / "videos"))
    )
    assert ran.states == {"store": "success"}
    assert flushed == ["file", "directory"]


def test_the_first_of_many_opens_the_store_before_any_thread_does():
    names = each(lambda _: threading.current_thread().name, range(3))
    assert [name.startswith("vidu-ledger") for name in names] == [False, True, True]
