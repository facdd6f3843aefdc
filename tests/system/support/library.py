# SPDX-License-Identifier: Apache-2.0
"""A ledger for the page of all videos to show, and the page as a browser shows it."""

from __future__ import annotations

from collections.abc import Sequence

from playwright.sync_api import Frame, Page

from airflow_provider_vidu.durable.entries import Ending
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.protocol.errors import Family
from tests.ledgers import paid
from tests.system.support.shown import DAG_ID

PROMPTS = (
    "A lighthouse at dawn, seen from the sea",
    "The waves calm down while the clouds drift across the evening sky",
    "The camera rises above the cliff",
)
MODELS = ("viduq2-turbo", "viduq2", "viduq3-pro")
DAY = 24 * 3600
ENDS = {
    11: Ending("failed", reason=f"Vidu task ended as Failure: the video was refused. {Family.MODERATION.advice}"),
    17: Ending("failed", reason=f"Vidu task ended as Failure: SystemThrottling. {Family.CAPACITY.advice}"),
    23: Ending("gone", reason="The links have expired."),
}


def fill(ledger: Ledger, run_id: str, files: Sequence[str], count: int, dag_id: str = DAG_ID) -> None:
    """Write submits of three weeks: most are stored, every 13th waits, and some are lost in each other way.

    :param ledger: The ledger.
    :param run_id: A run of :data:`DAG_ID`, whose task ``many`` they are of.
    :param files: Stored videos, of which each takes one.
    :param count: How many submits.
    :param dag_id: Their DAG.
    """
    for number in range(count):
        waits = number % 13 == 12 or number == 4
        # The service was slow for two days.
        seconds = 17.0 * (3 if 0.3 < number / count < 0.4 else 1) * (0.8 + number % 5 / 10)
        stored = Ending("stored", (files[number % len(files)],), 5.0, ready_seconds=seconds)
        paid(
            ledger,
            number,
            ago=120 + number * 21 * DAY / count,
            price=(0.31, 1.25, 2.5)[number % 3],
            model=MODELS[number * 7 // 3 % 3],
            prompt=PROMPTS[number % 3],
            ending=None if waits else ENDS.get(number % 29, stored),
            accepted=number % 26 != 25,
            dag_id=dag_id,
            run_id=run_id,
            task_id="many",
            map_index=number,
            custom_id=f"shot-{number:03}",
        )


def fill_odd(ledger: Ledger) -> None:
    """Write entries close together and one 500 days before them; one field has the name of a property of every object.

    :param ledger: The ledger.
    """
    for number, ago in enumerate((60, 3 * 3600, DAY, 9 * DAY, 10 * DAY)):
        stored = Ending("stored", ("/nowhere/a.mp4",), 4.0, ready_seconds=20.0)
        paid(ledger, 2000 + number, ago=ago, dag_id="uneven", ending=stored)
    for number, ago in enumerate((90, 500 * DAY)):
        request = {"model": "viduq2", "input": {"constructor": "x"} if number else {}, "parameters": {}}
        paid(ledger, 2100 + number, ago=ago, dag_id="ancient", request=request, ending=Ending("failed", reason="busy"))
    # More than a page of them.
    for number in range(2200, 2250):
        paid(ledger, number, ago=7 * DAY, dag_id="lot")


def open_library(page: Page, query: str = "") -> Frame:
    """Open the page "Vidu videos" in Airflow's UI, and return what is in it once it has loaded.

    :param page: Airflow's UI.
    :param query: Filters, as the page keeps them in the address.
    """
    page.goto(f"/plugin/vidu_library{query}")
    frame = page.locator("iframe").element_handle(timeout=60_000).content_frame()
    assert frame is not None
    settle(frame)
    return frame


def settle(frame: Frame) -> None:
    """Wait until the page shows what it was asked for."""
    frame.locator("#page[aria-busy=false] #content[aria-busy=false]").wait_for(timeout=60_000)
