# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_vidu.exceptions import ViduError, ViduRateLimitError, ViduUnavailableError
from airflow_provider_vidu.protocol.polling import Outcome, Wait, how_to_resume
from airflow_provider_vidu.protocol.schedule import first_ask
from tests.protocol.waits import (
    BAD_KEY,
    DEADLINE,
    DOWN,
    EMPTY,
    MODERATED,
    NO_KEY,
    PENDING,
    READY,
    REFUSED,
    RESUME,
    RUNNING,
    START,
    TASK,
    UNHURRIED,
    UNKNOWN,
    UNREACHED,
    lost,
    told,
    watch,
)


def timed_out(last, fault="", it="It"):
    return Outcome(
        "timeout",
        f"Vidu task {TASK} was not ready in time; {last}.{fault} {it} keeps running and is billed. {RESUME}",
    )


PERHAPS = "If it exists, it"
DONE = told("Success", urls=("https://h/a.mp4",), finish_time=1050.0, request_id="r")
NO_URLS = "It succeeded, but the API returned no URLs."
MODERATION = "Content moderation stopped it: change the prompt or the image."
NO_FAMILY = "This version does not know the reason; the same request may succeed."
FREE = "Resubmitting pays for a new generation; the API does not document whether it bills failed ones."


# (name of what happens, [(now, answer, decision)])
WAITS = {
    "a video is ready at the first look": [(1000, DONE, READY)],
    "a video comes after its turn": [(1000, PENDING, Wait(5.0)), (1005, RUNNING, Wait(5.0)), (1010, DONE, READY)],
    "a success counts even at the deadline": [(8200, DONE, READY)],
    "a failure names its reason": [
        (
            1000,
            told("Failure", error_message="审核", request_id="r"),
            Outcome("failed", f"Vidu task {TASK} ended as Failure, request id r: 审核. {MODERATION} {FREE}"),
        ),
    ],
    "another model's end is a failure": [
        (
            1000,
            told("Canceled"),
            Outcome("failed", f"Vidu task {TASK} ended as Canceled: the API gave no reason. {NO_FAMILY} {FREE}"),
        ),
    ],
    "an unknown word warns once and is waited for": [
        (
            1000,
            told("Queueing"),
            Wait(5.0, "This version does not know the status word 'Queueing'; polling continues."),
        ),
        (1005, told("Queueing"), Wait(5.0)),
        (
            1010,
            told("Polishing"),
            Wait(5.0, "This version does not know the status word 'Polishing'; polling continues."),
        ),
        (8200, told("Polishing"), timed_out("its last status was Polishing")),
    ],
    "the deadline names the last word": [
        (8198, RUNNING, Wait(2.0)),
        (8200, RUNNING, timed_out("its last status was Running")),
    ],
    "the deadline without any answer names the fault": [
        (8199, DOWN, Wait(1.0, "Down.")),
        (8200, DOWN, timed_out("no poll returned its status", " Last error: Down.", PERHAPS)),
    ],
    "a fault long past is not the deadline's": [
        (8190, DOWN, Wait(5.0, "Down.")),
        (8195, RUNNING, Wait(5.0)),
        (8200, RUNNING, timed_out("its last status was Running")),
    ],
    "the deadline after a known word names word and fault": [
        (8190, RUNNING, Wait(5.0)),
        (8200, DOWN, timed_out("its last status was Running", " Last error: Down.")),
    ],
    "passing faults are ridden out more and more slowly": [
        (1000, DOWN, Wait(5.0, "Down.")),
        (1005, DOWN, Wait(5.0)),
        (1010, UNREACHED, Wait(8.0, "No route.")),
        (1018, DOWN, Wait(15.0)),
        (1033, DOWN, Wait(15.0)),
        (1048, RUNNING, Wait(5.0)),
        (1053, DOWN, Wait(5.0)),
        (1058, DONE, READY),
    ],
    "an error of no known kind is ridden out": [(1000, ViduError("Odd."), Wait(5.0, "Odd."))],
    "the server's wish is honoured": [
        (1000, ViduRateLimitError("Slow.", retry_after=40.0), Wait(40.0, "Slow.")),
        (1040, ViduUnavailableError("Down.", retry_after=0.5), Wait(5.0, "Down.")),
        (1045, ViduRateLimitError("Slow.", retry_after=99999.0), Wait(60.0)),
    ],
    "a bad key is believed the fourth time": [
        (1000, BAD_KEY, Wait(2.0, "Bad key.", confirm=True)),
        (1002, BAD_KEY, Wait(4.0, confirm=True)),
        (1006, BAD_KEY, Wait(8.0, confirm=True)),
        (1014, BAD_KEY, lost("Bad key.")),
    ],
    "a missing connection is believed the fourth time": [
        (1000, NO_KEY, Wait(2.0, "No connection.", confirm=True)),
        (1002, NO_KEY, Wait(4.0, confirm=True)),
        (1006, NO_KEY, Wait(8.0, confirm=True)),
        (1014, NO_KEY, lost("No connection.")),
    ],
    "a bad key that works again is forgotten": [
        (1000, BAD_KEY, Wait(2.0, "Bad key.", confirm=True)),
        (1002, RUNNING, Wait(5.0)),
        (1007, BAD_KEY, Wait(2.0, confirm=True)),
        (1009, DOWN, Wait(5.0, "Down.")),
        (1014, BAD_KEY, Wait(2.0, confirm=True)),
        (1016, DONE, READY),
    ],
    "two suspicions do not add up": [
        (1000, BAD_KEY, Wait(2.0, "Bad key.", confirm=True)),
        (1002, NO_KEY, Wait(2.0, "No connection.", confirm=True)),
        (1004, BAD_KEY, Wait(2.0, confirm=True)),
        (1006, NO_KEY, Wait(2.0, confirm=True)),
        (1008, NO_KEY, Wait(4.0, confirm=True)),
        (1012, DONE, READY),
    ],
    "a refusal is believed the fourth time": [
        (1000, REFUSED, Wait(2.0, "Refused.", confirm=True)),
        (1002, REFUSED, Wait(4.0, confirm=True)),
        (1006, MODERATED, Wait(8.0, confirm=True)),
        (1014, REFUSED, lost("Refused.")),
    ],
    "a success without urls is believed the fourth time": [
        (1000, EMPTY, Wait(2.0, NO_URLS, confirm=True)),
        (1002, EMPTY, Wait(4.0, confirm=True)),
        (1006, EMPTY, Wait(8.0, confirm=True)),
        (1014, EMPTY, lost(NO_URLS)),
    ],
    "urls that come late are taken": [
        (1000, EMPTY, Wait(2.0, NO_URLS, confirm=True)),
        (1002, DONE, READY),
    ],
    "an unknown task is new for a minute, then believed the fourth time": [
        (1000, UNKNOWN, Wait(5.0, "No task.")),
        (1030, UNKNOWN, Wait(5.0)),
        (1059.9, UNKNOWN, Wait(8.0)),
        (1060, UNKNOWN, Wait(2.0, confirm=True)),
        (1062, UNKNOWN, Wait(4.0, confirm=True)),
        (1066, UNKNOWN, Wait(8.0, confirm=True)),
        (1074, UNKNOWN, lost("No task.")),
    ],
    "a suspicion at the deadline ends as time-out": [
        (8199, BAD_KEY, Wait(1.0, "Bad key.", confirm=True)),
        (8200, RUNNING, timed_out("its last status was Running")),
    ],
    "a first suspicion at the deadline is the time-out's fault": [
        (8200, REFUSED, timed_out("no poll returned its status", " Last error: Refused.", PERHAPS)),
    ],
}


