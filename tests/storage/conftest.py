# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

from tests import s3_stub


@pytest.fixture(scope="session")
def stub_server():
    """A store that has less than AWS, behind the connection ``stub``; Airflow keeps its address."""
    with s3_stub.running() as stub, pytest.MonkeyPatch.context() as patch:
        keys = {"aws_access_key_id": "id", "aws_secret_access_key": "secret"}
        extra = {**keys, "endpoint_url": stub.url, "region_name": "us-east-1"}
        patch.setenv("AIRFLOW_CONN_STUB", json.dumps({"conn_type": "aws", "extra": extra}))
        yield stub


@pytest.fixture
def stub(stub_server):
    """The same with nothing in it."""
    stub_server.forget()
    return stub_server
