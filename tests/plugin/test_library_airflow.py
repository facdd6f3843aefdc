# SPDX-License-Identifier: Apache-2.0
"""The library without a ledger, and what Airflow's database adds to the lines of one."""

from __future__ import annotations

import pytest
from airflow.sdk import task

from airflow_provider_vidu.plugin import airflow_lines
from airflow_provider_vidu.plugin.videos import LONGEST_VALUE
from tests.ledgers import paid
from tests.plugin.shown import VIDEO


@task
def told(xcoms, returned="returned", fails=False, ti=None):
    """Push what the argument says, as an operator of somebody's own would."""
    for key, value in xcoms.items():
        ti.xcom_push(key=key, value=value)
    if fails:
        raise RuntimeError("it failed")
    return returned


def request(prompt="a kite", cost=0.31):
    parameters = {"vidu_type": "text2video", "duration": 4}
    return {"model": "viduq2", "input": {"prompt": prompt}, "parameters": parameters, "estimated_cost": cost}


@pytest.fixture
def mine(library):
    """Ask for the lines of a run alone: the database has those of other tests, too."""

    def mine(ran, route="entries", **query):
        return library(route, run=ran.run_id, dag=ran.dag_id, **query)

    return mine


@pytest.fixture
def ran(run_dag, videos):
    """A video of three tasks, one that failed, one that runs, and two that are broken."""

    def make():
        file = f"file://{videos}/a.mp4"
        told.override(task_id="submit")({"vidu_request": request()}, "vidu-1")
        told.override(task_id="wait")({"vidu_task_id": "vidu-1"}, {"task_id": "vidu-1", "video_seconds": 4})
        told.override(task_id="store")({"vidu_task_id": "vidu-1"}, [file, 7])
        failure = {"task_id": "vidu-2", "reason": "TaskPromptPolicyViolation"}
        told.override(task_id="fails")({"vidu_request": request("a storm"), "vidu_failure": failure}, fails=True)
        told.override(task_id="runs")({"vidu_request": request("a calm", None)}, "vidu-3")
        told.override(task_id="broken")({"vidu_request": [1], "vidu_failure": "none"}, {"files": "none", "task_id": 7})
        told.override(task_id="large")({"vidu_request": request("x" * LONGEST_VALUE)}, "vidu-4")
        told.override(task_id="other")({"secret": "of no video"}, {"video_seconds": 9})

    return run_dag(make)


def test_without_a_ledger_the_lines_are_those_of_the_tabs(ran, mine):
    answer = mine(ran)
    assert (answer["source"], answer["elsewhere"], answer["whole"]) == ("airflow", False, True)
    found = {
        one["task"]: (one["outcome"], one["cost"], one["seconds"], one["vidu_task_id"]) for one in answer["entries"]
    }
    assert found == {
        "submit": ("stored", 0.31, 4, "vidu-1"),
        "fails": ("failed", 0.31, None, "vidu-2"),
        "runs": ("running", None, None, "vidu-3"),
        "broken": ("uncertain", None, None, ""),
        "large": ("running", None, None, "vidu-4"),
    }
    assert answer["sums"] == {"videos": 5, "seconds": 4, "cny": 0.62, "unpriced": 3}
    assert mine(ran, "failures")["families"][0]["family"] == "moderation"
    assert mine(ran, "spend")["budgets"] == []
    assert {one["known"] for one in answer["entries"]} == {True}


def test_its_stored_copy_is_played_by_the_task_that_stored_it(ran, mine, web):
    (stored,) = mine(ran, state="stored")["entries"]
    assert stored["address"].endswith("/store/-1")
    assert web.get(f"/{stored['address']}/0").content == VIDEO


def test_a_batch_is_one_line(run_dag, mine, monkeypatch):
    monkeypatch.setattr(airflow_lines, "BATCH_OPERATORS", ("_PythonDecoratedOperator",))
    totals = {"manifest": "/m.jsonl", "counts": {"success": 2, "failed": 1}, "video_seconds": 8, "estimated_cost": 0.93}

    def make():
        mark = {"vidu_task_id": ""}
        told.override(task_id="batch")(mark, totals)
        told.override(task_id="lost")(mark, {"counts": {"failed": 2}, "estimated_cost": None})
        told.override(task_id="waits")(mark, None)

    answer = mine(run_dag(make))
    found = {one["task"]: (one["outcome"], one["cost"], one["seconds"]) for one in answer["entries"]}
    assert found == {"batch": ("stored", 0.93, 8), "lost": ("failed", None, None)}


def test_older_lines_are_not_read(ran, mine, monkeypatch):
    monkeypatch.setattr(airflow_lines, "DAYS", 0)
    assert mine(ran)["entries"] == []


def test_a_line_of_the_ledger_leads_to_its_task_and_names_who_triggered_the_run(run_dag, ledger, library):
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    ran = run_dag(lambda: told.override(task_id="make")({}))
    with create_session() as session:
        session.query(DagRun).filter_by(run_id=ran.run_id, dag_id=ran.dag_id).update({"triggering_user_name": "bob"})
    paid(ledger, 1, dag_id=ran.dag_id, run_id=ran.run_id)
    paid(ledger, 2, ago=90, dag_id=ran.dag_id, run_id=ran.run_id, map_index=3)
    found = [(one["known"], one["triggered_by"]) for one in library()["entries"]]
    assert found == [(True, "bob"), (False, None)]


def test_the_page_says_that_values_in_an_object_store_are_missing_without_a_ledger(ran, mine, monkeypatch):
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH", "s3://bucket/xcoms")
    assert mine(ran)["elsewhere"]
