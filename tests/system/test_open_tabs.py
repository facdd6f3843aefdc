# SPDX-License-Identifier: Apache-2.0
"""What changes while a tab is open, in a real browser on a real Airflow."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from airflow_provider_vidu.storage.manifest import Record, write
from tests.system.support.shown import DAG_ID, REQUEST, Told, result, shown, tell
from tests.system.support.tabs import facts, open_alone, open_task

pytestmark = pytest.mark.system

STORING = Told({}, "three", state="running", operator="ViduToObjectStorageOperator")
WAITING = Told({"vidu_request": REQUEST, "vidu_task_id": "vidu-1"}, state="deferred")


def watched(frame):
    """Play the only video that is shown, without end, with the focus on it."""
    film = frame.locator("video").element_handle()
    film.evaluate("film => { film.muted = film.loop = true; film.focus(); return film.play(); }")
    return film


def is_watched(film):
    return film.evaluate("film => film.isConnected && !film.paused && document.activeElement === film")


def rounds(page, count):
    """Let the page ask Airflow so many times."""
    for _ in range(count):
        page.wait_for_event("response", lambda answer: "/vidu/videos/" in answer.url, timeout=60_000)
    page.wait_for_timeout(500)


def test_whoever_watches_is_not_interrupted_by_what_is_told(bed, page, url):
    ready = Told({"return_value": result(url)}, "two", operator="ViduTaskSensor")
    # As long as this one runs, the page asks.
    other = Told({}, "one", state="running", operator="ViduTaskSensor")
    run_id = shown(bed, [ready, STORING, other])
    film = watched(open_alone(page, DAG_ID, run_id, task_id="two"))
    told = {"return_value": ["/a.mp4"], "vidu_task_id": "vidu-1"}
    tell(bed, run_id, [STORING._replace(state="success", xcoms=told)])
    # Two rounds of two requests: one that was on its way may not know it yet.
    rounds(page, 4)
    assert is_watched(film)


def test_whoever_watches_in_the_gallery_is_not_interrupted_by_the_video_before(bed, page, url):
    before = WAITING._replace(task_id="many", map_index=0)
    other = before._replace(map_index=1, xcoms={"vidu_request": REQUEST, "vidu_task_id": "vidu-3"})
    ready = Told({"return_value": result(url, task_id="vidu-2")}, "many", 2)
    run_id = shown(bed, [before, other, ready])
    frame = open_alone(page, DAG_ID, run_id)
    film = watched(frame)
    tell(bed, run_id, [before._replace(state="failed")])
    expect(frame.locator(".badge")).to_have_text(["Failed", "Waiting", "Ready"])
    assert is_watched(film)


def test_whoever_watches_is_not_interrupted_by_what_airflow_keeps_in_the_browser(bed, page, url):
    run_id = shown(bed, [Told({"return_value": result(url)})])
    frame = open_alone(page, DAG_ID, run_id, task_id="one")
    film = watched(frame)
    beside = page.context.new_page()
    beside.goto("/vidu/run")
    for key, value in (("react-resizable-panels:sizes", "[70, 30]"), ("theme", "dark")):
        beside.evaluate("([key, value]) => localStorage.setItem(key, value)", [key, value])
    expect(frame.locator("html")).to_have_attribute("data-theme", "dark")
    assert is_watched(film)
    beside.evaluate("localStorage.setItem('i18nextLng', 'zh')")
    expect(frame.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(frame.locator(".badge")).to_have_text("已完成")


def test_times_are_of_the_zone_that_airflow_shows(bed, page, url):
    made = result(url) | {"expires_at": "2027-01-15T08:00:00Z"}
    frame = open_task(page, DAG_ID, shown(bed, [Told({"return_value": made})]), "one")
    for zone, time in (
        ('"Asia/Shanghai"', "4:00.PM"),
        ('"Nowhere"', "8:00.AM"),
        ('"America/Lima"', "3:00.AM"),
        ("{", "8:00.AM"),
    ):
        page.evaluate("zone => localStorage.setItem('timezone', zone)", zone)
        expect(frame.locator(".facts")).to_contain_text(re.compile(f"valid until Jan 15, 2027, {time}"))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (None, "The batch has not started yet."),
        ("deferred", "The batch is in progress. Its videos appear here when it has ended."),
    ],
)
def test_a_batch_tells_no_numbers_before_it_has_any(bed, page, state, words):
    batch = Told({}, state=state, operator="ViduGenerateBatchOperator")
    run_id = shown(bed, [batch])
    for tab in ({"task_id": "one"}, {}):
        frame = open_alone(page, DAG_ID, run_id, **tab)
        assert frame.locator("#page").inner_text() == f"one\n\n{words}"
    tell(bed, run_id, [batch._replace(state="failed", xcoms={"return_value": {"counts": {"failed": 2}}})])
    expect(frame.get_by_role("radio", name="Failed 2")).to_be_visible()


def test_a_manifest_that_could_not_be_read_is_read_later(bed, page, tmp_path):
    manifest = write(str(tmp_path / "manifest.jsonl"), [Record("item", REQUEST, "failed", "It was refused.")])
    value = {"manifest": manifest, "counts": {"failed": 1}}
    batch = Told({"return_value": value}, operator="ViduGenerateBatchOperator")
    run_id = shown(bed, [batch, STORING])
    page.route("**/vidu/manifest/**", lambda route: route.fulfill(status=502), times=1)
    frame = open_alone(page, DAG_ID, run_id)
    expect(frame.locator(".notice")).to_contain_text("Airflow is not responding")
    expect(frame.locator(".card")).to_contain_text("It was refused.")
    expect(frame.locator(".notice")).to_have_count(0)


def test_a_first_answer_that_does_not_come_is_told_and_waited_for(bed, page):
    run_id = shown(bed, [WAITING])
    page.route("**/vidu/videos/**", lambda route: route.fulfill(status=502), times=1)
    frame = open_alone(page, DAG_ID, run_id, task_id="one")
    expect(frame.get_by_role("status")).to_contain_text("Airflow is not responding")
    expect(frame.locator(".prompt")).to_have_text("a kite")


def test_a_link_expires_while_its_tab_is_open(bed, page, url):
    run_id = shown(bed, [Told({"return_value": result(url, expires_in=7200 + 50)})])
    page.clock.install()
    frame = open_alone(page, DAG_ID, run_id, task_id="one")
    found = []
    for seconds in (0, 3600, 7200):
        page.clock.fast_forward(seconds * 1000)
        expect(frame.locator(".facts")).to_contain_text(("in 2 hours", "in 1 hour", "expired")[len(found)])
        found.append(facts(frame)["Link"])
    assert re.match("valid until", found[1])


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "You are no longer signed in. Sign in to Airflow, then reopen this tab."),
        (403, "You do not have permission to read this DAG's task instances and XComs."),
    ],
)
def test_who_may_look_no_longer_is_told_so_above_what_was_shown(bed, page, status, words):
    frame = open_alone(page, DAG_ID, shown(bed, [WAITING]), task_id="one")
    expect(frame.get_by_role("alert")).to_have_text("")
    page.route("**/vidu/videos/**", lambda route: route.fulfill(status=status))
    expect(frame.get_by_role("alert")).to_have_text(words)
    expect(frame.get_by_role("alert")).to_be_visible()
    expect(frame.locator(".prompt")).to_have_text("a kite")


def test_what_is_told_late_is_shown_late(bed, page):
    run_id = shown(bed, [])
    page.clock.install()
    frame = open_alone(page, DAG_ID, run_id, task_id="one")
    expect(frame.get_by_text("Nothing to show")).to_be_visible()
    tell(bed, run_id, [WAITING])
    page.clock.fast_forward(61_000)
    expect(frame.locator(".prompt")).to_have_text("a kite")


def test_what_is_cleared_is_waited_for_anew(bed, page):
    run_id = shown(bed, [Told({"vidu_failure": {"task_id": "vidu-1", "reason": "It was refused."}}, state="failed")])
    page.clock.install()
    frame = open_alone(page, DAG_ID, run_id, task_id="one")
    assert frame.locator(".badge").inner_text() == "Failed"
    tell(bed, run_id, [Told({"vidu_request": REQUEST, "vidu_task_id": "vidu-2"}, state="deferred")])
    page.clock.fast_forward(61_000)
    expect(frame.locator(".badge")).to_have_text("Waiting")
