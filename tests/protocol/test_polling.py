# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_vidu.exceptions import (
    ViduAuthError,
    ViduConnectError,
    ViduConnectionSettingsError,
    ViduError,
    ViduEventError,
    ViduModerationError,
    ViduRateLimitError,
    ViduRefusedError,
    ViduSubmissionUncertainError,
    ViduTaskNotFoundError,
    ViduUnavailableError,
)
from airflow_provider_vidu.protocol.pauses import pause_after, resend_after
from airflow_provider_vidu.protocol.polling import Outcome, Wait, Watch, how_to_resume
from airflow_provider_vidu.protocol.response import TaskStatus
from airflow_provider_vidu.protocol.schedule import first_ask, next_ask

TASK = "8e1f-task"
RESUME = 'Resume it at no cost with ViduTaskSensor(task_id="resume", vidu_task_id="8e1f-task").'
START, DEADLINE = 1000.0, 8200.0


def watch(**changes):
    return Watch(TASK, **{"poll_interval": 5.0, "started_at": START, "deadline": DEADLINE, **changes})


def told(word, **more):
    return TaskStatus(TASK, word, **more)


def lost(text):
    return Outcome(
        "lost",
        f"Lost contact with Vidu task {TASK}: {text} The generation may continue and is billed if the API "
        f"accepted it. Fix the cause first. {RESUME}",
    )


def timed_out(last, fault="", it="It"):
    return Outcome(
        "timeout",
        f"Vidu task {TASK} was not ready in time; {last}.{fault} {it} keeps running and is billed. {RESUME}",
    )


PERHAPS = "If it exists, it"
PENDING, RUNNING, EMPTY = told("Pending"), told("Running"), told("Success")
DONE = told("Success", urls=("https://h/a.mp4",), finish_time=1050.0, request_id="r")
READY = Outcome(
    "success",
    f"Vidu task {TASK} is ready.",
    {
        "task_id": TASK,
        "urls": ["https://h/a.mp4"],
        "video_seconds": None,
        "submit_time": None,
        "finish_time": 1050.0,
        "expires_at": 1050.0 + 86400,
        "request_id": "r",
    },
)
NO_URLS = "It succeeded, but the API returned no URLs."
NO_KEY, BAD_KEY = ViduConnectionSettingsError("No connection."), ViduAuthError("Bad key.")
REFUSED, MODERATED, UNKNOWN = (
    ViduRefusedError("Refused."),
    ViduModerationError("Moderated."),
    ViduTaskNotFoundError("No task."),
)
DOWN, UNREACHED = ViduUnavailableError("Down."), ViduConnectError("No route.")
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


FIRST = first_ask(100.0, 0.5)


@pytest.mark.parametrize(
    ("changes", "now", "seconds"),
    [
        ({"expected_seconds": 100.0}, 1000, FIRST),
        ({"expected_seconds": 100.0}, 1010, FIRST - 10),
        ({"expected_seconds": 100.0, "submitted_at": 970.0}, 1000, FIRST - 30),
        ({"expected_seconds": 100.0, "submitted_at": 1000.5 - FIRST}, 1000, 0.5),
        ({"expected_seconds": 100.0, "deadline": 1020.0}, 1000, 20.0),
        ({"expected_seconds": 100.0, "deadline": 1020.0}, 1030, 0.0),
    ],
)
def test_nothing_is_asked_before_a_video_can_be_ready(changes, now, seconds):
    assert watch(**changes).first_ask(now, 0.5) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({}, 5.0),
        ({"expected_seconds": 100.0, "submitted_at": 900.0}, next_ask(100.0, 100.0, 0.5)),
        ({"expected_seconds": 100.0, "submitted_at": 0.0}, next_ask(100.0, 1000.0, 0.5)),
        ({"deadline": 1001.0}, 2.0),
    ],
    ids=["nothing expected", "ready by now", "late", "deadline"],
)
def test_waits_that_begin_together_ask_first_within_a_step_and_not_at_once(changes, step):
    waits = [watch(**changes).first_ask(1000, jitter) for jitter in (0.0, 0.5)]
    assert waits == pytest.approx([0.0, step / 2])


