# SPDX-License-Identifier: Apache-2.0
"""The table of the tested versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dev.matrix import BEGIN, END, HEADERS, RESULTS, VERSIONS, Environment, counted, rewritten, table

ROWS = [
    {"airflow": "3.10.1", "python": "3.12", "trials": "2 passed, 0 failed"},
    {"airflow": "3.2.2", "python": "3.13", "suite": "not run: no interpreter"},
]


def test_a_table_is_in_the_order_of_versions_and_says_what_did_not_run():
    assert table(ROWS, "| header |").splitlines() == [
        "| header |",
        "|---|---|---|---|",
        "| 3.2.2 | 3.13 | not run: no interpreter | – |",
        "| 3.10.1 | 3.12 | – | 2 passed, 0 failed |",
    ]


def test_only_what_is_between_the_markers_is_rewritten():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert rewritten(page, "new \\1") == f"before\n{BEGIN}\n\nnew \\1\n\n{END}\nafter\n"
    assert rewritten(rewritten(page, "a"), "b") == rewritten(page, "b")


@pytest.mark.parametrize("page", ["", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"])
def test_a_page_without_its_markers_is_left_alone(page):
    with pytest.raises(ValueError, match="must have"):
        rewritten(page, "new")


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ('<testsuites><testsuite tests="9" failures="1" errors="2" skipped="0"/></testsuites>', "6 passed, 3 failed"),
        (
            '<testsuites><testsuite tests="9" failures="0" errors="0" skipped="2"/></testsuites>',
            "7 passed, 0 failed, 2 skipped",
        ),
    ],
)
def test_tests_that_could_not_start_count_as_failed_and_skipped_ones_do_not_pass(report, words):
    assert counted(report) == words


@pytest.mark.parametrize("page", HEADERS, ids=lambda page: page.name)
def test_a_readme_shows_the_last_results(page):
    results = json.loads(RESULTS.read_text("utf-8"))
    text = page.read_text("utf-8")
    assert rewritten(text, table(list(results.values()), HEADERS[page])) == text


def test_each_version_has_constraints_without_addresses():
    for name in VERSIONS:
        version, _, python = name.partition("@")
        text = Environment(version, python).constraints.read_text("utf-8")
        assert f"\napache-airflow=={version}." in text or f"\napache-airflow=={version}\n" in text
        assert "://" not in text
    limits = {path.stem for path in Path(RESULTS.parent).glob("*.in")}
    assert limits == {path.stem for path in Path(RESULTS.parent).glob("*.txt")}
