# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import inspect
import pickle

import pytest

from airflow_provider_vidu import exceptions
from airflow_provider_vidu.exceptions import ViduApiError, ViduBudgetError, ViduDownloadError, ViduError

TREE = {
    "ViduError": "Exception",
    "ViduRequestError": "ViduError",
    "ViduConnectionSettingsError": "ViduError",
    "ViduStateError": "ViduError",
    "ViduBudgetError": "ViduError",
    "ViduApiError": "ViduError",
    "ViduRefusedError": "ViduApiError",
    "ViduModerationError": "ViduRefusedError",
    "ViduAuthError": "ViduApiError",
    "ViduRateLimitError": "ViduApiError",
    "ViduConnectError": "ViduApiError",
    "ViduTaskNotFoundError": "ViduApiError",
    "ViduUnavailableError": "ViduApiError",
    "ViduSubmissionUncertainError": "ViduApiError",
    "ViduDownloadError": "ViduError",
    "ViduEventError": "ViduError",
}
CLASSES = {name: kind for name, kind in vars(exceptions).items() if inspect.isclass(kind)}


def test_the_tree_is_the_one_that_the_docstring_draws():
    assert {name: kind.__base__.__name__ for name, kind in CLASSES.items()} == TREE
    drawn = [
        line.split("──", 1)[1].split()[0] if "──" in line else line.split()[0]
        for line in exceptions.__doc__.splitlines()
        if line.startswith("    ")
    ]
    assert drawn == list(TREE)


def test_an_uncertain_submit_is_never_taken_for_a_refused_one():
    assert not issubclass(exceptions.ViduSubmissionUncertainError, exceptions.ViduRefusedError)


@pytest.mark.parametrize("name", ["ViduRequestError", "ViduConnectionSettingsError"])
def test_wrong_values_are_value_errors_too(name):
    assert issubclass(CLASSES[name], ValueError)


def test_an_api_error_without_details_says_so():
    error = ViduApiError("broken")
    assert (str(error), vars(error)) == (
        "broken",
        {"status": None, "code": None, "request_id": "", "vidu_task_id": None, "retry_after": None},
    )


@pytest.mark.parametrize("kind", CLASSES.values())
def test_every_error_survives_the_way_to_another_process(kind):
    details = {}
    if issubclass(kind, ViduApiError):
        details = {"status": 429, "code": "rate_limit", "request_id": "r", "vidu_task_id": "t", "retry_after": 3.0}
    elif kind is ViduDownloadError:
        details = {"expired": True}
    elif kind is ViduBudgetError:
        details = {"resets_at": 1.5}
    error = kind("what happened", **details)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.args, vars(copy)) == (kind, ("what happened",), details)
    assert isinstance(copy, ViduError)