def test_the_rule_of_the_schedule_is_followed_from_the_submit_on():
    known = watch(expected_seconds=100.0, submitted_at=970.0)
    assert known.observe(1030, RUNNING, 0.3) == Wait(next_ask(100.0, 60.0, 0.3))


def test_the_servers_submit_time_counts_unless_it_lies_ahead():
    unknown = watch(expected_seconds=100.0)
    assert unknown.observe(1070, RUNNING) == Wait(next_ask(100.0, 70.0, 0.5))
    assert unknown.observe(1080, told("Running", submit_time=980.0)) == Wait(next_ask(100.0, 100.0, 0.5))
    assert unknown.observe(1085, told("Running", submit_time=9999.0)) == Wait(next_ask(100.0, 0.0, 0.5))


def test_a_wait_that_a_restart_begins_anew_knows_its_age():
    before = watch(expected_seconds=100.0)
    before.observe(1000, DOWN)
    again = watch(expected_seconds=100.0, started_at=1500.0, submitted_at=before.generating_since)
    assert again.first_ask(1500, 0.0) == 0.0


def test_while_a_task_is_pending_its_generation_has_not_begun():
    pending = watch(expected_seconds=100.0, submitted_at=900.0)
    assert pending.observe(1000, PENDING) == Wait(15.0)
    assert pending.observe(1015, PENDING) == Wait(15.0)
    # That it could not be read just then does not mean that it runs.
    assert pending.observe(1030, UNREACHED) == Wait(15.0, note=str(UNREACHED))
    assert pending.observe(1030, told("Running", submit_time=900.0)) == Wait(next_ask(100.0, 15.0, 0.5))
    assert pending.generating_since == 1015


@pytest.mark.parametrize("interval", [0.2, 60.0])
def test_with_nothing_expected_the_interval_is_the_author_s(interval):
    assert watch(poll_interval=interval).observe(1000, RUNNING) == Wait(interval)
    assert watch(poll_interval=interval).observe(1000, DOWN) == Wait(max(interval, 2.0), "Down.")


def test_faults_are_asked_about_no_sooner_than_the_next_step():
    wait = watch(expected_seconds=100.0)
    step = next_ask(100.0, 100.0, 0.5)
    assert 4.0 < step < 8.0
    assert [wait.observe(START + 100, DOWN).seconds for _ in range(4)] == [step, step, 8.0, 15.0]


ANSWERS = st.sampled_from([PENDING, RUNNING, EMPTY, told("Odd"), NO_KEY, BAD_KEY, REFUSED, UNKNOWN, DOWN, UNREACHED])
UNHURRIED = settings(deadline=None, database=None, derandomize=True)


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


RESULT = READY.task
OUTCOMES = [READY, Outcome("failed", "m"), Outcome("timeout", ""), lost("Bad key.")]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: outcome.status)
def test_an_outcome_survives_its_way_through_a_database(outcome):
    assert Outcome.from_event(json.loads(json.dumps(outcome.event()))) == outcome


NUMBERS = st.none() | st.integers(0, 2**53) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text("a1 \"'\\\n字\x00")


@UNHURRIED
@given(
    st.builds(
        TaskStatus,
        task_id=TEXTS,
        word=st.just("Success"),
        urls=st.lists(TEXTS, min_size=1, max_size=3).map(tuple),
        submit_time=NUMBERS,
        finish_time=NUMBERS,
        video_seconds=NUMBERS,
        request_id=TEXTS,
    ),
    TEXTS,
)
def test_every_result_survives_its_way_through_a_database(task, message):
    outcome = Outcome("success", message, task.result())
    assert Outcome.from_event(json.loads(json.dumps(outcome.event()))) == outcome


