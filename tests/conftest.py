# SPDX-License-Identifier: Apache-2.0
"""One Airflow home for all tests, and an emulator that is already running."""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import settings

from airflow_provider_vidu.emulator.client import ViduEmulator

# The entry point offers these fixtures too, but perhaps those of another checkout.
from airflow_provider_vidu.emulator.pytest_plugin import (  # noqa: F401
    _vidu_emulator,
    poll_at_once,
    shorten_pauses,
    vidu_emulator,
)
from dev.emulator_client import set_connection
from tests.ledgers import any_ledger, ledger, lesser_store, unsigning  # noqa: F401 - fixtures

# A busy machine is no defect of the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
_HOME = tempfile.TemporaryDirectory(prefix="airflow-home-")
# Airflow reads these while it is imported, so they are set before any test module is.
os.environ.update(
    AIRFLOW_HOME=_HOME.name,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="True",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_HOME.name}/airflow.db",
    AIRFLOW__LOGGING__LOGGING_LEVEL="INFO",
)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the tests of what an older Airflow does not have."""
    from tests.versions import HAS_RETRY_POLICIES

    return True if collection_path.name == "test_retry_policy.py" and not HAS_RETRY_POLICIES else None


def pytest_unconfigure() -> None:
    # A mutation run starts pytest many times in processes that share this home; Python removes it at the end.
    if "MUTANT_UNDER_TEST" not in os.environ:
        _HOME.cleanup()


@pytest.fixture
def emulator(_vidu_emulator: ViduEmulator, monkeypatch: pytest.MonkeyPatch) -> ViduEmulator:  # noqa: F811
    """The emulator of ``vidu_emulator``, with the provider's own pauses."""
    _vidu_emulator.reset()
    set_connection(monkeypatch, host=_vidu_emulator.url)
    return _vidu_emulator


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked or sent again comes soon: the pauses are the rule's, which has tests of its own."""
    shorten_pauses(monkeypatch)


@pytest.fixture
def slow_emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[ViduEmulator]:
    """An emulator whose generations do not end while a test looks."""
    from airflow_provider_vidu.emulator.server import Settings, running

    with running(Settings(speed=1e-6)) as url:
        set_connection(monkeypatch, host=url)
        yield ViduEmulator(url)


@pytest.fixture(scope="session")
def airflow_database() -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    (Path(_HOME.name) / "dags").mkdir(exist_ok=True)
    initdb()
    DagBundlesManager().sync_bundles_to_db()


@pytest.fixture(scope="session")
def dag_test(airflow_database: None) -> Iterator[None]:
    """``dag.test()`` with one API server for all tests, and with callbacks that get what a worker's callbacks get."""
    from airflow.sdk.execution_time import comms, supervisor, task_runner

    date = comms.TaskRescheduleStartDate
    finalize = task_runner.finalize

    def finalize_with_the_error(ti: Any, state: Any, context: Any, log: Any, error: Any = None) -> None:
        # A worker does this on each version of Airflow, dag.test() only from 3.3.
        context["exception"] = error
        finalize(ti, state, context, log, error)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_runner, "finalize", finalize_with_the_error)
        # Airflow 3.1.0 leaves a text here, which its worker would read as a date and dag.test() does not.
        patch.setattr(date, "model_construct", lambda **values: date(**values))
        # Airflow 3.1 takes seconds to make the server, which it does for each try of each task.
        patch.setattr(supervisor, "in_process_api_server", functools.cache(supervisor.in_process_api_server))
        yield


class Ran:
    """A DAG run that ``dag.test()`` has ended: states, XComs and the exceptions that ended its tasks."""

    def __init__(self, dag: Any, run: Any, errors: dict[str, BaseException]) -> None:
        self.errors = errors
        self.states = {ti.task_id: ti.state for ti in run.get_task_instances()}
        self.dag_id, self.run_id = dag.dag_id, run.run_id
        self._key = {"dag_ids": dag.dag_id, "run_id": run.run_id}

    def xcom(self, task_id: str, key: str = "return_value") -> Any:
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        with create_session() as session:
            row = session.scalars(XComModel.get_many(**self._key, task_ids=task_id, key=key)).first()
            return None if row is None else XComModel.deserialize_value(row)

    @property
    def asset_extras(self) -> list[dict[str, Any]]:
        """What the asset events of the run hold."""
        from airflow.models.asset import AssetEvent
        from airflow.utils.session import create_session

        with create_session() as session:
            return [
                event.extra
                for event in session.query(AssetEvent).filter_by(
                    source_dag_id=self._key["dag_ids"], source_run_id=self._key["run_id"]
                )
            ]

    @property
    def error(self) -> BaseException:
        (error,) = self.errors.values()
        return error


@pytest.fixture
def run_dag(dag_test: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ran]:
    """Run a DAG whose tasks the given function makes, by ``dag.test()``.

    Below Airflow 3.3, which has no task state store, a ledger keeps what a retry must know.
    """
    ledger_below_3_3 = tmp_path_factory.mktemp("ledger")

    def run(make_tasks: Callable[[], Any], **dag_arguments: Any) -> Ran:
        from airflow.sdk import DAG

        from tests.versions import HAS_TASK_STATE_STORE, dag_bags

        errors: dict[str, BaseException] = {}

        def remember(context: Any) -> None:
            errors[context["ti"].task_id] = context["exception"]

        with DAG(
            f"test-{uuid4().hex}",
            start_date=datetime(2026, 1, 1, tzinfo=UTC),
            schedule=None,
            default_args={"on_failure_callback": remember, "on_skipped_callback": remember},
            **dag_arguments,
        ) as dag:
            make_tasks()
        # dag.test() runs only what the metadata database knows.
        bag = dag_bags().DagBag(_HOME.name, collect_dags=False)
        bag.bag_dag(dag)
        dag_bags().sync_bag_to_db(bag, "dags-folder", None)
        with pytest.MonkeyPatch.context() as patch:
            if not HAS_TASK_STATE_STORE and "AIRFLOW__VIDU__LEDGER" not in os.environ:
                patch.setenv("AIRFLOW__VIDU__LEDGER", str(ledger_below_3_3))
            return Ran(dag, dag.test(), errors)

    return run


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    """A small picture on disk."""
    from PIL import Image

    path = tmp_path / "frame.png"
    Image.radial_gradient("L").resize((96, 64)).convert("RGB").save(path)
    return path


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


@pytest.fixture
def asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator's videos are ready before any could be."""
    poll_at_once(monkeypatch)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    return tmp_path / "videos"


@pytest.fixture
def finish(emulator: ViduEmulator) -> Callable[[], dict[str, Any]]:
    """Have a video made and return what the sensor would."""
    from airflow_provider_vidu.hooks.vidu import ViduHook
    from airflow_provider_vidu.protocol.request import build

    def finish() -> dict[str, Any]:
        hook = ViduHook()
        task_id = hook.submit(build("text2video", "viduq2", {"prompt": "a kite", "duration": 1})).task_id
        return hook.get_task(task_id).result()

    return finish
