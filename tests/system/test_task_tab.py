# SPDX-License-Identifier: Apache-2.0
"""The tab "Video" of a task instance, in a real browser on a real Airflow."""

from __future__ import annotations

import re
import time
from functools import partial

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from airflow_provider_vidu.protocol.errors import Family
from tests.system.support.shown import DAG_ID, REQUEST, Told, result, shown, tell
from tests.system.support.tabs import facts, follow_link, open_alone, open_run, open_task, played

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def done(bed, emulator_process, tmp_path_factory):
    """A run of submit, wait and store that has ended."""
    emulator_process.control("POST", "reset")
    run_id = bed.trigger("careful", {"desk": str(tmp_path_factory.mktemp("desk"))})
    assert bed.wait("careful", run_id) == "success", bed.failures("careful", run_id)
    return run_id


@pytest.mark.parametrize("task_id", ["submit", "wait", "store"])
def test_each_task_of_a_video_shows_all_of_it(bed, page, done, task_id):
    frame = open_task(page, "careful", done, task_id)
    vidu_task_id, (file,) = bed.xcom("careful", done, "submit"), bed.xcom("careful", done, "store")
    told = facts(frame)
    link = told.pop("Link")
    assert re.fullmatch(r"valid until \w+ \d+, \d{4}, \d+:\d\d.[AP]M \(in 23 hours\)", link), link
    assert told == {
        "Model": "viduq2",
        "Job type": "text2video",
        "Duration": "1 s",
        "Resolution": "540p",
        "Seed": "random",
        "Estimated cost": "about ¥0.31, based on the prices of 2026-04-15",
        "Vidu task id": f"{vidu_task_id}\nCopy",
        "Stored at": file,
    }
    assert frame.locator(".prompt").inner_text() == "a kite"
    film = played(frame.get_by_label("Video of submit"))
    assert film.pop("src").endswith("/store/-1/0")
    assert film == {"readyState": 4, "moved": True}


def test_the_task_id_is_copied(page, done, bed):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    frame = open_task(page, "careful", done, "wait")
    frame.get_by_role("button", name="Copy the Vidu task id").click()
    expect(frame.get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == bed.xcom("careful", done, "submit")


def test_what_was_not_stored_is_played_from_its_links(bed, page, url):
    urls = [f"{url}&number={number}" for number in range(2)]
    run_id = shown(bed, [Told({"vidu_request": REQUEST, "return_value": result(*urls, files=[])})])
    frame = open_task(page, DAG_ID, run_id, "one")
    films = [played(frame.get_by_label(f"Video {number} of 2 of one")) for number in (1, 2)]
    assert [film["src"] for film in films] == urls
    assert all(film["moved"] for film in films)
    told = facts(frame)
    assert (told["Seed"], told["Stored at"]) == ("7", "not stored yet")


def test_a_link_serves_where_the_stored_copy_may_not_be_read(bed, page, url):
    value = result(url, files=["file:///etc/kite.mp4"])
    run_id = shown(bed, [Told({"vidu_request": REQUEST, "return_value": value})])
    assert played(open_task(page, DAG_ID, run_id, "one").locator("video"))["src"] == url


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ([], "The link has expired, and no task of this run has stored the video."),
        (
            ["file:///etc/kite.mp4"],
            "Cannot play the video here: it no longer exists, or this server has no permission to read it.",
        ),
    ],
)
def test_of_an_expired_link_the_copy_is_shown_or_why_there_is_none(bed, page, url, files, state):
    value = result(url, expires_in=-48 * 3600, files=files)
    run_id = shown(bed, [Told({"vidu_request": REQUEST, "return_value": value})])
    requested = []
    page.on("request", lambda request: requested.append(request.url))
    frame = open_task(page, DAG_ID, run_id, "one")
    expect(frame.get_by_text(state)).to_be_visible()
    assert re.fullmatch(r"expired on \w+ \d+, \d{4}, \d+:\d\d.[AP]M \(2 days ago\)", facts(frame)["Link"])
    assert url not in requested


