# SPDX-License-Identifier: Apache-2.0
"""Airflow's task state store taken away and a ledger in its place, as below Airflow 3.3."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow import sdk

from airflow_provider_vidu.durable import ledger_state, state_store, stored_files
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.durable.ledger_state import LedgerState
from tests.versions import HAS_TASK_STATE_STORE

KEEPERS = ["task state store", "ledger"] if HAS_TASK_STATE_STORE else ["ledger"]
"""What can keep the attempts of earlier tries on this Airflow."""


class InPlaceOf:
    """
    The ledger's states of a task instance, in place of a test's store.

    What the test puts into its store, as an earlier try would have left it, goes into the ledger; what the operator
    writes comes back into the store for the test to see. The store's own faults happen too.
    """

    def __init__(self, store: Any, states: LedgerState, known: dict[str, Any]) -> None:
        self._store, self._states, self._known = store, states, known

    def get(self, key: str) -> Any:
        present = self._store.get(key)
        if present != self._known.get(key):
            # The test has changed its store.
            if present is None:
                self._states.delete(key)
            else:
                self._states.set(key, present)
            self._known[key] = json.loads(json.dumps(present))
        return self._states.get(key)

    def set(self, key: str, value: Any, *, retention: Any) -> None:
        self._store.set(key, value, retention=retention)
        self._states.set(key, value, retention=retention)
        self._known[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        if isinstance(self._store, dict):
            self._store.pop(key, None)
        else:
            self._store.delete(key)
        self._states.delete(key)
        self._known.pop(key, None)


@pytest.fixture(params=KEEPERS)
def kept_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> str:
    """Where the attempts of earlier tries are kept."""
    if request.param == "ledger":
        monkeypatch.delitem(vars(sdk)["__lazy_imports"], "NEVER_EXPIRE", raising=False)
        monkeypatch.delattr(sdk, "NEVER_EXPIRE", raising=False)
        known: dict[int, tuple[Any, Ledger, dict[str, dict[str, Any]]]] = {}

        def task_states(context: Any) -> Any:
            store = context.get("task_state_store")
            if store is None:
                return ledger_state.task_states(context)
            # Airflow makes a new accessor for each try.
            of_test = store if isinstance(store, dict) else None
            new = (of_test, Ledger(str(tmp_path / f"ledger-{len(known)}")), {})
            _, ledger, seen = known.setdefault(id(of_test), new)
            ti = context["ti"]
            names = {name: getattr(ti, name, "") for name in ("dag_id", "run_id", "task_id")}
            key = (*names.values(), getattr(ti, "map_index", -1))
            states = LedgerState(ledger, {"ti": type("TI", (), {**names, "map_index": key[-1]})})
            return InPlaceOf(store, states, seen.setdefault(str(key), {}))

        for module in (state_store, stored_files):
            monkeypatch.setattr(module, "task_states", task_states)
    return request.param
