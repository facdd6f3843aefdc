# SPDX-License-Identifier: Apache-2.0
"""The tabs of the plugin in Airflow's UI, as a browser shows them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from playwright.sync_api import Frame, Locator, Page


def open_run(page: Page, dag_id: str, run_id: str) -> Frame:
    """Open the tab "Videos" of a run, and return what is in it once it has loaded."""
    page.goto(f"/dags/{dag_id}/runs/{quote(run_id, safe='')}/plugin/vidu_videos")
    return _within(page)


def open_task(page: Page, dag_id: str, run_id: str, task_id: str, map_index: int | None = None) -> Frame:
    """Open the tab "Video" of a task instance, and return what is in it once it has loaded.

    :param map_index: Index of a mapped task; none for an ordinary one.
    """
    page.goto(f"{_page_of(dag_id, run_id, task_id, map_index)}/plugin/vidu_video")
    return _within(page)


def follow_link(page: Page, dag_id: str, run_id: str, task_id: str, map_index: int | None = None) -> Frame:
    """Press the link "Vidu video" on a task instance's page, and return what is in the tab that it leads to.

    :param map_index: As in :func:`open_task`.
    """
    path = _page_of(dag_id, run_id, task_id, map_index)
    page.goto(f"{path}/details")
    page.get_by_role("link", name="Vidu video", exact=True).click()
    page.wait_for_url(f"**{path}/plugin/vidu_video")
    return _within(page)


def open_alone(page: Page, dag_id: str, run_id: str, **task: object) -> Frame:
    """Open a tab without Airflow's UI around it, which takes ten times as long.

    :param task: ``task_id`` and ``map_index``; none for the tab of the run.
    """
    query = urlencode({"dag_id": dag_id, "run_id": run_id, **task}, quote_via=quote)
    page.goto(f"/vidu/{'task' if task else 'run'}?{query}")
    return _loaded(page.main_frame)


def _page_of(dag_id: str, run_id: str, task_id: str, map_index: int | None) -> str:
    mapped = "" if map_index is None else f"/mapped/{map_index}"
    return f"/dags/{dag_id}/runs/{quote(run_id, safe='')}/tasks/{task_id}{mapped}"


def _within(page: Page) -> Frame:
    frame = page.locator("iframe").element_handle(timeout=60_000).content_frame()
    assert frame is not None
    return _loaded(frame)


def _loaded(frame: Frame) -> Frame:
    frame.locator("#page[aria-busy=false]").wait_for(timeout=60_000)
    return frame


def played(video: Locator) -> dict[str, Any]:
    """Play a video for some tenths of a second, and return where it came from and how far it came in half a minute."""
    return dict(
        video.evaluate(
            """async (video) => {
                video.muted = true;
                const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
                const late = Date.now() + 30_000;
                await Promise.race([video.play(), pause(30_000)]);
                while (video.currentTime < 0.3 && !video.ended && Date.now() < late) await pause(50);
                video.pause();
                return {src: video.currentSrc, readyState: video.readyState, moved: video.currentTime > 0};
            }"""
        )
    )


def facts(frame: Frame) -> dict[str, str]:
    """Return what the tab of a task tells of its video: values by their names."""
    terms = frame.locator(".facts dt").all_inner_texts()
    return dict(zip(terms, frame.locator(".facts dd").all_inner_texts(), strict=True))