def test_an_expired_link_of_a_sensor_leads_to_what_the_transfer_stored(bed, page, done, url):
    (file,) = bed.xcom("careful", done, "store")
    run_id = shown(
        bed,
        [
            Told({"vidu_request": REQUEST, "return_value": "vidu-1"}, "one", operator="ViduSubmitOperator"),
            Told({"return_value": result(url, expires_in=-1)}, "two", operator="ViduTaskSensor"),
            Told({"return_value": [file], "vidu_task_id": "vidu-1"}, "three", operator="ViduToObjectStorageOperator"),
        ],
    )
    film = played(open_task(page, DAG_ID, run_id, "two").locator("video"))
    assert film["src"].endswith("/three/-1/0")
    assert film["moved"]


def test_an_expired_link_of_a_generate_leads_to_what_a_transfer_stored(bed, page, done, url):
    (file,) = bed.xcom("careful", done, "store")
    made = Told({"vidu_request": REQUEST, "return_value": result(url, expires_in=-1, files=[])})
    stored = Told({"return_value": [file], "vidu_task_id": "vidu-1"}, "three", operator="ViduToObjectStorageOperator")
    film = played(open_alone(page, DAG_ID, shown(bed, [made, stored]), task_id="one").locator("video"))
    assert film["src"].endswith("/three/-1/0")
    assert film["moved"]


def test_a_video_that_could_not_be_stored_stays_one_video(bed, page, url):
    failed = {"vidu_task_id": "vidu-1", "vidu_failure": {"task_id": "", "reason": "The bucket is full."}}
    told = [
        Told({"vidu_request": REQUEST, "return_value": "vidu-1"}, "one", operator="ViduSubmitOperator"),
        Told({"return_value": result(url)}, "two", operator="ViduTaskSensor"),
        Told(failed, "three", state="failed", operator="ViduToObjectStorageOperator"),
    ]
    run_id = shown(bed, told)
    for tab in ({"task_id": "three"}, {}):
        frame = open_alone(page, DAG_ID, run_id, **tab)
        assert frame.locator(".badge").all_inner_texts() == ["Ready"]
        assert frame.locator(".failure").inner_text() == "Why it was not stored\n\nThe bucket is full."
        assert played(frame.locator("video"))["moved"]


def test_what_was_cleared_tells_of_its_old_video_no_more(bed, page, url):
    told = [
        Told({"vidu_request": REQUEST, "vidu_task_id": "vidu-2"}, "one", state="deferred"),
        Told({"return_value": ["/old.mp4"], "vidu_task_id": "vidu-1"}, "two", -1, None, "ViduToObjectStorageOperator"),
    ]
    cards = open_alone(page, DAG_ID, shown(bed, told)).get_by_role("listitem")
    assert cards.locator(".badge").all_inner_texts() == ["Waiting"]


def test_a_mapped_task_shows_its_own_video(bed, emulator, page, tmp_path):
    run_id = bed.trigger("careful_mapped", {"desk": str(tmp_path)})
    assert bed.wait("careful_mapped", run_id, 180) == "success", bed.failures("careful_mapped", run_id)
    frame = follow_link(page, "careful_mapped", run_id, "wait", 1)
    assert frame.locator(".prompt").inner_text() == "mapped 1"
    assert played(frame.locator("video"))["src"] == bed.xcom("careful_mapped", run_id, "wait", map_index=1)["urls"][0]
    cards = open_run(page, "careful_mapped", run_id).get_by_role("listitem")
    # As Airflow names them, by their map_index_template.
    names = [f"submit [mapped {index}]" for index in range(3)]
    assert cards.locator(".name").all_inner_texts() == names
    assert played(cards.nth(2).locator("video"))["moved"]


