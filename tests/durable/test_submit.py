# SPDX-License-Identifier: Apache-2.0
"""What a retry does, run by Airflow with its own task state store against the emulator, which counts."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.durable.attempt import Attempt
from airflow_provider_vidu.durable.ledger_state import task_states
from airflow_provider_vidu.durable.state_store import SUBMIT_KEY, SubmitRecord
from airflow_provider_vidu.emulator import KEY as API_KEY
from airflow_provider_vidu.exceptions import ViduRequestError, ViduStateError
from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.protocol.request import build
from tests.quick import QUICK, breaks_once, posts
from tests.versions import HAS_TASK_STATE_STORE

PUSHED = ("return_value", "expected_seconds", "estimated_cost", "request_id", "vidu_request")


def stored(context):
    return task_states(context).get(SUBMIT_KEY)


@pytest.fixture
def submit(run_dag):
    def run(**arguments: object):
        arguments = QUICK | {"retries": 1, "retry_delay": timedelta(0)} | arguments
        return run_dag(lambda: ViduSubmitOperator(task_id="submit", **arguments))

    return run


def leaves(**changes):
    """A pre-execute callable: it stores an attempt as an earlier try would have left it."""

    def store(context):
        if context["ti"].try_number == 1:
            attempt = Attempt("another request", context["ti"].max_tries, 1e9, {})
            task_states(context).set(SUBMIT_KEY, attempt._replace(**changes).state())

    return store


def submitted(prompt: str = "a kite") -> str:
    return ViduHook().submit(build("text2video", "viduq2", {"prompt": prompt, "duration": 1})).task_id


def test_a_retry_returns_the_task_id_of_the_try_before_and_pushes_the_same(submit, emulator):
    seen = []
    ran = submit(post_execute=breaks_once, pre_execute=lambda context: seen.append(stored(context)))
    (task,) = emulator.tasks
    assert ran.states == {"submit": "success"}
    assert len(posts(emulator)) == 1
    first, second = seen
    assert first is None
    assert (second["vidu_task_id"], second["delivered"]) == (task["task_id"], True)
    assert {key: ran.xcom("submit", key) for key in PUSHED} == {"return_value": task["task_id"], **second["xcoms"]}
    assert ran.xcom("submit", "vidu_request")["model"] == "viduq2"


PICTURED = {"vidu_type": "img2video", "model": "viduq2-turbo"}


def test_the_stored_state_holds_neither_key_nor_file(submit, emulator, frame):
    seen = []
    submit(**PICTURED, first_frame_url=str(frame), post_execute=lambda context, result: seen.append(stored(context)))
    (state,) = seen
    assert set(state) == {"version", *Attempt._fields}
    assert API_KEY not in json.dumps(state)
    assert "base64" not in json.dumps(state)


def test_each_mapped_task_remembers_its_own(run_dag, emulator):
    quick = QUICK | {"task_id": "submit", "retries": 1, "retry_delay": timedelta(0)}
    prompts = ["one", "two", "three"]
    del quick["prompt"]
    ran = run_dag(lambda: ViduSubmitOperator.partial(**quick, post_execute=breaks_once).expand(prompt=prompts))
    assert ran.states == {"submit": "success"}
    assert sorted(task["body"]["input"]["prompt"] for task in emulator.tasks) == sorted(prompts)
    assert len(posts(emulator)) == 3


def test_a_retry_attaches_although_the_picture_has_gone(submit, emulator, frame, capfd):
    def lose_the_picture(context, result):
        frame.unlink(missing_ok=True)
        breaks_once(context)

    ran = submit(**PICTURED, first_frame_url=str(frame), post_execute=lose_the_picture)
    (task,) = emulator.tasks
    assert ran.xcom("submit") == task["task_id"]
    assert "Could not rebuild the request of an earlier try" in capfd.readouterr().out


def test_an_intent_without_an_outcome_is_not_submitted_again(submit, emulator):
    ran = submit(pre_execute=leaves())
    assert type(ran.error) is AirflowFailException
    assert "An earlier try started a submit at 2001-09-09 01:46:40 UTC, and its outcome is" in str(ran.error)
    assert emulator.requests == []


def test_an_author_may_choose_to_submit_again_after_an_unknown_outcome(submit, emulator):
    emulator.arm({"on": "submit", "fault": "accept_then_drop"})
    ran = submit(on_uncertain="resubmit")
    first, second = emulator.tasks
    assert ran.states == {"submit": "success"}
    assert ran.xcom("submit") == second["task_id"] != first["task_id"]


@pytest.mark.parametrize("durable", [True, False])
def test_an_unknown_outcome_ends_the_task_although_it_has_retries(submit, emulator, durable):
    emulator.arm({"on": "submit", "fault": "accept_then_drop"})
    error = submit(durable=durable).error
    assert type(error) is AirflowFailException
    assert str(error).endswith(
        "Check the usage page of the ModelVerse console before you resubmit it. The request was text2video with "
        "viduq2. Airflow does not retry the task; clearing it submits again, which may pay twice."
    )
    assert len(posts(emulator)) == 1


def test_what_was_not_accepted_leaves_no_intent_behind(submit, emulator):
    emulator.arm({"on": "submit", "fault": "error", "status": 401})
    ran = submit()
    (task,) = emulator.tasks
    assert ran.states == {"submit": "success"}
    assert ran.xcom("submit") == task["task_id"]
    assert len(posts(emulator)) == 2


ENDED = {
    "fail-by-moderation": ("failed", 1, ["Content moderation stopped it"]),
    "fail-by-capacity": ("success", 2, []),
}


@pytest.mark.parametrize("prompt", ENDED)
def test_a_retry_submits_anew_only_where_the_generation_failed_for_want_of_capacity(submit, emulator, prompt):
    state, count, texts = ENDED[prompt]
    ran = submit(prompt=prompt, post_execute=breaks_once, retries=3)
    assert (ran.states, len(emulator.tasks)) == ({"submit": state}, count)
    assert [text in str(error) for text, error in zip(texts, ran.errors.values(), strict=True)] == [True] * len(texts)


def test_a_retry_of_a_task_that_the_server_forgot_fails_and_names_it(submit, emulator, soon):
    ran = submit(pre_execute=leaves(vidu_task_id="forgotten"))
    assert "Vidu task forgotten, submitted at 2001-09-09 01:46:40 UTC, is no longer known" in str(ran.error)
    assert posts(emulator) == []


def test_a_retry_attaches_to_a_task_that_cannot_be_read(submit, emulator):
    task_id = submitted()
    emulator.arm({"on": "status", "fault": "html", "times": None})
    ran = submit(pre_execute=leaves(vidu_task_id=task_id))
    assert ran.xcom("submit") == task_id
    assert len(emulator.tasks) == 1


def clears(**changes):
    return leaves(max_tries=-1, **changes)


def test_a_clear_attaches_to_a_ready_video_that_was_never_delivered(submit, emulator):
    task_id = submitted()
    seen = []
    ran = submit(
        pre_execute=clears(vidu_task_id=task_id),
        post_execute=lambda context, _: seen.append((context["ti"].max_tries, stored(context))),
    )
    assert ran.xcom("submit") == task_id
    ((max_tries, state),) = seen
    assert (state["max_tries"], state["delivered"]) == (max_tries, True)
    assert len(emulator.tasks) == 1


def test_a_clear_of_a_delivered_video_makes_a_new_one(submit, emulator):
    task_id = submitted()
    ran = submit(pre_execute=clears(vidu_task_id=task_id, delivered=True))
    first, second = emulator.tasks
    assert ran.xcom("submit") == second["task_id"] != task_id == first["task_id"]


def test_a_clear_after_an_unknown_outcome_submits_with_a_warning(submit, emulator, capfd):
    ran = submit(pre_execute=clears())
    (task,) = emulator.tasks
    assert ran.xcom("submit") == task["task_id"]
    assert "An earlier try started a submit at 2001-09-09 01:46:40 UTC, and its outcome is" in capfd.readouterr().out


def test_a_strange_stored_state_fails_before_anything_is_sent(submit, emulator):
    ran = submit(pre_execute=lambda context: task_states(context).set(SUBMIT_KEY, ["mine"]))
    assert type(ran.error) is ViduStateError
    assert "The task state 'vidu_submit' must be one that" in str(ran.error)
    assert "got ['mine']. Nothing was sent." in str(ran.error)
    assert emulator.requests == []


@pytest.mark.skipif(not HAS_TASK_STATE_STORE, reason="a ledger cannot tell which try Airflow has given up")
def test_a_try_that_airflow_has_given_up_can_no_longer_store_an_intent(submit, emulator):
    contexts, refused = [], []

    def write_as_the_first_try(context):
        contexts.append(context)
        if context["ti"].try_number == 2:
            with pytest.raises(ViduStateError) as raised:
                SubmitRecord(contexts[0], durable=True, log=None).write(Attempt("", 0, 0.0, {}))
            refused.append(str(raised.value))

    assert submit(pre_execute=write_as_the_first_try, post_execute=breaks_once).states == {"submit": "success"}
    assert ["Could not write" in text for text in refused] == [True]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"max_cost": 0.3},
            "max_cost must be at least the estimate, about ¥0.31 (by prices of 2026-04-15), got ¥0.3. Nothing was sent "
            "or paid. Raise max_cost, or leave max_cost out.",
        ),
        (
            {"max_cost": 5, "model": "viduq9"},
            "max_cost must be left out while a price is unknown, got ¥5: no price is known for text2video with viduq9, "
            "duration 1, resolution 540p (this version does not know that pair; is it mistyped?). Nothing was sent "
            "or paid. Add the price to prices, or leave max_cost out.",
        ),
        (
            {"max_cost": 5, "prices": {("text2video", "viduq2", 1, "540p"): 6}},
            "max_cost must be at least the estimate, about ¥6 (by your own prices), got ¥5. Nothing was sent or paid.",
        ),
    ],
)
def test_what_may_cost_too_much_is_refused_when_the_dag_is_parsed_and_again_before_it_is_sent(
    submit, emulator, arguments, text
):
    with pytest.raises(ViduRequestError) as raised:
        ViduSubmitOperator(task_id="submit", **QUICK | arguments)
    assert text in str(raised.value)
    ran = submit(**arguments, seed="{{ 7 }}")
    assert type(ran.error) is AirflowFailException
    assert text in str(ran.error)
    assert emulator.requests == []


def test_a_file_of_prices_that_is_not_there_is_refused_before_anything_is_sent(submit, emulator):
    ran = submit(prices="/nowhere/prices.csv", max_cost=5)
    assert type(ran.error) is AirflowFailException
    assert "prices must be a mapping, or the path or URI of a CSV file" in str(ran.error)
    assert "got '/nowhere/prices.csv' (FileNotFoundError: " in str(ran.error)
    assert emulator.requests == []


def test_a_submit_within_its_bound_is_sent(submit, emulator):
    assert submit(max_cost=0.31).states == {"submit": "success"}


def test_prices_of_ones_own_may_stand_in_a_file(submit, tmp_path):
    (tmp_path / "prices.csv").write_text(
        "vidu_type,model,duration_s,resolution,price_cny\ntext2video,viduq2,,540p,0.25\n", encoding="utf-8"
    )
    ran = submit(prices=str(tmp_path / "prices.csv"), max_cost=0.25)
    assert ran.xcom("submit", "estimated_cost") == 0.25
    assert ran.xcom("submit", "vidu_request")["estimated_by"] == "your own prices"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"max_cost": 0}, "max_cost must be an amount in CNY above 0, or None for no limit, got 0"),
        ({"max_cost": True}, "max_cost must be .* got True"),
        ({"max_cost": "5"}, "max_cost must be .* got '5'"),
        ({"max_cost": float("nan")}, "max_cost must be .* got nan"),
        ({"prices": {("text2video", "viduq2"): 1}}, r"prices must map .* \(ValueError: "),
        ({"on_uncertain": "retry"}, "on_uncertain must be 'fail' or 'resubmit', got 'retry'"),
    ],
)
def test_a_wrong_option_is_refused_when_the_dag_is_parsed(arguments, text):
    with pytest.raises(ViduRequestError, match=text):
        ViduSubmitOperator(task_id="submit", **(QUICK | arguments))
