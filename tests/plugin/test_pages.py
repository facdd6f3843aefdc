# SPDX-License-Identifier: Apache-2.0
"""What can be said of the pages without a browser."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import airflow_provider_vidu
from airflow_provider_vidu.durable.lines import FAMILIES
from airflow_provider_vidu.durable.lines import OUTCOMES as LEDGER_OUTCOMES
from airflow_provider_vidu.durable.reused import REUSED
from airflow_provider_vidu.plugin import filters, videos
from airflow_provider_vidu.protocol.batch import OUTCOMES
from airflow_provider_vidu.protocol.errors import UNCERTAIN, Family
from airflow_provider_vidu.protocol.prices import PRICES_AS_OF, own_prices, shipped_prices

PAGES = Path(airflow_provider_vidu.__file__).parent / "plugin" / "pages"
SCRIPTS = {path.name: path.read_text("utf-8") for path in PAGES.glob("*.js")}
TEXTS = {
    key: tuple(map(json.loads, pair))
    for key, *pair in re.findall(r'^  (\w+): \[("[^"]*"), ("[^"]*")\],$', SCRIPTS["text.js"], re.MULTILINE)
}


def test_every_text_is_there_in_two_languages_with_the_same_places_and_is_used():
    table = SCRIPTS["text.js"].partition("const TEXTS = {\n")[2].partition("\n};")[0]
    assert len(TEXTS) == len(table.splitlines())
    others = "".join(text for name, text in SCRIPTS.items() if name != "text.js") + SCRIPTS["text.js"].replace(
        table, ""
    )
    for key, (english, chinese) in TEXTS.items():
        places = [sorted(re.findall(r"\{\w+\}", text)) for text in (english, chinese)]
        assert places[0] == places[1], key
        assert f'"{key}"' in others or key.startswith(("outcome_", "wait_", "error_Vidu")), key


def test_the_pages_know_every_outcome_of_a_batch():
    (known,) = re.findall(r"const OUTCOMES = (\[.*\]);", SCRIPTS["videos.js"])
    assert tuple(json.loads(known)) == OUTCOMES
    told = {key.removeprefix("outcome_") for key in TEXTS if key.startswith("outcome_")}
    assert told == {*OUTCOMES} - {"success"}


def test_the_pages_know_the_operators_by_the_servers_names():
    named = set(re.findall(r'"(Vidu\w+)"', SCRIPTS["videos.js"]))
    # The sensor is what none of these is.
    assert named == {*videos.OPERATORS} - {"ViduTaskSensor"}


def test_the_pages_know_the_sources_of_prices_that_the_provider_writes():
    (own,) = re.findall(r"const OWN_PRICES = (\[.*\]);", SCRIPTS["card.js"])
    assert json.loads(own)[0] == own_prices({}).source == TEXTS["ownPrices"][0]
    # XComs of an earlier release stay in Airflow's database.
    assert json.loads(own)[1:] == ["the prices given"]
    (dated,) = re.findall(r"/(\^prices of .*\$)/", SCRIPTS["card.js"])
    assert re.fullmatch(dated, shipped_prices().source)[1] == PRICES_AS_OF


def test_the_advice_for_a_family_is_that_of_its_error():
    for family in Family:
        assert TEXTS[f"advice{family.value.capitalize()}"][0] == family.advice
    assert TEXTS["adviceUncertain"][0] == UNCERTAIN
    (known,) = re.findall(r"^export const FAMILIES = \{$(.*?)^\};$", SCRIPTS["reasons.js"], re.MULTILINE | re.DOTALL)
    assert tuple(re.findall(r"^  (\w+):", known, re.MULTILINE)) == FAMILIES


def test_the_library_knows_every_state_of_the_ledger():
    (known,) = re.findall(r"const OF_LEDGER = \{(.*)\};", SCRIPTS["videos.js"])
    assert {*re.findall(r"(\w+): \[", known)} == {*LEDGER_OUTCOMES, REUSED}


def test_the_library_asks_for_the_filters_that_the_server_knows():
    (known,) = re.findall(r"export const FILTERS = (\[.*\]);", SCRIPTS["address.js"])
    assert json.loads(known) == list(inspect.signature(filters._filters).parameters)


def test_no_text_becomes_markup_or_a_script():
    for name, text in SCRIPTS.items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text), (
            name
        )
    for page in PAGES.glob("*.html"):
        text = page.read_text("utf-8")
        assert not re.search(r"<style|\son\w+=|\sstyle=|<script(?! type=\"module\" src=\"assets/)", text), page.name
