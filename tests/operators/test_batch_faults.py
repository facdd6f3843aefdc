# SPDX-License-Identifier: Apache-2.0
"""Batches whose submits, waits and downloads meet faults, run by Airflow against the emulator."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_vidu.batch.submits import CONCURRENT_SUBMITS
from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from tests.quick import PRICE, asked, lines, many, outcomes, posts
from tests.versions import retries_start_anew

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")


AGAIN = pytest.param("resubmit", 3, marks=retries_start_anew)


@pytest.mark.parametrize(("choice", "count"), [("fail", 2), AGAIN])
def test_an_uncertain_item_is_submitted_again_only_by_its_authors_choice(make, emulator, videos, choice, count):
    emulator.arm({"on": "submit", "fault": "accept_then_drop"})
    ran = make(many(2), on_uncertain=choice)
    assert len(posts(emulator)) == count
    if choice == "resubmit":
        assert ran.xcom("batch")["counts"] == {"success": 2}
    else:
        assert sorted(outcomes(videos).values()) == ["success", "uncertain"]
        assert type(ran.error) is AirflowFailException
        (uncertain,) = (line for line in lines(videos) if line["outcome"] == "uncertain")
        assert "The API may have accepted" in uncertain["reason"]
        assert uncertain["estimated_cost"] == PRICE


@retries_start_anew
def test_a_spent_quota_stops_the_submits_and_a_retry_submits_the_rest(make, emulator, videos):
    emulator.arm({"on": "submit", "fault": "error", "status": 403, "every": 10})
    seen = []
    ran = make(many(30), on_retry_callback=lambda context: seen.append(outcomes(videos)))
    (first,) = seen
    assert ran.xcom("batch")["counts"] == {"success": 30}
    # Two chunks of eight, of which one item was refused; the third was never sent.
    assert sorted(set(first.values())) == ["success", "unsubmitted"]
    assert list(first.values()).count("success") == 15
    assert (len(emulator.tasks), len(posts(emulator))) == (30, 31)


def test_a_bad_key_sends_one_chunk_and_pays_nothing(make, emulator, videos):
    emulator.control("POST", "key", {"key": "another"})
    ran = make(many(30), retries=0)
    assert set(outcomes(videos).values()) == {"unsubmitted"}
    # Those that were never sent have the error that stopped the submits.
    assert {line["error"] for line in lines(videos)} == {"ViduAuthError"}
    assert len(posts(emulator)) == CONCURRENT_SUBMITS
    assert type(ran.error) is AirflowException
    assert "30 of 30 items have no video (30 unsubmitted). A retry can recover 30 of them" in str(ran.error)


def test_when_no_outcome_is_known_nothing_more_is_sent(make, emulator, videos):
    emulator.arm({"on": "submit", "fault": "error", "status": 500, "times": None})
    make(many(20), retries=0)
    assert list(outcomes(videos).values()) == ["uncertain"] * 8 + ["unsubmitted"] * 12
    assert len(posts(emulator)) == 8


def test_rate_limits_broken_downloads_and_failures_leave_a_complete_and_true_manifest(make, emulator, videos):
    emulator.arm(
        {"on": "download", "fault": "truncate", "every": 5, "times": 3},
        {"on": "any", "fault": "rate_limit", "every": 10, "times": None},
    )
    given = [asked(f"kite-{n}", prompt="fail-by-capacity" if n % 10 == 3 else "a kite") for n in range(30)]
    ran = make(given, fail_on=0.2)
    assert ran.xcom("batch")["counts"] == {"success": 27, "failed": 3}
    accepted = {task["task_id"]: task["status"] for task in emulator.tasks}
    words = {"success": "Success", "failed": "Failure"}
    assert {line["task_id"]: words[line["outcome"]] for line in lines(videos)} == accepted
    for line in lines(videos):
        assert [Path(file.removeprefix("file://")).read_bytes()[4:8] for file in line["files"]] == (
            [b"ftyp"] if line["outcome"] == "success" else []
        )


def test_a_video_that_cannot_be_stored_is_told_and_stored_by_a_retry_at_no_cost(make, emulator, videos):
    emulator.arm({"on": "download", "fault": "not_a_video"})
    seen = []
    ran = make(many(3), on_retry_callback=lambda context: seen.append(outcomes(videos)))
    assert sorted(seen[0].values()) == ["not_stored", "success", "success"]
    assert ran.xcom("batch")["counts"] == {"success": 3}
    assert len(posts(emulator)) == 3


def test_what_is_not_ready_in_time_is_told_and_a_retry_pays_nothing(slow_emulator, run_dag, videos):
    ran = run_dag(
        lambda: ViduGenerateBatchOperator(
            task_id="batch", requests=many(2), destination=str(videos), timeout=0.5, retries=1, retry_delay=timedelta(0)
        )
    )
    assert set(outcomes(videos).values()) == {"timeout"}
    assert "A retry can recover 2 of them. It would pay again for 0 and submit 0 for the first time." in str(ran.error)
    assert len(slow_emulator.tasks) == 2
    assert all(task["task_id"] in line["reason"] for task, line in zip(slow_emulator.tasks, lines(videos), strict=True))


def test_where_nothing_can_be_written_nothing_is_paid(make, emulator, tmp_path):
    (tmp_path / "file").write_text("in the way")
    ran = make(many(2), destination=str(tmp_path / "file" / "videos"), retries=0)
    assert type(ran.error) is ViduDownloadError
    assert "Could not write to" in str(ran.error)
    assert posts(emulator) == []
