# SPDX-License-Identifier: Apache-2.0
"""Arguments as authors, templates and spreadsheets give them: understood, or refused before anything is paid."""

from __future__ import annotations

import hashlib
import math
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from airflow.sdk import ObjectStoragePath

from airflow_provider_vidu.arguments import LONGEST_WAIT
from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from airflow_provider_vidu.triggers.vidu import DEFER_MARGIN
from tests.quick import IMG, QUICK, Store, asked, context_of, many

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")


def generate(**arguments):
    return ViduGenerateVideoOperator(task_id="generate", **QUICK, **arguments)


def batch(**arguments):
    return ViduGenerateBatchOperator(task_id="batch", requests=many(1), destination="/videos", **arguments)


def sensor(**arguments):
    return ViduTaskSensor(task_id="wait", vidu_task_id="t", **arguments)


WAITS = (generate, batch, sensor)
NO_TIMES = [math.inf, -math.inf, math.nan, 0, -1, timedelta(0), timedelta(-1), "5", None, True, [5]]


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("name", ["timeout", "poke_interval"])
@pytest.mark.parametrize("value", NO_TIMES, ids=repr)
def test_a_time_that_is_none_is_refused_when_the_dag_is_parsed(wait, name, value):
    with pytest.raises(ViduRequestError, match=rf"{name} must be a number of seconds above 0.*, got "):
        wait(**{name: value})


@pytest.mark.parametrize("wait", WAITS)
def test_a_poke_interval_above_a_year_is_refused(wait):
    with pytest.raises(
        ViduRequestError, match="poke_interval must be a number of seconds above 0 and at most 31,536,000"
    ):
        wait(poke_interval=1e300)


def test_a_time_that_a_mapped_task_gets_is_refused_before_anything_is_sent(run_dag, emulator):
    def make():
        ViduGenerateVideoOperator.partial(task_id="generate", **QUICK).expand(timeout=[math.inf])

    ran = run_dag(make)
    assert type(ran.error) is AirflowFailException
    assert "timeout must be a number of seconds above 0 (finite)" in str(ran.error)
    assert emulator.requests == []


@pytest.mark.parametrize("value", [1e300, 10**400, timedelta.max], ids=["1e300", "10**400", "timedelta.max"])
@pytest.mark.parametrize("bound", [None, timedelta.max], ids=["unbounded", "bounded"])
def test_a_very_long_wait_is_deferred_and_ends_after_a_year(slow_emulator, videos, value, bound):
    """Seen from Airflow: what it adds to its own time has to be a date."""
    stops = []
    context = context_of(Store())
    context["ti"].xcom_push = lambda key, value: None
    context["ti"].xcom_pull = lambda **_: None
    for operator in (
        generate(timeout=value, execution_timeout=bound),
        ViduGenerateBatchOperator(
            task_id="batch", requests=many(1), destination=str(videos), timeout=value, execution_timeout=bound
        ),
        sensor(timeout=value, execution_timeout=bound),
    ):
        if isinstance(operator, ViduTaskSensor):
            operator.vidu_task_id = slow_emulator.tasks[0]["task_id"]
        with pytest.raises(TaskDeferred) as raised:
            operator.execute(context)
        stops.append(raised.value.timeout)
    longest = timedelta(seconds=LONGEST_WAIT) + DEFER_MARGIN
    assert all(longest - timedelta(minutes=1) < stop <= longest for stop in stops)


@pytest.mark.parametrize("cost", ["nan", "inf", "-inf"])
def test_a_cost_that_no_database_keeps_is_left_out(run_dag, emulator, finish_one, tmp_path, cost):
    ran = run_dag(
        lambda: ViduToObjectStorageOperator(
            task_id="store", result=finish_one(), destination=str(tmp_path), estimated_cost=cost, outlets=[ASSET]
        )
    )
    assert ran.states == {"store": "success"}
    assert ran.asset_extras[0]["estimated_cost"] is None


@pytest.fixture
def finish_one(emulator):
    from airflow_provider_vidu.hooks.vidu import ViduHook
    from airflow_provider_vidu.protocol.request import build

    def finish():
        hook = ViduHook()
        task_id = hook.submit(build("text2video", "viduq2", {"prompt": "a kite", "duration": 1})).task_id
        return hook.get_task(task_id).result()

    return finish


def asset():
    from airflow.providers.common.compat.sdk import Asset

    return Asset(name="videos-of-arguments", uri="file:///videos-of-arguments")


ASSET = asset()


@pytest.mark.parametrize("kind", [Path, ObjectStoragePath])
def test_a_path_is_understood_as_image_destination_and_prices(run_dag, emulator, frame, tmp_path, kind):
    prices = tmp_path / "prices.csv"
    prices.write_text("vidu_type,model,duration_s,resolution,price_cny\nimg2video,viduq2-turbo,1,540p,0.07\n")
    ran = run_dag(
        lambda: ViduGenerateVideoOperator(
            task_id="generate",
            **IMG,
            first_frame_url=kind(frame),
            destination=kind(tmp_path / "new"),
            prices=kind(prices),
            max_cost=1,
        )
    )
    (task,) = emulator.tasks
    # The emulator keeps a digest of what it was sent.
    assert f"sha256={hashlib.sha256(frame.read_bytes()).hexdigest()}" in task["body"]["input"]["first_frame_url"]
    assert ran.xcom("generate")["files"] == [f"file://{tmp_path}/new/{task['task_id']}.mp4"]
    assert ran.xcom("generate", "estimated_cost") == 0.07
    assert str(frame) in ran.xcom("generate", "vidu_request")["input"]["first_frame_url"]


