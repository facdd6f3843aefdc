# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from math import log
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_vidu.protocol.schedule import EARLIEST, first_ask, hazard, next_ask

NORMAL = NormalDist(0, 0.3)
EXPECTED = st.floats(0, 7200)
JITTER = st.floats(0, 1)


def not_ready(share):
    """How many videos are not ready at an age, in units of the expected time."""
    return 1 - NORMAL.cdf(log(share))


@pytest.mark.parametrize("share", [0.4, 0.6, 0.8, 1.0, 1.1, 1.16])
def test_the_hazard_is_the_rate_at_which_what_is_not_ready_becomes_ready(share):
    small = 1e-5
    rate = (log(not_ready(share - small)) - log(not_ready(share + small))) / (2 * small)
    assert hazard(share) == pytest.approx(rate, rel=1e-4)


@pytest.mark.parametrize("share", [1.17, 2.0, 300.0, 1e6])
def test_for_a_video_that_is_late_steps_grow_with_its_age(share):
    assert hazard(share) ** -0.5 == pytest.approx(hazard(1.17) ** -0.5 * share / 1.17)


@pytest.mark.parametrize(
    ("expected", "shares"),
    [
        (0.0, (3.22, 4.58, 6.54)),
        (3.4, (1.18, 1.3, 1.44)),
        (10.0, (0.8, 0.86, 0.92)),
        (40.0, (0.6, 0.62, 0.64)),
        (196.0, (0.6, 0.62, 0.64)),
    ],
)
def test_the_first_ask_comes_when_it_is_due_and_later_where_a_second_late_is_little(expected, shares):
    asks = tuple(round(first_ask(expected, jitter) / max(expected, 1.0), 2) for jitter in (0.0, 0.5, 1.0))
    assert asks == shares


@given(EXPECTED, JITTER)
def test_nothing_is_asked_before_two_fifths_of_the_expected_time(expected, jitter):
    assert first_ask(expected, jitter) >= EARLIEST * expected


@given(EXPECTED, st.floats(0, 1e6), JITTER)
def test_every_later_step_is_from_one_to_fifteen_seconds(expected, age, jitter):
    early = age < EARLIEST * max(expected, 1.0)
    assert 1.0 <= next_ask(expected, age, jitter) <= (max(first_ask(expected, jitter), 1.0) if early else 15.0)


def test_steps_are_short_where_a_video_is_likely_and_grow_where_it_is_late():
    steps = [next_ask(100.0, age, 0.5) for age in (60, 80, 100, 300, 600, 1200, 3600)]
    assert steps[0] > steps[1] > steps[2]
    assert steps[3:] == sorted(steps[3:])
    assert steps[-1] == 15.0


def test_steps_are_spread_by_a_tenth():
    assert [next_ask(100.0, 100.0, jitter) / next_ask(100.0, 100.0, 0.5) for jitter in (0.0, 1.0)] == [
        pytest.approx(0.9),
        pytest.approx(1.1),
    ]


def test_a_step_before_the_window_ends_at_the_first_ask():
    assert next_ask(10.0, 0.0, 0.5) == first_ask(10.0, 0.5)
    assert next_ask(100.0, 30.0, 0.5) == first_ask(100.0, 0.5) - 30.0
