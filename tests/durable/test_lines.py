# SPDX-License-Identifier: Apache-2.0
"""What the lines of the ledger say, without a ledger."""

from __future__ import annotations

import pytest

from airflow_provider_vidu.durable.entries import Ending, Entry, EntryName
from airflow_provider_vidu.durable.lines import COLUMNS, FAMILIES, KEYS, OUTCOMES, REPORT, Line, grouped, sums
from airflow_provider_vidu.protocol.errors import Family, family_of_text

NOW = 1_800_000_000.0


def line(ending=None, vidu_task_id="task", ago=3600, request=None, units=31_000, day="2026-11-27"):
    name = EntryName(day, int((NOW - ago) * 1000), units, "0" * 16, "0" * 12)
    entry = Entry("shop", "run", "make", -1, "kite", "vidu_default", request or {}, vidu_task_id)
    return Line(name, entry, ending)


ENDS = [
    (line(), "running", ""),
    (line(vidu_task_id=""), "uncertain", "uncertain"),
    (line(vidu_task_id="", ago=600), "uncertain", ""),
    (line(Ending("stored", ("a",), 4.0)), "stored", ""),
    (line(Ending("gone")), "gone", "lost"),
    (line(Ending("failed", reason="TaskPromptPolicyViolation")), "failed", "moderation"),
    (line(Ending("failed", reason="weird")), "failed", "unknown"),
    # Of a later version.
    (line(Ending("archived")), "archived", ""),
]


@pytest.mark.parametrize(("found", "outcome", "family"), ENDS)
def test_a_line_has_an_outcome_and_a_family(found, outcome, family):
    assert (found.outcome, found.family_at(NOW)) == (outcome, family)
    assert outcome in OUTCOMES or outcome == "archived"
    assert family in FAMILIES or not family


@pytest.mark.parametrize("family", Family)
def test_the_advice_at_the_end_of_a_reason_names_its_family(family):
    assert family_of_text(f"Vidu task 7 failed: balance of colours. {family.advice}") is family


REQUESTS = [
    ({"model": "viduq2", "input": {"prompt": "a"}, "parameters": {"vidu_type": "b"}}, ("viduq2", "b", "a")),
    ({"input": {"text": "a"}}, ("", "", "a")),
    ({"model": 7, "input": [], "parameters": {"vidu_type": {}}}, ("", "", "")),
]


@pytest.mark.parametrize(("request_", "wanted"), REQUESTS)
def test_a_request_of_any_form_is_read(request_, wanted):
    found = line(request=request_)
    assert (found.model, found.job, found.prompt) == wanted


def test_a_week_is_named_by_its_monday():
    days = {
        "2026-11-22": "2026-11-16",
        "2026-11-23": "2026-11-23",
        "2026-11-29": "2026-11-23",
        "2027-01-01": "2026-12-28",
    }
    assert {day: line(day=day).value("week") for day in days} == days
    assert line(day="2026-11-27").value("month") == "2026-11"


def test_every_key_and_every_column_of_a_report_is_one():
    assert {*KEYS, *REPORT} == {*COLUMNS}
    assert REPORT[-1] == "files"


def test_sums_are_exact_and_count_what_has_no_price():
    found = [line(units=10_000), line(Ending("stored", (), 4.0), units=20_000), line(units=None)]
    assert sums(found) == (3, 4.0, 30_000, 1)
    assert sums([]) == (0, 0, 0, 0)
    assert list(grouped(found, ["outcome", "dag"])) == [
        (("running", "shop"), (2, 0, 10_000, 1)),
        (("stored", "shop"), (1, 4.0, 20_000, 0)),
    ]
