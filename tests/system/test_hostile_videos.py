# SPDX-License-Identifier: Apache-2.0
"""What whoever may write an XCom or a manifest cannot do to those who look at the tabs."""

from __future__ import annotations

import json
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import expect

from tests.system.support.shown import DAG_ID, Told, shown
from tests.system.support.tabs import facts, open_alone

pytestmark = pytest.mark.system

SCRIPT = "document.documentElement.dataset.taken = 1"
TEXTS = {
    "script": f'"><script>{SCRIPT}</script>',
    "handler": f'\'"><img src=x onerror="{SCRIPT}"><svg onload="{SCRIPT}">',
    "address": f"javascript:{SCRIPT}",
    "data": f"data:text/html,<script>{SCRIPT}</script>",
    "placeholder": "${1+1} {{7*7}} {name} $& \u0001",
    "up": "../../../../../../etc/passwd",
    "file": "file:///etc/passwd",
    "host": "http://user:secret@[::1",
    "turned": "\u202egnp.exe\u2066\u202e abc\u200f",
    "long": "x" * 15_000,
    "deep": "\n" * 5_000,
    "huge": "y" * 3_000_000,
}


def xcoms(text):
    """Put a text wherever one of the tabs reads one."""
    return {
        "vidu_request": {
            "model": text,
            "input": {"prompt": text, "first_frame_url": text},
            "parameters": {"vidu_type": text, "duration": text, "resolution": text, "seed": text},
            "estimated_cost": 1,
            "estimated_by": text,
        },
        "vidu_task_id": text,
        "vidu_progress": {"task_id": text, "state": text, "submitted_at": text, "expected_seconds": text},
        "vidu_failure": {"task_id": text, "reason": text},
    }


def result(text):
    return {"task_id": text, "urls": [text], "files": [text], "video_seconds": text, "expires_at": text}


def line(text):
    keys = ("custom_id", "outcome", "reason", "task_id", "video_seconds", "estimated_cost")
    return {**dict.fromkeys(keys, text), "request": xcoms(text)["vidu_request"], "files": [text]}


@pytest.fixture
def watched(page, bed):
    """A page that must neither fail, nor be led away, nor ask anybody else."""
    errors, foreign = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    page.on("console", lambda told: errors.append(told.text) if "Security Policy" in told.text else None)
    page.on("request", lambda request: None if request.url.startswith(bed.url) else foreign.append(request.url))
    # What Airflow's own UI loads is none of it.
    page.goto("about:blank")
    foreign.clear()
    yield page
    assert (errors, foreign) == ([], [])
    assert len(page.context.pages) == 1


def is_whole(frame, name):
    """Nothing ran, the page is where it was, and nothing sticks out of it."""
    found = frame.evaluate(
        """() => ({
            taken: "taken" in document.documentElement.dataset,
            scripts: document.scripts.length,
            sticksOut: document.documentElement.scrollWidth > innerWidth,
            links: document.links.length,
        })"""
    )
    assert found == {"taken": False, "scripts": 1, "sticksOut": False, "links": 0}
    assert urlsplit(frame.url).path == f"/vidu/{name}"


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_stays_a_text(bed, watched, tmp_path, name):
    text = TEXTS[name]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(json.dumps(line(text)) + "\n")
    run_id = shown(
        bed,
        [
            Told({**xcoms(text), "return_value": result(text)}),
            Told(xcoms(text), "two", state="failed"),
            Told({**xcoms(text), "vidu_task_id": "vidu-3"}, "three", state="deferred"),
            Told({"return_value": {"manifest": str(manifest), "counts": {text[:99]: 1}}}, "many", 0),
            Told({"return_value": [text]}, "many", 1, operator="ViduToObjectStorageOperator"),
        ],
    )
    for task_id in ("one", "two", "three"):
        is_whole(open_alone(watched, DAG_ID, run_id, task_id=task_id), "task")
    frame = open_alone(watched, DAG_ID, run_id)
    for details in frame.locator("summary").all():
        details.click()
    watched.wait_for_timeout(500)
    is_whole(frame, "run")


WRONG = [None, True, -1, 1e300, "", [], {}, [[["x"]]], {"a": {"b": []}}, {"toString": 1, "length": 9}, ["x", None, 3]]
# What writes JSON gives up at about this depth.
WRONG.append(json.loads("[" * 252 + "]" * 252))


