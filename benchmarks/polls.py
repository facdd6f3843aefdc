# SPDX-License-Identifier: Apache-2.0
"""
Simulation of polls per video and lag until a finished one is noticed.

It covers every typical time of the price table. The real distribution is unknown: the simulation assumes log-normal
generation times with a spread of 0.3 around the typical time. The schedule is the one that triggers follow, with its
jitter. The other schedules wait for the same videos.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from math import exp
from statistics import NormalDist

import numpy as np

from airflow_provider_vidu.protocol.capabilities import check
from airflow_provider_vidu.protocol.prices import price_table
from airflow_provider_vidu.protocol.schedule import LAG_SECONDS, LAG_SHARE, first_ask, next_ask
from benchmarks.least import SLOWER, SPREAD, least_polls, least_share

SEED, SAMPLES = 20261123, 3000
OTHER_SPREADS = (0.15, 0.5)
BOUNDS = ((40, 1.1, 1.25), (60, 0.75, 0.85), (180, 0.55, 0.62), (float("inf"), 0.25, 0.28))
"""Upper typical time; allowed polls as a share of those of a fixed 5 s; the same if generations are 1.5 x slower."""

Asks = Callable[[float, random.Random], Iterator[float]]
"""Function from a typical time to the ages at which to poll."""


def ours(expected: float, random_: random.Random) -> Iterator[float]:
    age = first_ask(expected, random_.random())
    while True:
        yield age
        age += next_ask(expected, age, random_.random())


def every_five_seconds(expected: float, random_: random.Random) -> Iterator[float]:
    age = 5.0
    while True:
        yield age
        age += 5.0


def exponential_backoff(expected: float, random_: random.Random) -> Iterator[float]:
    age = step = 1.0
    while True:
        yield age
        step = min(step * 2, 60.0)
        age += step


@dataclass(frozen=True)
class Result:
    """Mean polls and mean lag in seconds over many videos, and the lag that one video in a hundred exceeds."""

    polls: float
    lag: float
    late: float


@cache
def simulate(asks: Asks, expected: float, slower: float = 1.0, spread: float = SPREAD) -> Result:
    jitter, normal = random.Random(SEED), NormalDist(0, spread)
    polls, lags = [], []
    for number in range(SAMPLES):
        # Quantiles rather than random draws: random noise would be as large as the measured effect.
        ready = slower * expected * exp(normal.inv_cdf((number + 0.5) / SAMPLES))
        for count, age in enumerate(asks(expected, jitter), 1):
            if age >= ready:
                polls.append(count)
                lags.append(age - ready)
                break
    return Result(float(np.mean(polls)), float(np.mean(lags)), float(np.quantile(lags, 0.99)))


def typical_times() -> list[float]:
    """List the typical times of all requests that the price table holds and the API accepts."""
    found = set()
    for (vidu_type, model, duration, resolution), (_, seconds) in price_table().items():
        parameters = {"vidu_type": vidu_type, "duration": duration, "resolution": resolution}
        problems = check({"model": model, "input": {}, "parameters": parameters})
        if seconds is not None and not any(text.startswith(("duration", "resolution")) for text in problems):
            found.add(seconds)
    return sorted(found)


def bounds_of(expected: float) -> tuple[float, float]:
    return next((usual, slow) for below, usual, slow in BOUNDS if expected < below)


def allowed_lag(expected: float) -> float:
    return max(LAG_SECONDS, LAG_SHARE * expected)


def allowed_late(expected: float) -> float:
    return max(8.0, 0.2 * expected)


SHOWN = (3.4, 10.0, 20.0, 38.0, 40.0, 45.0, 50.0, 60.0, 65.0, 70.0, 100.0, 150.0, 180.0, 196.0)


HEADER = (
    "typical | polls | share of 5 s | bound | lag | bound | late | bound | 5 s: polls, lag | backoff: polls, lag | "
    "fewest polls at this lag | 1.5 × slower: share of 5 s | bound | lag"
)


def report() -> str:
    times = typical_times()
    shown = sorted({min(times, key=lambda time, wish=wish: abs(time - wish)) for wish in SHOWN})
    shares = {expected: shares_of_bounds(expected) for expected in times}
    lines = [
        f"**Simulated**, with seed {SEED} for the jitter and {SAMPLES:,} videos for each of {len(times)} typical "
        "times; the table shows some of them. The sensor's poll before it defers is not counted. “Lag” is the mean "
        "lag; “late” is the lag that one video in a hundred exceeds.",
        "",
        f"| {HEADER} |",
        "|" + "---|" * len(HEADER.split(" | ")),
        *(row(expected) for expected in shown),
        "",
        "The worst share of each bound over all typical times (1 is the bound):",
        "",
    ]
    for name in shares[times[0]]:
        worst = max(times, key=lambda expected, name=name: shares[expected][name])
        over = [expected for expected in times if shares[expected][name] > 1]
        where = f"; above the bound at {len(over)} of {len(times)}, {_ranges(over)}" if over else ""
        lines.append(f"- {name}: {shares[worst][name]:.2f} at {worst:g} s{where}")
    return "\n".join([*lines, "", *out_of_reach(shares), "", *spreads()])


def out_of_reach(shares: dict[float, dict[str, float]]) -> Iterator[str]:
    """Compare the typical times that miss a bound with the lower limit for any schedule."""
    yield (
        "Typical times that miss a bound: the worst share of the four bounds on polls and lag, and the lower limit for "
        "any schedule:"
    )
    yield ""
    yield "| typical | this provider | any schedule |"
    yield "|---|---|---|"
    for expected, mine in shares.items():
        if max(mine.values()) > 1:
            fixed = (simulate(every_five_seconds, expected, slower).polls for slower in (1.0, SLOWER))
            polls = [bound * count for bound, count in zip(bounds_of(expected), fixed, strict=True)]
            least = least_share(expected, polls, allowed_lag(expected))
            yield f"| {expected:g} s | {max(mine.values()):.2f} | {least:.2f} |"


def spreads() -> Iterator[str]:
    """Report the results if generation times spread less or more than assumed."""
    yield "Spreads other than the assumed one: polls, mean lag, and the lag that one video in a hundred exceeds."
    yield ""
    yield f"| typical | {' | '.join(f'spread {spread:g}' for spread in (SPREAD, *OTHER_SPREADS))} |"
    yield "|---" * (2 + len(OTHER_SPREADS)) + "|"
    for expected in (10.9, 26.4, 71.8, 196.0):
        found = (simulate(ours, expected, 1.0, spread) for spread in (SPREAD, *OTHER_SPREADS))
        cells = " | ".join(f"{one.polls:.1f}, {one.lag:.1f} s, {one.late:.1f} s" for one in found)
        yield f"| {expected:g} s | {cells} |"


def shares_of_bounds(expected: float) -> dict[str, float]:
    """Return the used share of each bound."""
    mine, fixed = simulate(ours, expected), simulate(every_five_seconds, expected)
    slow, slow_fixed = simulate(ours, expected, SLOWER), simulate(every_five_seconds, expected, SLOWER)
    usual_bound, slow_bound = bounds_of(expected)
    return {
        "polls": mine.polls / fixed.polls / usual_bound,
        "lag": mine.lag / allowed_lag(expected),
        "late": mine.late / allowed_late(expected),
        "polls when 1.5 × slower": slow.polls / slow_fixed.polls / slow_bound,
        "lag when 1.5 × slower": slow.lag / allowed_lag(expected),
    }


def row(expected: float) -> str:
    mine, fixed, backoff = (simulate(asks, expected) for asks in (ours, every_five_seconds, exponential_backoff))
    slow, slow_fixed = simulate(ours, expected, SLOWER), simulate(every_five_seconds, expected, SLOWER)
    usual_bound, slow_bound = bounds_of(expected)
    cells = (
        f"{expected:g} s",
        f"{mine.polls:.1f}",
        f"{mine.polls / fixed.polls:.2f}",
        usual_bound,
        f"{mine.lag:.1f} s",
        f"{allowed_lag(expected):.1f} s",
        f"{mine.late:.1f} s",
        f"{allowed_late(expected):.1f} s",
        f"{fixed.polls:.1f}, {fixed.lag:.1f} s",
        f"{backoff.polls:.1f}, {backoff.lag:.1f} s",
        f"{least_polls(expected, mine.lag):.1f}",
        f"{slow.polls / slow_fixed.polls:.2f}",
        slow_bound,
        f"{slow.lag:.1f} s",
    )
    return f"| {' | '.join(map(str, cells))} |"


def plot(path: str) -> None:
    """Draw polls and lag over the typical time."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "vidu"
    from matplotlib import pyplot

    times = typical_times()
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    ways = {
        "fixed 5 s": every_five_seconds,
        "exponential backoff, 1 to 60 s": exponential_backoff,
        "this provider": ours,
    }
    for name, asks in ways.items():
        left.plot(times, [simulate(asks, expected).polls for expected in times], label=name)
        right.plot(times, [simulate(asks, expected).lag for expected in times], label=name)
    some = times[::12]
    left.plot(
        some, [least_polls(expected, simulate(ours, expected).lag) for expected in some], "k.", label="fewest polls"
    )
    right.plot(times, [allowed_lag(expected) for expected in times], "k:", label="bound")
    for axes, title in ((left, "requests per video"), (right, "mean seconds until a finished video is noticed")):
        axes.set(title=f"{title} (simulated)", xlabel="typical generation time in seconds")
        axes.legend()
    figure.savefig(path, metadata={"Date": None})


def _ranges(times: list[float]) -> str:
    groups: list[list[float]] = []
    for time in times:
        if groups and time - groups[-1][-1] < 10:
            groups[-1].append(time)
        else:
            groups.append([time])
    return ", ".join(f"{group[0]:g}-{group[-1]:g} s" for group in groups)


if __name__ == "__main__":
    print(report())
