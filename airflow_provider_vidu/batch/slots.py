# SPDX-License-Identifier: Apache-2.0
"""The slots of a batch: how many of its generations may be in flight."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

LOWERED_SECONDS = 600.0
"""Time for which a lack of capacity lowers the number of slots."""
_WAVES = 4
"""A wave is this part of the slots, so that it is worth a run on a worker and leaves few slots empty."""


class Slots:
    """
    Count the slots of a batch.

    A lack of capacity halves their number for a while.

    :param most: the operator's ``max_in_flight``, ``None`` for no limit.
    :param log: the operator's logger.
    :param left: what :meth:`state` of an earlier visit returned, empty for the first visit.
    """

    def __init__(self, most: int | None, log: Logger, left: Mapping[str, Any]) -> None:
        self._most = most
        self._log = log
        self._lowered: int | None = left.get("lowered_to")
        self._until: float = left.get("lowered_until", 0.0)

    def state(self) -> dict[str, Any]:
        """Return what the next visit has to know: JSON types only."""
        return {"lowered_to": self._lowered, "lowered_until": self._until} if self._is_lowered() else {}

    def _is_lowered(self) -> bool:
        return self._lowered is not None and time.time() < self._until

    def _limit(self, most: int) -> int:
        return min(most, self._lowered) if self._lowered is not None and self._is_lowered() else most

    def free(self, taken: int, pending: int) -> int:
        """
        Return the number of items that may be submitted now.

        :param taken: number of slots that are taken.
        :param pending: number of items that wait for their turn.
        """
        return pending if self._most is None else max(0, min(pending, self._limit(self._most) - taken))

    def enough(self, taken: int, pending: int) -> int | None:
        """
        Return how many generations have to end before the next wave.

        :param taken: number of slots that are taken.
        :param pending: number of items that wait for their turn.
        :return: the number, ``None`` for all of them.
        """
        if not pending or self._most is None:
            return None
        limit = self._limit(self._most)
        return max(1, taken - limit + min(pending, max(1, limit // _WAVES)))

    def lower(self, reason: str) -> None:
        """
        Halve the number of slots for a while.

        :param reason: the reason to log.
        """
        if self._most is not None:
            self._lowered = max(1, self._limit(self._most) // 2)
            self._until = time.time() + LOWERED_SECONDS
            self._log.warning(
                "At most %d generations in flight for the next %.0f minutes: %s",
                self._lowered,
                LOWERED_SECONDS / 60,
                reason,
            )
