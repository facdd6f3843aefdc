# SPDX-License-Identifier: Apache-2.0
"""The page "Vidu videos" while the server does not answer, and on entries that are far apart or strange."""

from __future__ import annotations

from itertools import pairwise

import pytest
from playwright.sync_api import expect

from tests.system.support.library import open_library

pytestmark = pytest.mark.system

AWAY = "Airflow is not responding; retrying."


def test_the_page_loads_again_after_the_server_did_not_answer(page, odd_entries):
    frame = open_library(page, "?dag=uneven")
    page.route("**/vidu/entries?**", lambda route: route.abort())
    frame.get_by_role("button", name="Refresh").click()
    expect(frame.locator(".notes")).to_have_text(AWAY)
    page.unroute("**/vidu/entries?**")
    expect(frame.locator(".card")).to_have_count(5)
    expect(frame.locator(".notes")).to_have_text("")


def test_another_period_is_shown_once_the_server_answers_again(page, odd_entries):
    frame = open_library(page, "?dag=uneven&view=spend")
    page.route("**/vidu/spend?**", lambda route: route.abort())
    frame.get_by_role("radio", name="Month").check(force=True)
    expect(frame.locator(".notes")).to_have_text(AWAY)
    page.unroute("**/vidu/spend?**")
    expect(frame.get_by_role("radio", name="Month")).to_be_checked()
    expect(frame.locator("table").nth(1).locator("tbody th").first).to_have_text(f"{_today(frame)[:7]}")


def test_a_page_that_was_hidden_while_the_server_read_on_shows_the_rest_when_it_is_seen(page, odd_entries):
    frame = open_library(page, "?dag=uneven")
    whole = iter([False])

    def answer(route):
        found = route.fetch()
        route.fulfill(response=found, json={**found.json(), "whole": next(whole, True)})

    page.route("**/vidu/entries?**", answer)
    frame.evaluate("() => Object.defineProperty(document, 'hidden', {configurable: true, value: true})")
    frame.get_by_role("button", name="Refresh").click()
    expect(frame.locator(".notes")).to_contain_text("still reading")
    frame.wait_for_timeout(3000)
    frame.evaluate("() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }")
    expect(frame.locator(".notes")).to_have_text("")
    page.unroute("**/vidu/entries?**")


def test_the_page_says_that_more_entries_did_not_come(page, odd_entries):
    frame = open_library(page, "?dag=lot")
    more = frame.get_by_role("button", name="Show more")
    page.route("**/vidu/entries?**", lambda route: route.abort())
    more.click()
    words = frame.locator("#content").get_by_text("Airflow did not respond. Try again.")
    expect(words).to_be_visible()
    page.unroute("**/vidu/entries?**")
    more.click()
    expect(frame.locator(".card")).to_have_count(50)
    expect(words).to_be_hidden()


def test_an_address_with_too_many_entries_compares_the_first_four(page, odd_entries):
    frame = open_library(page, "?dag=uneven")
    found = frame.evaluate("() => fetch('entries?dag=uneven').then((answer) => answer.json())")
    addresses = ",".join(entry["address"] for entry in found["entries"])
    frame = open_library(page, f"?view=compare&chosen={addresses}")
    expect(frame.locator(".compared thead th")).to_have_count(5)


def test_a_field_with_the_name_of_a_property_is_compared(page, odd_entries):
    frame = open_library(page, "?dag=ancient")
    for box in frame.get_by_role("checkbox").all():
        box.check()
    frame.locator(".chooser").get_by_role("button", name="Compare").click()
    row = frame.locator("tr.differs").filter(has=frame.get_by_role("rowheader", name="constructor"))
    expect(row.locator("td")).to_have_text(["model default", "x"])


def test_the_labels_of_uneven_times_do_not_overlap(page, odd_entries):
    frame = open_library(page, "?dag=uneven&view=spend")
    boxes = (
        frame.locator(".plot")
        .nth(1)
        .locator("text:not([text-anchor])")
        .evaluate_all("all => all.map((one) => one.getBoundingClientRect()).map(({left, right}) => [left, right])")
    )
    assert len(boxes) > 1
    assert all(left > right for (_, right), (left, _) in pairwise(boxes))


def _today(frame):
    """Return the newest day of the ledger's entries."""
    rows = frame.evaluate("() => fetch('spend?dag=uneven').then((answer) => answer.json())")["rows"]
    return max(row["period"] for row in rows)
