# SPDX-License-Identifier: Apache-2.0
"""What the tests of batches share."""

from __future__ import annotations

import pytest

from airflow_provider_vidu.protocol import schedule


@pytest.fixture
def asked_at_once(monkeypatch):
    """The emulator's videos are ready before any could be."""
    monkeypatch.setattr(schedule, "first_ask", lambda expected, jitter: 0.05)


@pytest.fixture
def videos(tmp_path):
    return tmp_path / "videos"
