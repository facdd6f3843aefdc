# SPDX-License-Identifier: Apache-2.0
"""The generate operator, whose time is over."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout, TaskDeferred

from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.triggers.vidu import ViduTaskTrigger
from tests.quick import QUICK, posts

pytestmark = pytest.mark.usefixtures("soon")


def test_execution_timeout_bounds_the_whole_wait(slow_emulator, monkeypatch):
    monkeypatch.setattr("airflow_provider_vidu.generation.time.time", lambda: 1000.0)
    operator = ViduGenerateVideoOperator(
        task_id="generate", **QUICK, execution_timeout=timedelta(seconds=90), durable=False
    )
    ti = SimpleNamespace(max_tries=0, xcom_push=lambda **_: None)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute({"ti": ti})
    assert isinstance(deferred.value.trigger, ViduTaskTrigger)
    assert (deferred.value.trigger.deadline, deferred.value.timeout) == (1090.0, timedelta(seconds=150))


def test_an_execution_timeout_on_the_worker_ends_the_wait_without_paying_again(emulator, monkeypatch, generate):
    def out_of_time(*_):
        raise AirflowTaskTimeout("the time is up")

    monkeypatch.setattr("airflow_provider_vidu.hooks.poll.poll", out_of_time)
    ran = generate(deferrable=False, durable=False)
    assert type(ran.error) is AirflowFailException
    assert "was not ready in time" in str(ran.error)
    assert len(posts(emulator)) == 1


def test_time_that_is_over_while_the_reason_of_a_failure_is_pushed_does_not_let_it_be_retried(emulator):
    def over(key, value):
        if key == "vidu_failure":
            raise AirflowTaskTimeout("Time is over")

    operator = ViduGenerateVideoOperator(
        task_id="generate", **{**QUICK, "prompt": "forbidden-by-moderation"}, durable=False
    )
    with pytest.raises(AirflowFailException, match="HTTP 400"):
        operator.execute({"ti": SimpleNamespace(max_tries=1, map_index=-1, xcom_push=over)})