@pytest.mark.parametrize("name", WAITS)
def test_a_wait_goes_as_told(name):
    wait = watch()
    assert [wait.observe(now, answer) for now, answer, _ in WAITS[name]] == [decision for _, _, decision in WAITS[name]]


def test_the_watch_keeps_the_last_word():
    wait = watch()
    assert wait.word == ""
    wait.observe(1000, RUNNING)
    wait.observe(1005, DOWN)
    assert wait.word == "Running"


def test_there_is_news_when_the_status_word_has_changed_three_times_at_most():
    waiting = watch(expected_seconds=30.0, submitted_at=START)
    assert waiting.news() is None
    told_of = []
    for now, word in enumerate(("Pending", "Pending", "Running", "Running", "Odd", "Running", "Odd"), int(START)):
        waiting.observe(float(now), told(word))
        told_of.append(waiting.news())
    known = {"task_id": TASK, "expected_seconds": 30.0}
    assert told_of == [
        {**known, "state": "Pending", "submitted_at": START},
        None,
        {**known, "state": "Running", "submitted_at": START + 1},
        None,
        {**known, "state": "Odd", "submitted_at": START + 1},
        None,
        None,
    ]


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, {4.5, 7.2, 14.4}), (1.0, {5.5, 8.8, 15.0})])
def test_faults_are_ridden_out_for_as_long_as_the_deadline_allows(jitter, seconds):
    wait = watch(deadline=1e9)
    waits = {wait.observe(1000.0 + 15 * number, DOWN, jitter).seconds for number in range(3000)}
    assert waits == seconds


def test_a_task_that_was_never_read_is_not_taken_for_a_pending_one():
    assert watch(expected_seconds=100.0).observe(START, DOWN) == Wait(first_ask(100.0, 0.5), "Down.")


def test_the_line_to_resume_names_the_task():
    assert how_to_resume(TASK) == RESUME


ANSWERS = st.sampled_from([PENDING, RUNNING, EMPTY, told("Odd"), NO_KEY, BAD_KEY, REFUSED, UNKNOWN, DOWN, UNREACHED])


@UNHURRIED
@given(
    expected=st.none() | st.floats(0, 1e4),
    answers=st.lists(st.tuples(ANSWERS, st.floats(0, 1)), min_size=1, max_size=60),
)
def test_no_wait_goes_past_its_deadline_or_asks_all_the_time(expected, answers):
    wait, now = watch(expected_seconds=expected), START
    for answer, jitter in answers:
        decision = wait.observe(now, answer, jitter)
        if isinstance(decision, Outcome):
            assert decision.status in ("lost", "timeout")
            assert TASK in decision.message
            assert RESUME in decision.message
            return
        longest = max(16.5, first_ask(expected, jitter) if expected is not None else 0.0)
        assert min(1.0, DEADLINE - now) <= decision.seconds <= min(longest, DEADLINE - now)
        now += decision.seconds


def test_a_watch_keeps_the_last_answer():
    wait = watch()
    assert wait.last_answer is None
    wait.observe(1000, RUNNING)
    wait.observe(1001, DOWN)
    assert wait.last_answer is DOWN
