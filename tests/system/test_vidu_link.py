# SPDX-License-Identifier: Apache-2.0
"""The link "Vidu video" and what a wait tells of itself, in a browser on a real Airflow."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.bed.tabs import facts, played
from tests.bed.trouble import until

pytestmark = pytest.mark.system


def follow(page, run, task_id, mapped=""):
    """Press the link on a task's page, and return what the tab shows that it leads to."""
    page.goto(f"/dags/{run.dag_id}/runs/{run.run_id}/tasks/{task_id}{mapped}/details")
    page.get_by_role("link", name="Vidu video").click()
    page.wait_for_url(f"**/tasks/{task_id}{mapped}/plugin/vidu_video")
    frame = page.locator("iframe").element_handle(timeout=60_000).content_frame()
    frame.locator("#page[aria-busy=false]").wait_for(timeout=60_000)
    return frame


def test_the_link_leads_to_the_wait_and_then_to_the_video_of_the_retry(bed, emulator, careful, page):
    emulator.hold()
    run = careful(stop="break")
    run.reaches("wait", "deferred")
    frame = follow(page, run, "wait")
    expect(frame.get_by_text("Vidu says: Running")).to_be_visible(timeout=20_000)
    expect(frame.get_by_text("s of typically 4 s")).to_be_visible()

    emulator.release()
    assert run.ends() == "success", bed.failures(run.dag_id, run.run_id)
    assert run.task("submit")["try_number"] == 2
    (record,) = emulator.tasks
    for task_id in ("submit", "wait", "store"):
        frame = follow(page, run, task_id)
        film = played(frame.locator("video"))
        assert film.pop("src").endswith("/store/-1/0")
        assert film == {"readyState": 4, "moved": True}
        told = facts(frame)
        assert record["task_id"] in told["Vidu task id"]
        assert told["Link"].startswith("valid until ")


def test_the_link_of_a_mapped_task_leads_to_its_own_video(bed, careful, page):
    run = careful("careful_mapped")
    assert run.ends() == "success", bed.failures(run.dag_id, run.run_id)
    frame = follow(page, run, "wait", "/mapped/1")
    expect(frame.locator(".prompt")).to_have_text("mapped 1")
    assert played(frame.locator("video"))["src"] == bed.xcom(run.dag_id, run.run_id, "wait", map_index=1)["urls"][0]


def test_the_trigger_tells_each_new_status_word(bed, emulator, careful):
    emulator.hold()
    run = careful()
    run.reaches("wait", "deferred")
    emulator.release()
    emulator.arm({"on": "status", "fault": "unknown_word", "word": "Polishing", "times": None})

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


def test_a_failure_is_shown_with_its_reason(bed, careful, page):
    run = careful(prompt="fail-by-moderation")
    assert run.ends() == "failed"
    reason = bed.xcom(run.dag_id, run.run_id, "wait", "vidu_failure")["reason"]
    assert "CreationPolicyViolation" in reason
    expect(follow(page, run, "wait").locator(".failure")).to_contain_text(reason)
