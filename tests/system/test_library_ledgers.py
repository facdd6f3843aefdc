# SPDX-License-Identifier: Apache-2.0
"""The page "Vidu videos" on an empty ledger, one that is away, and one of twenty thousand submits."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Frame, Page, expect

from benchmarks.library import fill
from tests.system.support.library import open_library

pytestmark = pytest.mark.system


@pytest.fixture
def root(bed) -> Iterator[Path]:
    """The place of the ledger, without the entries of other tests."""
    place, kept = Path(bed.env["AIRFLOW__VIDU__LEDGER"]), bed.home / "kept-ledger"
    place.mkdir(exist_ok=True)
    place.rename(kept)
    yield place
    shutil.rmtree(place, ignore_errors=True)
    kept.rename(place)


def opened_with(page: Page, text: str) -> Frame:
    """Open the page until it shows a text: Airflow looks at the ledger every ten seconds."""
    until = time.monotonic() + 300
    while True:
        frame = open_library(page)
        shown = frame.locator("#page").inner_text()
        if text in shown:
            return frame
        assert time.monotonic() < until, shown
        time.sleep(2)


def test_an_empty_ledger_says_so(page, root):
    frame = opened_with(page, "No entries match these filters.")
    expect(frame.locator(".card")).to_have_count(0)


def test_a_ledger_that_is_away_says_so_and_shows_what_was_read(page, root):
    fill(str(root), 60)
    opened_with(page, "Entries\n60\n")
    (root / "spent").rename(root / "gone")
    # A link to itself can be neither listed nor taken for an empty directory.
    (root / "spent").symlink_to("spent")
    frame = opened_with(page, "Airflow cannot read the ledger now")
    expect(frame.locator(".card")).to_have_count(48)


def test_twenty_thousand_submits_are_counted_and_shown_page_by_page(page, root):
    fill(str(root), 20_000)
    frame = opened_with(page, "Entries\n20,000\n")
    frame.get_by_role("button", name="Show more").click()
    expect(frame.locator(".card")).to_have_count(96)
