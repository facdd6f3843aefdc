# SPDX-License-Identifier: Apache-2.0
"""Pictures as authors and templates name them: read, or refused before anything is paid."""

from __future__ import annotations

import os

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from tests.quick import IMG, Store, asked, posts, tried

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")


@pytest.fixture
def sources(tmp_path, frame, monkeypatch):
    """A directory of pictures that may be read, another beside it, and a link out of the first."""
    allowed, other = tmp_path / "in", tmp_path / "in-other"
    for directory in (allowed, other):
        directory.mkdir()
        (directory / "a.png").write_bytes(frame.read_bytes())
    (allowed / "link.png").symlink_to(other / "a.png")
    (allowed / "within.png").symlink_to(allowed / "a.png")
    monkeypatch.setenv("AIRFLOW__VIDU__MEDIA_SOURCES", f"{allowed}, s3://store@bucket/pictures")
    return tmp_path


READ = {
    "{}/in/a.png": True,
    "file://{}/in/a.png": True,
    "{}/in/within.png": True,
    "{}/in/../in/a.png": True,
    "{}/in-other/a.png": False,
    "{}/in/link.png": False,
    "{}/in/../in-other/a.png": False,
    "file://{}/in-other/a.png": False,
    "/etc/passwd": False,
    "s3://store@bucket/pictures/a.png": True,
    "s3://store@bucket/pictures-other/a.png": False,
    "s3://store@bucket/pictures/../a.png": False,
    "s3://bucket/pictures/a.png": False,
}


@pytest.mark.parametrize(("name", "is_read"), READ.items())
def test_only_files_below_the_configured_sources_are_read_and_sent(
    run_dag, emulator, sources, frame, s3, name, is_read
):
    for key in ("pictures/a.png", "pictures-other/a.png", "a.png"):
        s3.put_object(Bucket="bucket", Key=key, Body=frame.read_bytes())
    ran = run_dag(
        lambda: ViduSubmitOperator(task_id="submit", **IMG, first_frame_url="{{ params.image }}"),
        params={"image": name.format(sources)},
    )
    assert len(posts(emulator)) == is_read
    if not is_read:
        assert type(ran.error) is AirflowFailException
        assert "first_frame_url must lie below one of [vidu] media_sources" in str(ran.error)


def test_a_picture_that_was_cut_is_not_paid_for(emulator, videos, frame):
    cut = frame.with_name("cut.png")
    cut.write_bytes(frame.read_bytes()[:-20])
    os.utime(cut, (0, 0))
    given = [{"custom_id": "a", **IMG, "first_frame_url": str(cut)}, asked("b")]
    with pytest.raises(AirflowFailException, match=r"a: refused: .*must be a complete image"):
        tried(Store(), videos, given)
    assert len(posts(emulator)) == 1


NO_FILES = {"a pipe": os.mkfifo, "a device": lambda path: os.symlink("/dev/zero", path)}


@pytest.mark.parametrize("make", NO_FILES.values(), ids=list(NO_FILES))
def test_what_has_no_end_is_never_read_as_a_picture(run_dag, emulator, tmp_path, make):
    path = tmp_path / "frame.png"
    make(path)
    ran = run_dag(lambda: ViduSubmitOperator(task_id="submit", **{**IMG, "first_frame_url": str(path)}))
    assert "('it is not a regular file')" in str(ran.error)
    assert emulator.requests == []


UNUSABLE_URLS = [
    *("http://h:99999/x.png", "http://h:0/x.png", "http://[::1/x.png", "http://h/a\n.png", "http://a b/c.png"),
    *("http://h/\tx.png", "http://..../c", f"http://{'a' * 64}.b/c", "http://%zz/c", "http://a@/c", "http://h/x\0"),
]


@pytest.mark.parametrize("url", UNUSABLE_URLS, ids=ascii)
def test_a_link_that_leads_to_no_host_is_refused_when_the_dag_is_parsed(url):
    with pytest.raises(ViduRequestError, match="first_frame_url"):
        ViduSubmitOperator(task_id="submit", **{**IMG, "first_frame_url": url})
    with pytest.raises(ViduRequestError, match="video_url"):
        ViduSubmitOperator(task_id="submit", vidu_type="extend", model="viduq2-turbo", video_url=url)
