# SPDX-License-Identifier: Apache-2.0
"""The command that reports, lists and prunes a ledger."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from airflow_provider_vidu.durable.entries import Ending, Entry, day_of, days_before
from airflow_provider_vidu.ledger import main

NIGHT = datetime(2026, 6, 27, 18, tzinfo=UTC).timestamp()
DAY = 24 * 3600


@pytest.fixture(autouse=True)
def filled(ledger):
    """A ledger with five submits of two days: stored, failed, running, uncertain, and one without a price."""

    def add(number, at, price, model, dag_id="shop", vidu_task_id="", ending=None):
        name = ledger.name(at + number, price, f"{number:x}" * 64)
        request = {"model": model, "input": {"prompt": "风筝"}, "parameters": {"vidu_type": "text2video"}}
        entry = Entry(dag_id, "run", "make", number, f"kite-{number}", "vidu_default", request, vidu_task_id)
        ledger.intend({name: entry._replace(vidu_task_id="")})
        if vidu_task_id:
            ledger.accept({name: vidu_task_id})
        if ending:
            ledger.end(vidu_task_id, ending)

    add(1, NIGHT - DAY, 0.31, "viduq2", vidu_task_id="task-1", ending=Ending("stored", ("s3://b/1.mp4",), 4.0))
    add(2, NIGHT - DAY, 1.25, "viduq2-turbo", vidu_task_id="task-2", ending=Ending("failed", reason="busy"))
    add(3, NIGHT, 0.31, "viduq2", "news", vidu_task_id="task-3")
    add(4, NIGHT, 0.31, "viduq2", "news")
    add(5, NIGHT, None, "vidu-of-tomorrow", vidu_task_id="task-5", ending=Ending("stored", ("a", "b"), 2.5))
    return ledger


def rows(capsys, *arguments):
    assert main([*arguments]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def test_a_report_has_one_line_for_each_paid_submit(capsys):
    found = rows(capsys, "report")
    assert len(found) == 5
    assert found[0] == {
        "time": "2026-06-26T18:00:01Z",
        "dag": "shop",
        "run": "run",
        "task": "make",
        "map_index": "1",
        "custom_id": "kite-1",
        "vidu_type": "text2video",
        "model": "viduq2",
        "seconds": "4.0",
        "cny": "0.31",
        "outcome": "stored",
        "vidu_task_id": "task-1",
        "files": "s3://b/1.mp4",
    }
    assert [row["outcome"] for row in found] == ["stored", "failed", "running", "uncertain", "stored"]
    assert [row["cny"] for row in found] == ["0.31", "1.25", "0.31", "0.31", ""]


# The options, and the columns with their sums.
SUMS = {
    "by day": (
        ["--by", "day"],
        [["2026-06-27", "2", "4", "1.56", "0"], ["2026-06-28", "3", "2.5", "0.62", "1"]],
    ),
    "by dag and model": (
        ["--by", "dag,model"],
        [
            ["news", "viduq2", "2", "0", "0.62", "0"],
            ["shop", "vidu-of-tomorrow", "1", "2.5", "0", "1"],
            ["shop", "viduq2", "1", "4", "0.31", "0"],
            ["shop", "viduq2-turbo", "1", "0", "1.25", "0"],
        ],
    ),
    "since a day": (["--since", "2026-06-28", "--by", "day"], [["2026-06-28", "3", "2.5", "0.62", "1"]]),
    "until a day": (
        ["--until", "2026-06-27", "--by", "outcome"],
        [["failed", "1", "0", "1.25", "0"], ["stored", "1", "4", "0.31", "0"]],
    ),
    "of another year": (["--since", "2027-01-01", "--by", "day"], []),
}


@pytest.mark.parametrize(("options", "sums"), SUMS.values(), ids=list(SUMS))
def test_a_report_sums_by_columns(capsys, options, sums):
    assert [list(row.values()) for row in rows(capsys, "report", *options)] == sums


@pytest.mark.parametrize(
    ("outcomes", "ids"),
    [
        (["running"], ["task-3"]),
        (["uncertain"], [""]),
        (["stored", "failed"], ["task-1", "task-2", "task-5"]),
        (["gone"], []),
        ([], ["task-1", "task-2", "task-3", "", "task-5"]),
    ],
)
def test_a_list_is_of_some_outcomes(capsys, outcomes, ids):
    options = [part for outcome in outcomes for part in ("--outcome", outcome)]
    assert [row["vidu_task_id"] for row in rows(capsys, "list", *options)] == ids


def test_what_is_old_is_pruned(capsys, filled):
    assert main(["prune", "--before", "2026-06-28"]) == 0
    assert capsys.readouterr().out == "Removed 2 submits and 0 task states from before 2026-06-28.\n"
    assert [row["vidu_task_id"] for row in rows(capsys, "report")] == ["task-3", "", "task-5"]
    assert (filled.ending("task-1"), filled.accepted("1" * 64)) == (None, [])


def test_what_still_counts_or_waits_is_not_pruned(capsys, filled):
    today = day_of(time.time(), filled.zone)
    assert main(["prune", "--before", today]) == 2
    kept = min(days_before(today, 3), f"{today[:7]}-01")
    assert capsys.readouterr().err == (
        f"--before must be {kept} or earlier, got {today}: later submits count for the month's budget, or may wait for "
        "their videos. Nothing was removed.\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "--by", "mood"],
        ["report", "--since", "yesterday"],
        ["--zone", "Mars", "report"],
        ["prune"],
        ["list", "--outcome", "new"],
        [],
    ],
)
def test_a_wrong_option_is_refused_with_the_usage(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert (ended.value.code, "usage: python -m airflow_provider_vidu.ledger" in capsys.readouterr().err) == (2, True)


def test_a_ledger_may_be_named(capsys, filled, monkeypatch, tmp_path):
    monkeypatch.delenv("AIRFLOW__VIDU__LEDGER")
    assert main(["report"]) == 2
    assert "There is no ledger: set [vidu] ledger, or pass --ledger." in capsys.readouterr().err
    assert len(rows(capsys, "--ledger", filled.root, "report")) == 5


def test_a_wrong_path_does_not_pass_for_an_empty_ledger(capsys, tmp_path):
    assert main(["--ledger", f"{tmp_path}/leger", "list"]) == 0
    assert capsys.readouterr().err == f"Nothing was found at {tmp_path}/leger. Check the path or URI.\n"


def test_a_ledger_that_cannot_be_read_is_an_error(capsys):
    assert main(["--ledger", "s3://nobody@bucket/ledger", "report"]) == 1
    assert "the ledger at s3://nobody@bucket/ledger" in capsys.readouterr().err


def test_it_runs_as_a_command(filled):
    command = [sys.executable, "-m", "airflow_provider_vidu.ledger", "--ledger", filled.root, "report", "--by", "day"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "2026-06-28,3,2.5,0.62,1"
