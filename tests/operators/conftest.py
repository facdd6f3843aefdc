# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from tests.operators.submits import submit  # noqa: F401 - a fixture
from tests.quick import QUICK


@pytest.fixture
def make(run_dag, videos):
    """Run a batch that has one retry."""

    def run(requests: object, **arguments: object):
        retries = {"retries": 1, "retry_delay": timedelta(0)}
        arguments = {**retries, "destination": f"{videos}/{{custom_id}}.mp4", **arguments}
        return run_dag(lambda: ViduGenerateBatchOperator(task_id="batch", requests=requests, **arguments))

    return run


@pytest.fixture
def generate(run_dag, tmp_path):
    """Run the generate operator with one retry that follows at once."""

    def run(**arguments: object):
        retries = {"retries": 1, "retry_delay": timedelta(0)}
        arguments = {**QUICK, **retries, "destination": str(tmp_path / "videos"), **arguments}
        return run_dag(lambda: ViduGenerateVideoOperator(task_id="generate", **arguments))

    return run
