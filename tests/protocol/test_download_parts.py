# SPDX-License-Identifier: Apache-2.0
"""Parts of a video, which may be of two files if its host replaces one meanwhile."""

from __future__ import annotations

import pytest

from airflow_provider_vidu.protocol.download import BrokenOff
from tests.protocol.test_download import VIDEO, begun

ONE, DATE = {"ETag": '"one"'}, {"Last-Modified": "Wed, 15 Apr 2026 07:00:00 GMT"}


@pytest.mark.parametrize(
    ("first", "rest", "is_joined"),
    [
        ({}, {}, True),
        (ONE, ONE, True),
        (DATE, DATE, True),
        (ONE | DATE, ONE, True),
        (DATE, ONE | DATE, True),
        ({}, ONE, False),
        ({}, DATE, False),
        (ONE, {}, False),
        (DATE, {}, False),
        (ONE, DATE, False),
        (ONE, {"ETag": '"two"'}, False),
        (ONE | DATE, {"ETag": '"two"', **DATE}, False),
    ],
)
def test_parts_are_joined_only_if_the_host_says_the_same_of_both(first, rest, is_joined):
    download, answer = begun(40, **first), {"Content-Range": f"bytes 40-99/{len(VIDEO)}", **rest}
    if is_joined:
        assert download.answered(206, answer) is False
        return
    with pytest.raises(BrokenOff, match="the host did not resume at byte 40"):
        download.answered(206, answer)
    assert "Range" not in download.headers()
    assert download.answered(200, {"Content-Length": str(len(VIDEO)), **rest}) is True
    assert download.take(VIDEO) == VIDEO
