# SPDX-License-Identifier: Apache-2.0
"""Takes of a request side by side."""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path

import pytest
from airflow.sdk import task

from airflow_provider_vidu.batch.items import read_items
from airflow_provider_vidu.durable.entries import Ending
from airflow_provider_vidu.plugin import chosen
from tests.ledgers import paid

ASKED = {
    "model": "viduq2",
    "input": {"prompt": "a kite\nover the 海 \u202e", "not_known_yet": [1]},
    "parameters": {"vidu_type": "text2video", "duration": 4, "seed": 7, "bgm": True, "new": None},
}


def test_entries_come_in_the_order_of_the_choice_with_their_whole_requests(ledger, library):
    paid(ledger, 1, request=ASKED, ending=Ending("stored", ("s3://b/1.mp4",), 4.0))
    paid(ledger, 2, ago=90)
    addresses = [one["address"] for one in library()["entries"]]
    found = library("chosen", entry=[addresses[1], addresses[0], addresses[1], "stored/shop/none"])["entries"]
    assert [one["custom_id"] for one in found] == ["kite-2", "kite-1"]
    assert found[1]["fields"] == {
        "model": "viduq2",
        "prompt": "a kite\nover the 海 \u202e",
        "not_known_yet": "[1]",
        "vidu_type": "text2video",
        "duration": "4",
        "seed": "7",
        "bgm": "true",
        "new": "null",
    }
    assert library("chosen")["entries"] == []
    library("chosen", entry=addresses * 3, status=422)


def test_the_line_of_python_is_an_item_of_a_batch(ledger, library):
    paid(ledger, 1, request=ASKED, ending=Ending("stored", ("s3://b/1.mp4",), 4.0))
    (entry,) = library("chosen", entry=[library()["entries"][0]["address"]])["entries"]
    line = entry["python"]
    assert line.isprintable()
    assert line.endswith("  # Vidu task task-1 s3://b/1.mp4")
    item = ast.literal_eval(line)
    assert item == {
        "custom_id": "kite-1",
        "model": "viduq2",
        "vidu_type": "text2video",
        "prompt": "a kite\nover the 海 \u202e",
        "duration": 4,
        "seed": 7,
        "bgm": True,
        "extra_input": {"not_known_yet": [1]},
        "extra_parameters": {"new": None},
    }
    (again,) = read_items([item], "/videos/{custom_id}.mp4", rendered=False)
    assert again.request.as_asked() == ASKED


def test_takes_of_one_request_are_counted_among_what_the_user_may_see(ledger, library):
    for number, dag_id in enumerate(("shop", "news", "news")):
        paid(ledger, 1, ago=60 * number, dag_id=dag_id, custom_id=f"take-{number}")
    assert [one["takes"] for one in library()["entries"]] == [3, 3, 3]
    assert [one["takes"] for one in library(user="mallory")["entries"]] == [2, 2]
    same = library()["entries"][0]["same"]
    assert len(library(request=same)["entries"]) == 3


def test_an_entry_of_another_dag_counts_as_missing(ledger, library):
    paid(ledger, 1)
    address = library()["entries"][0]["address"]
    assert library("chosen", entry=[address], user="mallory")["entries"] == []


def test_a_ledger_that_is_away_is_no_wrong_configuration_and_the_log_says_why(ledger, library, caplog):
    paid(ledger, 1)
    address = library()["entries"][0]["address"]
    shutil.rmtree(ledger.root)
    Path(ledger.root).symlink_to(ledger.root)
    caplog.clear()
    answer = library("chosen", status=424, entry=[address])
    assert ledger.root not in json.dumps(answer)
    assert "Entries cannot be compared" in caplog.text


HOSTILE = [{"request": "none"}, {"request": {"input": {"prompt": "\ud800", "x": float("nan")}, "model": {}}}]


@pytest.mark.parametrize("entry", [*HOSTILE, {"request": {"input": {f"x{n}": "y" * 5000 for n in range(90)}}}])
def test_no_entry_breaks_the_comparison(ledger, library, entry):
    paid(ledger, 1, **entry)
    (one,) = library("chosen", entry=[library()["entries"][0]["address"]])["entries"]
    assert len(json.dumps(one)) < 200_000
    assert one["python"] is None or len(one["python"]) <= chosen.LONGEST_LINE


@task
def told(ti=None):
    ti.xcom_push(key="vidu_request", value=ASKED)
    return "vidu-1"


def test_without_a_ledger_the_request_is_that_of_the_xcom(run_dag, library):
    ran = run_dag(lambda: told.override(task_id="submit")())
    (entry,) = library(run=ran.run_id, dag=ran.dag_id)["entries"]
    (one,) = library("chosen", entry=[entry["address"]])["entries"]
    assert (one["takes"] if "takes" in one else entry["takes"]) == 1
    assert ast.literal_eval(one["python"])["custom_id"] == "submit"
    assert one["fields"]["seed"] == "7"
