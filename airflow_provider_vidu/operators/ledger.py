# SPDX-License-Identifier: Apache-2.0
"""What a batch remembers across tries, so that no crash and no retry pays for an item twice."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_vidu.exceptions import ViduError
from airflow_provider_vidu.operators.durable import Attempt, Step, decide
from airflow_provider_vidu.operators.memory import StateStore
from airflow_provider_vidu.protocol.batch import SUBMITTED, UNCERTAIN
from airflow_provider_vidu.protocol.polling import FAILED, LOST
from airflow_provider_vidu.protocol.response import TaskState, TaskStatus

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.operators.manifest import Record

DELIVERED_KEY = "vidu_batch_delivered"


def chunk_key(number: int) -> str:
    """
    Name the task state of a chunk.

    :param number: which of them, from 0.
    """
    return f"vidu_batch_{number}"


class Plan(NamedTuple):
    """
    What a try does about an item that an earlier one began.

    :param outcome: ``submitted`` attaches to its task; what else is there is final; ``None`` submits it anew.
    :param why: the reason.
    """

    outcome: str | None
    why: str


def plan(
    attempt: Attempt,
    *,
    max_tries: int,
    fingerprint: str | None,
    now: float,
    answer: TaskStatus | ViduError | None,
    believed: bool,
    resubmit: bool,
) -> Plan:
    """
    Decide what a try does about an item that an earlier one began: for each item what a single submit would do.

    :param attempt: what was stored.
    :param max_tries: Airflow's at this try.
    :param fingerprint: of this try's request, ``None`` where it is not known.
    :param now: epoch seconds.
    :param answer: the last answer to the status request, ``None`` where the attempt has no task id.
    :param believed: whether that answer ends a wait.
    :param resubmit: whether what is uncertain is submitted again.
    """
    step, why = decide(attempt, max_tries=max_tries, fingerprint=fingerprint, now=now, answer=answer, believed=believed)
    match step:
        case Step.ATTACH:
            return Plan(SUBMITTED, why)
        case Step.UNCERTAIN if not resubmit:
            return Plan(UNCERTAIN, why)
        case Step.FAIL if isinstance(answer, TaskStatus) and answer.state is TaskState.FAILURE:
            return Plan(FAILED, answer.error_message or why)
        case Step.FAIL:
            return Plan(LOST, why)
    return Plan(None, why)


class Mark(NamedTuple):
    """
    What tells whether an item asks for the same as it did.

    :param sent: fingerprint of all that is sent, files by their content.
    :param asked: fingerprint of the request as its author gave it, files by their names, which costs no reading.
    """

    sent: str
    asked: str


class Ledger(StateStore):
    """
    The attempts of a batch's items, in Airflow's task state store, one key for each chunk that was submitted together.

    What stands in a later chunk replaces what an earlier one says of the same item, and nothing else does. ``attempts``
    holds what counts, by custom id.

    :param context: Airflow's context of the task instance.
    :param log: the operator's logger.
    """

    without_a_store = (
        "Airflow older than 3.3 keeps nothing of a try. So once anything is submitted this task is not retried, and a "
        "worker that dies loses what it submitted; keep batches small there, or upgrade."
    )

    def __init__(self, context: Context, *, log: Logger) -> None:
        super().__init__(context, durable=True, log=log)
        self.max_tries = context["ti"].max_tries
        self.attempts: dict[str, Attempt] = {}
        self.asked: dict[str, str] = {}
        """The fingerprint of each attempt's request as its author gave it, by custom id."""
        self._task_ids: dict[str, list[str]] = {}
        self._chunks = 0

    @property
    def remembers(self) -> bool:
        """Whether the next try will know what this one submits."""
        return self._store is not None

    def read(self) -> None:
        """
        Read what earlier tries left.

        :raises ViduStateError: when the store cannot be read or holds something else. Nothing was sent.
        """
        delivered = self.get(DELIVERED_KEY)
        while (stored := self.get(chunk_key(self._chunks))) is not None:
            try:
                max_tries, begun_at = int(stored["max_tries"]), float(stored["begun_at"])
                without = delivered["without"] if delivered and delivered["max_tries"] == max_tries else None
                for name, (sent, asked, id_) in stored["items"].items():
                    is_delivered = without is not None and name not in without
                    self.attempts[name] = Attempt(sent, max_tries, begun_at, {}, id_, is_delivered)
                    self.asked[name] = asked
                    self._note(name, id_)
            except (TypeError, KeyError, ValueError, AttributeError):
                raise self.strange(chunk_key(self._chunks), stored) from None
            self._chunks += 1

    def _note(self, name: str, vidu_task_id: str) -> None:
        known = self._task_ids.setdefault(name, [])
        if vidu_task_id and vidu_task_id not in known:
            known.append(vidu_task_id)

    def earlier_than(self, custom_id: str, vidu_task_id: str) -> tuple[str, ...]:
        """
        Tell what else was submitted for an item, and is billed perhaps.

        :param custom_id: the item's.
        :param vidu_task_id: Vidu's id of its last task, empty where none is known.
        :return: Vidu's ids of the tasks, the oldest first.
        """
        return tuple(known for known in self._task_ids.get(custom_id, ()) if known != vidu_task_id)

    def knows(self, record: Record) -> bool:
        """
        Tell whether a task is one of this task instance's.

        :param record: an item with its task, if any.
        """
        attempt = self.attempts.get(record.custom_id)
        # An intent without an outcome may be one whose task id could not be stored.
        return not record.task_id or (attempt is not None and attempt.vidu_task_id in ("", record.task_id))

    def intend(self, marks: Mapping[str, Mark]) -> None:
        """
        Remember that a chunk is about to be submitted.

        :param marks: of its items, by custom id.
        :raises ViduStateError: when it cannot be stored. Nothing of it was sent.
        """
        self._add({name: (*mark, "") for name, mark in marks.items()}, time.time())

    def settle(self, marks: Mapping[str, Mark], accepted: Mapping[str, str], unknown: Collection[str]) -> bool:
        """
        Remember what came of the chunk that was intended last.

        :param marks: of its items, by custom id.
        :param accepted: Vidu's ids of the tasks that were accepted, by custom id.
        :param unknown: custom ids of the items whose outcome nobody knows. What else was intended was not accepted:
            what earlier tries said of it counts again.
        :return: whether it is stored.
        """
        kept = {
            name: (*mark, accepted.get(name, "")) for name, mark in marks.items() if name in accepted or name in unknown
        }
        return self.put_or_tell(
            chunk_key(self._chunks - 1),
            self._chunk(kept, time.time()),
            "What was accepted could not be remembered: another try would call it uncertain. The Vidu tasks by "
            f"custom id: {dict(accepted)}",
        )

    def attach(self, custom_ids: Collection[str]) -> None:
        """
        Make a later retry a retry again, after a person has cleared the task.

        What is submitted anew stays as it was until its intent replaces it: for a try that comes to it, it is cleared
        still.

        :param custom_ids: the items that this try attaches to.
        :raises ViduStateError: when it cannot be stored. Nothing was sent.
        """
        cleared = [name for name in custom_ids if self.attempts[name].max_tries != self.max_tries]
        for begun_at in sorted({self.attempts[name].begun_at for name in cleared}):
            found = {name: self.attempts[name] for name in cleared if self.attempts[name].begun_at == begun_at}
            self._add(
                {name: (one.fingerprint, self.asked[name], one.vidu_task_id) for name, one in found.items()}, begun_at
            )

    def deliver(self, without: Collection[str]) -> None:
        """
        Remember that the batch was delivered, so that a clear asks for new videos.

        :param without: custom ids of the items that have no video.
        """
        self.put_or_tell(
            DELIVERED_KEY,
            {"max_tries": self.max_tries, "without": sorted(without)},
            "That the batch was delivered could not be stored; a clear would attach to its tasks.",
        )

    def _add(self, items: Mapping[str, tuple[str, str, str]], begun_at: float) -> None:
        self.put(chunk_key(self._chunks), self._chunk(items, begun_at))
        self._chunks += 1

    def _chunk(self, items: Mapping[str, tuple[str, str, str]], begun_at: float) -> dict[str, Any]:
        return {
            "max_tries": self.max_tries,
            "begun_at": begun_at,
            "items": {name: list(item) for name, item in items.items()},
        }
