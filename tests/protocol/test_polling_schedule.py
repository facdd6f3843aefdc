# SPDX-License-Identifier: Apache-2.0
"""When a wait asks."""

from __future__ import annotations

import pytest

from airflow_provider_vidu.protocol.polling import Wait
from airflow_provider_vidu.protocol.schedule import first_ask, next_ask
from tests.protocol.waits import DOWN, PENDING, RUNNING, START, UNREACHED, told, watch

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
