# SPDX-License-Identifier: Apache-2.0
"""The page "Vidu videos" in Airflow's navigation, on a ledger of a hundred and sixty submits."""

from __future__ import annotations

import ast
import re
import time
import urllib.request

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from airflow_provider_vidu.durable.entries import Ending
from airflow_provider_vidu.durable.ledger import Ledger
from tests.ledgers import paid
from tests.system.support.guarded import DENIED_DAG
from tests.system.support.library import DAY, fill, open_library, settle
from tests.system.support.shown import DAG_ID, Told, shown
from tests.system.support.tabs import played

pytestmark = pytest.mark.system

COUNT = 160
HOSTILE = '<img src=x onerror="parent.document.title=1"> \u202e\ud83d'


@pytest.fixture(scope="module")
def run_id(bed, url, odd_entries, tmp_path_factory):
    """A run whose submits are in the ledger, all but those of other DAGs that the page may not show everybody."""
    place = tmp_path_factory.mktemp("library") / "a.mp4"
    with urllib.request.urlopen(url) as video:
        place.write_bytes(video.read())
    run_id = shown(bed, [Told({}, "many", 0)])
    ledger = Ledger(bed.env["AIRFLOW__VIDU__LEDGER"])
    fill(ledger, run_id, [f"file://{place}"], COUNT)
    ending = Ending("failed", reason=HOSTILE)
    paid(ledger, 900, ago=30, dag_id="hostile", prompt=HOSTILE, custom_id=HOSTILE, ending=ending)
    for number, days in ((902, 0), (903, 500)):
        paid(ledger, number, ago=60 + days * DAY, dag_id="old")
    paid(ledger, 901, price=7.77, dag_id=DENIED_DAG, prompt="a secret", run_id=run_id)
    return run_id


@pytest.fixture
def query(run_id):
    return f"?dag={DAG_ID}&run={run_id.replace('+', '%2B')}"


def cards(frame):
    return frame.locator(".card")


def test_the_page_is_in_the_navigation(page, run_id):
    page.get_by_role("link", name="Vidu videos").click()
    frame = page.locator("iframe").element_handle().content_frame()
    settle(frame)
    expect(cards(frame)).to_have_count(48)


def test_filters_are_kept_in_the_address_and_can_be_shared(page, run_id, query):
    frame = open_library(page, query)
    expect(frame.locator(".totals")).to_contain_text("160")
    frame.get_by_role("combobox", name="State").select_option("failed")
    expect(cards(frame)).to_have_count(11)
    frame.get_by_label("Prompt or custom id").fill("the CLIFF")
    expect(cards(frame)).to_have_count(4)
    assert set(frame.locator(".card .excerpt").all_inner_texts()) == {"The camera rises above the cliff"}
    page.wait_for_url(re.compile(r"[?&]text=the%20CLIFF&.*state=failed"))
    page.reload()
    again = page.locator("iframe").element_handle().content_frame()
    settle(again)
    expect(cards(again)).to_have_count(4)
    expect(again.get_by_label("Prompt or custom id")).to_have_value("the CLIFF")
    again.get_by_role("button", name="Clear filters").click()
    expect(cards(again)).to_have_count(48)
    assert "text=" not in page.url


def test_an_address_without_the_pages_own_path_has_its_filters_too(page, query):
    frame = open_library(page, f"{query}&state=uncertain&layout=list")
    expect(frame.locator("tbody tr")).to_have_count(6)


def test_more_comes_page_by_page(page, query):
    frame = open_library(page, query)
    for count in (48, 96, 144, 160):
        expect(cards(frame)).to_have_count(count)
        more = frame.get_by_role("button", name="Show more")
        if count < COUNT:
            more.click()
    expect(more).to_be_hidden()
    names = frame.locator(".card .name").all_inner_texts()
    assert names == [f"shot-{number:03}" for number in range(COUNT)]


def test_a_filter_that_leaves_the_first_page_as_it_is_counts_for_all_of_the_view(page, query):
    frame = open_library(page, query)
    frame.get_by_role("button", name="Show more").click()
    expect(cards(frame)).to_have_count(96)
    frame.get_by_label("Cost up to (CNY)").fill("9")
    expect(frame.get_by_role("link", name="Download as CSV")).to_have_attribute("href", re.compile("most=9"))
    expect(cards(frame)).to_have_count(48)


