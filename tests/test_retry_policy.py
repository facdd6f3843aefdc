# SPDX-License-Identifier: Apache-2.0
"""The policy that knows which errors a retry can help, alone and in Airflow's hands."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk import RetryAction

from airflow_provider_vidu import exceptions
from airflow_provider_vidu.exceptions import (
    ViduBudgetError,
    ViduRateLimitError,
    ViduRefusedError,
    ViduSubmissionUncertainError,
)
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.retries import ViduRetryPolicy
from tests.batch.nights import submitted
from tests.quick import QUICK, RETRY_CAN_HELP, Store, context_of, deferred, many, posts, tried

HOUR = timedelta(hours=1)
FAIL, RETRY, DEFAULT = RetryAction.FAIL, RetryAction.RETRY, RetryAction.DEFAULT


def decided(error: BaseException, **task: object) -> tuple[RetryAction, timedelta | None]:
    context = {"task": SimpleNamespace(**{"retry_delay": timedelta(minutes=5), **task})}
    decision = ViduRetryPolicy().evaluate(error, try_number=1, max_tries=2, context=context)
    assert (decision.reason is None) == (decision.action is DEFAULT)
    return decision.action, decision.retry_delay


@pytest.mark.parametrize(("name", "can_help"), RETRY_CAN_HELP.items())
def test_a_retry_follows_with_the_tasks_own_delay_or_not_at_all(name, can_help):
    error = getattr(exceptions, name)("what happened")
    assert decided(error) == (RETRY if can_help else FAIL, None)
    assert ViduRetryPolicy().evaluate(error, 1, 2).action is (RETRY if can_help else FAIL)


@pytest.mark.parametrize(
    ("seconds", "delay"), [(None, None), (60.0, None), (300.0, None), (900.0, timedelta(minutes=15))]
)
def test_a_retry_follows_no_earlier_than_the_api_says(seconds, delay):
    assert decided(ViduRateLimitError("slow down", retry_after=seconds)) == (RETRY, delay)


def test_a_retry_follows_no_earlier_than_the_budget_resets():
    action, delay = decided(ViduBudgetError("spent", resets_at=time.time() + 3600))
    assert action is RETRY
    assert HOUR - timedelta(seconds=5) < delay <= HOUR
    assert decided(ViduBudgetError("spent", resets_at=time.time() - 5)) == (RETRY, None)


def test_an_uncertain_submit_is_left_to_retries_only_if_its_author_said_so():
    uncertain = ViduSubmissionUncertainError("perhaps paid")
    assert decided(uncertain, on_uncertain="fail") == (FAIL, None)
    assert decided(uncertain, on_uncertain="resubmit") == (DEFAULT, None)


def test_errors_of_others_are_left_to_airflow_unless_one_of_the_provider_caused_them():
    assert decided(RuntimeError("mine")) == (DEFAULT, None)
    assert decided(AirflowException("A retry submits and pays again.")) == (DEFAULT, None)
    mine = RuntimeError("mine")
    mine.__cause__ = ViduRefusedError("refused")
    assert decided(mine) == (FAIL, None)


def test_the_policy_survives_serialization():
    assert isinstance(ViduRetryPolicy.deserialize(ViduRetryPolicy().serialize()), ViduRetryPolicy)


def test_the_api_s_own_retry_after_reaches_the_decision(emulator):
    emulator.arm({"on": "submit", "fault": "rate_limit", "retry_after": 900})
    with pytest.raises(ViduRateLimitError) as raised:
        submitted()
    assert decided(raised.value) == (RETRY, timedelta(minutes=15))


@pytest.fixture
def budget(monkeypatch, ledger):
    monkeypatch.setenv("AIRFLOW__VIDU__DAILY_BUDGET", "0.62")


def test_a_submit_above_the_budget_is_tried_again_after_midnight(emulator, budget, monkeypatch):
    monkeypatch.setenv("AIRFLOW__VIDU__DAILY_BUDGET", "0")
    with pytest.raises(ViduBudgetError) as raised:
        submitted(on_budget="retry")
    assert posts(emulator) == []
    action, delay = decided(raised.value, retry_delay=timedelta(0))
    assert action is RETRY
    assert timedelta(0) < delay <= timedelta(days=1)
    after = raised.value.resets_at + 8 * 3600
    assert after % (24 * 3600) == 0


def error_of(videos, requests, *, deferrable):
    """Make a batch under a budget, whose rest is left to retries, and return the error of its only try."""
    store, arguments = Store(), {"on_budget": "retry", "destination": f"{videos}/{{custom_id}}.mp4"}
    if not deferrable:
        with pytest.raises(AirflowException) as raised:
            tried(store, videos, requests, **arguments)
        return raised.value
    resumed = json.loads(json.dumps(deferred(videos, requests, store, **arguments).kwargs))
    operator = ViduGenerateBatchOperator(task_id="batch", requests=requests, **arguments)
    with pytest.raises(AirflowException) as raised:
        operator.execute_complete(context_of(store), None, **resumed)
    return raised.value


@pytest.mark.usefixtures("soon", "asked_at_once", "budget")
@pytest.mark.parametrize("deferrable", [True, False])
def test_a_batch_whose_rest_the_budget_does_not_cover_is_tried_again_after_midnight(emulator, videos, deferrable):
    error = error_of(videos, many(3), deferrable=deferrable)
    assert "A retry can recover 1 of them" in str(error)
    action, delay = decided(error, retry_delay=timedelta(0))
    assert (action, type(error)) == (RETRY, AirflowException)
    assert timedelta(0) < delay <= timedelta(days=1)
    assert len(posts(emulator)) == 2


@pytest.mark.usefixtures("soon", "asked_at_once", "budget")
@pytest.mark.parametrize("deferrable", [True, False])
def test_a_batch_that_a_retry_can_help_before_the_budget_resets_does_not_wait_for_it(emulator, videos, deferrable):
    requests = many(3)
    requests[0]["prompt"] = "fail-by-capacity"
    assert decided(error_of(videos, requests, deferrable=deferrable)) == (DEFAULT, None)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(("policy", "tries"), [(None, 3), (ViduRetryPolicy(), 1)])
def test_airflow_fails_a_task_at_once_that_no_retry_can_help(run_dag, emulator, policy, tries):
    emulator.arm({"on": "submit", "fault": "error", "status": 403, "times": None})
    retries = {"retries": 2, "retry_delay": timedelta(0), "retry_policy": policy}
    ran = run_dag(lambda: ViduSubmitOperator(task_id="submit", **retries, **QUICK))
    assert (ran.states, len(posts(emulator))) == ({"submit": "failed"}, tries)


@pytest.mark.usefixtures("soon", "asked_at_once")
@pytest.mark.parametrize(("reason", "paid"), [("capacity", 2), ("moderation", 1), ("account", 1)])
def test_a_failed_generation_is_paid_again_as_often_as_without_the_policy(run_dag, emulator, videos, reason, paid):
    retries = {"retries": 1, "retry_delay": timedelta(0), "retry_policy": ViduRetryPolicy()}
    request = {**QUICK, "prompt": f"fail-by-{reason}"}
    ran = run_dag(lambda: ViduGenerateVideoOperator(task_id="make", destination=str(videos), **retries, **request))
    assert (ran.states, len(emulator.tasks)) == ({"make": "failed"}, paid)
