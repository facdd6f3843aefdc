# SPDX-License-Identifier: Apache-2.0
"""Pauses after faults, and the limit on resends of a submit."""

from __future__ import annotations

from airflow_provider_vidu.exceptions import ViduConnectError, ViduError, ViduRateLimitError

MAX_POSTS = 4
"""
Highest number of POSTs of one submit in one try.

Each further POST requires that the API certainly accepted none before.
"""
LONGEST_RETRY_AFTER = 60.0
"""
Longest Retry-After that the provider follows, in seconds.

A submit leaves a longer one to Airflow's retry.
"""
RESEND_SECONDS = 2.0
"""Mean pause before the first resend in seconds, doubled each time."""
FAULT_SECONDS = 2.0
"""
Shortest pause after a temporary fault, in seconds.

It doubles after each further fault, up to the longest step.
"""


def resend_after(error: ViduError, posts: int, jitter: float) -> float | None:
    """
    Compute the pause before a submit may be resent without paying twice.

    A resend is allowed only if the API certainly did not accept the submit, for a temporary reason.

    :param error: Error of the last POST.
    :param posts: Number of POSTs so far.
    :param jitter: Random number from 0 to 1 that spreads the resends of tasks that were refused together.
    :return: Seconds, ``None`` if the submit must not be resent.
    """
    if posts >= MAX_POSTS or not isinstance(error, (ViduConnectError, ViduRateLimitError)):
        return None
    asked = error.retry_after or 0.0
    if asked > LONGEST_RETRY_AFTER:
        return None
    return asked + RESEND_SECONDS * 2.0 ** (posts - 1) * (0.5 + jitter)


def pause_after(times: int, retry_after: float | None) -> float:
    """
    Compute the pause of all requests of a process after the API's answer 429.

    :param times: Number of answers 429 in a row; any other answer ends the row.
    :param retry_after: Seconds of the answer's Retry-After, ``None`` if it had none.
    :return: Seconds, at most 60, so that an odd Retry-After cannot stop every wait.
    """
    return min(max(FAULT_SECONDS * 2.0 ** min(times - 1, 5), retry_after or 0.0), LONGEST_RETRY_AFTER)
