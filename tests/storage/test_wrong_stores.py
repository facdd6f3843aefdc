# SPDX-License-Identifier: Apache-2.0
"""Destinations and input files whose store or connection is wrong: what the errors say before anything is paid."""

from __future__ import annotations

import json
import re

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduRequestError, ViduStateError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.operators.rescue import ViduRescueOperator
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from tests.quick import IMG, QUICK, Store, asked, context_of

KEYS = {"aws_access_key_id": "id", "aws_secret_access_key": "secret"}


def makers(destination):
    return (
        lambda: ViduGenerateVideoOperator(task_id="t", destination=destination, **QUICK),
        lambda: ViduGenerateBatchOperator(task_id="t", requests=[asked("a")], destination=destination),
    )


@pytest.mark.parametrize("destination", ["nosuch://b/x/", "s4://store@bucket/x/"])
def test_an_unknown_store_costs_nothing_and_the_error_says_so(emulator, destination):
    for make in makers(destination):
        with pytest.raises(ViduDownloadError) as raised:
            make().execute(context_of(Store()))
        assert str(raised.value).startswith(f"Could not write to {destination}")
        assert str(raised.value).endswith("Nothing was sent or paid. Check the destination, then retry.")
    assert emulator.requests == []


@pytest.mark.parametrize("destination", ["s3://store@/v/", "s3://@/v/", "s3:///v/"])
def test_a_store_without_a_bucket_is_refused_when_the_dag_is_parsed(destination):
    for make in makers(destination):
        with pytest.raises(
            ViduRequestError, match=r"have a bucket after the scheme.*Nothing was sent or paid\. Correct"
        ):
            make()


def test_a_custom_id_without_a_batch_is_refused_with_the_next_step(emulator, finish, ledger):
    problem = (
        "destination must use {task_id} or {index}, since this video has no custom_id, got '{custom_id}'. Nothing was "
        "sent or paid. Correct the arguments."
    )
    with pytest.raises(ViduRequestError, match=f"^{re.escape(problem)}$"):
        ViduRescueOperator(task_id="t", destination="/tmp/{custom_id}.mp4")
    rescue = ViduRescueOperator(task_id="t", destination="/tmp/v")
    transfer = ViduToObjectStorageOperator(task_id="t", result=finish(), destination="/tmp/v")
    for operator in (rescue, transfer):
        # As a template renders it.
        operator.destination = "/tmp/{custom_id}.mp4"
        with pytest.raises(AirflowFailException, match=f"^{re.escape(problem)}$"):
            operator.execute(context_of(Store()))


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (
            {"endpoint_url": "http://127.0.0.1:9", "region_name": "us east 1!"},
            "InvalidRegionError: Provided region_name",
        ),
        ({"endpoint_url": "127.0.0.1:9", "region_name": "us-east-1"}, "ValueError: Invalid endpoint: 127.0.0.1:9"),
    ],
)
@pytest.mark.parametrize("field", ["first_frame_url", "video_url"])
def test_an_input_behind_a_wrong_connection_is_left_to_retries(emulator, monkeypatch, extra, reason, field):
    name = f"wrong_{extra['region_name'][2]}".replace(" ", "r").replace("-", "e")
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps({"conn_type": "aws", "extra": {**KEYS, **extra}}))
    extend = {"vidu_type": "extend", "model": "viduq2-turbo", "duration": 1, "resolution": "540p"}
    request = {**(IMG if field == "first_frame_url" else extend), field: f"s3://{name}@bucket/a.png"}
    with pytest.raises(ViduStateError) as raised:
        ViduSubmitOperator(task_id="t", **request).execute(context_of(Store()))
    assert f"{field} must be a file that can be read, got 's3://{name}@bucket/a.png': " in str(raised.value)
    assert reason in str(raised.value)
    assert str(raised.value).endswith(
        "Nothing was sent or paid. Retry the task, or check the connection that the URI names."
    )
    assert emulator.requests == []
