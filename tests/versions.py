# SPDX-License-Identifier: Apache-2.0
"""The one place where tests choose by the version of Airflow."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import pytest
from airflow import __version__, sdk
from airflow.dag_processing.bundles import manager
from airflow.sdk.bases.xcom import BaseXCom

FOREVER = getattr(sdk, "NEVER_EXPIRE", None)
"""How long Airflow is to keep the provider's task states; below 3.3 there is neither such a store nor such a value."""
HAS_TASK_STATE_STORE = FOREVER is not None
"""Whether this Airflow has a task state store (3.3 and newer)."""
HAS_RETRY_POLICIES = hasattr(sdk, "RetryPolicy")
"""Whether this Airflow has retry policies (3.3 and newer)."""
HAS_AWAITED_XCOMS = hasattr(BaseXCom, "aset")
"""Whether a trigger can write an XCom without blocking the others (3.3 and newer)."""
IS_3_1_0 = __version__ == "3.1.0"
missing_connections_are_named = pytest.mark.skipif(
    IS_3_1_0, reason="outside the processes of Airflow 3.1.0, a missing connection is an ImportError"
)
"""For tests of a connection that does not exist."""
retries_start_anew = pytest.mark.skipif(IS_3_1_0, reason="Airflow 3.1.0 repeats a failed resume instead of the try")
"""For tests of retries after a resume."""
HAS_PROVIDERS_EXAMPLES = hasattr(manager, "_add_provider_example_dags_to_bundle")
"""Whether this Airflow loads the example DAGs of providers, if ``[core] load_examples`` is on."""


def dag_bags() -> ModuleType:
    """Return the module of Airflow's ``DagBag``, which moved in 3.2."""
    new = "airflow.dag_processing.dagbag"
    return import_module(new if find_spec(new) else "airflow.models.dagbag")
