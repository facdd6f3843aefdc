# SPDX-License-Identifier: Apache-2.0
"""Checks of a place before anything is paid."""

from __future__ import annotations

import os

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from tests.storage.videos import generate


@pytest.mark.parametrize(
    ("user", "is_refused"), [(0, False), ("the owner", False), ("another", True)], ids=["root", "owner", "another"]
)
def test_a_file_that_only_others_may_replace_is_refused_before_the_submit(
    run_dag, emulator, tmp_path, monkeypatch, user, is_refused
):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"an earlier one")
    tmp_path.chmod(0o1777)
    owner = clip.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: {"the owner": owner, "another": owner + 1}.get(user, user))
    ran = generate(run_dag, destination=str(clip))
    assert ran.states == {"generate": "failed" if is_refused else "success"}
    if is_refused:
        assert type(ran.error) is AirflowFailException
        assert str(ran.error) == (
            "The path of a video, sidecar or manifest must lead to a file that this worker's user may replace, got "
            f"{clip}, which belongs to user id {owner} in a directory with the sticky bit. Nothing was sent or paid. "
            "Remove it, or choose another name."
        )
    assert len(emulator.tasks) == (0 if is_refused else 1)
