# SPDX-License-Identifier: Apache-2.0
"""How long to pause after a fault, and how often a submit may be sent again without paying twice."""

from __future__ import annotations

from airflow_provider_vidu.exceptions import ViduConnectError, ViduError, ViduRateLimitError

MAX_POSTS = 4
"""How often one try of an operator sends a submit that was surely not accepted."""
LONGEST_RETRY_AFTER = 60.0
"""Seconds that anything waits at most because the server asks for it; a submit leaves more to Airflow's retry."""
RESEND_SECONDS = 2.0
FAULT_SECONDS = 2.0
"""How long the pause after a passing fault is at least; twice as long after each further one, to the longest step."""


def resend_after(error: ViduError, posts: int, jitter: float) -> float | None:
    """
    Say when a submit may be sent again without paying twice: only where it was surely not accepted and that may pass.

    :param error: what the last POST came to.
    :param posts: how many were sent so far.
    :param jitter: a random number from 0 to 1 that spreads tasks which were refused together.
    :return: seconds to wait, ``None`` when it must not be sent again.
    """
    if posts >= MAX_POSTS or not isinstance(error, (ViduConnectError, ViduRateLimitError)):
        return None
    asked = error.retry_after or 0.0
    if asked > LONGEST_RETRY_AFTER:
        return None
    return asked + RESEND_SECONDS * 2.0 ** (posts - 1) * (0.5 + jitter)


def pause_after(times: int, retry_after: float | None) -> float:
    """
    Say how long all requests of a process pause after the API asked to slow down.

    :param times: how often in a row it has asked; an answer that it gives ends the row.
    :param retry_after: seconds that it asked for, ``None`` where it named none.
    :return: seconds, 60 at most, so that a strange wish cannot stop every wait.
    """
    return min(max(FAULT_SECONDS * 2.0 ** min(times - 1, 5), retry_after or 0.0), LONGEST_RETRY_AFTER)
