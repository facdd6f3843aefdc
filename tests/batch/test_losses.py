# SPDX-License-Identifier: Apache-2.0
"""What keeps a batch from paying twice and from losing what is paid, where a try is not like the one before."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, TaskDeferred

from airflow_provider_vidu.durable.batch_record import BatchRecord
from airflow_provider_vidu.exceptions import ViduDownloadError, ViduRequestError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.storage import places
from tests.quick import PRICE, Store, asked, context_of, deferred, lines, many, outcomes, posts, tried

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")

UNFIT = asked("unfit", prompt="fail-by-moderation")


def test_a_video_of_an_item_that_has_moved_is_not_stored_over(emulator, videos):
    store, place = Store(), f"{videos}/{{index}}.mp4"
    with pytest.raises(AirflowFailException):
        tried(store, videos, [asked("a"), UNFIT], destination=place)
    before = (videos / "0.mp4").read_bytes()
    moved = [asked("b", prompt="a boat"), asked("a")]
    told = rf"The file of an item must stay the same.*: b would replace a at file://{videos}/0\.mp4\. Nothing was sent"
    for given in (moved, moved[:1]):
        with pytest.raises(AirflowFailException, match=told):
            tried(store, videos, given, max_tries=2, destination=place)
    assert len(emulator.tasks) == 2
    assert (videos / "0.mp4").read_bytes() == before
    # Who has not moved, and who has a name of one's own, is in nobody's way.
    assert tried(store, videos, [asked("a"), asked("b")], max_tries=2, destination=place)["counts"] == {"success": 2}


def test_what_could_not_be_remembered_when_it_was_accepted_is_remembered_before_the_wait(emulator, videos):
    # The first write is the intent of eight.
    store = Store(fails_at=2)
    with pytest.raises(AirflowException, match="1 of 9 items have no video"):
        tried(store, videos, many(9))
    assert tried(store, videos, many(9))["counts"] == {"success": 9}
    assert len(emulator.tasks) == 9


class Away(Store):
    """A task state store that takes the first write only, while Airflow is ``away``."""

    away = True

    def set(self, key, value, *, retention):
        if self.away and self.writes:
            raise ConnectionError("Airflow is away")
        super().set(key, value, retention=retention)


def test_the_second_hop_remembers_what_the_first_could_not(emulator, videos):
    store = Away()
    stop = deferred(videos, many(2), store)
    store.away = False
    operator = ViduGenerateBatchOperator(task_id="batch", requests=many(2), destination=f"{videos}/{{custom_id}}.mp4")
    assert operator.execute_complete(context_of(store), **stop.kwargs)["counts"] == {"success": 2}
    assert tried(store, videos, many(2))["counts"] == {"success": 2}
    assert len(emulator.tasks) == 2


def test_below_airflow_3_3_a_try_that_was_ended_after_its_submits_is_not_paid_again(emulator, videos):
    deferred(videos, many(3))
    (waiting,) = videos.glob("*.waiting")
    told = [json.loads(line)["task_id"] for line in waiting.read_text().splitlines()]
    with pytest.raises(AirflowFailException, match=rf"{waiting} lists 3 Vidu tasks \(kite-000: Vidu task {told[0]}"):
        tried(None, videos, many(3))
    assert [json.loads(line)["task_id"] for line in waiting.read_text().splitlines()] == told
    assert len(emulator.tasks) == 3
    waiting.unlink()
    assert tried(None, videos, many(3))["counts"] == {"success": 3}


@pytest.mark.parametrize("choice", ["fail", "resubmit"])
def test_custom_ids_that_change_after_a_kill_are_not_paid_again(emulator, videos, monkeypatch, choice):
    class Killed(BaseException):
        pass

    def dies(*_):
        raise Killed

    store = Store()
    with monkeypatch.context() as patched:
        # What a killed worker does not get to.
        patched.setattr(BatchRecord, "settle", dies)
        patched.setattr(BatchRecord, "catch_up", dies)
        with pytest.raises(Killed):
            tried(store, videos, [asked("x0"), asked("x1")])
    told = r"while 2 of an earlier try are missing \(x0: Vidu task unknown, x1: Vidu task"
    with pytest.raises(AirflowFailException, match=told):
        tried(store, videos, [asked("y0"), asked("y1")], on_uncertain=choice)
    assert len(emulator.tasks) == 2


@pytest.mark.parametrize("is_broken", [False, True], ids=["a directory that is none", "a file that is not a manifest"])
def test_a_manifest_that_could_not_be_written_keeps_everything_from_being_sent(emulator, videos, tmp_path, is_broken):
    (tmp_path / "file").write_text("no manifest")
    path = str(tmp_path / "file") if is_broken else f"{tmp_path}/file/manifest.jsonl"
    with pytest.raises(ViduDownloadError, match=r"Nothing was sent or paid|sent and paid nothing"):
        tried(Store(), videos, many(2), manifest=path)
    assert posts(emulator) == []
    assert (tmp_path / "file").read_text() == "no manifest"


def rendered(requests, videos, **arguments):
    """A batch whose requests come from another task, so that nothing of them is a template."""
    arguments = {"destination": f"{videos}/{{custom_id}}.mp4", "deferrable": False, **arguments}
    operator = ViduGenerateBatchOperator(task_id="batch", requests=[], **arguments)
    operator.requests = requests
    return operator


@pytest.mark.parametrize(
    ("requests", "arguments", "told"),
    [
        (
            [asked("a"), asked("{{x"), asked("a")],
            {"destination": "/videos"},
            "custom_id must be unique, got 'a' for 2 items (0, 2)",
        ),
        ([asked("a{{/x"), asked("b")], {}, "since the destination contains {custom_id}, got 'a{{/x'"),
    ],
)
def test_what_looks_like_a_template_when_the_task_runs_is_none(emulator, videos, requests, arguments, told):
    with pytest.raises(AirflowFailException) as raised:
        rendered(requests, videos, **arguments).execute(context_of(Store()))
    assert told in str(raised.value)
    assert posts(emulator) == []


def test_half_a_character_in_a_prompt_is_written_and_read(emulator, videos):
    (videos.parent / "odd").mkdir()
    returned = rendered([asked("a", prompt="kite \ud83d")], videos).execute(context_of(Store()))
    assert returned["counts"] == {"success": 1}
    (record,) = manifests.read(returned["manifest"])
    assert record.request["input"]["prompt"] == "kite \ud83d"


def test_a_refusal_after_a_delivered_batch_does_not_promise_its_videos_for_nothing(emulator, videos):
    store = Store()
    tried(store, videos, many(2))
    prices = {("text2video", "viduq2", 1, "540p"): 9.0}
    with pytest.raises(AirflowFailException, match="about ¥18 for 2 items") as raised:
        rendered(many(2), videos, max_cost=5, prices=prices).execute(context_of(store, max_tries=2))
    assert "clear the task" not in str(raised.value)


def test_no_two_task_instances_share_a_manifest_and_no_name_is_too_long():
    def name(dag_id, task_id, map_index=-1):
        context = context_of(None, map_index=map_index)
        context["ti"].dag_id, context["ti"].task_id = dag_id, task_id
        return manifests.default_name("/v/{custom_id}.mp4", context)

    names = [
        name("视频", "make"),
        name("图片", "make"),
        name("d", "make", 1),
        name("d", "make-1"),
        name("d", "make", 0),
    ]
    names.append(name("d" * 120, f"group.{'t' * 120}"))
    assert len(set(names)) == len(names)
    assert all(len(Path(path).name.encode()) < 240 for path in names)
    assert names[0] == name("视频", "make")


def test_a_price_table_that_has_gone_does_not_keep_paid_videos_waiting(emulator, videos, tmp_path):
    table, store = tmp_path / "prices.csv", Store()
    table.write_text("vidu_type,model,duration_s,resolution,price_cny\ntext2video,viduq2,1,540p,0.5\n")
    deferred(videos, many(2), store, prices=str(table))
    table.unlink()
    returned = tried(store, videos, many(2), prices=str(table))
    assert (returned["counts"], returned["estimated_cost"]) == ({"success": 2}, 1.0)


def test_what_is_uncertain_is_in_the_total_and_stays_there_once_it_is_submitted_again(emulator, videos):
    mark = ["f", "r", PRICE, 10.0]
    store = Store(vidu_batch_0={"max_tries": 1, "begun_at": 1e9, "items": {"a": [*mark, ""]}})
    given = [asked("a"), asked("b")]
    returned = tried(store, videos, given, fail_on=0.9)
    assert (returned["counts"], returned["estimated_cost"]) == ({"uncertain": 1, "success": 1}, 2 * PRICE)
    returned = tried(store, videos, given, on_uncertain="resubmit")
    assert (returned["counts"], returned["estimated_cost"]) == ({"success": 2}, round(3 * PRICE, 5))
    assert {line["custom_id"]: line["estimated_cost"] for line in lines(videos)} == {"a": 2 * PRICE, "b": PRICE}


def test_what_was_paid_for_another_request_keeps_its_price(emulator, videos):
    store = Store()
    deferred(videos, [asked("a")], store)
    returned = tried(store, videos, [asked("a", duration=8)])
    assert returned["estimated_cost"] == PRICE


def test_what_was_surely_not_accepted_costs_nothing(emulator, videos):
    tried(Store(), videos, [asked("a"), asked("b", prompt="forbidden-by-moderation")], fail_on=0.9)
    assert {line["custom_id"]: line["estimated_cost"] for line in lines(videos)} == {"a": PRICE, "b": 0}


def test_totals_are_pushed_only_where_xcoms_are_wanted(emulator, videos):
    pushed = []
    for wanted in (True, False):
        context = context_of(Store())
        context["ti"].xcom_push = lambda key, value: pushed.append((key, value.get("counts")))
        with pytest.raises(AirflowFailException):
            rendered([UNFIT], videos, do_xcom_push=wanted).execute(context)
    assert pushed == [("return_value", {"failed": 1}), ("vidu_failure", None), ("vidu_failure", None)]


def test_what_was_submitted_is_named_where_it_cannot_be_noted(emulator, videos, monkeypatch):
    really, store = manifests.write, Store()

    def full(path, records):
        if any(record.task_id for record in records):
            raise ViduDownloadError("The disk is full.")
        return really(path, records)

    with monkeypatch.context() as patched:
        patched.setattr(manifests, "write", full)
        with pytest.raises(ViduDownloadError) as raised:
            tried(store, videos, many(2))
    assert "The disk is full. 2 Vidu tasks of this batch are submitted and billed: kite-000: " in str(raised.value)
    assert tried(store, videos, many(2))["counts"] == {"success": 2}
    assert len(emulator.tasks) == 2


def test_sums_of_prices_are_compared_as_exactly_as_they_are_given(emulator, videos):
    # 38 times 0.31 is 11.780000000000001 for a computer.
    ViduGenerateBatchOperator(task_id="batch", requests=many(38), destination=str(videos), max_cost=11.78)


def test_items_within_the_share_that_have_no_video_are_named_in_the_log(emulator, videos, capfd):
    tried(Store(), videos, [*many(3), UNFIT], fail_on=0.5)
    assert outcomes(videos)["unfit"] == "failed"
    assert "1 of 4 items have no video: unfit: failed: " in capfd.readouterr().out


def test_the_reason_of_a_failure_is_shown(emulator, videos):
    pushed = {}
    context = context_of(Store())
    context["ti"].xcom_push = lambda key, value: pushed.update({key: value})
    with pytest.raises(AirflowFailException) as raised:
        rendered(many(2), videos, max_cost=0.1).execute(context)
    assert pushed == {"vidu_failure": {"task_id": "", "reason": str(raised.value)}}


@pytest.mark.parametrize(
    "manifest", ["{videos}/b.mp4", "file://{videos}/b.mp4", "{videos}//b.mp4", "{videos}/../videos/b.mp4"]
)
def test_a_manifest_in_the_place_of_a_video_is_refused(emulator, videos, manifest):
    with pytest.raises(
        AirflowFailException, match=r"destination and manifest must give each item .* for b, .* file of the manifest"
    ):
        tried(Store(), videos, [asked("a"), asked("b")], manifest=manifest.format(videos=videos))
    assert posts(emulator) == []


@pytest.fixture
def one_directory_of_two_names(videos):
    (videos / "a").mkdir(parents=True)
    (videos / "b").symlink_to("a", target_is_directory=True)


BY_DIRECTORY = "{custom_id}/v.mp4"


@pytest.mark.usefixtures("one_directory_of_two_names")
def test_two_items_whose_directories_are_one_are_refused_with_nothing_paid(emulator, videos):
    with pytest.raises(AirflowFailException, match=f"got file://{videos}/b/v.mp4 for b, which is the file of a"):
        tried(Store(), videos, [asked("a"), asked("b")], destination=f"{videos}/{BY_DIRECTORY}")
    assert posts(emulator) == []


@pytest.mark.usefixtures("one_directory_of_two_names")
def test_an_item_whose_directory_is_that_of_a_stored_video_is_refused_with_nothing_paid(emulator, videos):
    store, destination = Store(), f"{videos}/{BY_DIRECTORY}"
    unfit = asked("c", prompt="fail-by-moderation")
    with pytest.raises(AirflowFailException, match="1 failed"):
        tried(store, videos, [asked("a"), unfit], destination=destination)
    with pytest.raises(AirflowFailException, match="b would replace a at"):
        tried(store, videos, [asked("a"), unfit, asked("b")], max_tries=2, destination=destination)
    assert len(posts(emulator)) == 2


def test_a_disk_that_takes_nothing_more_is_reported_with_what_is_paid(emulator, videos, monkeypatch):
    store, given = Store(), many(2)
    really = places.replacing

    def is_full(path):
        if store:
            raise ViduDownloadError(f"Could not write to {path}: OSError: Read-only file system.")
        return really(path)

    with monkeypatch.context() as patched:
        patched.setattr(places, "replacing", is_full)
        for number in (1, 2):
            with pytest.raises(
                ViduDownloadError, match="2 Vidu tasks of this batch are submitted and billed"
            ) as raised:
                tried(store, videos, given, try_number=number)
            assert all(task["task_id"] in str(raised.value) for task in emulator.tasks)
    assert tried(store, videos, given, try_number=3)["counts"] == {"success": 2}
    assert len(posts(emulator)) == 2


def broken(path, how):
    path.unlink()
    if how == "a directory":
        path.mkdir()
    elif how == "a pipe":
        os.mkfifo(path)
    elif how == "another page":
        path.write_text("<html>")


@pytest.mark.parametrize("how", ["gone", "another page", "a directory", "a pipe"])
def test_a_retry_keeps_no_success_whose_file_is_another_one(emulator, videos, how):
    store, given = Store(), [*many(1), asked("unfit", prompt="fail-by-moderation")]
    with pytest.raises(AirflowFailException):
        tried(store, videos, given)
    broken(videos / "kite-000.mp4", how)
    with pytest.raises(AirflowException):
        tried(store, videos, given, try_number=2)
    expected = "not_stored" if how == "a directory" else "success"
    assert outcomes(videos)["kite-000"] == expected
    assert len(posts(emulator)) == 2
    assert [task["downloads"] for task in emulator.tasks if task["downloads"]] == [2]


def test_an_item_whose_directory_is_a_file_is_refused_with_nothing_paid(emulator, videos):
    videos.mkdir()
    (videos / "b").write_text("a file")
    with pytest.raises(ViduDownloadError, match=f"{videos}/b is not a directory. Nothing was sent or paid"):
        tried(Store(), videos, [asked("a"), asked("b")], destination=f"{videos}/{{custom_id}}/v.mp4")
    assert posts(emulator) == []


@pytest.mark.parametrize(("one", "other"), [("a", "A"), ("\u00fc", "u\u0308")], ids=ascii)
def test_custom_ids_that_some_directories_take_for_one_are_refused(emulator, videos, one, other):
    with pytest.raises(ViduRequestError, match=r"writes 2 items \(0, 1\) to one file"):
        tried(Store(), videos, [asked(one), asked(other)])
    # In a bucket they are two.
    ViduGenerateBatchOperator(
        task_id="batch", requests=[asked(one), asked(other)], destination="s3://c@bucket/{custom_id}.mp4"
    )


def test_a_pipe_in_the_place_of_a_manifest_is_refused_and_not_waited_for(emulator, videos):
    videos.mkdir()
    os.mkfifo(videos / "m.jsonl")
    with pytest.raises(AirflowFailException, match=r"m\.jsonl, which is not a regular file\. Nothing was sent or paid"):
        tried(Store(), videos, many(1), manifest=f"{videos}/m.jsonl")
    assert posts(emulator) == []


@pytest.mark.parametrize("prices", ["pipe", "/dev/zero"])
def test_prices_that_are_no_file_are_refused_and_not_read(emulator, videos, tmp_path, prices):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AirflowFailException, match=r"prices must be .* a CSV file .*not a regular file"):
        tried(Store(), videos, many(1), prices=str(tmp_path / prices))
    assert posts(emulator) == []


def test_a_store_that_lets_write_a_name_once_takes_a_batch(emulator, lesser_store):
    lesser_store.forget()
    lesser_store.is_write_once = True
    store, destination = Store(), "s3://lesser@bucket/night/{custom_id}.mp4"
    operator = ViduGenerateBatchOperator(task_id="batch", requests=many(2), destination=destination)
    with pytest.raises(TaskDeferred) as deferred_to:
        operator.execute(context_of(store))
    event = {"status": "success", "counts": {}, "message": "It ended."}
    assert operator.execute_complete(context_of(store), event, **deferred_to.value.kwargs)["counts"] == {"success": 2}
    assert len(posts(emulator)) == 2


def test_a_list_of_tasks_that_nothing_else_remembers_has_to_be_written(emulator, videos, monkeypatch):
    really = manifests.write

    def full(path, records):
        if any(record.task_id for record in records):
            raise ViduDownloadError("The disk is full.")
        return really(path, records)

    monkeypatch.setattr(manifests, "write", full)
    told = "The disk is full. 2 Vidu tasks of this batch are submitted and billed: kite-000: .* a retry would pay again"
    with pytest.raises(AirflowFailException, match=told):
        tried(None, videos, many(2))
    assert len(posts(emulator)) == 2
