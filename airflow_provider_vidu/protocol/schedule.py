# SPDX-License-Identifier: Apache-2.0
"""
Schedule of polls for a video whose typical generation time is known.

The schedule assumes that generation times are log-normal around the typical time. The best rate of polls then grows
with the square root of the hazard (Barlow, Hunter, Proschan 1963). The hazard is the rate at which a video that is not
ready becomes ready. If a video is clearly late, the typical time is out of date or the service is busy, to an unknown
degree. From there on the steps grow with the age of the video. ``docs/performance.md`` explains the constants and
measures their cost.
"""

from __future__ import annotations

from math import erfc, exp, log, pi, sqrt

MIN_STEP_SECONDS, MAX_STEP_SECONDS = 1.0, 15.0
"""Bounds of every step after the first, in seconds."""
EARLIEST = 0.4
"""Share of the expected time before which the schedule never polls."""
LAG_SECONDS, LAG_SHARE = 1.5, 0.04
"""
Allowed mean delay until a poll finds a finished video.

It is a share of the expected time, but at least ``LAG_SECONDS``.
"""

_SPREAD = 0.3
_LATE = 1.17
_STEP_PER_LAG = 2.52
_FIRST_JITTER, _JITTER = 0.4, 0.1
_SLICE = 0.02


def hazard(share: float) -> float:
    """
    Compute the hazard: the rate at which a video that is not ready becomes ready.

    :param share: Age of the video in units of the expected time, above 0. From 1.17 on, the hazard falls with the
        square of the age.
    :return: Rate per expected time.
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
    Compute the age of a video at its first poll.

    This is the age at which the rate of polls adds up to one poll.

    :param expected: Typical seconds of the generation, at least 1; a smaller value counts as 1.
    :param jitter: Random number from 0 to 1 that spreads the polls of tasks submitted together.
    :return: Seconds since the start of the generation.
    """
    expected = max(expected, 1.0)
    age, due = EARLIEST * expected, 1.0 + _FIRST_JITTER * (jitter - 0.5)
    while due > 0.0:
        age += _SLICE * expected
        due -= _SLICE * expected / _best_step(expected, age)
    return age


def next_ask(expected: float, age: float, jitter: float) -> float:
    """
    Compute the pause between an answer and the next poll.

    From 0.4 of the expected time on, it depends only on the age.

    :param expected: Typical seconds of the generation, at least 1; a smaller value counts as 1.
    :param age: Seconds since the start of the generation.
    :param jitter: Random number from 0 to 1 that spreads the polls of tasks submitted together.
    :return: Seconds, from 1 to 15; longer only before the scheduled first poll.
    """
    expected = max(expected, 1.0)
    if age < EARLIEST * expected:
        return max(first_ask(expected, jitter) - age, MIN_STEP_SECONDS)
    # Bounding the step before spreading it, too, keeps the steps at the bounds from being all equal.
    return bounded(spread(bounded(_best_step(expected, age)), jitter))


def bounded(seconds: float) -> float:
    """Limit a step to its bounds."""
    return min(max(seconds, MIN_STEP_SECONDS), MAX_STEP_SECONDS)


def spread(seconds: float, jitter: float) -> float:
    """Lengthen or shorten a step by up to a tenth."""
    return seconds * (1.0 + _JITTER * (2.0 * jitter - 1.0))
