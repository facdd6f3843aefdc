# SPDX-License-Identifier: Apache-2.0
"""Answers of the API, and what is read from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_vidu.exceptions import ViduApiError, ViduSubmissionUncertainError, ViduUnavailableError
from airflow_provider_vidu.protocol.response import parse_submission, parse_task_status

# Made from the documentation: none can be recorded without a paid key.
SAMPLES = {path.name: path.read_bytes() for path in (Path(__file__).parent / "samples").iterdir()}
TASK = "8e1f5a0c-task"


def read(status, body, headers=None, task=TASK):
    return parse_task_status(status, headers or {}, body, task)


def submit(status, body, headers=None):
    return parse_submission(status, headers or {}, body)


def error_of(call, *arguments, **options):
    with pytest.raises(ViduApiError) as caught:
        call(*arguments, **options)
    return caught.value


def shape(error):
    return {"kind": type(error), "text": str(error), **vars(error)}


def fault(code, message="why not", param="req-9", **more):
    return json.dumps({"error": {"message": message, "type": "t", "param": param, "code": code}, **more}).encode()


UNSURE, PASSING = ViduSubmissionUncertainError, ViduUnavailableError


DATE = "Wed, 15 Apr 2026 08:00:00 GMT"
