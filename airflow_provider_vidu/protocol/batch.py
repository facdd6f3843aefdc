# SPDX-License-Identifier: Apache-2.0
"""Outcomes of a batch's items, the failure rule, and the trigger's event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_provider_vidu.exceptions import ViduEventError
from airflow_provider_vidu.protocol.errors import Family
from airflow_provider_vidu.protocol.polling import FAILED, LOST, SUCCESS, TIMEOUT
from airflow_provider_vidu.protocol.texts import without_secrets

SUBMITTED = "submitted"
"""Outcome of an accepted item that has not ended; never in a manifest."""
PENDING = "pending"
"""Outcome of an item whose submit waits for its turn; never in a manifest."""
REFUSED, UNCERTAIN, UNSUBMITTED, NOT_STORED = "refused", "uncertain", "unsubmitted", "not_stored"
REUSED = "reused"
"""The video of an earlier submit of the same request; it costs nothing."""
OUTCOMES = (SUCCESS, REUSED, FAILED, REFUSED, UNCERTAIN, UNSUBMITTED, TIMEOUT, LOST, NOT_STORED)
"""Outcomes of items in a manifest."""

WITH_VIDEO = (SUCCESS, REUSED)
"""Outcomes of items that have their video."""

SUBMITS_KEY = "vidu_submits"
"""Key of the XCom that holds a batch's counts by outcome and its estimate while it waits, for Airflow's UI."""

BUDGET = "budget"
"""In place of a family: a budget stopped the submits, so no retry helps before it resets."""

PAID_AGAIN = (FAILED, UNCERTAIN)
"""
Outcomes that a retry pays for again.

These items were submitted, or perhaps were.
"""

_EVENT_WORDS = (SUCCESS, TIMEOUT, LOST)


class BatchEvent(NamedTuple):
    """
    End of the wait for a batch.

    :param status: ``success`` if every counted task has ended, with a video or without; ``timeout`` or ``lost`` if not.
    :param counts: Number of tasks by outcome.
    :param message: Text for people.
    """

    status: str
    counts: Mapping[str, int]
    message: str

    def event(self) -> dict[str, Any]:
        """Return the payload of a trigger's event: JSON types only."""
        return {"status": self.status, "counts": dict(self.counts), "message": self.message}

    @classmethod
    def from_event(cls, event: Any) -> BatchEvent:
        """
        Read the payload of a trigger's event.

        The event was stored in a database, perhaps by another version. A key that this version does not know is
        ignored.

        :param event: Event that Airflow passed.
        :return: The end of the wait.
        :raises ViduEventError: If :meth:`event` does not write such a payload.
        """
        if isinstance(event, dict):
            status, counts, message = (event.get(name) for name in ("status", "counts", "message"))
            if (
                isinstance(status, str)
                and status in _EVENT_WORDS
                and isinstance(counts, dict)
                and all(type(count) is int for count in counts.values())
                and isinstance(message, str)
            ):
                return cls(status, counts, message)
        raise ViduEventError(f"The event must come from a Vidu batch trigger, got {without_secrets(repr(event)[:300])}")


def fail_on_problem(fail_on: Any) -> str | None:
    """
    Check the value of ``fail_on``.

    :param fail_on: The author's value.
    :return: The error as a sentence without a full stop, ``None`` if the value is valid.
    """
    if fail_on in ("any", "all") or (isinstance(fail_on, float) and 0 < fail_on < 1):
        return None
    return f"fail_on must be 'any', 'all' or a share between 0 and 1, such as 0.05, got {fail_on!r}"


def is_failure(counts: Mapping[str, int], fail_on: str | float) -> bool:
    """
    Decide whether a batch fails.

    A batch that stopped before it submitted every item always fails.

    :param counts: Number of items by outcome.
    :param fail_on: When the batch fails: if ``any`` item did not succeed, if ``all`` did not, or if more than a share
        did not.
    """
    total = sum(counts.values())
    missed = total - sum(counts.get(outcome, 0) for outcome in WITH_VIDEO)
    if not missed or counts.get(UNSUBMITTED):
        return bool(missed)
    if isinstance(fail_on, float):
        return missed > fail_on * total
    return fail_on == "any" or missed == total


def retry_can_help(outcome: str, family: str, *, resubmit: bool, awaits_budget: bool = False) -> bool:
    """
    Decide whether a retry of the batch can recover an item that did not succeed.

    :param outcome: its outcome.
    :param family: the family of a failed generation's reason, empty for other outcomes.
    :param resubmit: whether what is uncertain is submitted, and perhaps paid, again.
    :param awaits_budget: whether Airflow's retries wait until the budget resets.
    """
    if outcome in WITH_VIDEO:
        return False
    if outcome == UNSUBMITTED and family == BUDGET:
        return awaits_budget
    if outcome == FAILED:
        return Family(family).retry_can_help
    return resubmit if outcome == UNCERTAIN else outcome != REFUSED


def waited_for(tasks: int, counts: Mapping[str, int]) -> dict[str, Any]:
    """
    Return the progress of a batch's wait, the value of its XCom ``vidu_progress``.

    :param tasks: Number of tasks of the wait.
    :param counts: Number of those that have ended, by outcome.
    """
    return {"tasks": tasks, "counts": dict(counts)}


def progress_line(done: int, total: int, failed: int, cost: float | None, word: str = "done") -> str:
    """
    Write the progress of a batch as one line.

    :param done: Number of items that have ended.
    :param total: Number of all items.
    :param failed: Number of ended items without a video.
    :param cost: Estimated cost of the ended items in CNY, ``None`` if unknown.
    :param word: Word for the ended items, ``done`` by default.
    """
    price = "cost unknown" if cost is None else f"about ¥{cost:,.2f}"
    return f"{done} of {total} {word}, {failed} failed, {price} so far"
