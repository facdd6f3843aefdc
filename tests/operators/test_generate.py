# SPDX-License-Identifier: Apache-2.0
"""One operator from request to file, run by Airflow against the emulator, which counts what is paid."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    Asset,
    AssetAlias,
    Stats,
)
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduRequestError
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.storage.video_store import VideoStore
from tests.quick import QUICK, posts
from tests.records import result_of

pytestmark = pytest.mark.usefixtures("soon")


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_request_becomes_a_file_and_is_paid_once(generate, emulator, tmp_path, deferrable):
    ran = generate(deferrable=deferrable)
    (task,) = emulator.tasks
    path = tmp_path / "videos" / f"{task['task_id']}.mp4"
    assert ran.xcom("generate") == {**result_of(task, seconds=1), "files": [f"file://{path}"]}
    assert path.read_bytes()[4:8] == b"ftyp"
    assert len(posts(emulator)) == 1
    assert (ran.xcom("generate", "vidu_task_id"), ran.xcom("generate", "estimated_cost")) == (task["task_id"], 0.31)
    assert ran.xcom("generate", "vidu_request")["input"] == {"prompt": "a kite"}


def test_each_instance_of_a_mapped_task_stores_under_its_own_index(run_dag, emulator, tmp_path):
    quick = {name: value for name, value in QUICK.items() if name != "prompt"}
    arguments = {**quick, "task_id": "generate", "destination": f"{tmp_path}/videos/{{index}}.mp4"}
    ran = run_dag(lambda: ViduGenerateVideoOperator.partial(**arguments).expand(prompt=["a kite", "a boat"]))
    assert set(ran.states.values()) == {"success"}
    assert sorted(path.name for path in (tmp_path / "videos").iterdir()) == ["0.mp4", "1.mp4"]


def test_where_nothing_can_be_written_nothing_is_paid(generate, emulator, tmp_path):
    (tmp_path / "videos").write_text("a file")
    ran = generate()
    assert type(ran.error) is ViduDownloadError
    assert f"Could not write to file://{tmp_path}/videos/.vidu-probe: " in str(ran.error)
    assert str(ran.error).endswith("Nothing was sent or paid. Check the destination, then retry.")
    assert emulator.requests == []


def test_without_a_destination_nothing_is_stored(generate, emulator):
    ran = generate(destination=None)
    (task,) = emulator.tasks
    assert ran.xcom("generate") == {**result_of(task, seconds=1), "files": []}
    assert task["downloads"] == 0


def test_what_cannot_succeed_is_not_paid_again(generate, emulator):
    ran = generate(prompt="fail-by-moderation")
    assert ran.xcom("generate", "vidu_failure") == {"task_id": "", "reason": str(ran.error), "error": ""}
    assert type(ran.error) is AirflowFailException
    assert "Content moderation stopped it: change the prompt or the image." in str(ran.error)
    assert len(posts(emulator)) == 1


def test_what_failed_since_the_account_is_empty_is_not_paid_again(generate, emulator):
    ran = generate(prompt="fail-by-account")
    assert type(ran.error) is AirflowFailException
    assert "积分不足. The account is at fault: fix its balance or its permissions." in str(ran.error)
    assert len(posts(emulator)) == 1


def test_what_failed_for_want_of_capacity_is_paid_again_by_a_retry(generate, emulator):
    ran = generate(prompt="fail-by-capacity")
    assert type(ran.error) is AirflowException
    assert "A retry of this Airflow task submits and pays again." in str(ran.error)
    assert len(posts(emulator)) == 2


def test_a_failure_whose_reason_cannot_be_asked_for_is_left_to_the_next_try(generate, emulator, monkeypatch):
    def nothing_is_read_any_more(context):
        emulator.arm({"on": "status", "fault": "html", "times": None})

    monkeypatch.setattr("airflow_provider_vidu.generation.count_failure", lambda: nothing_is_read_any_more(None))
    ran = generate(prompt="fail-by-moderation", retries=0)
    assert type(ran.error) is AirflowException


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_retry_takes_up_a_wait_that_ran_out_of_time(generate, slow_emulator, deferrable):
    ran = generate(timeout=timedelta(milliseconds=1), deferrable=deferrable)
    (task,) = slow_emulator.tasks
    assert type(ran.error) is AirflowException
    assert f"Vidu task {task['task_id']} was not ready in time" in str(ran.error)
    assert len(posts(slow_emulator)) == 1


@pytest.fixture
def blocked(monkeypatch):
    """A storage that has no room in the first try."""
    really_store, tries = VideoStore.store, []

    def full(self, *args, **kwargs):
        if tries[-1] == 1:
            raise ViduDownloadError("There is no room left.")
        return really_store(self, *args, **kwargs)

    monkeypatch.setattr(VideoStore, "store", full)
    return lambda context: tries.append(context["ti"].try_number)


def test_a_fault_of_the_storage_costs_no_new_generation(generate, emulator, blocked, tmp_path):
    ran = generate(pre_execute=blocked)
    (task,) = emulator.tasks
    assert ran.states == {"generate": "success"}
    assert [file.name for file in (tmp_path / "videos").iterdir()] == [f"{task['task_id']}.mp4"]
    assert len(posts(emulator)) == 1


def test_where_nothing_outlives_a_try_nothing_is_retried_after_the_submit(generate, emulator, blocked):
    ran = generate(pre_execute=blocked, durable=False)
    (task,) = emulator.tasks
    assert type(ran.error) is AirflowFailException
    assert "a retry would submit and pay again" in str(ran.error)
    assert f'vidu_task_id="{task["task_id"]}"' in str(ran.error)
    assert len(posts(emulator)) == 1


def test_where_nothing_outlives_a_try_a_capacity_failure_is_retried_all_the_same(generate, emulator):
    generate(prompt="fail-by-capacity", durable=False)
    assert len(posts(emulator)) == 2


def test_assets_are_told_what_was_made(generate, emulator, tmp_path):
    asset = Asset(name=f"videos-{tmp_path.name}", uri=f"file://{tmp_path}/videos")
    ran = generate(outlets=[asset])
    files = ran.xcom("generate")["files"]
    assert ran.asset_extras == [{"files": files, "video_seconds": 1, "estimated_cost": 0.31}]


def test_an_alias_without_an_asset_is_warned_of(generate, emulator, tmp_path, caplog):
    asset = Asset(name=f"videos-{tmp_path.name}", uri=f"file://{tmp_path}/videos")
    ran = generate(outlets=[AssetAlias("new videos"), asset])
    assert [extra["video_seconds"] for extra in ran.asset_extras] == [1]
    assert "The asset alias new videos gets no event: name an Asset in outlets too" in caplog.messages


@pytest.fixture
def counted(monkeypatch):
    counts = []
    monkeypatch.setattr(Stats, "incr", lambda name, count=1, **_: counts.append((name, count)))
    return counts


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (
            "a kite",
            [("vidu.estimated_cost_fen", 31), ("vidu.videos", 1), ("vidu.video_seconds", 1)],
        ),
        ("fail-by-moderation", [("vidu.estimated_cost_fen", 31), ("vidu.failures", 1)]),
    ],
)
def test_metrics_count_money_videos_and_failures(generate, emulator, counted, prompt, expected):
    generate(prompt=prompt)
    assert [count for count in counted if count[0].startswith("vidu.")] == expected


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"timeout": 0},
            "timeout must be a number of seconds above 0 (finite), or a timedelta of such a length, got 0",
        ),
        (
            {"poke_interval": timedelta(0)},
            "poke_interval must be a number of seconds above 0 and at most 31,536,000",
        ),
        ({"destination": "/videos/{custom_id}.mp4"}, "destination must use {task_id} or {index}, since this"),
        ({"destination": "/videos/{name}.mp4"}, "(custom_id in batches only), got '{name}'"),
        ({"duration": 99}, "duration must be a whole number from 1 to "),
    ],
)
def test_a_wrong_argument_is_refused_when_the_dag_is_parsed(arguments, text):
    with pytest.raises(ViduRequestError) as caught:
        ViduGenerateVideoOperator(task_id="generate", **(QUICK | arguments))
    assert text in str(caught.value)


def context_of(**changes):
    pushed = {"vidu_task_id": "task-7"}
    ti = SimpleNamespace(
        task_id="generate", map_index=-1, xcom_pull=lambda key, **_: pushed[key], xcom_push=lambda **_: None
    )
    return {"ti": ti, "outlets": [], **changes}


def test_a_trigger_that_airflow_gave_up_is_told_with_the_task(emulator):
    operator = ViduGenerateVideoOperator(task_id="generate", **QUICK)
    with pytest.raises(AirflowFailException, match=r"The trigger of Vidu task task-7 did not end its wait \(Trigger t"):
        operator.resume_execution("__fail__", {"error": "Trigger timeout"}, context_of())


@pytest.mark.parametrize("durable", [True, False])
def test_a_deferred_task_that_dag_test_resumes_with_the_event_alone_stores_its_video(
    generate, emulator, tmp_path, durable
):
    emulator.arm({"on": "status", "fault": "unknown_word", "times": 1})
    ran = generate(destination=str(tmp_path), durable=durable)
    (task,) = emulator.tasks
    assert ran.states == {"generate": "success"}
    assert ran.xcom("generate")["files"] == [f"file://{tmp_path}/{task['task_id']}.mp4"]


def test_an_event_that_is_none_of_ours_loses_no_task(emulator):
    operator = ViduGenerateVideoOperator(task_id="generate", **QUICK)
    resumed = {"event": {"status": "done"}, "vidu_task_id": "task-7", "cost": None, "remembered": False}
    with pytest.raises(AirflowFailException, match=r"The event must come from a Vidu trigger.*vidu_task_id=\"task-7\""):
        operator.resume_execution("execute_complete", resumed, context_of())


def test_where_nothing_outlives_a_try_not_even_a_refused_xcom_lets_it_be_retried(emulator):
    def refuse(key, value):
        if key == "vidu_task_id":
            raise ConnectionError("Airflow is away")

    operator = ViduGenerateVideoOperator(task_id="generate", **QUICK, durable=False)
    with pytest.raises(AirflowFailException, match=r"Airflow is away Airflow does not retry the task: no record"):
        operator.execute({"ti": SimpleNamespace(max_tries=1, xcom_push=refuse)})
    assert len(posts(emulator)) == 1


@pytest.mark.parametrize("method", ["execute_complete", "__fail__"])
def test_an_id_that_no_xcom_returns_is_not_written_as_a_line_that_resumes_the_wait(emulator, method):
    def lost(**_):
        raise ConnectionError("the database is away")

    context = context_of()
    context["ti"].xcom_pull = lost
    operator = ViduGenerateVideoOperator(task_id="generate", **QUICK, durable=False)
    event = {"event": {"status": "timeout", "task": None, "message": ""}} if method != "__fail__" else {"error": "over"}
    with pytest.raises(AirflowFailException) as raised:
        operator.resume_execution(method, event, context)
    assert str(raised.value) == (
        "the database is away Airflow does not retry the task: no record of the submit survives this try, so a retry "
        "would submit and pay again. Read the XCom vidu_task_id of this task, then resume the wait at no cost with "
        "ViduTaskSensor."
    )


def test_assets_and_metrics_that_fail_do_not_fail_what_is_paid_and_stored(generate, emulator, monkeypatch, tmp_path):
    def broken(*arguments, **options):
        raise ConnectionError("no metrics today")

    def of_vidu_broken(name, *arguments, **options):
        # Airflow 3.1 counts its own with the same object, and a run does not survive its failure.
        return broken() if name.startswith("vidu.") else None

    monkeypatch.setattr(Stats, "incr", of_vidu_broken)
    monkeypatch.setattr(OutletEventAccessors, "__getitem__", broken)
    ran = generate(outlets=[Asset(name=f"videos-{tmp_path.name}", uri=f"file://{tmp_path}/videos")])
    assert ran.states == {"generate": "success"}
    assert len(posts(emulator)) == 1
