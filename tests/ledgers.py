# SPDX-License-Identifier: Apache-2.0
"""Ledgers for tests: in a directory, in a bucket, and in one of a store that has less than AWS."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_vidu.durable.entries import Ending, Entry, EntryName
from airflow_provider_vidu.durable.ledger import Ledger
from tests import s3_stub


def entry_in(ledger: Ledger, name: EntryName) -> Entry:
    """Read the entry of a name."""
    group = next(group for group in ledger.groups(name.day) if name in group)
    return ledger.entries(group)[group.index(name)]


@pytest.fixture(scope="session")
def lesser_store() -> Iterator[s3_stub.Stub]:
    """A store with an S3 API that has less than AWS, behind ``lesser`` and ``public``; Airflow keeps its address."""
    with s3_stub.running() as stub, pytest.MonkeyPatch.context() as patch:
        extra = {"aws_access_key_id": "id", "aws_secret_access_key": "secret", "endpoint_url": stub.url}
        connection = {"conn_type": "aws", "extra": {**extra, "region_name": "us-east-1"}}
        patch.setenv("AIRFLOW_CONN_LESSER", json.dumps(connection))
        # The same under a public name, which only a proxy knows.
        config = {"proxies": {"http": stub.url}, "signature_version": "s3v4"}
        public = {"endpoint_url": "http://store.example.com", "config_kwargs": config}
        patch.setenv("AIRFLOW_CONN_PUBLIC", json.dumps(connection | {"extra": connection["extra"] | public}))
        yield stub


@pytest.fixture
def ledger(tmp_path, monkeypatch) -> Ledger:
    """A configured ledger in a directory."""
    root = str(tmp_path / "ledger")
    monkeypatch.setenv("AIRFLOW__VIDU__LEDGER", root)
    return Ledger(root)


@pytest.fixture(params=["directory", "bucket", "lesser store"])
def any_ledger(request, tmp_path, monkeypatch) -> Ledger:
    """A configured ledger in each kind of place."""
    if request.param == "directory":
        root = str(tmp_path / "led ger #1")
    elif request.param == "bucket":
        request.getfixturevalue("s3")
        root = "s3://store@bucket/led ger/一"
    else:
        request.getfixturevalue("lesser_store").forget()
        root = "s3://lesser@bucket/ledger"
    monkeypatch.setenv("AIRFLOW__VIDU__LEDGER", root)
    return Ledger(root)


@pytest.fixture
def unsigning() -> Iterator[str]:
    """A store that signs no URLs, before a path of this machine."""
    from airflow.sdk.io import attach, store

    class Server(LocalFileSystem):
        protocol = "sftp"
        cachable = False

    attach("sftp", "files", fs=Server())
    yield "sftp://files@host"
    del store._STORE_CACHE["sftp-files"]


def paid(
    ledger: Ledger,
    number: int,
    *,
    ago: float = 60.0,
    price: float | None = 0.31,
    ending: Ending | None = None,
    accepted: bool = True,
    model: str = "viduq2",
    prompt: str = "a kite",
    **entry: Any,
) -> str:
    """Write a paid submit into a ledger, and return Vidu's id of its task.

    :param number: Which submit it is.
    :param ago: Its age in seconds.
    :param price: Its estimate.
    :param ending: Its end, none while it runs.
    :param accepted: Whether the API returned its task id.
    :param model: The model.
    :param prompt: The prompt.
    :param entry: Other fields of its entry.
    """
    fingerprint = f"{number:016x}" * 4
    name = ledger.name(time.time() - ago, price, fingerprint)
    parameters = {"vidu_type": "text2video", "duration": 4, "resolution": "720p"}
    request = {"model": model, "input": {"prompt": prompt}, "parameters": parameters}
    fields = {"dag_id": "shop", "run_id": "run", "task_id": "make", "map_index": -1, "custom_id": f"kite-{number}"}
    common = {"vidu_conn_id": "vidu_default", "request": request, "fingerprint": fingerprint}
    ledger.intend({name: Entry(**{**fields, **common, **entry})})
    vidu_task_id = f"task-{number}"
    if accepted:
        ledger.accept({name: vidu_task_id})
    if ending:
        ledger.end(vidu_task_id, ending)
    return vidu_task_id
