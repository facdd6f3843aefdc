# SPDX-License-Identifier: Apache-2.0
"""Measurement of a module's import time in a DAG file, on top of Airflow's SDK, in fresh interpreters."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

ROUNDS = 5
PROBE = """
import importlib, sys, time
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
began = time.perf_counter()
importlib.import_module(sys.argv[1])
print(1000 * (time.perf_counter() - began))
"""
PUBLIC = (
    "airflow_provider_vidu.operators.vidu",
    "airflow_provider_vidu.operators.generate",
    "airflow_provider_vidu.operators.batch",
    "airflow_provider_vidu.sensors.vidu",
    "airflow_provider_vidu.triggers.vidu",
    "airflow_provider_vidu.triggers.batch",
    "airflow_provider_vidu.transfers.object_storage",
    "airflow_provider_vidu.exceptions",
    "airflow_provider_vidu.get_provider_info",
    "airflow_provider_vidu.hooks.vidu_async",
    "airflow_provider_vidu.hooks.vidu",
)
NEIGHBOURS = (
    "airflow.triggers.base",
    "airflow.providers.airbyte.operators.airbyte",
    "airflow.providers.http.operators.http",
    "airflow.providers.databricks.operators.databricks",
    "airflow.providers.openai.operators.openai",
    "airflow.providers.anthropic.operators.batch",
)


def cost(module: str) -> float:
    """Return the median import time over fresh interpreters, in milliseconds."""
    command = [sys.executable, "-c", PROBE, module]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(ROUNDS)]
    return median(float(run.split()[-1]) for run in runs)


def report() -> str:
    lines = [f"Median of {ROUNDS} fresh interpreters.", "", "| module | import time above `airflow.sdk` |", "|---|---|"]
    lines += [f"| `{module}` | {cost(module):.0f} ms |" for module in PUBLIC + NEIGHBOURS]
    return "\n".join(lines)


if __name__ == "__main__":
    print(report())
