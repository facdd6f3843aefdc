# SPDX-License-Identifier: Apache-2.0
"""Batches from requests to manifest, run by Airflow against the emulator, which counts what is paid."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, Asset, Stats
from airflow.sdk import task as task_decorator

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from tests.quick import PRICE, QUICK, Store, asked, breaks_once, context_of, lines, many, outcomes, posts, tried
from tests.versions import retries_start_anew

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")


@pytest.mark.parametrize("deferrable", [True, False])
def test_each_request_becomes_a_file_and_a_line_and_is_paid_once(make, emulator, videos, deferrable):
    ran = make([asked("first"), asked("second", prompt="a boat")], deferrable=deferrable)
    (manifest,) = videos.glob("manifest-test-*-batch-*.jsonl")
    assert ran.xcom("batch") == {
        "manifest": f"file://{manifest}",
        "counts": {"success": 2},
        "video_seconds": 2.0,
        "estimated_cost": 2 * PRICE,
    }
    by_prompt = {task["body"]["input"]["prompt"]: task for task in emulator.tasks}
    assert lines(videos) == [
        {
            "custom_id": custom_id,
            "request": {
                "model": "viduq2",
                "input": {"prompt": prompt},
                "parameters": {"vidu_type": "text2video", "duration": 1, "resolution": "540p"},
            },
            "outcome": "success",
            "reason": "",
            "task_id": by_prompt[prompt]["task_id"],
            "files": [f"file://{videos}/{custom_id}.mp4"],
            "video_seconds": 1,
            "earlier_task_ids": [],
            "estimated_cost": PRICE,
            "family": "",
            "reused_from": "",
            "error": "",
            "version": 1,
        }
        for custom_id, prompt in (("first", "a kite"), ("second", "a boat"))
    ]
    assert sorted(path.name for path in videos.iterdir()) == ["first.mp4", manifest.name, "second.mp4"]
    assert len(posts(emulator)) == 2


def test_a_batch_may_come_from_another_task_with_pictures_from_files(run_dag, emulator, videos, frame):
    def make_tasks():
        @task_decorator
        def list_pictures():
            picture = {"model": "viduq2-turbo", "first_frame_url": str(frame), "duration": 1, "resolution": "540p"}
            return [{"custom_id": "frame", **picture}, {"custom_id": "gone", **picture, "first_frame_url": "/gone.png"}]

        ViduGenerateBatchOperator(task_id="batch", requests=list_pictures(), destination=str(videos), fail_on="all")

    ran = run_dag(make_tasks)
    assert ran.xcom("batch")["counts"] == {"success": 1, "refused": 1}
    made, gone = lines(videos)
    assert made["request"]["input"] == {"first_frame_url": str(frame)}
    assert (gone["task_id"], gone["estimated_cost"]) == ("", 0)
    assert "got '/gone.png' (there is no such file)" in gone["reason"]
    assert len(posts(emulator)) == 1


@pytest.mark.parametrize("form", ["{{ params.batch | tojson }}", "{{ params.batch }}"])
def test_a_template_gives_the_whole_batch_as_json(make, run_dag, emulator, videos, form):
    ran = run_dag(
        lambda: ViduGenerateBatchOperator(task_id="batch", requests=form, destination=str(videos)),
        params={"batch": many(2)},
    )
    if "tojson" in form:
        assert ran.xcom("batch")["counts"] == {"success": 2}
    else:
        assert "requests must be a list of mappings or its JSON text" in str(ran.error)


def test_an_empty_batch_succeeds_with_an_empty_manifest(make, emulator, videos):
    ran = make([])
    assert ran.xcom("batch")["counts"] == {}
    assert lines(videos) == []
    assert emulator.requests == []


WRONG = {
    "no custom id": ([QUICK], "item 0 (None): custom_id must be a string of 1 to 180"),
    "twice": ([asked("a"), asked("a")], "custom_id must be unique, got 'a' for 2 items (0, 1)"),
    "a name that no file may have": ([asked("a/b")], "item 0: custom_id must be 1 to 180 bytes"),
    "an unknown field": ([asked("a", colour="red")], "item 0 ('a'): colour must be a field that this version knows"),
    "a misspelt field": (
        [asked("a", promt="x")],
        "promt must be a field that this version knows (did you mean prompt?); to send it",
    ),
    "a wrong value": (
        [asked("a", duration=99)],
        "item 0 ('a'): duration must be a whole number from 1 to 10 (default 5), got 99 (",
    ),
    "many": ([asked(f"a{n}", duration=99) for n in range(7)], "item 4 ('a4'): duration must be a whole number"),
    "no list": ([1], "requests must be a list of mappings or its JSON text"),
    "too expensive": (many(4), "max_cost must be at least the estimate, about ¥1.24 for 4 items (by prices of"),
    "of unknown price": (
        [asked("a", model="viduq9")],
        "1 of 1 items without a known price; the first is 'a': no price is known",
    ),
}


def test_a_row_of_a_csv_file_with_a_comma_too_many_is_named():
    with pytest.raises(ViduRequestError) as raised:
        ViduGenerateBatchOperator(
            task_id="batch", requests=[asked("a"), {**asked("b"), None: ["and more"]}], destination="/videos"
        )
    assert str(raised.value) == (
        "item 1 must have as many values as columns, got ['and more'] without a column. Nothing was sent or paid. "
        "Quote the texts of the CSV file that contain a comma."
    )


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_batch_is_refused_when_the_dag_is_parsed_and_again_before_anything_is_sent(
    make, run_dag, emulator, videos, name
):
    given, text = WRONG[name]
    arguments = {"destination": f"{videos}/{{custom_id}}.mp4", "max_cost": 1}
    with pytest.raises(ViduRequestError) as raised:
        ViduGenerateBatchOperator(task_id="batch", requests=given, **arguments)
    assert text in str(raised.value)
    if name == "many":
        assert str(raised.value).endswith("; and 2 more. Nothing was sent or paid. Correct the arguments.")
    later = "{{ params.batch | tojson }}"
    ran = run_dag(
        lambda: ViduGenerateBatchOperator(task_id="batch", requests=later, retries=1, **arguments),
        params={"batch": given},
    )
    assert type(ran.error) is AirflowFailException
    assert text in str(ran.error)
    assert emulator.requests == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"fail_on": 2}, "fail_on must be 'any', 'all' or a share between 0 and 1, such as 0.05, got 2"),
        ({"on_uncertain": "ask"}, "on_uncertain must be 'fail' or 'resubmit', got 'ask'"),
        ({"max_cost": -1}, "None for no limit, got -1"),
        ({"prices": {"viduq2": 1}}, "at or after the row 'viduq2' (ValueError: "),
        ({"timeout": timedelta(0)}, "or a timedelta of such a length, got datetime.timedelta(0)"),
        ({"destination": "/videos/one.mp4"}, "which writes 2 items (0, 1) to one file"),
    ],
)
def test_a_wrong_option_is_refused_when_the_dag_is_parsed(arguments, text):
    with pytest.raises(ViduRequestError) as raised:
        ViduGenerateBatchOperator(**{"task_id": "batch", "requests": many(2), "destination": "/videos", **arguments})
    assert text in str(raised.value)


def test_a_destination_that_is_none_is_refused_when_the_task_runs(emulator, videos):
    with pytest.raises(AirflowFailException, match="destination must be a path or URI, got None"):
        tried(Store(), videos, "[]", destination=None)


def test_what_only_a_template_will_tell_is_not_refused_when_the_dag_is_parsed():
    given = [asked("{{ ds }}", duration="{{ params.seconds }}"), asked("{{ ds }}", model="{{ params.model }}")]
    ViduGenerateBatchOperator(task_id="batch", requests=given, destination="/videos/{{ ds }}", max_cost=1)


def test_a_retry_pays_nothing_and_fetches_nothing_again(make, emulator, videos):
    ran = make(many(10), post_execute=breaks_once)
    assert ran.xcom("batch")["counts"] == {"success": 10}
    assert (len(posts(emulator)), [task["downloads"] for task in emulator.tasks]) == (10, [1] * 10)


def test_a_retry_stores_again_what_has_gone(make, emulator, videos):
    def lose_one(context, result):
        (videos / "kite-001.mp4").unlink(missing_ok=True)
        breaks_once(context)

    ran = make(many(3), post_execute=lose_one)
    assert ran.xcom("batch")["counts"] == {"success": 3}
    assert (len(posts(emulator)), sum(task["downloads"] for task in emulator.tasks)) == (3, 4)


@retries_start_anew
def test_a_retry_pays_again_only_for_what_failed_for_want_of_capacity(make, emulator, videos):
    ran = make([asked("fine"), asked("busy", prompt="fail-by-capacity"), asked("unfit", prompt="fail-by-moderation")])
    assert outcomes(videos) == {"fine": "success", "busy": "failed", "unfit": "failed"}
    assert type(ran.error) is AirflowException
    assert (
        "2 of 3 items have no video (1 success, 2 failed). A retry can recover 1 of them. It would pay again for "
        "1 and submit 0 for the first time."
    ) in str(ran.error)
    assert sorted(task["body"]["input"]["prompt"] for task in emulator.tasks) == [
        "a kite",
        "fail-by-capacity",
        "fail-by-capacity",
        "fail-by-moderation",
    ]
    # A task that runs in any case is told, too, and of every generation that was submitted.
    assert ran.xcom("batch") == {
        "manifest": ran.xcom("batch")["manifest"],
        "counts": {"success": 1, "failed": 2},
        "video_seconds": 1.0,
        "estimated_cost": 4 * PRICE,
    }
    busy = [task["task_id"] for task in emulator.tasks if task["body"]["input"]["prompt"] == "fail-by-capacity"]
    told = {line["custom_id"]: line for line in lines(videos)}
    assert [*told["busy"]["earlier_task_ids"], told["busy"]["task_id"]] == busy
    assert {name: line["estimated_cost"] for name, line in told.items()} == {
        "fine": PRICE,
        "busy": 2 * PRICE,
        "unfit": PRICE,
    }


def test_totals_that_cannot_be_pushed_do_not_hide_why_a_batch_failed(emulator, videos, capfd):
    def broken(key, value):
        raise RuntimeError("the api-server is down")

    context = context_of(Store())
    context["ti"].xcom_push = broken
    operator = ViduGenerateBatchOperator(
        task_id="batch",
        requests=[asked("unfit", prompt="fail-by-moderation")],
        destination=f"{videos}/{{custom_id}}.mp4",
        deferrable=False,
    )
    with pytest.raises(AirflowFailException, match="1 of 1 items have no video"):
        operator.execute(context)
    assert "Could not push the totals" in capfd.readouterr().out


def test_what_no_retry_can_help_is_not_retried(make, emulator, videos):
    ran = make([asked("fine"), asked("refused", prompt="forbidden-by-moderation")])
    assert outcomes(videos) == {"fine": "success", "refused": "refused"}
    assert type(ran.error) is AirflowFailException
    assert "No retry can recover any of them, so Airflow does not retry the task." in str(ran.error)
    assert len(posts(emulator)) == 2


def test_airflow_defers_a_batch_again_for_each_wave(make, emulator, videos):
    ran = make(many(10), max_in_flight=2, post_execute=breaks_once)
    assert ran.xcom("batch")["counts"] == {"success": 10}
    assert (len(posts(emulator)), [task["downloads"] for task in emulator.tasks]) == (10, [1] * 10)


def test_a_share_of_items_without_a_video_may_be_tolerated(make, emulator, videos):
    ran = make([*many(3), asked("unfit", prompt="fail-by-moderation")], fail_on=0.25)
    assert ran.xcom("batch") == {
        "manifest": ran.xcom("batch")["manifest"],
        "counts": {"success": 3, "failed": 1},
        "video_seconds": 3.0,
        "estimated_cost": 4 * PRICE,
    }


def test_the_assets_of_a_batch_are_told_of_its_manifest_and_its_videos_are_counted(make, emulator, monkeypatch):
    seen, counted = [], {}

    def look(context, result):
        seen.extend(context["outlet_events"][asset].extra for asset in context["outlets"])

    def count(name, value=1, **_):
        counted[name] = counted.get(name, 0) + value

    monkeypatch.setattr(Stats, "incr", count)
    given = [asked("fine"), asked("unfit", prompt="fail-by-moderation")]
    ran = make(given, outlets=[Asset("videos")], post_execute=look, fail_on="all")
    (extra,) = seen
    told = ran.xcom("batch")
    assert extra == {
        "video_seconds": 1.0,
        "estimated_cost": 2 * PRICE,
        "manifest": told["manifest"],
        "counts": told["counts"],
    }
    ours = {name: value for name, value in counted.items() if name.startswith("vidu.")}
    # ``dag.test()`` runs the trigger, which counts its polls.
    assert ours.pop("vidu.polls") == 2
    assert ours == {"vidu.estimated_cost_fen": 62, "vidu.videos": 1, "vidu.video_seconds": 1, "vidu.failures": 1}
