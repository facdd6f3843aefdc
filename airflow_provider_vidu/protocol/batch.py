# SPDX-License-Identifier: Apache-2.0
"""Outcomes of a batch's items, the rule for failing the batch, and the batch trigger's event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_provider_vidu.exceptions import ViduEventError
from airflow_provider_vidu.protocol.errors import Family
from airflow_provider_vidu.protocol.polling import FAILED, LOST, SUCCESS, TIMEOUT

SUBMITTED = "submitted"
"""Accepted, and not ended yet: never in a manifest."""
REFUSED, UNCERTAIN, UNSUBMITTED, NOT_STORED = "refused", "uncertain", "unsubmitted", "not_stored"
OUTCOMES = (SUCCESS, FAILED, REFUSED, UNCERTAIN, UNSUBMITTED, TIMEOUT, LOST, NOT_STORED)
"""What a manifest says of an item."""

PAID_ANEW = (FAILED, UNCERTAIN)
"""What another try submits although it was, or perhaps was, submitted before."""

_EVENT_WORDS = (SUCCESS, TIMEOUT, LOST)


class BatchEvent(NamedTuple):
    """
    How the wait for a batch ended.

    :param status: ``success`` when every task has ended, well or not; ``timeout`` or ``lost`` when some have not.
    :param counts: how many tasks ended how.
    :param message: what happened, for people.
    """

    status: str
    counts: Mapping[str, int]
    message: str

    def event(self) -> dict[str, Any]:
        """Write the payload of a trigger's event: JSON types only."""
        return {"status": self.status, "counts": dict(self.counts), "message": self.message}

    @classmethod
    def from_event(cls, event: Any) -> BatchEvent:
        """
        Read the payload of a trigger's event, which has crossed a database.

        :param event: what Airflow handed over.
        :return: how the wait ended. A key that another version adds is dropped.
        :raises ViduEventError: when it is not one that :meth:`event` writes.
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
        raise ViduEventError(f"Not an event of a Vidu batch's trigger: {repr(event)[:300]}")


def fail_on_problem(fail_on: Any) -> str | None:
    """
    Tell what is wrong with ``fail_on``.

    :param fail_on: as an author gave it.
    :return: a sentence, ``None`` when it is right.
    """
    if fail_on in ("any", "all") or (isinstance(fail_on, float) and 0 < fail_on < 1):
        return None
    return f"fail_on must be 'any', 'all' or a share between 0 and 1, such as 0.05, got {fail_on!r}"


def is_failure(counts: Mapping[str, int], fail_on: str | float) -> bool:
    """
    Tell whether a batch fails.

    :param counts: how many items came to what.
    :param fail_on: ``any`` item that did not succeed, ``all`` of them, or more than a share. A batch that was broken
        off before all was submitted fails in any case.
    """
    total, missed = sum(counts.values()), sum(counts.values()) - counts.get(SUCCESS, 0)
    if not missed or counts.get(UNSUBMITTED):
        return bool(missed)
    if isinstance(fail_on, float):
        return missed > fail_on * total
    return fail_on == "any" or missed == total


def retry_can_help(outcome: str, family: str, *, resubmit: bool) -> bool:
    """
    Say whether another try of the batch may bring an item that did not succeed.

    :param outcome: its outcome.
    :param family: the family of a failed generation's reason, empty for other outcomes.
    :param resubmit: whether what is uncertain is submitted, and perhaps paid, again.
    """
    if outcome == FAILED:
        return Family(family).retry_can_help
    return resubmit if outcome == UNCERTAIN else outcome != REFUSED


def progress_line(done: int, total: int, failed: int, cost: float | None, word: str = "done") -> str:
    """
    Tell how far a batch has come.

    :param done: how many items have ended.
    :param total: how many there are.
    :param failed: how many of the ended ones have no video.
    :param cost: CNY that the ended ones come to by their estimates, ``None`` where unknown.
    :param word: what became of those that did not fail.
    """
    price = "an unknown price" if cost is None else f"~¥{cost:,.2f}"
    return f"{done} of {total} {word}, {failed} failed, {price} so far"