def test_a_mapped_submit_shows_what_others_tell_of_its_videos(bed, page, url):
    told = [
        Told({"vidu_request": REQUEST, "return_value": f"vidu-{index}"}, "many", index, operator="ViduSubmitOperator")
        for index in range(2)
    ]
    told.append(Told({"return_value": result(url) | {"task_id": "vidu-0"}}, "two", operator="ViduTaskSensor"))
    told.append(Told({"return_value": result(url) | {"task_id": "vidu-9"}}, "three", operator="ViduTaskSensor"))
    cards = open_alone(page, DAG_ID, shown(bed, told), task_id="many").get_by_role("listitem")
    assert cards.locator(".name").all_inner_texts() == ["many [0]", "many [1]"]
    assert cards.locator(".badge").all_inner_texts() == ["Ready", "Waiting"]


def test_a_batch_shows_its_videos(bed, emulator, page, tmp_path):
    run_id = bed.trigger("batches", {"desk": str(tmp_path), "count": 3, "failing": 1})
    assert bed.wait("batches", run_id) == "failed"
    for tab in (partial(open_task, task_id="batch"), open_run):
        frame = tab(page, "batches", run_id)
        cards = frame.get_by_role("listitem")
        assert cards.locator(".name").all_inner_texts() == ["item-00000", "item-00001", "item-00002"]
        assert cards.locator(".badge").all_inner_texts() == ["Failed", "Ready", "Ready"]
        assert "CreationPolicyViolation" in cards.nth(0).locator(".failure").inner_text()
        assert re.search(r"/batch/-1/[1-9]\d*\.0$", played(cards.nth(1).locator("video"))["src"])
        assert frame.locator(".totals dd").all_inner_texts()[:2] == ["2", "2"]


def test_a_deferred_task_is_waited_for_and_then_shows_its_video(careful, emulator, page):
    emulator.hold()
    run = careful()
    run.reaches("wait", "deferred")
    frame = open_task(page, "careful", run.run_id, "wait")
    assert frame.locator(".badge").inner_text() == "Waiting"
    elapsed = frame.locator(".elapsed")
    expect(elapsed).to_have_text(re.compile(r"^[\d:]+( s)? elapsed, typically 4 s$"))
    before = elapsed.inner_text()
    expect(elapsed).not_to_have_text(before)
    emulator.release()
    expect(frame.locator(".badge")).to_have_text("Ready", timeout=60_000)
    assert played(frame.locator("video"))["moved"]


def test_the_last_word_is_shown_and_told_and_asked_of_airflow_alone(bed, page, url):
    now = time.time()
    progress = {"task_id": "vidu-1", "state": "Pending", "submitted_at": now - 30, "expected_seconds": 90}
    waiting = Told({"vidu_request": REQUEST, "vidu_progress": progress}, state="deferred")
    run_id = shown(bed, [waiting])
    frame = open_task(page, DAG_ID, run_id, "one")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.frame == frame else None)
    expect(frame.locator(".progress")).to_contain_text("Vidu status: Pending")
    expect(frame.locator(".elapsed")).to_have_text(re.compile(r"^[\d:]+( s)? elapsed, typically 1:30$"))
    assert 30 <= frame.get_by_role("progressbar").evaluate("bar => bar.value") <= 90
    tell(bed, run_id, [waiting._replace(xcoms={"vidu_progress": {**progress, "state": "Running"}})])
    expect(frame.locator(".progress")).to_contain_text("Vidu status: Running")
    expect(frame.get_by_role("status")).to_have_text("Waiting. Running")
    with page.expect_request(url):
        tell(bed, run_id, [Told({"return_value": result(url)})])
    expect(frame.get_by_role("status")).to_have_text("Ready.")
    assert {path.split("?")[0] for path in asked} == {
        f"{bed.url}/vidu/videos/{DAG_ID}/{run_id.replace(':', '%3A').replace('+', '%2B')}",
        url.split("?")[0],
    }
    asked.clear()
    page.wait_for_timeout(7_000)
    assert [path for path in asked if "/videos/" in path] == []


