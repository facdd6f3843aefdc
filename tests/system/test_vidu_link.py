# SPDX-License-Identifier: Apache-2.0
"""The link "Vidu video" and what a wait tells of itself, in a browser on a real Airflow."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.system.support.tabs import facts, follow_link, played
from tests.system.support.trouble import until

pytestmark = pytest.mark.system


def test_the_link_leads_to_the_wait_and_then_to_the_video_of_the_retry(bed, emulator, careful, page):
    emulator.hold()
    run = careful(stop="break")
    run.reaches("wait", "deferred")
    frame = follow_link(page, run.dag_id, run.run_id, "wait")
    expect(frame.get_by_text("Vidu status: Running")).to_be_visible()
    expect(frame.locator(".elapsed")).to_have_text(re.compile(r"^[\d:]+( s)? elapsed, typically 4 s$"))

    emulator.release()
    assert run.ends() == "success", bed.failures(run.dag_id, run.run_id)
    assert run.task("submit")["try_number"] == 2
    (record,) = emulator.tasks
    for task_id in ("submit", "wait", "store"):
        frame = follow_link(page, run.dag_id, run.run_id, task_id)
        film = played(frame.locator("video"))
        assert film.pop("src").endswith("/store/-1/0")
        assert film == {"readyState": 4, "moved": True}
        told = facts(frame)
        assert record["task_id"] in told["Vidu task id"]
        assert told["Link"].startswith("valid until ")


def test_the_trigger_tells_each_new_status_word(bed, emulator, careful):
    order = {"on": "status", "fault": "unknown_word"}
    emulator.arm({**order, "word": "Running", "times": 3}, {**order, "word": "Polishing", "times": None})
    run = careful()
    run.reaches("wait", "deferred")

    def told():
        return bed.xcom(run.dag_id, run.run_id, "wait", "vidu_progress")

    until("a new word", lambda: told()["state"] == "Polishing")
    assert told() == {
        "task_id": bed.xcom(run.dag_id, run.run_id, "submit"),
        "state": "Polishing",
        "submitted_at": told()["submitted_at"],
        "expected_seconds": None,
    }
    emulator.release()
    assert run.ends() == "success", bed.failures(run.dag_id, run.run_id)
