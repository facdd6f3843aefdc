# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from tests.operators.submits import submit  # noqa: F401 - a fixture


@pytest.fixture
def make(run_dag, videos):
    """Run a batch that has one retry."""

    def run(requests: object, **arguments: object):
        retries = {"retries": 1, "retry_delay": timedelta(0)}
        arguments = {**retries, "destination": f"{videos}/{{custom_id}}.mp4", **arguments}
        return run_dag(lambda: ViduGenerateBatchOperator(task_id="batch", requests=requests, **arguments))

    return run
