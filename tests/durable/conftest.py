# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.taken_away import KEEPERS, kept_by  # noqa: F401 - kept_by is a fixture


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what Airflow itself retries twice: with its task state store, and with a ledger in its place."""
    if metafunc.module.__name__.endswith("test_submit") and "submit" in metafunc.fixturenames:
        metafunc.fixturenames.append("kept_by")
        metafunc.parametrize("kept_by", KEEPERS, indirect=True)