@pytest.mark.parametrize("value", WRONG, ids=lambda value: json.dumps(value)[:30])
def test_what_is_of_no_type_that_was_meant_breaks_nothing(bed, watched, value):
    whole = {key: value for key in (*xcoms(""), "return_value")}
    parts = {key: dict.fromkeys(record, value) for key, record in xcoms("").items() if isinstance(record, dict)}
    told = [
        Told(whole),
        Told({**parts, "return_value": dict.fromkeys(result(""), value)}, "two"),
        Told({**parts, "return_value": value}, "three", state="deferred"),
        Told({"return_value": {"manifest": value, "counts": value}}, "many", 0),
    ]
    run_id = shown(bed, told)
    for task_id in ("one", "two", "three"):
        is_whole(open_alone(watched, DAG_ID, run_id, task_id=task_id), "task")
    is_whole(open_alone(watched, DAG_ID, run_id), "run")


def test_what_turns_the_direction_of_writing_is_shown_as_a_mark(bed, watched):
    value = {**result(""), "task_id": "vidu-1", "files": ["file:///videos/\u202e4pm.exe"]}
    frame = open_alone(watched, DAG_ID, shown(bed, [Told({"return_value": value})]), task_id="one")
    assert facts(frame)["Stored at"] == "file:///videos/\ufffd4pm.exe"


def test_what_is_too_large_is_not_shown(bed, watched):
    run_id = shown(bed, [Told(xcoms(TEXTS["huge"]) | {"vidu_task_id": "vidu-1"}, state="deferred")])
    frame = open_alone(watched, DAG_ID, run_id, task_id="one")
    assert facts(frame) == {"Prompt": "too large to show here", "Vidu task id": "vidu-1\nCopy"}


def test_nobody_is_logged_out(bed, watched):
    logout = f"{bed.url}/api/v2/auth/logout"
    requested = []
    watched.on("request", lambda request: requested.append(urlsplit(request.url).path))
    told = Told({**xcoms(logout), "return_value": result(logout) | {"expires_at": 9e9}})
    run_id = shown(bed, [told, told._replace(task_id="two", state="deferred")])
    for tab in ({}, {"task_id": "one"}, {"task_id": "two"}):
        frame = open_alone(watched, DAG_ID, run_id, **tab)
        for details in frame.locator("summary").all():
            details.click()
        watched.wait_for_timeout(500)
    assert f"/vidu/videos/{DAG_ID}/{quote(run_id, safe='')}" in requested
    assert [path for path in requested if path.endswith("logout")] == []


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../../etc/passwd", "file:///etc/passwd", "{desk}/../../../etc/passwd"]
)
def test_no_other_file_is_read(bed, watched, tmp_path, path):
    named = path.format(desk=tmp_path)
    value = {**result(""), "task_id": "vidu-1", "urls": [], "files": [named]}
    run_id = shown(bed, [Told({"return_value": value})])
    with watched.expect_response("**/vidu/media/**") as answer:
        frame = open_alone(watched, DAG_ID, run_id, task_id="one")
    assert answer.value.status == 404
    expect(frame.get_by_text("Cannot play the video here")).to_be_visible()


@pytest.mark.parametrize("text", [TEXTS["script"], TEXTS["up"], "%", "%00", "&task_id[]=one", "\ud83d"])
def test_what_the_address_says_stays_a_text(bed, watched, text):
    query = quote(text, errors="replace") if text != "%" else text
    for name in ("task", "run"):
        watched.goto(f"/vidu/{name}?dag_id={query}&run_id={query}&task_id={query}&map_index={query}")
        expect(watched.locator("#page")).not_to_have_text("Loading …")
        is_whole(watched.main_frame, name)


def test_only_the_video_and_its_first_frame_are_fetched_from_elsewhere(bed, emulator_process, page, tmp_path):
    elsewhere = emulator_process.url
    request = {
        **xcoms("kite")["vidu_request"],
        "input": {"prompt": "kite", "first_frame_url": f"{elsewhere}/frame.png"},
    }
    value = {"task_id": "vidu-1", "urls": [f"{elsewhere}/video.mp4"], "expires_at": 9e9}
    foreign = set()
    page.on(
        "request",
        lambda one: foreign.add((one.url, one.headers.get("referer") or "")) if elsewhere in one.url else None,
    )
    run_id = shown(bed, [Told({"vidu_request": request, "return_value": value})])
    everything = []
    page.on("request", lambda one: everything.append(one.url))
    with page.expect_request("**/frame.png"), page.expect_request("**/video.mp4"):
        open_alone(page, DAG_ID, run_id, task_id="one")
    page.wait_for_timeout(1000)
    assert foreign == {(f"{elsewhere}/frame.png", ""), (f"{elsewhere}/video.mp4", "")}
    assert {urlsplit(url).netloc for url in everything} == {urlsplit(bed.url).netloc, urlsplit(elsewhere).netloc}
