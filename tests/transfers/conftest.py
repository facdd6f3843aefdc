# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.protocol.request import build


@pytest.fixture
def finish(emulator):
    """Have a video made and return what the sensor would."""

    def finish() -> dict:
        hook = ViduHook()
        task_id = hook.submit(build("text2video", "viduq2", {"prompt": "a kite", "duration": 1})).task_id
        return hook.get_task(task_id).result()

    return finish


@pytest.fixture(scope="session")
def s3_server():
    """A server that speaks S3, behind the connection ``store``; Airflow keeps its address for good."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url, keys = f"http://{host}:{port}", {"aws_access_key_id": "id", "aws_secret_access_key": "secret"}
    extra = {**keys, "endpoint_url": url, "region_name": "us-east-1"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_STORE", json.dumps({"conn_type": "aws", "extra": extra}))
        yield boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)
    server.stop()


@pytest.fixture
def s3(s3_server):
    """The same with one empty bucket."""
    s3_server.create_bucket(Bucket="bucket")
    for found in s3_server.list_objects_v2(Bucket="bucket").get("Contents", ()):
        s3_server.delete_object(Bucket="bucket", Key=found["Key"])
    return s3_server
