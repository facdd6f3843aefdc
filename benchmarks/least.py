# SPDX-License-Identifier: Apache-2.0
"""
Lower limits for any schedule, by dynamic programming.

Schedules have steps of 1-15 s on a grid and poll first at 0.4 x the expected time or later. They know the distribution
that the simulation draws from, and have no jitter.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import erfc, log, sqrt
from typing import Any

import numpy as np

from airflow_provider_vidu.protocol.schedule import EARLIEST, MAX_STEP_SECONDS, MIN_STEP_SECONDS

SPREAD, SLOWER = 0.3, 1.5


class Horizon:
    """Possible poll ages for one typical time, and the probability that a video is not ready at each."""

    def __init__(self, expected: float) -> None:
        self.expected = expected
        self.grain = expected / 400 if expected < 40 else 0.1 * expected / 40
        self.ages = np.arange(0, 6 * expected + 30, self.grain)
        self.usual, self.slow = (self._not_ready(slower) for slower in (1.0, SLOWER))

    def _not_ready(self, slower: float) -> Any:
        shares = self.ages[1:] / self.expected / slower
        return np.concatenate([[1.0], [erfc(log(share) / SPREAD / sqrt(2)) / 2 for share in shares]])

    def _area(self, curve: Any) -> Any:
        return np.concatenate([[0.0], np.cumsum((curve[1:] + curve[:-1]) / 2 * self.grain)])

    def best(self, polls: Any, lags: Any) -> list[int]:
        """Find the cheapest schedule backwards in time; the curves give the cost of each poll and each late second."""
        shortest, longest = max(1, round(MIN_STEP_SECONDS / self.grain)), round(MAX_STEP_SECONDS / self.grain)
        area, ages, count = self._area(lags), self.ages, len(self.ages)
        cost, following = np.zeros(count), np.full(count, count)
        for here in range(count - longest - 2, -1, -1):
            there = slice(here + shortest, here + longest + 1)
            total = cost[there] + polls[here] + lags[here] * (ages[there] - ages[here]) - (area[there] - area[here])
            best = int(total.argmin())
            cost[here], following[here] = total[best], here + shortest + best
        first = slice(int(np.ceil(EARLIEST * self.expected / self.grain)), count - longest - 2)
        here = first.start + int((cost[first] + lags[0] * ages[first] - area[first]).argmin())
        schedule = []
        while here < count:
            schedule.append(here)
            here = int(following[here])
        return schedule

    def judge(self, schedule: list[int], not_ready: Any) -> tuple[float, float]:
        """Return the polls and the lag of a schedule."""
        area, asks = self._area(not_ready), [0, *schedule]
        lag = sum(
            not_ready[here] * (self.ages[there] - self.ages[here]) - (area[there] - area[here])
            for here, there in pairwise(asks)
        )
        return 1.0 + float(sum(not_ready[here] for here in schedule[:-1])), float(lag)


def least_polls(expected: float, lag: float) -> float:
    """Return the fewest polls of any schedule with this mean lag: steps 1-15 s, from 0.4 x expected on."""
    horizon, low, high, least = Horizon(expected), 1e-4, 1e3, float("nan")
    for _ in range(24):
        weight = sqrt(low * high)
        polls, found = horizon.judge(horizon.best(horizon.usual, weight * horizon.usual), horizon.usual)
        if found > lag:
            low = weight
        else:
            high, least = weight, polls
    return least


def least_share(expected: float, polls: Sequence[float], lag: float) -> float:
    """
    Return a lower limit of the worst share of four bounds, for any schedule or mixture of schedules.

    The four bounds are polls and mean lag, as usual and when 1.5 x slower. For weights that add up to one, no
    schedule's worst share is below the least weighted sum of shares. The function searches for the weights that raise
    this sum most.

    :param polls: Allowed polls, as usual and when slower.
    :param lag: Allowed mean lag, in both cases.
    """
    horizon, weights, least = Horizon(expected), np.full(4, 0.25), 0.0
    for number in range(60):
        usual, slow, usual_lag, slow_lag = weights / (*polls, lag, lag)
        schedule = horizon.best(
            usual * horizon.usual + slow * horizon.slow, usual_lag * horizon.usual + slow_lag * horizon.slow
        )
        (asked, late), (slow_asked, slow_late) = (
            horizon.judge(schedule, curve) for curve in (horizon.usual, horizon.slow)
        )
        shares = np.array([asked / polls[0], slow_asked / polls[1], late / lag, slow_late / lag])
        least = max(least, float(weights @ shares))
        weights = weights * np.exp(2.0 / sqrt(number + 1) * (shares - 1.0))
        weights /= weights.sum()
    return least
