# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.batch.visits import Flight
from tests.taken_away import KEEPERS, kept_by  # noqa: F401 - kept_by is a fixture

_TABLES = (
    "test_blind_retries",
    "test_decorated",
    "test_losses",
    "test_machines",
    "test_places",
    "test_submits",
    "test_tries",
    "test_visits",
    "test_wave_ends",
    "test_waves",
)


@pytest.fixture
def flight(emulator, monkeypatch: pytest.MonkeyPatch) -> Flight:
    """Generations that take a while, counted."""
    return Flight(monkeypatch)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each table twice: with Airflow's task state store, and with a ledger in its place."""
    if metafunc.module.__name__.rpartition(".")[2] in _TABLES:
        metafunc.fixturenames.append("kept_by")
        metafunc.parametrize("kept_by", KEEPERS, indirect=True)
