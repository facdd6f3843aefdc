# SPDX-License-Identifier: Apache-2.0
"""Task states of an Airflow below 3.3, kept in the ledger."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_vidu.durable.each import each
from airflow_provider_vidu.durable.entries import SCHEMA_VERSION
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.storage.places import changed_at, file_at

if TYPE_CHECKING:
    from airflow.sdk import Context

_LONGEST_NAME = 100


class LedgerState:
    """
    The task states of one task instance, in place of Airflow's task state store (3.3+).

    :param ledger: the ledger.
    :param context: Airflow's context of the task instance.
    """

    def __init__(self, ledger: Ledger, context: Context) -> None:
        ti = context["ti"]
        key = [ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index]
        # The digits are needed because joined names may be equal, and long ones are cut.
        mark = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", "-".join(map(str, key)))[:_LONGEST_NAME].lstrip(".")
        self._ledger, self._place = ledger, f"state/{name}-{mark}"

    def get(self, key: str) -> Any:
        """Return the value of a state, ``None`` if there is none."""
        found = self._ledger.get(f"{self._place}/{key}.json")
        if found is None:
            return None
        # Half an object is not a missing one: the reader refuses it.
        return found["value"] if isinstance(found, dict) and "value" in found else found

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        """Store a state. The ledger keeps it until it is pruned."""
        self._ledger.put(f"{self._place}/{key}.json", {"version": SCHEMA_VERSION, "value": value})

    def delete(self, key: str) -> None:
        """Delete a state."""
        self._ledger.remove(f"{self._place}/{key}.json")


def forget_states(ledger: Ledger, before: float) -> int:
    """
    Remove the task states that were last written before a moment.

    :param ledger: the ledger.
    :param before: epoch seconds.
    :return: the number of removed states.
    :raises ViduStateError: if the ledger cannot be read.
    """

    def is_old(relative: str) -> bool:
        found = file_at(ledger.located(relative))
        time = changed_at(found) if found else None
        return isinstance(time, (int, float)) and time < before

    states = [f"state/{ti}/{name}" for ti in ledger.names("state") for name in ledger.names(f"state/{ti}")]
    old = [one for one, is_old_one in zip(states, each(is_old, states), strict=True) if is_old_one]
    each(ledger.remove, old)
    return len(old)


def task_states(context: Context) -> Any:
    """
    Return the store of a task instance's states.

    :param context: Airflow's context of the task instance.
    :return: Airflow's task state store (3.3+), or else the ledger's; ``None`` if there is neither.
    :raises ViduRequestError: if the configuration of the ledger is wrong. Nothing was sent.
    """
    if (store := context.get("task_state_store")) is not None:
        return store
    ledger = Ledger.configured()
    return LedgerState(ledger, context) if ledger else None