EVENT = READY.event()
STRANGE_EVENTS = [
    None,
    "success",
    [],
    {},
    {"status": "success"},
    {**EVENT, "status": "done"},
    {**EVENT, "status": "x" * 400},
    {**EVENT, "status": None},
    {**EVENT, "status": ["success"]},
    {**EVENT, "message": None},
    {**EVENT, "task": None},
    {**EVENT, "task": []},
    {**EVENT, "task": {}},
    {**EVENT, "status": "failed"},
    {**EVENT, "task": {name: value for name, value in RESULT.items() if name != "task_id"}},
    {**EVENT, "task": {name: value for name, value in RESULT.items() if name != "urls"}},
    {**EVENT, "task": {**RESULT, "task_id": 5}},
    {**EVENT, "task": {**RESULT, "request_id": None}},
    {**EVENT, "task": {**RESULT, "urls": "https://h/a.mp4"}},
    {**EVENT, "task": {**RESULT, "urls": []}},
    {**EVENT, "task": {**RESULT, "urls": [None]}},
    *(
        {**EVENT, "task": {**RESULT, name: "5"}}
        for name in ("video_seconds", "submit_time", "finish_time", "expires_at")
    ),
]


@pytest.mark.parametrize("event", STRANGE_EVENTS, ids=range(len(STRANGE_EVENTS)))
def test_any_other_event_is_refused(event):
    with pytest.raises(ViduEventError) as caught:
        Outcome.from_event(event)
    assert str(caught.value) == f"The event must come from a Vidu trigger, got {repr(event)[:300]}"


def test_a_result_that_lacks_the_request_id_is_read_without_one():
    task = {name: value for name, value in RESULT.items() if name != "request_id"}
    assert Outcome.from_event({**EVENT, "task": task}) == READY._replace(task={**RESULT, "request_id": ""})


NEVER_SENT, TOO_FAST = ViduConnectError("No route."), ViduRateLimitError("Slow.")
RESENDS = {
    "a failed connection doubles its pause": (NEVER_SENT, [1, 2, 3], 0.5, [2.0, 4.0, 8.0]),
    "a rate limit doubles its pause": (TOO_FAST, [1, 2, 3], 0.5, [2.0, 4.0, 8.0]),
    "the pause is spread from a half to three halves": (TOO_FAST, [1, 3], 0.0, [1.0, 4.0]),
    "the pause is spread upwards too": (TOO_FAST, [1, 3], 1.0, [3.0, 12.0]),
    "the fourth POST is the last": (NEVER_SENT, [4, 5], 0.5, [None, None]),
    "the server's wish comes on top": (ViduRateLimitError("Slow.", retry_after=60.0), [1, 4], 0.5, [62.0, None]),
    "a long wish is left to Airflow": (ViduRateLimitError("Slow.", retry_after=60.1), [1], 0.5, [None]),
    "a bad key is not sent again": (BAD_KEY, [1], 0.5, [None]),
    "a missing connection is not sent again": (NO_KEY, [1], 0.5, [None]),
    "a refusal is not sent again": (REFUSED, [1], 0.5, [None]),
    "an unknown outcome is never sent again": (ViduSubmissionUncertainError("Who knows."), [1], 0.5, [None]),
    "an error of no known kind is not sent again": (ViduError("Odd."), [1], 0.5, [None]),
}


@pytest.mark.parametrize("name", RESENDS)
def test_a_submit_is_sent_again_only_where_nothing_was_accepted(name):
    error, posts, jitter, pauses = RESENDS[name]
    assert [resend_after(error, count, jitter) for count in posts] == pauses


def test_a_watch_keeps_the_last_answer():
    wait = watch()
    assert wait.last_answer is None
    wait.observe(1000, RUNNING)
    wait.observe(1001, DOWN)
    assert wait.last_answer is DOWN


@pytest.mark.parametrize(
    ("times", "retry_after", "seconds"),
    [
        (0, None, 1.0),
        (1, None, 2.0),
        (2, None, 4.0),
        (5, None, 32.0),
        (6, None, 60.0),
        (99, None, 60.0),
        (1, 1.0, 2.0),
        (1, 30.0, 30.0),
        (1, 1e9, 60.0),
    ],
)
def test_a_rate_limit_pauses_everything_for_longer_and_longer_but_a_minute_at_most(times, retry_after, seconds):
    assert pause_after(times, retry_after) == seconds
