# SPDX-License-Identifier: Apache-2.0
"""The form of a connection and its button "Test", in a browser."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from airflow_provider_vidu.emulator import KEY
from tests.system.support.form import vidu_form
from tests.system.support.trouble import CarefulRun

pytestmark = pytest.mark.system
CONN_ID = "made_in_the_form"
PATH = f"/api/v2/connections/{CONN_ID}"


@pytest.fixture
def form(bed, emulator, page):
    # The only one in the list, whatever other tests have left there: each has its own buttons.
    for connection in bed.request("GET", "/api/v2/connections")["connections"]:
        bed.request("DELETE", f"/api/v2/connections/{connection['connection_id']}")
    return vidu_form(page, CONN_ID, emulator.url, KEY)


def save(page, form):
    with page.expect_response(lambda answer: answer.request.method in ("POST", "PATCH")) as saved:
        form.get_by_role("button", name="Save").click()
    assert saved.value.ok, saved.value.text()
    expect(form).to_be_hidden()


def stored(bed):
    connection = bed.request("GET", PATH)
    return {**connection, "extra": json.loads(connection["extra"])}


def told_by_the_button(page):
    told = page.get_by_role("status").filter(has_text="Test Connection")
    # What it said before goes after a while.
    expect(told).to_have_count(0)
    with page.expect_response("**/connections/test"):
        page.get_by_role("button", name="Test Connection").click()
    return " ".join(told.inner_text().split())


def test_the_form_shows_the_defaults_and_a_sentence_of_help(form):
    assert form.get_by_label("Base URL").get_attribute("placeholder") == "https://api.modelverse.cn"
    assert form.get_by_label("API key").get_attribute("placeholder") == "The key from the ModelVerse console"
    assert form.get_by_label("API key").get_attribute("type") == "password"
    assert form.get_by_label("Port").get_attribute("placeholder") == "443"
    assert form.get_by_label("Login").count() == form.get_by_label("Schema").count() == 0
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    for text in (
        "How the hook sends the API key: alone (key) or as a Bearer token (bearer).",
        "Seconds to wait for the response to one request; 60 if empty.",
        "Most requests per minute, evenly spread, that one triggerer process, or one batch on its worker, may send; no "
        "limit if empty.",
        "Whether to verify the server's certificate. To use a CA bundle, set its path in the JSON below.",
    ):
        expect(form.get_by_text(text)).to_be_visible()
    expect(form.get_by_label("Verify TLS")).to_be_checked()


def test_what_was_left_untouched_is_unset_and_the_connection_works(bed, emulator, page, form, tmp_path):
    save(page, form)
    unset = {"auth_scheme": "key", "timeout": None, "max_requests_per_minute": None, "verify": True}
    assert stored(bed)["extra"] == unset
    run = CarefulRun(bed, emulator, tmp_path, conn=CONN_ID)
    assert run.ends() == "success", bed.failures("careful", run.run_id)


def test_every_field_is_stored_and_the_key_is_never_shown_again(bed, emulator, page, form):
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    form.get_by_role("combobox", name="Authorization scheme").fill("bearer")
    page.keyboard.press("Enter")
    form.get_by_label("Timeout").fill("7.5")
    form.get_by_label("Requests per minute").fill("120")
    form.get_by_label("Verify TLS").press("Space")
    save(page, form)
    host, _, port = emulator.url.rpartition(":")
    assert stored(bed) == {
        "connection_id": CONN_ID,
        "conn_type": "vidu",
        "description": None,
        "host": host,
        "login": None,
        "schema": None,
        "port": int(port),
        "password": "***",
        "extra": {"auth_scheme": "bearer", "timeout": 7.5, "max_requests_per_minute": 120, "verify": False},
        "team_name": None,
    }
    page.reload()
    page.get_by_role("button", name="Edit Connection").click()
    expect(form.get_by_label("Base URL")).to_have_value(host)
    assert KEY not in page.content()
    assert KEY not in form.get_by_label("API key").input_value()
    # A form that is saved again keeps the key.
    form.get_by_label("Description").fill("seen")
    save(page, form)
    assert told_by_the_button(page) == f"Test Connection Successful Connected: {emulator.url} accepted the API key."


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("another-key", "Test Connection Failed The API refused the key. "),
        (
            "",
            r"Test Connection Failed connection '\w+': password must be the API key, got none",
        ),
    ],
)
def test_the_button_says_why_not(page, form, key, text):
    form.get_by_label("API key").fill(key)
    save(page, form)
    assert re.match(text, told_by_the_button(page))


def test_airflow_itself_refuses_to_test_a_connection_without_a_port(bed, emulator, page, form):
    form.get_by_label("Base URL").fill(emulator.url)
    form.get_by_label("Port").fill("")
    save(page, form)
    assert told_by_the_button(page) == "Test Connection Failed Bad Request"
    page.get_by_role("button", name="Edit Connection").click()
    form.get_by_label("Port").fill(emulator.url.rpartition(":")[2])
    save(page, form)
    assert told_by_the_button(page) == f"Test Connection Successful Connected: {emulator.url} accepted the API key."
