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
"""A wave fills this part of the slots: it is worth a run on a worker, and few slots stay empty until then."""


class Slots:
    """
    Count the slots of a batch.

    A lack of capacity halves their number for a while.

    :param most: the number of slots.
    :param log: the operator's logger.
    :param left: what :meth:`state` of an earlier visit returned, perhaps among other values; empty for the first visit.
    """

    def __init__(self, most: int, log: Logger, left: Mapping[str, Any]) -> None:
        self._most = most
        self._log = log
        self._lowered_to: int = left.get("lowered_to", most)
        self._lowered_until: float = left.get("lowered_until", 0.0)

    def state(self) -> dict[str, Any]:
        """Return the values for the next visit: JSON types only."""
        return {"lowered_to": self._lowered_to, "lowered_until": self._lowered_until}

    @property
    def _number(self) -> int:
        return min(self._most, self._lowered_to) if time.time() < self._lowered_until else self._most

    def free(self, taken: int) -> int:
        """
        Return the number of free slots.

        :param taken: number of taken slots.
        """
        return max(0, self._number - taken)

    def enough(self, taken: int, waiting: int) -> int | None:
        """
        Return how many generations have to end before the next wave.

        :param taken: number of taken slots.
        :param waiting: number of items that wait for their turn.
        :return: the number, ``None`` for all generations.
        """
        wave = min(waiting, max(1, self._number // _WAVES))
        return max(1, taken - self._number + wave) if waiting else None

    def lower(self, reason: str) -> None:
        """
        Halve the number of slots for a while.

        :param reason: the reason to log.
        """
        self._lowered_to = max(1, self._number // 2)
        self._lowered_until = time.time() + LOWERED_SECONDS
        minutes = LOWERED_SECONDS / 60
        self._log.warning("At most %d in flight for the next %.0f minutes: %s", self._lowered_to, minutes, reason)