def test_a_filter_that_is_cleared_while_it_is_typed_stays_cleared(page, query):
    frame = open_library(page, query)
    frame.get_by_label("Prompt or custom id").fill("the cliff")
    frame.get_by_role("button", name="Clear filters").click()
    # Longer than the pause after which a filter counts.
    page.wait_for_timeout(600)
    assert "text=" not in page.url


def test_a_stored_copy_plays_and_none_is_loaded_that_is_not_seen(page, query):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    frame = open_library(page, query)
    film = frame.get_by_label("Video of shot-000")
    expect(film).to_be_visible()
    found = played(film)
    assert found["moved"]
    assert f"/vidu/stored/{DAG_ID}/" in found["src"]
    loaded = {url for url in asked if "/vidu/stored/" in url}
    assert 0 < len(loaded) < 20


def test_an_entry_names_its_facts_and_leads_to_its_task(page, query):
    frame = open_library(page, query)
    card = cards(frame).first
    expect(card).to_contain_text("A lighthouse at dawn, seen from the sea")
    expect(card).to_contain_text("viduq2-turbo · 5 s · 720p · about ¥0.31")
    expect(card).to_contain_text("run triggered by")
    expect(cards(frame).nth(1).get_by_role("button", name="Copy the URI of shot-001")).to_be_visible()
    card.get_by_role("link", name="Open task").click()
    page.wait_for_url(f"**/dags/{DAG_ID}/runs/*/tasks/many/mapped/0/plugin/vidu_video")


def test_spending_is_drawn_and_listed_and_downloaded(page, query):
    frame = open_library(page, f"{query}&view=spend&of=model")
    expect(frame.get_by_role("img", name="Bars of the estimated cost")).to_be_visible()
    models = frame.locator(".legend").first.locator("li").all_inner_texts()
    assert sorted(models) == ["viduq2", "viduq2-turbo", "viduq3-pro"]
    days = frame.locator("table").nth(1).locator("tbody tr").count()
    assert days > 21
    frame.get_by_role("radio", name="Month").check(force=True)
    expect(frame.locator("table").nth(1).locator("tbody th").first).to_have_text(re.compile(r"^\d{4}-\d\d$"))
    page.wait_for_url(re.compile("by=month"))
    expect(frame.get_by_role("img", name="Dots of the time from submit to ready")).to_be_visible()
    expect(frame.locator("circle.wait-slow").first).to_be_visible()
    slow = frame.get_by_role("region", name="Time from submit to ready").locator("tr.late")
    assert slow.count() == frame.locator("circle.wait-slow").count()
    expect(slow.first).to_contain_text("(slow)")
    with page.expect_download() as download:
        frame.get_by_role("link", name="Download as CSV").click()
    assert len(download.value.path().read_text("utf-8").splitlines()) == COUNT + 1


def test_spending_keeps_its_period_in_another_language(page, query):
    frame = open_library(page, f"{query}&view=spend")
    frame.get_by_role("radio", name="Month").check(force=True)
    first = frame.locator("table").nth(1).locator("tbody th").first
    expect(first).to_have_text(re.compile(r"^\d{4}-\d\d$"))
    expect(frame.get_by_role("radio", name="Month")).to_be_focused()
    page.evaluate("localStorage.setItem('i18nextLng', 'zh-CN')")
    expect(frame.get_by_role("heading", level=1)).to_have_text("Vidu 视频")
    expect(first).to_have_text(re.compile(r"^\d{4}-\d\d$"))


def test_the_plot_of_a_long_time_shows_its_newest_days(page, run_id):
    frame = open_library(page, "?dag=old&view=spend")
    newest = frame.locator("table").nth(1).locator("tbody th").first.inner_text()
    expect(frame.locator(".plot").first.locator("rect")).to_have_count(1)
    expect(frame.locator(".plot rect title").first).to_contain_text(newest)


def test_failures_are_grouped_with_what_to_do(page, query):
    frame = open_library(page, f"{query}&view=failures")
    found = frame.locator(".family").evaluate_all(
        "all => all.map((one) => [one.querySelector('h2').textContent, one.querySelector('.badge').textContent])"
    )
    assert dict(found) == {
        "Content moderation": "6",
        "Capacity of the service": "5",
        "Lost: can no longer be stored": "5",
        "Uncertain, possibly paid": "6",
    }
    assert "change the prompt or the image" in frame.locator(".advice").first.inner_text()
    expect(frame.locator(".family").first).to_contain_text(f"DAGs with the most of them: {DAG_ID} (6)")
    expect(frame.locator(".unstored")).to_contain_text("Paid and not stored: 7")
    expect(frame.locator(".unstored")).to_contain_text("ViduRescueOperator")
    expect(frame.locator(".unstored tbody tr")).to_have_count(7)


