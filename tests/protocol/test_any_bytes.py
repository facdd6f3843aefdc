# SPDX-License-Identifier: Apache-2.0
"""Whatever a server or a database hands over becomes a value or an error of ours, and nothing else, ever."""

from __future__ import annotations

import json
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_vidu.exceptions import ViduApiError, ViduError, ViduEventError, ViduSubmissionUncertainError
from airflow_provider_vidu.protocol.errors import Family, family_of
from airflow_provider_vidu.protocol.polling import EVENT_WORDS, SUCCESS, Outcome, Wait, Watch
from airflow_provider_vidu.protocol.response import Submission, TaskStatus, parse_submission, parse_task_status

TASK = "task-1"
anything = settings(
    max_examples=int(os.environ.get("VIDU_EXAMPLES", "300")), deadline=None, database=None, derandomize=True
)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
jsons = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
words = st.sampled_from(["Pending", "Running", "Success", "Failure", "failed", "SUCCESS", "Queueing", ""])
times = st.floats(0, 2e9) | st.integers(0, 2 * 10**9)

accepted = st.fixed_dictionaries(
    {"output": st.fixed_dictionaries({"task_id": st.text(min_size=1, max_size=40)}), "request_id": st.text(max_size=40)}
)
statuses = st.fixed_dictionaries(
    {
        "output": st.fixed_dictionaries(
            {"task_id": st.just(TASK), "task_status": words},
            optional={
                "urls": st.lists(st.text(max_size=20), max_size=3),
                "submit_time": times,
                "finish_time": times,
                "error_message": st.text(max_size=400),
            },
        ),
        "request_id": st.text(max_size=40),
    },
    optional={"usage": st.fixed_dictionaries({"duration": times})},
)
refusals = st.fixed_dictionaries(
    {
        "error": st.fixed_dictionaries(
            {},
            optional={
                "message": st.text(max_size=400) | st.just("task not found"),
                "code": st.sampled_from(["param_error", "auth_error", "invalid_messages", "rate_limit"]) | scalars,
                "param": scalars,
                "type": scalars,
            },
        )
    }
)
events = st.fixed_dictionaries(
    {
        "status": st.sampled_from(EVENT_WORDS),
        "task": st.none()
        | st.builds(TaskStatus, st.just(TASK), words, st.lists(st.text(), max_size=2).map(tuple), times, times).map(
            TaskStatus.result
        ),
        "message": st.text(max_size=50),
    }
)


@st.composite
def spoiled(draw, documents):
    """A valid document with one thing wrong somewhere in it, or with nothing wrong."""
    document = draw(documents)
    place = document
    for _ in range(draw(st.integers(0, 2))):
        inner = [value for value in place.values() if isinstance(value, dict) and value]
        place = draw(st.sampled_from(inner)) if inner else place
    key = draw(st.sampled_from(sorted(place)))
    match draw(st.sampled_from(["nothing", "gone", "other", "more"])):
        case "gone":
            del place[key]
        case "other":
            place[key] = draw(jsons | st.just([]) | st.just(10**400) | st.just({"a": [[[[]]]]}))
        case "more":
            place[draw(st.text(max_size=10))] = draw(jsons)
    return document


@st.composite
def spoiled_bytes(draw, documents):
    """The bytes of a nearly valid document, cut, prolonged or in another encoding now and then."""
    text = json.dumps(draw(spoiled(documents)), ensure_ascii=draw(st.booleans()))
    data = text.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-16", "utf-8-sig"])), "surrogatepass")
    match draw(st.sampled_from(["whole", "whole", "whole", "cut", "longer", "nested"])):
        case "cut":
            return data[: draw(st.integers(0, len(data)))]
        case "longer":
            return data + draw(st.binary(max_size=20))
        case "nested":
            return b"[" * 100_000 + data
    return data