@pytest.mark.parametrize(
    ("sensor", "words"),
    [
        (None, "Submitted; no task of this run is waiting for the video."),
        ("removed", "Submitted; no task of this run is waiting for the video."),
        ("queued", "Submitted; no status yet"),
        ("deferred", "Submitted; no status yet"),
    ],
)
def test_that_nobody_waits_is_said_only_where_nobody_will(bed, page, sensor, words):
    told = [Told({"vidu_request": REQUEST, "return_value": "vidu-1"}, operator="ViduSubmitOperator")]
    if sensor:
        told.append(Told({}, "two", state=sensor, operator="ViduTaskSensor"))
    run_id = shown(bed, told)
    for tab in ({"task_id": "one"}, {}):
        frame = open_alone(page, DAG_ID, run_id, **tab)
        expect(frame.locator(".progress")).to_contain_text(words)


def test_a_failed_generation_has_vidus_own_reason(bed, emulator, page, tmp_path):
    run_id = bed.trigger("careful", {"desk": str(tmp_path), "prompt": "fail-by-moderation"})
    assert bed.wait("careful", run_id) == "failed"
    for task_id in ("submit", "wait"):
        frame = follow_link(page, "careful", run_id, task_id)
        assert frame.locator(".badge").inner_text() == "Failed"
        assert "the video was refused by moderation" in frame.locator(".failure").inner_text()
        assert frame.locator(".prompt").inner_text() == "fail-by-moderation"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (Told({"vidu_failure": {"task_id": "vidu-1", "reason": "It was refused."}}, state="failed"), "It was refused."),
        (Told({}, state="failed"), "See the log of one."),
        (Told({}, state="upstream_failed"), "An upstream task has failed."),
    ],
)
def test_a_failure_has_its_reason(bed, page, told, words):
    frame = open_task(page, DAG_ID, shown(bed, [told]), "one")
    assert frame.locator(".badge").inner_text() == "Failed"
    assert frame.locator(".failure").all_inner_texts() == [f"Why it failed\n\n{words}"]


FAILURES = [
    # The class, or a part of the message where that says more, or neither.
    ({"reason": "prompt must be a text, got 7.", "error": "ViduRequestError"}, "请求有误。此次未发送请求，未扣费。"),
    ({"reason": f"Refused. {Family.MODERATION.advice}", "error": ""}, "未通过内容审核：请修改提示词或图片。"),
    ({"reason": "It was refused."}, "任务失败，原因和下一步见下方原文。"),
    ({"reason": "It was refused.", "error": "constructor"}, "任务失败，原因和下一步见下方原文。"),
]


def test_a_chinese_reader_first_sees_what_to_do_and_then_the_message(bed, page):
    page.evaluate("localStorage.setItem('i18nextLng', 'zh-CN')")
    told = [Told({"vidu_failure": one}, "many", index, "failed") for index, (one, _) in enumerate(FAILURES)]
    batch = {"reason": "1 of 2 items have no video (1 failed).", "error": "ViduBudgetError"}
    told.append(Told({"vidu_failure": batch}, "two", state="failed", operator="ViduGenerateBatchOperator"))
    frame = open_run(page, DAG_ID, shown(bed, told))
    cards = frame.locator(".card .failure")
    for index, (failure, words) in enumerate(FAILURES):
        expect(cards.nth(index).locator(".advice")).to_contain_text(words)
        expect(cards.nth(index).locator(".advice + [lang=en]")).to_have_text(failure["reason"])
    expect(frame.locator(".notice .advice")).to_contain_text("批量任务中有视频未能生成或存储")
    assert Axe().run(frame).response["violations"] == []


def test_a_task_without_a_video_says_so(bed, page):
    run_id = shown(bed, [])
    assert open_task(page, DAG_ID, run_id, "one").locator("#page").inner_text() == (
        "Nothing to show: this task has reported no Vidu video."
    )
    assert open_run(page, DAG_ID, run_id).locator("#page").inner_text() == (
        "Nothing to show: no task of this run has reported a Vidu video."
    )
