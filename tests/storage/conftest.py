# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests import s3_stub


@pytest.fixture(scope="session")
def stub_server():
    """A store that has less than AWS, behind the connections ``stub`` and ``recipe``; Airflow keeps its address."""
    with s3_stub.running() as stub, pytest.MonkeyPatch.context() as patch:
        keys = {"aws_access_key_id": "id", "aws_secret_access_key": "secret"}
        extra = {**keys, "endpoint_url": stub.url, "region_name": "us-east-1"}
        patch.setenv("AIRFLOW_CONN_STUB", json.dumps({"conn_type": "aws", "extra": extra}))
        # The recipe of the documentation, but for the host names, which an address of this machine has none of.
        (recipe,) = re.findall(
            r"```json\n(.*?)```", (Path(__file__).parents[2] / "docs/stores.md").read_text("utf-8"), re.DOTALL
        )
        read = json.loads(recipe)
        del read["extra"]["config_kwargs"]["s3"]
        patch.setenv("AIRFLOW_CONN_RECIPE", json.dumps({**read, "extra": {**read["extra"], "endpoint_url": stub.url}}))
        yield stub


@pytest.fixture
def stub(stub_server):
    """The same with nothing in it."""
    stub_server.forget()
    return stub_server