codes = st.sampled_from([200, 200, 200, 201, 302, 400, 401, 403, 404, 408, 413, 429, 500, 502, 504]) | st.integers(
    100, 599
)
headers = st.dictionaries(
    st.sampled_from(["Retry-After", "retry-after", "Date", "Location", "X-Other"]),
    st.sampled_from(["7", "-1", "999999999999", "Wed, 21 Oct 2026 07:28:00 GMT", "soon"]) | st.text(max_size=30),
    max_size=3,
)
far = st.binary(max_size=200) | jsons.map(lambda value: json.dumps(value).encode())


def sound(error: ViduError) -> bool:
    text = str(error)
    return text.isprintable() and len(text) < 1500


def submission_of(status, head, body):
    try:
        return parse_submission(status, head, body)
    except ViduError as error:
        return error


def status_of(status, head, body):
    try:
        return parse_task_status(status, head, body, TASK)
    except ViduError as error:
        return error


def near(strategy):
    return strategy.map(lambda value: (True, value))


def wild(strategy):
    return strategy.map(lambda value: (False, value))


def examples(*strategies):
    """Run a check on many examples, of whose last parts at least a third have to be close to what is valid."""

    def decorate(check):
        def test():
            close = []

            @anything
            @given(st.tuples(*strategies))
            def one(values):
                *others, (is_close, value) = values
                close.append(is_close)
                check(*others, value)

            one()
            assert 3 * sum(close) >= len(close)

        return test

    return decorate


@examples(codes, headers, near(spoiled_bytes(accepted | refusals)) | wild(far))
def test_every_answer_to_a_submit_is_a_submission_or_an_error_of_ours(status, head, body):
    found = submission_of(status, head, body)
    if isinstance(found, Submission):
        assert 200 <= status < 300
        assert found.task_id.strip() == found.task_id != ""
    else:
        assert isinstance(found, ViduApiError)
        assert (found.status, found.vidu_task_id) == (status, None)
        assert sound(found)
        if not 300 <= status < 500 or status == 408:
            assert type(found) is ViduSubmissionUncertainError


@examples(codes, headers, near(spoiled_bytes(statuses | refusals)) | wild(far))
def test_every_answer_to_a_status_request_is_a_status_or_an_error_of_ours(status, head, body):
    found = status_of(status, head, body)
    if isinstance(found, TaskStatus):
        assert (200 <= status < 300, found.task_id, bool(found.word)) == (True, TASK, True)
        assert json.loads(json.dumps(found.result(), allow_nan=False)) == found.result()
        assert isinstance(family_of(found.error_message), Family)
    else:
        assert isinstance(found, ViduApiError)
        assert type(found) is not ViduSubmissionUncertainError
        assert (found.status, found.vidu_task_id) == (status, TASK)
        assert sound(found)


@anything
@given(st.lists(st.tuples(codes, headers, spoiled_bytes(statuses | refusals) | far), max_size=8), st.floats(0, 1))
def test_a_wait_makes_a_pause_or_an_end_of_whatever_it_is_told(answers, jitter):
    watch = Watch(TASK, poll_interval=5, started_at=1000.0, deadline=1300.0, expected_seconds=40.0)
    now = 1000.0
    for answer in answers:
        verdict = watch.observe(now, status_of(*answer), jitter)
        if isinstance(verdict, Outcome):
            assert Outcome.from_event(json.loads(json.dumps(verdict.event(), allow_nan=False))) == verdict
            return
        assert isinstance(verdict, Wait)
        assert 0 <= verdict.seconds <= 1300.0 - now
        now += verdict.seconds
    assert watch.observe(1300.0, ViduError("Odd."), jitter).status in EVENT_WORDS


@examples(near(events) | near(spoiled(events)) | wild(jsons))
def test_every_event_is_an_outcome_or_an_error_of_ours(event):
    try:
        outcome = Outcome.from_event(event)
    except ViduEventError:
        return
    assert Outcome.from_event(outcome.event()) == outcome
    assert (outcome.status, outcome.message) == (event["status"], event["message"])
    assert (outcome.task is None) == (outcome.status != SUCCESS)
