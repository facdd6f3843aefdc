# SPDX-License-Identifier: Apache-2.0
"""The tab "Videos" of a DAG run with five hundred videos, and how both tabs look and sound."""

from __future__ import annotations

import re
import time
from functools import partial

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from airflow_provider_vidu.protocol.prices import OWN_PRICES
from airflow_provider_vidu.storage.manifest import Record, write
from tests.system.support.shown import DAG_ID, Told, shown, tell
from tests.system.support.tabs import open_run, open_task, played

pytestmark = pytest.mark.system


def request(number):
    return {
        "model": "viduq2-turbo",
        "input": {"prompt": f"kite {number}"},
        "parameters": {"vidu_type": "img2video", "duration": 5, "resolution": "720p"},
        "estimated_cost": None if number % 50 == 0 else 1.25,
        "estimated_by": OWN_PRICES,
    }


def many(url):
    """Every twentieth failed, another twentieth waits, the others are ready."""
    for number in range(500):
        vidu_task_id = f"vidu-{number}"
        xcoms = {"vidu_request": request(number), "vidu_task_id": vidu_task_id}
        if number % 20 == 7:
            failure = {"task_id": vidu_task_id, "reason": f"kite {number} was refused"}
            yield Told({**xcoms, "vidu_failure": failure}, "many", number, "failed")
        elif number % 20 == 9:
            progress = {
                "task_id": vidu_task_id,
                "state": "Running",
                "submitted_at": time.time(),
                "expected_seconds": 60,
            }
            yield Told({**xcoms, "vidu_progress": progress}, "many", number, "deferred")
        else:
            result = {"task_id": vidu_task_id, "urls": [f"{url}&number={number}"], "video_seconds": 5}
            yield Told({**xcoms, "return_value": {**result, "expires_at": time.time() + 3600}}, "many", number)


@pytest.fixture(scope="module")
def run_id(bed, url):
    """A run of five hundred videos."""
    return shown(bed, many(url))


LIGHT = "rgb(255, 255, 255)"
DARK = re.compile("^oklch")


@pytest.fixture
def requested(page):
    """The addresses of all requests."""
    urls = []
    page.on("request", lambda request: urls.append(request.url))
    return urls


def numbers(urls):
    """Which of the five hundred videos were asked for."""
    return {int(found[1]) for url in urls if (found := re.search(r"&number=(\d+)$", url))}


def seen(frame):
    """Which of them are in view."""
    return frame.locator(".card").evaluate_all(
        """(cards) => cards.filter((card) => {
            const {top, bottom} = card.querySelector(".screen").getBoundingClientRect();
            return bottom > 0 && top < innerHeight;
        }).map((card) => Number(/\\[(\\d+)\\]/.exec(card.querySelector(".name").textContent)[1]))"""
    )


def test_five_hundred_videos_take_one_request_and_no_video_is_loaded_that_is_not_seen(page, run_id, requested):
    frame = open_run(page, DAG_ID, run_id)
    assert len([url for url in requested if "/vidu/videos/" in url]) == 1
    expect(frame.locator("video").first).to_be_visible()
    page.wait_for_timeout(1000)
    at_first = seen(frame)
    assert numbers(requested) <= set(at_first)
    assert 0 < len(at_first) < 20
    assert frame.get_by_role("listitem").count() == 60
    with page.expect_request(lambda request: numbers([request.url]) - set(at_first)):
        frame.locator(".card").nth(40).scroll_into_view_if_needed()
    now = seen(frame)
    assert not set(now) & set(at_first)
    expect(frame.locator(".card").nth(40).locator("video")).to_be_visible()
    for index in at_first:
        expect(frame.locator(".card").nth(index).locator("video")).to_have_count(0)
    assert len(numbers(requested)) < 40


def test_the_totals_are_those_of_all_videos(page, run_id):
    frame = open_run(page, DAG_ID, run_id)
    totals = dict(
        zip(
            frame.locator(".totals dt").all_inner_texts(),
            frame.locator(".totals div").evaluate_all("all => all.map((one) => one.querySelector('dd').textContent)"),
            strict=True,
        )
    )
    assert totals == {
        "Videos ready": "450",
        "Seconds of video": "2,250",
        "Estimated cost": "about ¥612.50",
        "Failed": "25",
    }
    assert frame.get_by_text("10 with unknown price").is_visible()


