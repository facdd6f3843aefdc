# SPDX-License-Identifier: Apache-2.0
"""The rule which errors a retry can help, and the policy's absence from an Airflow without retry policies."""

from __future__ import annotations

import importlib
import sys

import pytest
from airflow import sdk

from airflow_provider_vidu import exceptions
from airflow_provider_vidu.exceptions import ViduError
from tests.quick import RETRY_CAN_HELP


def test_every_error_says_whether_a_retry_can_help():
    kinds = [kind for kind in vars(exceptions).values() if isinstance(kind, type) and issubclass(kind, ViduError)]
    assert {kind.__name__: kind.retry_can_help for kind in kinds} == RETRY_CAN_HELP


def test_an_airflow_without_retry_policies_is_named(monkeypatch):
    monkeypatch.delattr(sdk, "RetryPolicy", raising=False)
    monkeypatch.delitem(sys.modules, "airflow_provider_vidu.retries", raising=False)
    monkeypatch.setitem(sys.modules, "airflow.sdk.definitions.retry_policy", None)
    with pytest.raises(ImportError, match=r"^ViduRetryPolicy needs Airflow 3\.3 or newer"):
        importlib.import_module("airflow_provider_vidu.retries")
