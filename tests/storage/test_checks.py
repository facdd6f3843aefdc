# SPDX-License-Identifier: Apache-2.0
"""Destinations that mapped tasks share, and places that cannot be used, run by Airflow against the emulator."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import task_group

from airflow_provider_vidu.exceptions import ViduRequestError, ViduStateError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from tests.quick import QUICK, Store, asked, context_of, posts, tried

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")
PROMPTS = ["a kite", "a boat"]
WITHOUT_PROMPT = {name: value for name, value in QUICK.items() if name != "prompt"}

SHARED = [
    "video.mp4",
    "{{ ds_nodash or 'x' }}/{{ run_id }}.mp4",
    "{{ params.name }}.mp4",
    "{{ macros.ds_add('2026-01-01', 1) }}.mp4",
    "{% for one in [1, 2] %}{{ one }}{% endfor %}.mp4",
    "{{ ti.run_id }}-{{ task_instance.dag_id }}-{{ task.task_id }}.mp4",
]
OWN = [
    "videos",
    "{index}.mp4",
    "{task_id}.mp4",
    "{{ ti.map_index }}.mp4",
    "{{ task_instance.map_index }}-{{ ds_nodash }}.mp4",
    "{{ macros.uuid.uuid4() }}.mp4",
    "{{ macros['uuid'].uuid4() }}.mp4",
]


def generate(tmp_path, destination):
    ViduGenerateVideoOperator.partial(task_id="map", destination=f"{tmp_path}/{destination}", **WITHOUT_PROMPT).expand(
        prompt=PROMPTS
    )


def generate_in_a_group(tmp_path, destination):
    @task_group
    def each(prompt):
        ViduGenerateVideoOperator(task_id="map", destination=f"{tmp_path}/{destination}", **{**QUICK, "prompt": prompt})

    each.expand(prompt=PROMPTS)


def refused(tmp_path, destination):
    return (
        f"destination must differ for each mapped task, got '{tmp_path}/{destination}', with which each task replaces "
        "the files of the others. Nothing was sent or paid. Use a directory, or a name that contains {task_id} or "
        "{index}, then clear the task."
    )


def transfer_in_a_group(tmp_path, destination):
    @task_group
    def each(vidu_task_id):
        ViduToObjectStorageOperator(task_id="map", destination=f"{tmp_path}/{destination}", vidu_task_id=vidu_task_id)

    each.expand(vidu_task_id=["a", "b"])


@pytest.mark.parametrize("make", [generate_in_a_group, transfer_in_a_group])
def test_in_a_mapped_group_one_file_for_all_is_refused_when_the_dag_is_parsed(run_dag, emulator, tmp_path, make):
    with pytest.raises(ViduRequestError) as raised:
        run_dag(lambda: make(tmp_path, "video.mp4"))
    assert str(raised.value) == refused(tmp_path, "video.mp4")
    run_dag(lambda: generate_in_a_group(tmp_path, "{index}.mp4"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.mp4", "1.mp4"]


@pytest.mark.parametrize(
    ("make", "destination"),
    [(generate, SHARED[0]), *((make, name) for name in SHARED[1:] for make in (generate, generate_in_a_group))],
)
def test_mapped_tasks_that_would_write_one_file_pay_nothing(run_dag, emulator, tmp_path, make, destination):
    ran = run_dag(lambda: make(tmp_path, destination), params={"name": "kite"})
    assert set(ran.states.values()) == {"failed"}
    assert type(ran.error) is AirflowFailException
    assert "destination must differ for each mapped task, got " in str(ran.error)
    assert emulator.requests == []
    if destination == "video.mp4":
        assert str(ran.error) == refused(tmp_path, destination)


@pytest.mark.parametrize("make", [generate, generate_in_a_group])
@pytest.mark.parametrize("destination", OWN)
def test_mapped_tasks_whose_files_may_differ_are_paid_and_stored(run_dag, emulator, tmp_path, make, destination):
    ran = run_dag(lambda: make(tmp_path, destination))
    assert set(ran.states.values()) == {"success"}
    assert len(list(tmp_path.rglob("*.mp4"))) == len(posts(emulator)) == 2


def test_destinations_that_are_mapped_themselves_are_taken(run_dag, emulator, tmp_path):
    each = [{"destination": f"{tmp_path}/{name}.mp4", "prompt": name} for name in "ab"]

    def make():
        ViduGenerateVideoOperator.partial(task_id="map", **WITHOUT_PROMPT).expand_kwargs(each)

        @task_group
        def group(destination):
            ViduGenerateVideoOperator(task_id="each", destination=destination, **QUICK)

        group.expand(destination=[f"{tmp_path}/{name}.mp4" for name in "cd"])

    assert set(run_dag(make).states.values()) == {"success"}
    assert sorted(path.name for path in tmp_path.glob("*.mp4")) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]


MAPPED = {
    "one for all": lambda partial, path: partial().expand(destination=[f"{path}/a.mp4"] * 2),
    "one of the run for all": lambda partial, path: partial().expand(destination=[f"{path}/{{{{ run_id }}}}.mp4"] * 2),
    "one for some": lambda partial, path: partial().expand(
        destination=[f"{path}/a.mp4", f"{path}/a.mp4", f"{path}/b.mp4"]
    ),
    "each with each": lambda partial, path: partial().expand(
        destination=[f"{path}/{one}.mp4" for one in "ab"], seed=[1, 2]
    ),
    "by dictionaries": lambda partial, path: partial().expand_kwargs([{"destination": f"{path}/a.mp4"}] * 2),
}


@pytest.mark.parametrize("expand", MAPPED.values(), ids=list(MAPPED))
def test_a_file_that_two_mapped_tasks_are_given_is_paid_once_at_most(run_dag, emulator, tmp_path, expand):
    ran = run_dag(lambda: expand(lambda: ViduGenerateVideoOperator.partial(task_id="map", **QUICK), tmp_path))
    assert "destination must differ for each mapped task, got " in str(ran.error)
    # A name that only one of them was given is its own.
    assert [path.name for path in tmp_path.rglob("*.mp4")] == (["b.mp4"] if len(posts(emulator)) else [])


@pytest.mark.parametrize("how", ["expand", "expand_kwargs"])
def test_params_that_are_mapped_themselves_name_a_file_for_each(run_dag, emulator, tmp_path, how):
    def make():
        partial = ViduGenerateVideoOperator.partial(
            task_id="map", destination=f"{tmp_path}/{{{{ params.name }}}}.mp4", **QUICK
        )
        each = [{"name": "a"}, {"name": "b"}]
        if how == "expand":
            partial.expand(params=each)
        else:
            partial.expand_kwargs([{"params": one} for one in each])

    assert set(run_dag(make).states.values()) == {"success"}
    assert sorted(path.name for path in tmp_path.glob("*.mp4")) == ["a.mp4", "b.mp4"]


def test_a_task_that_is_not_mapped_may_name_its_file(run_dag, emulator, tmp_path):
    ran = run_dag(
        lambda: ViduGenerateVideoOperator(task_id="one", destination=f"{tmp_path}/{{{{ run_id }}}}.mp4", **QUICK)
    )
    assert ran.states == {"one": "success"}


def test_mapped_transfers_that_would_write_one_file_replace_none(run_dag, emulator, tmp_path):
    results = [{"task_id": f"task-{n}", "urls": ["http://127.0.0.1:9/video.mp4"]} for n in range(2)]
    ran = run_dag(
        lambda: ViduToObjectStorageOperator.partial(task_id="map", destination=f"{tmp_path}/video.mp4").expand(
            result=results
        )
    )
    assert str(ran.error) == refused(tmp_path, "video.mp4")


def batches(tmp_path, **arguments):
    ViduGenerateBatchOperator.partial(task_id="map", **arguments).expand(requests=[[asked("a")], [asked("b")]])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"destination": "video.mp4"}, "destination must differ for each mapped task, got "),
        ({"destination": "{{ run_id }}-{index}.mp4"}, "destination must differ for each mapped task, got "),
        (
            {"destination": "videos", "manifest": "{{ run_id }}.jsonl"},
            "manifest must differ for each mapped task, got ",
        ),
    ],
)
def test_mapped_batches_that_would_write_one_file_pay_nothing(run_dag, emulator, tmp_path, arguments, problem):
    arguments = {name: f"{tmp_path}/{value}" for name, value in arguments.items()}
    ran = run_dag(lambda: batches(tmp_path, **arguments))
    assert type(ran.error) is AirflowFailException
    assert str(ran.error).startswith(problem)
    assert posts(emulator) == []


@pytest.mark.parametrize("name", ["{custom_id}.mp4", "{task_id}.mp4", "videos", "{{ ti.map_index }}-{index}.mp4"])
def test_mapped_batches_whose_files_may_differ_are_paid(run_dag, emulator, tmp_path, name):
    manifest = f"{tmp_path}/{{{{ ti.map_index }}}}.jsonl"
    ran = run_dag(lambda: batches(tmp_path, destination=f"{tmp_path}/{name}", manifest=manifest))
    assert set(ran.states.values()) == {"success"}
    assert len(list(tmp_path.rglob("*.mp4"))) == len(posts(emulator)) == 2


NIGHTS = [[asked("a", prompt="first"), asked("b")], [asked("c"), asked("a", prompt="second")]]
# The name of each video, whether the batches are mapped by keywords, and whether they are refused.
NAMED_BY_ID = {
    "the same id": ("{custom_id}.mp4", False, True),
    "the same id, by keywords": ("{custom_id}.mp4", True, True),
    "the same id at another position": ("{index}-{custom_id}.mp4", False, False),
    "the id of the task, too": ("{custom_id}-{task_id}.mp4", False, False),
}


@pytest.mark.parametrize(("name", "by_keywords", "is_refused"), NAMED_BY_ID.values(), ids=list(NAMED_BY_ID))
def test_mapped_batches_of_one_custom_id_never_replace_each_others_video(
    run_dag, emulator, tmp_path, name, by_keywords, is_refused
):
    def make():
        partial = ViduGenerateBatchOperator.partial(task_id="batch", destination=f"{tmp_path}/{name}", deferrable=False)
        return (
            partial.expand_kwargs([{"requests": one} for one in NIGHTS])
            if by_keywords
            else partial.expand(requests=NIGHTS)
        )

    ran = run_dag(make)
    if is_refused:
        assert "with which another mapped task replaces the video of a. Nothing was sent or paid." in str(ran.error)
        assert posts(emulator) == []
    else:
        assert set(ran.states.values()) == {"success"}
        assert len(list(tmp_path.rglob("*.mp4"))) == len(posts(emulator)) == 4


def test_a_directory_where_a_video_would_be_stored_is_refused_before_anything_is_paid(emulator, videos):
    (videos / "a.mp4").mkdir(parents=True)
    context = context_of(None)
    context["ti"].xcom_push = lambda key, value: None
    operator = ViduGenerateVideoOperator(task_id="generate", **QUICK, destination=f"{videos}/a.mp4", deferrable=False)
    with pytest.raises(AirflowFailException, match=r"a\.mp4, which is a directory\. Nothing was sent or paid\."):
        operator.execute(context)
    with pytest.raises(AirflowFailException, match=r"a\.mp4, which is a directory\. Nothing was sent or paid\."):
        tried(Store(), videos, [asked("b"), asked("a")])
    assert emulator.requests == []


def test_a_store_of_pictures_that_is_away_leaves_the_submit_to_a_retry(emulator, monkeypatch):
    keys = {"aws_access_key_id": "id", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    extra = {**keys, "endpoint_url": "http://127.0.0.1:1", "config_kwargs": {"retries": {"total_max_attempts": 1}}}
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", json.dumps({"conn_type": "aws", "extra": extra}))
    context = context_of(None)
    context["ti"].xcom_push = lambda key, value: None
    operator = ViduSubmitOperator(task_id="submit", model="viduq2-turbo", first_frame_url="s3://away@bucket/a.png")
    with pytest.raises(ViduStateError, match=r"first_frame_url must be a file that can be read.*Nothing was sent"):
        operator.execute(context)
    assert emulator.requests == []
