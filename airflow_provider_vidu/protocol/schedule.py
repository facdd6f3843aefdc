# SPDX-License-Identifier: Apache-2.0
"""
When to ask for a video whose typical generation time is known.

How long a generation takes is taken for log-normal around the typical time. Checks are then best made at a rate that
grows with the square root of the hazard, which is the rate at which a video that is not ready becomes ready (Barlow,
Hunter, Proschan 1963). A video that is clearly late says that the typical time is out of date or the service busy, and
nobody knows by how much: from there on the steps grow with its age. ``docs/performance.md`` tells how the constants
came about and what they cost.
"""

from __future__ import annotations

from math import erfc, exp, log, pi, sqrt

MIN_STEP_SECONDS, MAX_STEP_SECONDS = 1.0, 15.0
"""Bounds of every step after the first."""
EARLIEST = 0.4
"""Share of the expected time before which nothing is asked."""
LAG_SECONDS, LAG_SHARE = 1.5, 0.04
"""How late a finished video may be noticed on average: a share of the expected time, but no less than this."""

_SPREAD = 0.3
_LATE = 1.17
_STEP_PER_LAG = 2.52
_FIRST_JITTER, _JITTER = 0.4, 0.1
_SLICE = 0.02


def hazard(share: float) -> float:
    """
    Say how likely it is that a video becomes ready.

    :param share: its age in units of the expected time, above 0. From 1.17 on the hazard falls with the square of it.
    :return: the rate, per expected time, at which a video that is not ready at that age becomes ready.
    """
    known = min(share, _LATE)
    z = log(known) / _SPREAD
    density = exp(-z * z / 2) / (known * _SPREAD * sqrt(2 * pi))
    not_ready = erfc(z / sqrt(2)) / 2
    return density / not_ready * (known / share) ** 2


def _best_step(expected: float, age: float) -> float:
    return _STEP_PER_LAG * max(LAG_SECONDS, LAG_SHARE * expected) / sqrt(hazard(age / expected))


def first_ask(expected: float, jitter: float) -> float:
    """
    Say at which age to ask first: when the rate of checks has added up to one check.

    :param expected: seconds that the generation typically takes; less than one is taken for one.
    :param jitter: a random number from 0 to 1 that spreads tasks submitted together.
    :return: seconds since the generation began.
    """
    expected = max(expected, 1.0)
    age, due = EARLIEST * expected, 1.0 + _FIRST_JITTER * (jitter - 0.5)
    while due > 0.0:
        age += _SLICE * expected
        due -= _SLICE * expected / _best_step(expected, age)
    return age


def next_ask(expected: float, age: float, jitter: float) -> float:
    """
    Say how long to wait after an answer. From 0.4 of the expected time on, only the age counts.

    :param expected: seconds that the generation typically takes; less than one is taken for one.
    :param age: seconds since the generation began.
    :param jitter: a random number from 0 to 1 that spreads tasks submitted together.
    :return: seconds, from 1 to 15; more only until the first ask where that is still to come.
    """
    expected = max(expected, 1.0)
    if age < EARLIEST * expected:
        return max(first_ask(expected, jitter) - age, MIN_STEP_SECONDS)
    # Bounded before it is spread as well, so that steps at the bounds are not all alike.
    return bounded(spread(bounded(_best_step(expected, age)), jitter))


def bounded(seconds: float) -> float:
    """Keep a step within its bounds."""
    return min(max(seconds, MIN_STEP_SECONDS), MAX_STEP_SECONDS)


def spread(seconds: float, jitter: float) -> float:
    """Lengthen or shorten a step by up to a tenth."""
    return seconds * (1.0 + _JITTER * (2.0 * jitter - 1.0))