@pytest.mark.parametrize("kind", [Path, ObjectStoragePath])
def test_a_path_is_understood_in_a_batch_and_a_transfer(run_dag, emulator, frame, tmp_path, finish_one, kind):
    def make():
        ViduGenerateBatchOperator(
            task_id="batch",
            requests=[{"custom_id": "a", **IMG, "first_frame_url": kind(frame)}],
            destination=kind(tmp_path / "batch"),
            manifest=kind(tmp_path / "all.jsonl"),
        )
        ViduToObjectStorageOperator(task_id="store", result=finish_one(), destination=kind(tmp_path / "store"))

    ran = run_dag(make)
    assert ran.states == {"batch": "success", "store": "success"}
    assert ran.xcom("batch")["manifest"] == f"file://{tmp_path}/all.jsonl"
    assert len(list((tmp_path / "batch").glob("*.mp4"))) == len(list((tmp_path / "store").glob("*.mp4"))) == 1


def test_a_path_to_an_image_of_a_list_is_understood_and_a_missing_one_refused(emulator, frame, tmp_path):
    job = {"vidu_type": "reference2video", "model": "viduq2", "prompt": "p", "images": [Path(frame), frame / "none"]}
    operator = ViduSubmitOperator(task_id="submit", **job)
    context = context_of(None)
    context["ti"].xcom_push = lambda key, value: None
    with pytest.raises(AirflowFailException, match="Nothing was sent"):
        operator.execute(context)
    assert emulator.requests == []


@pytest.mark.parametrize("cost", [math.inf, math.nan, 10**400, 0, True, "5"], ids=repr)
def test_a_bound_that_is_none_is_refused(cost):
    with pytest.raises(ViduRequestError, match="max_cost must be an amount in CNY above 0"):
        generate(max_cost=cost)


def test_a_result_may_be_json_text(run_dag, emulator, finish_one, tmp_path):
    ran = run_dag(
        lambda: ViduToObjectStorageOperator(
            task_id="store", result="{{ params.result | tojson }}", destination=str(tmp_path)
        ),
        params={"result": finish_one()},
    )
    assert ran.states == {"store": "success"}
    assert len(list(tmp_path.glob("*.mp4"))) == 1


@pytest.mark.parametrize("given", ["1e999", 10**400])
def test_an_expectation_without_end_does_not_end_a_wait(run_dag, emulator, finish_one, given):
    task_id = finish_one()["task_id"]
    ran = run_dag(lambda: ViduTaskSensor(task_id="wait", vidu_task_id=task_id, expected_seconds=given))
    assert ran.states == {"wait": "success"}


WRONG_TYPES = {
    "a list as the model": (ViduSubmitOperator, {**IMG, "model": ["viduq2"]}, "model"),
    "a list as the job": (ViduSubmitOperator, {**IMG, "vidu_type": ["text2video"]}, "vidu_type"),
    "a number as a field": (
        ViduGenerateBatchOperator,
        {"requests": [{**asked("a"), 1: 2}], "destination": "/v"},
        "requests",
    ),
    "a number as the manifest": (
        ViduGenerateBatchOperator,
        {"requests": [asked("a")], "destination": "/v", "manifest": 5},
        "manifest must be a path or URI, got 5",
    ),
    "a bucket without a name": (
        ViduGenerateBatchOperator,
        {"requests": [asked("a")], "destination": "s3://"},
        "a bucket after the scheme",
    ),
    "another machine": (
        ViduGenerateBatchOperator,
        {"requests": [asked("a")], "destination": "file://localhost/tmp/v"},
        "three slashes, as in file:///videos",
    ),
    "a directory that would lie at the root": (
        ViduGenerateBatchOperator,
        {"requests": [asked("a")], "destination": "file:videos"},
        "a path, or a URI with two slashes after its scheme",
    ),
    "a key that no store takes": (
        ViduGenerateBatchOperator,
        {"requests": [asked("a")], "destination": f"s3://c@b/{'long/' * 250}"},
        "paths of up to 1,000 bytes",
    ),
    "a path that no directory takes": (
        ViduGenerateBatchOperator,
        {"requests": [asked("a")], "destination": f"/{'long/' * 1000}"},
        "paths of up to 4,000 bytes",
    ),
}


@pytest.mark.parametrize(("operator", "arguments", "text"), WRONG_TYPES.values(), ids=list(WRONG_TYPES))
def test_an_argument_of_a_wrong_kind_is_named_when_the_dag_is_parsed(operator, arguments, text):
    with pytest.raises(ViduRequestError, match=text):
        operator(task_id="task", **arguments)
