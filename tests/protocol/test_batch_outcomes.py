# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

from airflow_provider_vidu.exceptions import ViduEventError
from airflow_provider_vidu.protocol.batch import (
    OUTCOMES,
    BatchEvent,
    fail_on_problem,
    is_failure,
    progress_line,
    retry_can_help,
)
from airflow_provider_vidu.protocol.errors import Family

EVENT = BatchEvent("timeout", {"success": 2, "timeout": 1}, "The wait is over.")


def test_an_event_survives_the_database():
    assert BatchEvent.from_event(json.loads(json.dumps(EVENT.event()))) == EVENT


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        {"status": "success"},
        {**EVENT.event(), "status": "failed"},
        {**EVENT.event(), "status": ["timeout"]},
        {**EVENT.event(), "counts": [1]},
        {**EVENT.event(), "counts": {"success": "2"}},
        {**EVENT.event(), "counts": {"success": True}},
        {**EVENT.event(), "message": None},
    ],
    ids=str,
)
def test_what_is_not_an_event_of_ours_is_named(event):
    with pytest.raises(ViduEventError, match="The event must come from a Vidu batch trigger"):
        BatchEvent.from_event(event)


@pytest.mark.parametrize(
    ("fail_on", "is_right"),
    [
        ("any", True),
        ("all", True),
        (0.05, True),
        (0.0, False),
        (1.0, False),
        (1, False),
        ("some", False),
        (None, False),
    ],
)
def test_fail_on_is_any_or_all_or_a_share(fail_on, is_right):
    text = f"fail_on must be 'any', 'all' or a share between 0 and 1, such as 0.05, got {fail_on!r}"
    assert fail_on_problem(fail_on) == (None if is_right else text)


@pytest.mark.parametrize(
    ("counts", "failing"),
    [
        ({}, []),
        ({"success": 20}, []),
        ({"success": 19, "failed": 1}, ["any"]),
        ({"success": 18, "failed": 1, "uncertain": 1}, ["any", 0.05]),
        ({"refused": 20}, ["any", "all", 0.05]),
        ({"success": 19, "unsubmitted": 1}, ["any", "all", 0.05]),
    ],
)
def test_a_batch_fails_by_the_items_that_have_no_video(counts, failing):
    assert [fail_on for fail_on in ("any", "all", 0.05) if is_failure(counts, fail_on)] == failing


HELPED = {"failed", "timeout", "lost", "not_stored", "unsubmitted"}


@pytest.mark.parametrize("resubmit", [False, True])
def test_a_retry_can_help_what_is_not_refused_for_good(resubmit):
    helped = {outcome for outcome in OUTCOMES[1:] if retry_can_help(outcome, "unknown", resubmit=resubmit)}
    assert helped == HELPED | ({"uncertain"} if resubmit else set())


@pytest.mark.parametrize("family", Family)
def test_a_retry_can_help_a_failed_generation_only_where_its_reason_may_pass(family):
    assert retry_can_help("failed", family.value, resubmit=False) is family.retry_can_help


def test_the_progress_reads_like_a_sentence():
    assert progress_line(412, 1000, 3, 515.2) == "412 of 1000 done, 3 failed, about ¥515.20 so far"
