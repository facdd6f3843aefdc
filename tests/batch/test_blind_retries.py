# SPDX-License-Identifier: Apache-2.0
"""Retries below Airflow 3.3, which cannot know what an earlier try submitted on another machine."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from tests.quick import many, posts, tried

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")

# Executor, destination, Airflow's try_number and max_tries, the author's retries, and whether it submits.
BELOW_3_3 = {
    "a retry that may run elsewhere": ("CeleryExecutor", "directory", 2, 1, 1, False),
    "a later retry": ("LocalExecutor,CeleryExecutor", "directory", 3, 2, 2, False),
    "the first try": ("CeleryExecutor", "directory", 1, 1, 1, True),
    "a person's clear": ("CeleryExecutor", "directory", 3, 3, 1, True),
    "a retry after a person's clear": ("CeleryExecutor", "directory", 4, 3, 1, False),
    "a retry of what may be the only machine": ("LocalExecutor", "directory", 2, 1, 1, False),
    "a retry with a bucket": ("CeleryExecutor", "bucket", 2, 1, 1, True),
}


@pytest.mark.parametrize(
    ("executor", "place", "try_number", "max_tries", "retries", "is_sent"), BELOW_3_3.values(), ids=list(BELOW_3_3)
)
def test_below_airflow_3_3_a_retry_that_cannot_know_what_was_submitted_sends_nothing(
    emulator, videos, s3, monkeypatch, executor, place, try_number, max_tries, retries, is_sent
):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    destination = str(videos) if place == "directory" else "s3://store@bucket/videos"
    numbers = {
        "try_number": try_number,
        "max_tries": max_tries,
        "retries": 2 if try_number == 3 == max_tries + 1 else 1,
    }
    if is_sent:
        assert tried(None, videos, many(1), destination=destination, **numbers)["counts"] == {"success": 1}
    else:
        told = r"^destination must be visible to all workers for a retry below Airflow 3\.3, got .* try sent nothing"
        with pytest.raises(AirflowFailException, match=told):
            tried(None, videos, many(1), destination=destination, **numbers)
    assert len(posts(emulator)) == is_sent


def test_below_airflow_3_3_a_retry_knows_of_a_try_on_this_machine_that_submitted_nothing(emulator, videos):
    with pytest.raises(AirflowFailException, match="prices"):
        tried(None, videos, many(1), prices=str(videos / "none.csv"), max_cost=1, retries=1)
    assert tried(None, videos, many(1), try_number=2, retries=1)["counts"] == {"success": 1}
    assert len(posts(emulator)) == 1
