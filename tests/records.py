# SPDX-License-Identifier: Apache-2.0
"""What the emulator remembers, in the words of the sensor."""

from __future__ import annotations

import re
from typing import Any


class AnyRequestId:
    """Equal to every request id: the emulator makes a new one for each answer and does not remember it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and bool(re.fullmatch("[0-9a-f]{32}", other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "<any request id>"


def result_of(record: dict[str, Any], *, seconds: int) -> dict[str, Any]:
    """Give the result that the sensor of a finished task has to return.

    :param record: the emulator's record of the task.
    :param seconds: the video's length that was asked for.
    """
    return {
        "task_id": record["task_id"],
        "urls": [record["url"]],
        "video_seconds": seconds,
        "submit_time": record["submit_time"],
        "finish_time": record["finish_time"],
        "expires_at": record["finish_time"] + 24 * 3600,
        "request_id": AnyRequestId(),
    }
