# SPDX-License-Identifier: Apache-2.0
"""How a wait's outcome goes through Airflow's database."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_vidu.exceptions import ViduEventError
from airflow_provider_vidu.protocol.batch import BatchEvent
from airflow_provider_vidu.protocol.polling import Outcome
from airflow_provider_vidu.protocol.response import TaskStatus
from tests.protocol.waits import READY, UNHURRIED, lost

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


@pytest.mark.parametrize("kind", [Outcome, BatchEvent])
def test_the_error_of_an_event_hides_the_secrets_of_its_links(kind):
    with pytest.raises(ViduEventError, match=r"got \{'urls': \['https://h/a\.mp4\?token=\*\*\*'\]\}$"):
        kind.from_event({"urls": ["https://h/a.mp4?token=secret"]})
