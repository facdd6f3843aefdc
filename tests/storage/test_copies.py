# SPDX-License-Identifier: Apache-2.0
"""Copies of stored videos that fail, and what is said of them."""

from __future__ import annotations

import pytest

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduRequestError
from airflow_provider_vidu.storage.copies import copied

TASK = {"task_id": "task-1"}


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"a video")
    return f"file://{path}"


def test_further_videos_of_a_task_get_numbers(tmp_path, video):
    files = copied([video, video], str(tmp_path / "new"), TASK)
    assert files == [f"file://{tmp_path}/new/task-1.mp4", f"file://{tmp_path}/new/task-1-2.mp4"]
    assert (tmp_path / "new" / "task-1-2.mp4").read_bytes() == b"a video"


def test_a_file_that_has_gone_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ViduDownloadError, match=r"Could not copy file:///none.mp4 to .*Nothing was paid for it. Retry"):
        copied(["file:///none.mp4"], str(tmp_path), TASK)


def test_a_destination_that_takes_nothing_is_an_error(tmp_path, video):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ViduDownloadError, match=r"Could not write to .*/file/task-1.mp4"):
        copied([video], str(tmp_path / "file"), TASK)


def test_a_store_that_loses_bytes_is_found_out(tmp_path, video, lesser_store):
    lesser_store.forget()
    lesser_store.loses = 3
    with pytest.raises(ViduDownloadError, match=r"Copied file://.*a.mp4 of 7 bytes, but s3://.*task-1.mp4 has 4\."):
        copied([video], "s3://lesser@bucket/new", TASK)


def test_a_wrong_destination_is_refused(video):
    with pytest.raises(ViduRequestError, match="destination must"):
        copied([video], "/videos/../a.mp4", TASK)
