# SPDX-License-Identifier: Apache-2.0
"""What a submit asks for where a test does not say otherwise, and its run by Airflow itself."""

from __future__ import annotations

import pytest

from airflow_provider_vidu.operators.vidu import ViduSubmitOperator

URL = "https://example.com/a.png"
QUICK = {"model": "viduq2-turbo", "first_frame_url": URL, "duration": 1, "resolution": "540p"}


@pytest.fixture
def submit(run_dag):
    """Run a submit, with params if it has templates."""

    def run(params: dict | None = None, **arguments: object):
        return run_dag(lambda: ViduSubmitOperator(task_id="submit", **(QUICK | arguments)), params=params)

    return run
