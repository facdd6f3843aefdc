# SPDX-License-Identifier: Apache-2.0
"""Submits and batches that ask for the same night after night."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from tests.quick import QUICK, Store, context_of, tried


def context(store=None):
    made = context_of(Store() if store is None else store)
    pushed = {}
    made["ti"].xcom_push = lambda key, value: pushed.update({key: value})
    made["ti"].xcom_pull = lambda task_ids, key, map_indexes: pushed.get(key)
    return made, pushed


def submitted(**arguments):
    made, pushed = context()
    return ViduSubmitOperator(task_id="batch", **(QUICK | arguments)).execute(made), pushed


def night(place: Path, requests, **arguments):
    return tried(Store(), place, requests, **{"reuse": True, **arguments})
