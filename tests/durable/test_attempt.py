# SPDX-License-Identifier: Apache-2.0
"""What a try does about an earlier one: the whole table, without Airflow."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from airflow_provider_vidu.durable.attempt import Attempt, Step, decide
from airflow_provider_vidu.exceptions import ViduAuthError, ViduTaskNotFoundError, ViduUnavailableError
from airflow_provider_vidu.protocol.response import TaskStatus

NOW = 1_000_000.0
DAY = 24 * 3600
ATTACH, NEW, UNCERTAIN, FAIL = Step.ATTACH, Step.NEW, Step.UNCERTAIN, Step.FAIL


def told(word, **more):
    return TaskStatus("task-1", word, **more)


PENDING, RUNNING, ODD = told("Pending"), told("Running"), told("Queueing")
READY = told("Success", urls=("https://h/a.mp4",), finish_time=NOW - DAY + 1)
TIMELESS = told("Success", urls=("https://h/a.mp4",))
EXPIRED = told("Success", urls=("https://h/a.mp4",), finish_time=NOW - DAY)
MODERATED, INPUT = told("Failure", error_message="审核"), told("Failure", error_message="ImageFormatInvalid")
CAPACITY, ACCOUNT = told("Failure", error_message="SystemThrottling"), told("Failure", error_message="Forbidden")
NO_REASON = told("Failed")
DOWN, BAD_KEY, UNKNOWN = ViduUnavailableError("Down."), ViduAuthError("Bad key."), ViduTaskNotFoundError("No task.")

# The last answer, whether it is believed, whether the task id was delivered; then what an automatic retry does with
# the same and with another request, and what a person's clear does with the same and with another. A request that
# cannot be made again is not known to be another one.
TABLE = {
    "pending": (PENDING, False, False, (ATTACH, ATTACH, ATTACH, NEW)),
    "pending, delivered": (PENDING, False, True, (ATTACH, ATTACH, ATTACH, NEW)),
    "running": (RUNNING, False, False, (ATTACH, ATTACH, ATTACH, NEW)),
    "running, delivered": (RUNNING, False, True, (ATTACH, ATTACH, ATTACH, NEW)),
    "a word nobody knows": (ODD, False, True, (ATTACH, ATTACH, ATTACH, NEW)),
    "succeeded, not delivered": (READY, True, False, (ATTACH, ATTACH, ATTACH, ATTACH)),
    "succeeded, delivered": (READY, True, True, (ATTACH, ATTACH, NEW, NEW)),
    "succeeded at a time not told": (TIMELESS, True, False, (ATTACH, ATTACH, ATTACH, ATTACH)),
    "failed by moderation": (MODERATED, True, False, (FAIL, FAIL, NEW, NEW)),
    "failed by its input": (INPUT, True, False, (FAIL, FAIL, NEW, NEW)),
    "failed by the account": (ACCOUNT, True, False, (FAIL, FAIL, NEW, NEW)),
    "failed by capacity": (CAPACITY, True, True, (NEW, NEW, NEW, NEW)),
    "failed without a reason": (NO_REASON, True, False, (NEW, NEW, NEW, NEW)),
    "unreadable for the moment": (DOWN, False, True, (ATTACH, ATTACH, ATTACH, ATTACH)),
    "unreadable with this key": (BAD_KEY, True, True, (ATTACH, ATTACH, ATTACH, ATTACH)),
    "unknown, but new": (UNKNOWN, False, True, (ATTACH, ATTACH, ATTACH, ATTACH)),
    "unknown for good": (UNKNOWN, True, False, (FAIL, FAIL, NEW, NEW)),
    "expired": (EXPIRED, True, False, (FAIL, FAIL, NEW, NEW)),
    "expired, delivered": (EXPIRED, True, True, (FAIL, FAIL, NEW, NEW)),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_try_attaches_fails_or_submits_anew(name):
    answer, believed, delivered, steps = TABLE[name]
    attempt = Attempt("same", 1, NOW - 60, {}, "task-1", delivered=delivered)
    cases = [(1, "same"), (1, "other"), (3, "same"), (3, "other"), (1, None), (3, None)]
    decisions = [
        decide(attempt, max_tries=max_tries, fingerprint=mark, now=NOW, answer=answer, believed=believed)
        for max_tries, mark in cases
    ]
    assert tuple(step for step, _ in decisions) == (*steps, steps[0], steps[2])
    assert all("task-1" in why for _, why in decisions)


@pytest.mark.parametrize(
    ("max_tries", "resubmit", "step", "text"),
    [
        (
            1,
            False,
            UNCERTAIN,
            "The API may have accepted and billed it. Check the usage page of the ModelVerse console before "
            "you resubmit it.",
        ),
        (
            1,
            True,
            NEW,
            "It may have been accepted and billed. on_uncertain is 'resubmit', so this try resubmits it and may pay "
            "twice.",
        ),
        *(
            (
                3,
                resubmit,
                NEW,
                "It may have been accepted and billed. A person cleared the task, so it is resubmitted, which may pay "
                "twice.",
            )
            for resubmit in (False, True)
        ),
    ],
    ids=["retry", "chosen retry", "clear", "clear in place of a chosen retry"],
)
def test_an_intent_alone_is_uncertain_to_a_retry_and_a_warning_to_a_clear(max_tries, resubmit, step, text):
    attempt = Attempt("same", 1, 0.0, {})
    text = f"An earlier try started a submit at 1970-01-01 00:00:00 UTC, and its outcome is unknown. {text}"
    options = {"max_tries": max_tries, "fingerprint": "same", "now": NOW, "resubmit_uncertain": resubmit}
    assert decide(attempt, **options) == (step, text)


@pytest.mark.parametrize(
    ("answer", "max_tries", "mark", "text"),
    [
        (RUNNING, 1, "same", "is Running. Re-attaching to it; nothing is submitted or paid."),
        (
            RUNNING,
            1,
            "other",
            "is Running. Re-attaching to it, although the request has changed; nothing is submitted or paid.",
        ),
        (
            RUNNING,
            3,
            "other",
            "was for another request. It keeps running and is billed. Resume the wait at no cost with "
            'ViduTaskSensor(task_id="resume", vidu_task_id="task-1").',
        ),
        (READY, 3, "same", "was delivered, so clearing the task submits and pays for a new video."),
        (
            MODERATED,
            1,
            "same",
            "ended as Failure: 审核. Content moderation stopped it: change the prompt or the image. To submit and "
            "pay again, clear this task.",
        ),
        (
            CAPACITY,
            1,
            "same",
            "ended as Failure: SystemThrottling. The service was short of capacity: the same request can succeed "
            "later. Resubmitting it as a new, paid generation.",
        ),
        (DOWN, 1, "same", "has no readable status. Re-attaching to it; nothing is submitted or paid. Down."),
        (
            UNKNOWN,
            3,
            "same",
            "is no longer known to the server. No task. A person cleared the task, so it is resubmitted and paid "
            "again.",
        ),
        (
            UNKNOWN,
            1,
            "same",
            "is no longer known to the server. No task. Check the connection's key and host first. To submit and pay "
            "again, clear this task.",
        ),
        (EXPIRED, 1, "same", "was ready, but its links have expired. To submit and pay again, clear this task."),
        (
            EXPIRED,
            3,
            "same",
            "was ready, but its links have expired. A person cleared the task, so it is resubmitted and paid again.",
        ),
    ],
)
def test_the_reason_names_the_task_and_what_happens(answer, max_tries, mark, text):
    attempt = Attempt("same", 1, 60.0, {}, "task-1", delivered=True)
    _, why = decide(attempt, max_tries=max_tries, fingerprint=mark, now=NOW, answer=answer, believed=True)
    assert why == f"Vidu task task-1, submitted at 1970-01-01 00:01:00 UTC, {text}"


STORED = "was ready, but its links have expired. An earlier try stored its video at file:///v/a.mp4."
FREE = (
    " Nothing is submitted or paid. If this worker does not see that file, use one destination for all workers, then "
    "clear this task."
)


@pytest.mark.parametrize(
    ("max_tries", "resubmit_missing", "step", "text"),
    [
        (1, False, FAIL, FREE),
        (1, True, FAIL, FREE),
        (3, False, Step.MISSING, FREE),
        (3, True, NEW, " A person cleared the task, so it is resubmitted and paid again."),
    ],
)
def test_a_stored_video_that_is_out_of_reach_is_paid_again_only_where_that_is_chosen_and_said(
    max_tries, resubmit_missing, step, text
):
    attempt = Attempt("same", 1, 60.0, {}, "task-1")
    found = decide(
        attempt,
        max_tries=max_tries,
        fingerprint="same",
        now=NOW,
        answer=EXPIRED,
        believed=True,
        files=["file:///v/a.mp4"],
        resubmit_missing=resubmit_missing,
    )
    assert found == (step, f"Vidu task task-1, submitted at 1970-01-01 00:01:00 UTC, {STORED}{text}")


@pytest.mark.parametrize(
    ("delivered", "max_tries", "resubmit_missing", "step"),
    [
        (False, 1, False, FAIL),
        (False, 3, False, Step.MISSING),
        (False, 3, True, NEW),
        (True, 1, False, FAIL),
        (True, 3, False, NEW),
    ],
)
def test_a_stored_video_of_a_forgotten_task_is_treated_as_one_whose_links_have_expired(
    delivered, max_tries, resubmit_missing, step
):
    options = {"max_tries": max_tries, "fingerprint": "same", "now": NOW, "believed": True}
    options |= {"files": ["file:///v/a.mp4"], "resubmit_missing": resubmit_missing}
    attempt = Attempt("same", 1, 60.0, {}, "task-1", delivered=delivered)
    decisions = [decide(attempt, answer=answer, **options) for answer in (EXPIRED, UNKNOWN)]
    assert [found for found, _ in decisions] == [step, step]
    # Only a try that submits nothing asks for a check first.
    assert ["Check the connection's key and host first." in why for _, why in decisions] == [False, step is not NEW]


def test_nothing_is_believed_or_paid_again_unless_that_is_said():
    attempt = Attempt("same", 1, 60.0, {}, "task-1")
    options = {"max_tries": 3, "fingerprint": "same", "now": NOW, "files": ["file:///v/a.mp4"]}
    assert [decide(attempt, answer=answer, **options)[0] for answer in (UNKNOWN, EXPIRED)] == [ATTACH, Step.MISSING]


STATE = {"fingerprint": "f", "max_tries": 1, "begun_at": 60.0}


def test_a_state_that_lacks_what_is_optional_is_an_intent():
    assert Attempt.from_state(STATE) == Attempt("f", 1, 60.0, {}, "", False)


@pytest.mark.parametrize("version", [0, 2, "1", None, 1.0])
def test_a_state_of_another_version_is_no_attempt(version):
    with pytest.raises(ValueError, match="version"):
        Attempt.from_state({**STATE, "version": version})


def test_the_start_of_a_submit_is_told_in_utc_wherever_the_worker_is(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Shanghai")
        time.tzset()
        assert Attempt.from_state(STATE).when == "1970-01-01 00:01:00 UTC"
    time.tzset()


# A row of the page's table -> the rows of the table above that it tells of.
DOCUMENTED = {
    "task id, pending or running": ["pending", "pending, delivered", "running", "running, delivered"],
    "task id, ready, not delivered": ["succeeded, not delivered", "succeeded at a time not told"],
    "task id, ready and delivered": ["succeeded, delivered"],
    "task id, failed because of moderation, input or account": [
        "failed by moderation",
        "failed by its input",
        "failed by the account",
    ],
    "task id, failed because of capacity or for an unknown reason": [
        "failed by capacity",
        "failed without a reason",
    ],
    "task id, status not readable": ["unreadable for the moment", "unreadable with this key"],
    "task id, unknown to the server, or its links have expired": ["unknown for good", "expired", "expired, delivered"],
}
NOT_DECIDED_HERE = {
    "an intent without an outcome": ("fails as uncertain", "submits, with a warning"),
    "nothing, because the server certainly did not accept the submit": ("submits", "submits"),
    "the store cannot be read": ("fails, sends nothing", "the same"),
}
WORDS = {ATTACH: "returns it", NEW: "submits", FAIL: "fails"}


def documented_rows():
    page = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text("utf-8")
    section = page.split("## The next try of a submit task")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in section.splitlines() if "| " in line]
    return {cells[0]: cells[1:] for cells in rows[1:]}


def test_the_page_on_reliability_tells_the_same():
    told = documented_rows()
    assert told.keys() == DOCUMENTED.keys() | NOT_DECIDED_HERE.keys()
    for documented, rows in DOCUMENTED.items():
        retry, clear = told[documented]
        clear, _, another = (retry if clear == "the same" else clear).partition("; if the request has changed, ")
        for row in rows:
            steps = TABLE[row][3]
            assert [retry.startswith(WORDS[step]) for step in steps[:2]] == [True, True], documented
            assert clear.startswith(WORDS[steps[2]]), documented
            assert (another or clear).startswith(WORDS[steps[3]]), documented
    for documented, (retry, clear) in NOT_DECIDED_HERE.items():
        assert told[documented][0].startswith(retry), documented
        assert told[documented][1].startswith(clear), documented