def test_takes_are_compared_side_by_side_and_one_is_copied_as_python(page, query):
    frame = open_library(page, query)
    for name in ("shot-000", "shot-001", "shot-002"):
        frame.get_by_label(f"Compare {name}").check()
    frame.locator(".chooser").get_by_role("button", name="Compare").click()
    expect(frame.locator(".compared video")).to_have_count(3)
    prompts = frame.locator("tr.differs").filter(has=frame.get_by_role("rowheader", name="Prompt"))
    expect(prompts.locator("mark").nth(1)).to_contain_text("the clouds drift")
    frame.get_by_role("button", name="Play together from the start").click()
    playing = "all => all.every((one) => !one.paused && one.currentTime > 0)"
    expect(frame.locator(".compared")).to_be_visible()
    frame.wait_for_function(f"() => ({playing})([...document.querySelectorAll('.compared video')])")
    frame.get_by_role("button", name="Pause all").click()
    frame.evaluate("() => (navigator.clipboard.writeText = (text) => { window.copied = text; })")
    frame.get_by_role("button", name="Copy shot-001 as a line of Python").click()
    line = frame.evaluate("() => window.copied")
    assert ast.literal_eval(line)["custom_id"] == "shot-001"
    # The choice is in the address.
    again = open_library(page, f"?{page.url.partition('?')[2]}")
    expect(again.locator(".compared video")).to_have_count(3)
    again.get_by_role("button", name="Remove shot-002 from the comparison").click()
    expect(again.locator(".compared video")).to_have_count(2)
    assert Axe().run(again).response["violations"] == []


def test_hostile_texts_stay_texts(page, run_id):
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    for view, place in (
        ("videos", ".card .name"),
        ("videos&layout=list", "tbody td:nth-child(4)"),
        ("failures", "li p"),
    ):
        frame = open_library(page, f"?dag=hostile&view={view}")
        expect(frame.locator(place).first).to_contain_text("<img src=x onerror=")
        assert frame.locator("img").count() == 0
    assert page.title() != "1"


def test_the_views_are_used_by_keyboard(page, query):
    frame = open_library(page, query)
    frame.get_by_role("radio", name="Videos").focus()
    page.keyboard.press("ArrowRight")
    expect(frame.get_by_role("radio", name="Spending")).to_be_focused()
    expect(frame.locator(".plot").first).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(frame.get_by_role("radio", name="Failures")).to_be_focused()
    expect(frame.locator(".family").first).to_be_visible()
    expect(frame.get_by_role("status")).to_have_text("Failed: 22. Paid and not stored: 7.")


@pytest.mark.parametrize("view", ["videos", "videos&layout=list", "spend", "failures"])
def test_it_follows_theme_and_language_and_is_accessible(page, query, view):
    frame = open_library(page, f"{query}&view={view}")
    settings = {"theme": "dark", "i18nextLng": "zh-CN"}
    for title in ("Vidu videos", "Vidu 视频"):
        expect(frame.get_by_role("heading", level=1)).to_have_text(title)
        found = Axe().run(frame).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found] == []
        if title == "Vidu videos":
            page.evaluate("settings => Object.assign(localStorage, settings)", settings)
            frame = open_library(page, f"{query}&view={view}")


def test_who_may_not_read_a_dag_learns_nothing_of_it(run_id, guarded):
    for name, is_permitted in (("ann", True), ("mallory", False)):
        session = guarded.session(name)
        # Its first answer does not wait until it has read the ledger.
        while not session.get(f"{guarded.url}/vidu/spend", timeout=60).json()["whole"]:
            time.sleep(0.2)
        for path in ("entries", "spend", "failures", "entries.csv"):
            answer = session.get(f"{guarded.url}/vidu/{path}?run={run_id.replace('+', '%2B')}", timeout=60)
            assert answer.status_code == 200
            assert (DENIED_DAG in answer.text) == (is_permitted and path != "failures"), (name, path)
    sums = [
        guarded.session(name).get(f"{guarded.url}/vidu/entries", timeout=60).json()["sums"]
        for name in ("ann", "mallory")
    ]
    assert sums[0]["videos"] > sums[1]["videos"]