def test_the_filter_shows_one_state_and_asks_for_nothing(page, run_id, requested):
    frame = open_run(page, DAG_ID, run_id)
    page.wait_for_timeout(1000)
    before = set(seen(frame))
    frame.get_by_role("radio", name="Failed 25").check(force=True)
    expect(frame.get_by_role("listitem")).to_have_count(25)
    assert set(frame.locator(".card .badge").all_inner_texts()) == {"Failed"}
    assert frame.locator(".failure p").nth(1).inner_text() == "kite 27 was refused"
    assert frame.get_by_role("status").inner_text() == "Videos shown: 25"
    frame.get_by_role("radio", name="Skipped 0").check(force=True)
    expect(frame.get_by_text("No videos in this state.")).to_be_visible()
    assert numbers(requested) <= before


def test_the_filter_is_used_by_keyboard(page, run_id):
    frame = open_run(page, DAG_ID, run_id)
    frame.get_by_role("radio", name="All 500").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(frame.get_by_role("radio", name="Waiting 25")).to_be_focused()
    expect(frame.get_by_role("listitem")).to_have_count(25)
    page.keyboard.press("Tab")
    expect(frame.get_by_text("Details").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(frame.locator(".facts").first).to_contain_text("about ¥1.25, based on your own prices")


def test_more_cards_come_at_the_end_and_play(page, run_id):
    frame = open_run(page, DAG_ID, run_id)
    frame.get_by_role("listitem").nth(59).scroll_into_view_if_needed()
    expect(frame.get_by_role("listitem")).to_have_count(120)
    frame.get_by_role("listitem").nth(100).scroll_into_view_if_needed()
    film = played(frame.get_by_label("Video of many [100]"))
    assert film["moved"]
    assert film["src"].endswith("&number=100")


@pytest.fixture
def batch(bed, tmp_path):
    """A batch whose manifest has five hundred lines, the last of which failed."""
    records = [
        Record(f"item-{number}", request(number), "success", task_id=f"vidu-{number}", files=("/nowhere.mp4",))
        for number in range(499)
    ]
    records.append(Record("item-499", request(499), "failed", "It was refused.", task_id="vidu-499"))
    manifest = write(str(tmp_path / "manifest.jsonl"), records)
    value = {"manifest": manifest, "counts": {"success": 499, "failed": 1}, "video_seconds": 9, "estimated_cost": None}
    return shown(bed, [Told({"return_value": value}, operator="ViduGenerateBatchOperator")])


def test_a_manifest_is_read_as_far_as_it_is_shown(page, batch, requested):
    frame = open_run(page, DAG_ID, batch)
    expect(frame.get_by_role("listitem")).to_have_count(60)
    assert len([url for url in requested if "/vidu/manifest/" in url]) == 1
    assert frame.locator(".totals dd").all_inner_texts() == [
        "499", "9", "unknown", "some prices are unknown", "1",
    ]  # fmt: skip
    frame.get_by_role("radio", name="Failed 1").check(force=True)
    expect(frame.get_by_role("listitem")).to_have_count(1)
    expect(frame.locator(".card")).to_contain_text("It was refused.")
    assert len([url for url in requested if "/vidu/manifest/" in url]) == 3


def test_a_batch_that_waits_shows_what_it_has_reported_and_no_more(page, bed):
    submits = {"counts": {"submitted": 97, "reused": 2, "refused": 1}, "estimated_cost": 30.07}
    told = partial(Told, operator="ViduGenerateBatchOperator", state="deferred")
    run_id = shown(bed, [told({"vidu_submits": submits})])
    frame = open_run(page, DAG_ID, run_id)
    notice = frame.locator(".notice")
    expect(notice).to_contain_text("Submitted: 97 of 100. Reused, no cost: 2. Refused, not paid: 1.")
    expect(notice).to_contain_text("No end of a Vidu task has been reported yet.")
    assert frame.locator(".totals dd").all_inner_texts() == ["2", "0", "about ¥30.07", "1"]
    progress = {"tasks": 97, "counts": {"success": 38, "failed": 1}}
    tell(bed, run_id, [told({"vidu_progress": progress})])
    expect(notice).to_contain_text("At least 39 of 97 Vidu tasks have ended: 38 with a video, 1 without.")
    assert notice.locator("progress").evaluate("bar => [bar.value, bar.max]") == [39, 97]
    assert Axe().run(frame).response["violations"] == []
    tell(bed, run_id, [Told({"return_value": "kept elsewhere"}, operator="ViduGenerateBatchOperator")])
    expect(notice).to_contain_text("This page does not know the numbers of this batch")
    expect(frame.locator(".totals")).to_be_hidden()


def test_who_changes_the_filter_while_a_manifest_is_read_reads_it_once(page, batch, requested):
    frame = open_run(page, DAG_ID, batch)
    frame.get_by_role("radio", name="All 500").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(frame.get_by_role("radio", name="Failed 1")).to_be_focused()
    expect(frame.get_by_role("listitem")).to_have_count(1)
    read = [url for url in requested if "/vidu/manifest/" in url]
    assert (len(read), len(set(read))) == (3, 3)
    frame.get_by_role("radio", name="All 500").check(force=True)
    for count in range(120, 500, 60):
        frame.get_by_role("listitem").last.scroll_into_view_if_needed()
        expect(frame.get_by_role("listitem")).to_have_count(count)
    names = frame.locator(".name").all_inner_texts()
    assert names == [f"item-{number}" for number in range(len(names))]


def set_here(page, key, value):
    """Set what Airflow's UI keeps in the browser, as it does when somebody chooses it."""
    page.evaluate("([key, value]) => localStorage.setItem(key, value)", [key, value])


@pytest.mark.parametrize(("tab", "words"), [("task", ("Waiting", "等待中")), ("run", ("Videos ready", "已完成视频"))])
def test_the_language_follows_airflows(page, run_id, tab, words):
    frame = open_run(page, DAG_ID, run_id) if tab == "run" else open_task(page, DAG_ID, run_id, "many", 9)
    english, chinese = words
    expect(frame.get_by_text(english).first).to_be_visible()
    set_here(page, "i18nextLng", "zh-TW")
    expect(frame.get_by_text(chinese).first).to_be_visible()
    assert frame.locator("html").get_attribute("lang") == "zh-CN"
    set_here(page, "i18nextLng", "fr")
    expect(frame.get_by_text(english).first).to_be_visible()


def test_the_theme_follows_airflows_and_then_the_browsers(page, run_id):
    frame = open_run(page, DAG_ID, run_id)

    for theme, browsers, colour in (
        ("dark", "light", DARK),
        ("light", "dark", LIGHT),
        ("system", "dark", DARK),
        ("system", "light", LIGHT),
    ):
        page.emulate_media(color_scheme=browsers)
        set_here(page, "theme", theme)
        expect(frame.locator("html")).to_have_css("background-color", colour)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_keeps_the_tabs_from_whoever_hears_or_hardly_sees_them(page, run_id, theme):
    set_here(page, "theme", theme)
    tabs = [partial(open_task, task_id="many", map_index=index) for index in (0, 7, 9)]
    for tab in (open_run, *tabs):
        found = Axe().run(tab(page, DAG_ID, run_id)).response["violations"]
        assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found] == []


def test_the_gallery_reads_well(page, run_id):
    frame = open_run(page, DAG_ID, run_id)
    choices = frame.get_by_role("group", name="Filter by state").aria_snapshot()
    assert re.findall('radio "(.*)"', choices) == ["All 500", "Ready 450", "Waiting 25", "Failed 25", "Skipped 0"]
    expect(frame.get_by_role("list", name="Videos").get_by_role("listitem").nth(7)).to_match_aria_snapshot(
        """
        - listitem:
          - heading "many [7]" [level=2]
          - text: Failed
          - heading "Why it failed" [level=3]
          - paragraph: kite 7 was refused
        """
    )
