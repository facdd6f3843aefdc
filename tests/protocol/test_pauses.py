# SPDX-License-Identifier: Apache-2.0
"""How long a submit that was not accepted waits to be sent again, and everything after a rate limit."""

from __future__ import annotations

import pytest

from airflow_provider_vidu.exceptions import (
    ViduConnectError,
    ViduError,
    ViduRateLimitError,
    ViduSubmissionUncertainError,
)
from airflow_provider_vidu.protocol.pauses import pause_after, resend_after
from tests.protocol.waits import BAD_KEY, NO_KEY, REFUSED

NEVER_SENT, TOO_FAST = ViduConnectError("No route."), ViduRateLimitError("Slow.")
RESENDS = {
    "a failed connection doubles its pause": (NEVER_SENT, [1, 2, 3], 0.5, [2.0, 4.0, 8.0]),
    "a rate limit doubles its pause": (TOO_FAST, [1, 2, 3], 0.5, [2.0, 4.0, 8.0]),
    "the pause is spread from a half to three halves": (TOO_FAST, [1, 3], 0.0, [1.0, 4.0]),
    "the pause is spread upwards too": (TOO_FAST, [1, 3], 1.0, [3.0, 12.0]),
    "the fourth POST is the last": (NEVER_SENT, [4, 5], 0.5, [None, None]),
    "the server's wish comes on top": (ViduRateLimitError("Slow.", retry_after=60.0), [1, 4], 0.5, [62.0, None]),
    "a long wish is left to Airflow": (ViduRateLimitError("Slow.", retry_after=60.1), [1], 0.5, [None]),
    "a bad key is not sent again": (BAD_KEY, [1], 0.5, [None]),
    "a missing connection is not sent again": (NO_KEY, [1], 0.5, [None]),
    "a refusal is not sent again": (REFUSED, [1], 0.5, [None]),
    "an unknown outcome is never sent again": (ViduSubmissionUncertainError("Who knows."), [1], 0.5, [None]),
    "an error of no known kind is not sent again": (ViduError("Odd."), [1], 0.5, [None]),
}


@pytest.mark.parametrize("name", RESENDS)
def test_a_submit_is_sent_again_only_where_nothing_was_accepted(name):
    error, posts, jitter, pauses = RESENDS[name]
    assert [resend_after(error, count, jitter) for count in posts] == pauses


@pytest.mark.parametrize(
    ("times", "retry_after", "seconds"),
    [
        (0, None, 1.0),
        (1, None, 2.0),
        (2, None, 4.0),
        (5, None, 32.0),
        (6, None, 60.0),
        (99, None, 60.0),
        (1, 1.0, 2.0),
        (1, 30.0, 30.0),
        (1, 1e9, 60.0),
    ],
)
def test_a_rate_limit_pauses_everything_for_longer_and_longer_but_a_minute_at_most(times, retry_after, seconds):
    assert pause_after(times, retry_after) == seconds
