# SPDX-License-Identifier: Apache-2.0
"""The pictures of ``docs/images`` that show Airflow's UI; ``make screenshots`` runs this as tests are run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen
from uuid import NAMESPACE_URL, uuid5

import pytest
from PIL import Image, ImageOps
from playwright.sync_api import Frame, Page, expect

from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.protocol.errors import Family
from dev.airflow_bed import AirflowBed
from tests.system.support.form import vidu_form
from tests.system.support.library import PROMPTS, fill, open_library
from tests.system.support.shown import DAG_ID, Told, shown
from tests.system.support.tabs import open_run, open_task

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"


def test_the_form_of_a_connection(page: Page) -> None:
    page.set_viewport_size({"width": 1000, "height": 1100})
    form = vidu_form(page, "vidu_default", "https://api.modelverse.cn:443", "made-up-key")
    form.get_by_label("Base URL").fill("")
    form.get_by_label("API key").focus()
    # Both parts open at once do not fit into Airflow's form, so there is a picture of each.
    form.screenshot(path=IMAGES / "form.png")
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    form.get_by_text("Whether to verify").wait_for()
    form.screenshot(path=IMAGES / "form-extra.png")


@pytest.fixture
def pictures() -> Iterator[str]:
    """Where the example's picture is served, as a shop serves those of its goods."""
    handler = partial(
        SimpleHTTPRequestHandler, directory=str(ROOT / "airflow_provider_vidu" / "example_dags" / "images")
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_tab_of_a_task(bed: AirflowBed, page: Page, pictures: str, tmp_path: Path) -> None:
    conf = {"image": f"{pictures}/lighthouse.jpg", "destination": f"file://{tmp_path}"}
    run_id = bed.trigger("example_vidu_img2video", conf)
    assert bed.wait("example_vidu_img2video", run_id) == "success", bed.failures("example_vidu_img2video", run_id)
    page.set_viewport_size({"width": 1280, "height": 1000})
    frame = open_task(page, "example_vidu_img2video", run_id, "wait")
    _settled(frame)
    page.screenshot(path=IMAGES / "video.png")


def test_the_tab_of_a_run(bed: AirflowBed, page: Page, pictures: str, tmp_path: Path) -> None:
    run_id = shown(bed, _gallery(_urls(bed, tmp_path), f"{pictures}/lighthouse.jpg"))
    page.set_viewport_size({"width": 1280, "height": 1080})
    for name, theme, language in (("videos", "light", "en"), ("videos-dark-zh", "dark", "zh-CN")):
        page.evaluate("settings => Object.assign(localStorage, settings)", {"theme": theme, "i18nextLng": language})
        frame = open_run(page, DAG_ID, run_id)
        _settled(frame)
        page.screenshot(path=IMAGES / f"{name}.png")


def test_the_page_of_all_videos(bed: AirflowBed, page: Page, tmp_path: Path) -> None:
    files = []
    for number, url in enumerate(_urls(bed, tmp_path)):
        with urlopen(url) as video:
            (tmp_path / f"{number}.mp4").write_bytes(video.read())
        files.append(f"file://{tmp_path}/{number}.mp4")
    run_id = shown(bed, [])
    ledger = Ledger(bed.env["AIRFLOW__VIDU__LEDGER"])
    for dag_id, count in (("trailers", 90), ("social_clips", 150), (DAG_ID, 200)):
        fill(ledger, run_id, files, count, dag_id)
    page.set_viewport_size({"width": 1280, "height": 1000})
    for name, theme, language, query in (
        ("library", "light", "en", f"?dag={DAG_ID}"),
        ("library-spend", "light", "en", f"?view=spend&run={quote(run_id)}"),
        ("library-failures", "light", "en", f"?view=failures&run={quote(run_id)}"),
        ("library-dark-zh", "dark", "zh-CN", f"?view=spend&of=model&run={quote(run_id)}"),
    ):
        page.evaluate("settings => Object.assign(localStorage, settings)", {"theme": theme, "i18nextLng": language})
        frame = open_library(page, query)
        # The server may still read the ledger.
        expect(frame.locator(".notes .message")).to_have_count(0)
        if name == "library":
            _settled(frame)
        page.screenshot(path=IMAGES / f"{name}.png")
    page.evaluate("settings => Object.assign(localStorage, settings)", {"theme": "light", "i18nextLng": "en"})
    frame = open_library(page, f"?view=spend&run={quote(run_id)}")
    frame.locator("figure").nth(1).screenshot(path=IMAGES / "library-waits.png")
    frame = open_library(page, f"?dag={DAG_ID}&run={quote(run_id)}")
    for name in ("shot-000", "shot-003", "shot-006"):
        frame.get_by_label(f"Compare {name}").check()
    frame.locator(".chooser").get_by_role("button", name="Compare").click()
    frame.locator(".compared").wait_for()
    _settled(frame)
    page.screenshot(path=IMAGES / "library-compare.png")


def _urls(bed: AirflowBed, directory: Path) -> list[str]:
    """Let a few pictures become videos, and return where those are served."""
    with Image.open(ROOT / "airflow_provider_vidu" / "example_dags" / "images" / "lighthouse.jpg") as picture:
        red, green, blue = picture.split()
        for number, bands in enumerate([(red, green, blue), (blue, green, red), (green, red, blue)]):
            whole = Image.merge("RGB", bands)
            (ImageOps.mirror(whole) if number == 1 else whole).save(directory / f"{number}.png")
    run_id = bed.trigger("example_vidu_mapped", {"folder": str(directory), "destination": f"file://{directory}"})
    assert bed.wait("example_vidu_mapped", run_id, 240) == "success", bed.failures("example_vidu_mapped", run_id)
    return [bed.xcom("example_vidu_mapped", run_id, "wait", map_index=index)["urls"][0] for index in range(3)]


def _gallery(urls: list[str], frame: str) -> Iterator[Told]:
    now = time.time()
    for number in range(48):
        vidu_task_id = str(uuid5(NAMESPACE_URL, str(number)))
        xcoms: dict[str, Any] = {
            "vidu_task_id": vidu_task_id,
            "vidu_request": {
                "model": "viduq2-turbo",
                "input": {"prompt": PROMPTS[number % 3], "first_frame_url": frame},
                "parameters": {"vidu_type": "img2video", "duration": 5, "resolution": "720p"},
                "estimated_cost": 1.25,
                "estimated_by": "prices of 2026-04-15",
            },
        }
        tell = partial(Told, task_id="many", map_index=number)
        if number % 12 == 3:
            reason = (
                f"Vidu task {vidu_task_id} failed (moderation): CreationPolicyViolation. {Family.MODERATION.advice}"
            )
            yield tell({**xcoms, "vidu_failure": {"task_id": vidu_task_id, "reason": reason}}, state="failed")
        elif number % 12 == 4:
            progress = {"task_id": vidu_task_id, "state": "Running", "submitted_at": now - 17, "expected_seconds": 26.4}
            yield tell({**xcoms, "vidu_progress": progress}, state="deferred")
        else:
            result = {"task_id": vidu_task_id, "urls": [urls[number % len(urls)]], "video_seconds": 5}
            yield tell({**xcoms, "return_value": {**result, "expires_at": now + 23.9 * 3600}})


def _settled(frame: Frame) -> None:
    """Wait until every video in view shows its first picture."""
    frame.wait_for_function(
        "() => [...document.querySelectorAll('video')].length && "
        "[...document.querySelectorAll('video')].every((one) => one.readyState > 1)"
    )
    frame.wait_for_timeout(1500)
