# SPDX-License-Identifier: Apache-2.0
"""Batches from requests to manifest, run by Airflow against the emulator, which counts what is paid."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    Asset,
    Stats,
    TaskDeferred,
)
from airflow.sdk import ObjectStoragePath
from airflow.sdk import task as task_decorator

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduRequestError, ViduStateError, ViduTaskNotFoundError
from airflow_provider_vidu.hooks.loop import HookLoop
from airflow_provider_vidu.hooks.vidu_async import ViduAsyncHook
from airflow_provider_vidu.operators import batch_submits, collect
from airflow_provider_vidu.operators import manifest as manifests
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.batch_submits import CONCURRENT_SUBMITS, Submits
from airflow_provider_vidu.operators.items import Item
from airflow_provider_vidu.operators.ledger import DELIVERED_KEY, Ledger
from airflow_provider_vidu.protocol import response, schedule
from airflow_provider_vidu.protocol.polling import FAILED, LOST, TIMEOUT, Outcome
from airflow_provider_vidu.transfers.store import VideoStore
from airflow_provider_vidu.triggers.batch import ViduBatchTrigger

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")

QUICK = {"vidu_type": "text2video", "model": "viduq2", "prompt": "a kite", "duration": 1, "resolution": "540p"}
PRICE = 0.31


def asked(custom_id: str, **changes: object) -> dict[str, object]:
    return {"custom_id": custom_id, **QUICK, **changes}


def many(count: int) -> list[dict[str, object]]:
    return [asked(f"kite-{number:03}") for number in range(count)]


def posts(emulator):
    return [sent for sent in emulator.requests if sent["method"] == "POST"]


def lines(directory: Path) -> list[dict]:
    (path,) = directory.glob("*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def outcomes(directory: Path) -> dict[str, str]:
    return {line["custom_id"]: line["outcome"] for line in lines(directory)}


def breaks_once(context, result=None):
    """A post-execute callable: the first try fails after all is done."""
    if context["ti"].try_number == 1:
        raise RuntimeError("the first try breaks")


@pytest.fixture
def asked_at_once(monkeypatch):
    """The emulator's videos are ready before any could be."""
    monkeypatch.setattr(schedule, "first_ask", lambda expected, jitter: 0.05)


@pytest.fixture
def videos(tmp_path):
    return tmp_path / "videos"


@pytest.fixture
def make(run_dag, videos):
    def run(requests: object, **arguments: object):
        retries = {"retries": 1, "retry_delay": timedelta(0)}
        arguments = {**retries, "destination": f"{videos}/{{custom_id}}.mp4", **arguments}
        return run_dag(lambda: ViduGenerateBatchOperator(task_id="batch", requests=requests, **arguments))

    return run


@pytest.mark.parametrize("deferrable", [True, False])
def test_each_request_becomes_a_file_and_a_line_and_is_paid_once(make, emulator, videos, deferrable):
    ran = make([asked("first"), asked("second", prompt="a boat")], deferrable=deferrable)
    (manifest,) = videos.glob("manifest-test-*-batch.jsonl")
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
    assert (gone["task_id"], gone["estimated_cost"]) == ("", None)
    assert gone["reason"].startswith("first_frame_url: '/gone.png' given, allowed:")
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
        assert "allowed: a list of mappings, or JSON text of one" in str(ran.error)


def test_an_empty_batch_succeeds_with_an_empty_manifest(make, emulator, videos):
    ran = make([])
    assert ran.xcom("batch")["counts"] == {}
    assert lines(videos) == []
    assert emulator.requests == []


WRONG = {
    "no custom id": ([QUICK], "item 0 (None): custom_id: None given, allowed: a text of 1 to 180"),
    "twice": ([asked("a"), asked("a")], "custom_id: 'a' given 2 times (items 0, 1), allowed: once"),
    "a name that no file may have": ([asked("a/b")], "item 0: custom_id: 'a/b' given"),
    "an unknown field": ([asked("a", colour="red")], "item 0 ('a'): colour: not a field of this version"),
    "a misspelt field": ([asked("a", promt="x")], "promt: not a field of this version (is prompt meant?). To send it"),
    "a wrong value": ([asked("a", duration=99)], "item 0 ('a'): duration: 99 given"),
    "many": ([asked(f"a{n}", duration=99) for n in range(7)], "item 4 ('a4'): duration: 99 given"),
    "no list": ([1], "requests: [1] given, allowed: a list of mappings"),
    "too expensive": (many(4), "max_cost: ¥1 given, but 4 items come to about ¥1.24 (an estimate by prices of"),
    "of unknown price": ([asked("a", model="viduq9")], "for 1 of 1 items, the first of them 'a', no price is known"),
}


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
        assert str(raised.value).endswith("; and 2 more.")
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
        ({"fail_on": 2}, "fail_on: 2 given"),
        ({"on_uncertain": "ask"}, "on_uncertain: 'ask' given"),
        ({"max_cost": -1}, "max_cost: -1 given"),
        ({"prices": {"viduq2": 1}}, "prices: ValueError"),
        ({"timeout": timedelta(0)}, "timeout: datetime.timedelta(0) given"),
        ({"destination": "/videos/one.mp4"}, "which writes 2 items (0, 1) to one file"),
    ],
)
def test_a_wrong_option_is_refused_when_the_dag_is_parsed(arguments, text):
    with pytest.raises(ViduRequestError) as raised:
        ViduGenerateBatchOperator(**{"task_id": "batch", "requests": many(2), "destination": "/videos", **arguments})
    assert text in str(raised.value)


def test_a_destination_that_is_none_is_refused_when_the_task_runs(emulator, videos):
    with pytest.raises(AirflowFailException, match="destination: None given"):
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


def test_a_retry_pays_again_only_for_what_failed_for_want_of_capacity(make, emulator, videos):
    ran = make([asked("fine"), asked("busy", prompt="fail-by-capacity"), asked("unfit", prompt="fail-by-moderation")])
    assert outcomes(videos) == {"fine": "success", "busy": "failed", "unfit": "failed"}
    assert type(ran.error) is AirflowException
    assert (
        "2 of 3 items have no video (1 success, 2 failed). A retry can help 1 of them, and submits and pays 1 anew."
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


def test_totals_that_cannot_be_pushed_do_not_hide_why_a_batch_failed(emulator, videos, monkeypatch, capfd):
    with pytest.raises(AirflowFailException, match="1 of 1 items have no video"):
        tried(Store(), videos, [asked("unfit", prompt="fail-by-moderation")])
    assert "The totals could not be pushed" in capfd.readouterr().out


def test_what_no_retry_can_help_is_not_retried(make, emulator, videos):
    ran = make([asked("fine"), asked("refused", prompt="forbidden-by-moderation")])
    assert outcomes(videos) == {"fine": "success", "refused": "refused"}
    assert type(ran.error) is AirflowFailException
    assert "No retry can help any of them, so Airflow does not make one." in str(ran.error)
    assert len(posts(emulator)) == 2


def test_a_share_of_items_without_a_video_may_be_tolerated(make, emulator, videos):
    ran = make([*many(3), asked("unfit", prompt="fail-by-moderation")], fail_on=0.25)
    assert ran.xcom("batch") == {
        "manifest": ran.xcom("batch")["manifest"],
        "counts": {"success": 3, "failed": 1},
        "video_seconds": 3.0,
        "estimated_cost": 4 * PRICE,
    }


@pytest.mark.parametrize(("choice", "count"), [("fail", 2), ("resubmit", 3)])
def test_an_uncertain_item_is_submitted_again_only_by_its_authors_choice(make, emulator, videos, choice, count):
    emulator.arm({"on": "submit", "fault": "accept_then_drop"})
    ran = make(many(2), on_uncertain=choice)
    assert len(posts(emulator)) == count
    if choice == "resubmit":
        assert ran.xcom("batch")["counts"] == {"success": 2}
    else:
        assert sorted(outcomes(videos).values()) == ["success", "uncertain"]
        assert type(ran.error) is AirflowFailException
        (uncertain,) = (line for line in lines(videos) if line["outcome"] == "uncertain")
        assert "It may have been accepted" in uncertain["reason"]
        assert uncertain["estimated_cost"] == PRICE


def test_a_spent_quota_stops_the_submits_and_a_retry_submits_the_rest(make, emulator, videos):
    emulator.arm({"on": "submit", "fault": "error", "status": 403, "every": 10})
    seen = []
    ran = make(many(30), on_retry_callback=lambda context: seen.append(outcomes(videos)))
    (first,) = seen
    assert ran.xcom("batch")["counts"] == {"success": 30}
    # Two chunks of eight, of which one item was refused; the third was never sent.
    assert sorted(set(first.values())) == ["success", "unsubmitted"]
    assert list(first.values()).count("success") == 15
    assert (len(emulator.tasks), len(posts(emulator))) == (30, 31)


def test_a_bad_key_sends_one_chunk_and_pays_nothing(make, emulator, videos):
    emulator.control("POST", "key", {"key": "another"})
    ran = make(many(30), retries=0)
    assert set(outcomes(videos).values()) == {"unsubmitted"}
    assert len(posts(emulator)) == CONCURRENT_SUBMITS
    assert type(ran.error) is AirflowException
    assert "30 of 30 items have no video (30 unsubmitted). A retry can help 30 of them" in str(ran.error)


def test_when_no_outcome_is_known_nothing_more_is_sent(make, emulator, videos):
    emulator.arm({"on": "submit", "fault": "error", "status": 500, "times": None})
    make(many(20), retries=0)
    assert list(outcomes(videos).values()) == ["uncertain"] * 8 + ["unsubmitted"] * 12
    assert len(posts(emulator)) == 8


def test_rate_limits_broken_downloads_and_failures_leave_a_complete_and_true_manifest(make, emulator, videos):
    emulator.arm(
        {"on": "download", "fault": "truncate", "every": 5, "times": 3},
        {"on": "any", "fault": "rate_limit", "every": 10, "times": None},
    )
    given = [asked(f"kite-{n}", prompt="fail-by-capacity" if n % 10 == 3 else "a kite") for n in range(30)]
    ran = make(given, fail_on=0.2)
    assert ran.xcom("batch")["counts"] == {"success": 27, "failed": 3}
    accepted = {task["task_id"]: task["status"] for task in emulator.tasks}
    words = {"success": "Success", "failed": "Failure"}
    assert {line["task_id"]: words[line["outcome"]] for line in lines(videos)} == accepted
    for line in lines(videos):
        assert [Path(file.removeprefix("file://")).read_bytes()[4:8] for file in line["files"]] == (
            [b"ftyp"] if line["outcome"] == "success" else []
        )


def test_a_video_that_cannot_be_stored_is_told_and_stored_by_a_retry_at_no_cost(make, emulator, videos):
    emulator.arm({"on": "download", "fault": "not_a_video"})
    seen = []
    ran = make(many(3), on_retry_callback=lambda context: seen.append(outcomes(videos)))
    assert sorted(seen[0].values()) == ["not_stored", "success", "success"]
    assert ran.xcom("batch")["counts"] == {"success": 3}
    assert len(posts(emulator)) == 3


def test_what_is_not_ready_in_time_is_told_and_a_retry_pays_nothing(slow_emulator, run_dag, videos):
    ran = run_dag(
        lambda: ViduGenerateBatchOperator(
            task_id="batch", requests=many(2), destination=str(videos), timeout=0.5, retries=1, retry_delay=timedelta(0)
        )
    )
    assert set(outcomes(videos).values()) == {"timeout"}
    assert "A retry can help 2 of them, and submits and pays 0 anew." in str(ran.error)
    assert len(slow_emulator.tasks) == 2
    assert all(task["task_id"] in line["reason"] for task, line in zip(slow_emulator.tasks, lines(videos), strict=True))


def test_where_nothing_can_be_written_nothing_is_paid(make, emulator, tmp_path):
    (tmp_path / "file").write_text("in the way")
    ran = make(many(2), destination=str(tmp_path / "file" / "videos"), retries=0)
    assert type(ran.error) is ViduDownloadError
    assert "The manifest could not be written" in str(ran.error)
    assert posts(emulator) == []


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
        "files": [],
        "video_seconds": 1.0,
        "estimated_cost": 2 * PRICE,
        "manifest": told["manifest"],
        "counts": told["counts"],
    }
    ours = {name: value for name, value in counted.items() if name.startswith("vidu.")}
    assert ours == {"vidu.estimated_cost_fen": 62, "vidu.videos": 1, "vidu.video_seconds": 1, "vidu.failures": 1}


class Store(dict):
    """A task state store that keeps what JSON keeps, and fails at the given write."""

    def __init__(self, fails_at: int | None = None, error: BaseException | None = None, **kept: object) -> None:
        super().__init__(kept)
        self.writes, self.fails_at, self.error = 0, fails_at, error or ConnectionError("Airflow is away")

    def set(self, key, value, *, retention):
        self.writes += 1
        if self.writes == self.fails_at:
            raise self.error
        self[key] = json.loads(json.dumps(value))


def context_of(store, max_tries=1, map_index=-1):
    ti = SimpleNamespace(max_tries=max_tries, dag_id="dag", run_id="run", task_id="batch", map_index=map_index)
    return {"ti": ti, "task_state_store": store, "outlets": []}


def tried(store, videos, requests, max_tries=1, map_index=-1, **arguments):
    """One try of a batch, whose triggers end at once; what it returns, or what ends it."""
    arguments = {"destination": f"{videos}/{{custom_id}}.mp4", "deferrable": False, **arguments}
    operator = ViduGenerateBatchOperator(task_id="batch", requests=requests, **arguments)
    return operator.execute(context_of(store, max_tries, map_index))


def test_what_a_batch_costs_is_unknown_where_one_price_is(emulator, videos):
    returned = tried(Store(), videos, [asked("known"), asked("unpriced", model="viduq9")])
    assert (returned["counts"], returned["estimated_cost"]) == ({"success": 2}, None)


def test_a_clear_of_a_delivered_batch_makes_all_of_it_anew(emulator, videos):
    store = Store()
    tried(store, videos, many(3))
    assert tried(store, videos, many(3), max_tries=2)["counts"] == {"success": 3}
    assert len(emulator.tasks) == 6


def test_a_clear_of_a_failed_batch_makes_only_what_has_no_video(emulator, videos):
    store, given = Store(), [*many(2), asked("unfit", prompt="fail-by-moderation")]
    with pytest.raises(AirflowFailException):
        tried(store, videos, given)
    given[2] = asked("unfit", prompt="a boat")
    assert tried(store, videos, given, max_tries=2)["counts"] == {"success": 3}
    prompts = [task["body"]["input"]["prompt"] for task in emulator.tasks]
    assert sorted(prompts) == ["a boat", "a kite", "a kite", "fail-by-moderation"]


@pytest.mark.parametrize("fault", ["read_text", "stat"])
def test_a_destination_that_does_not_tell_what_is_stored_makes_a_clear_pay_for_nothing(
    emulator, videos, monkeypatch, fault
):
    store, given = Store(), [*many(3), asked("unfit", prompt="fail-by-moderation")]
    with pytest.raises(AirflowFailException):
        tried(store, videos, given)
    # The links of the videos that are stored have expired.
    monkeypatch.setattr(response, "RESULT_LIFETIME_SECONDS", -1)
    really_locate = manifests.store.located

    def away(*args, **kwargs):
        raise ConnectionError("S3 stumbles")

    def located(path):
        is_hit = fault == "read_text" or str(path).endswith("kite-001.mp4")
        return SimpleNamespace(**{fault: away}) if is_hit else really_locate(path)

    with monkeypatch.context() as patched:
        patched.setattr(manifests.store, "located", located)
        with pytest.raises(ViduDownloadError, match=r"S3 stumbles.*Nothing was sent"):
            tried(store, videos, given, max_tries=2)
    given[3] = asked("unfit", prompt="a boat")
    assert tried(store, videos, given, max_tries=2)["counts"] == {"success": 4}
    assert len(posts(emulator)) == 5


def test_a_clear_attaches_to_what_runs_and_submits_what_has_changed(slow_emulator, videos):
    store = Store()
    with pytest.raises(AirflowException):
        tried(store, videos, many(2), timeout=0.3)
    with pytest.raises(AirflowException):
        tried(store, videos, [many(1)[0], asked("kite-001", prompt="a boat")], max_tries=2, timeout=0.3)
    assert [task["body"]["input"]["prompt"] for task in slow_emulator.tasks] == ["a kite", "a kite", "a boat"]


def test_a_clear_that_costs_too_much_forgets_nothing(slow_emulator, videos):
    store = Store()
    with pytest.raises(AirflowException):
        tried(store, videos, many(1), timeout=0.3)
    changed = json.dumps([asked("kite-000", prompt="a boat")])
    with pytest.raises(AirflowFailException, match="max_cost"):
        tried(store, videos, changed, max_tries=2, timeout=0.3, max_cost=0.1)
    with pytest.raises(AirflowException):
        tried(store, videos, many(1), max_tries=3, timeout=0.3)
    assert len(slow_emulator.tasks) == 1


def test_a_video_of_another_request_than_its_items_is_told(emulator, videos, capfd):
    store = Store()
    deferred(videos, [asked("0", prompt="a kite"), asked("1", prompt="a boat")], store)
    moved = [asked("0", prompt="a tree"), asked("1", prompt="a boat"), asked("2", prompt="a kite")]
    told = "It was submitted by an earlier try for another request than this one."
    for _ in range(2):
        assert tried(store, videos, moved)["counts"] == {"success": 3}
        assert [line["reason"] for line in lines(videos)] == [told, "", ""]
        assert f"0: {told} Are the custom ids those of the try before?" in capfd.readouterr().out
    tried(store, videos, [asked("0", prompt="a kite"), *moved[1:]])
    assert [(line["request"]["input"]["prompt"], line["reason"]) for line in lines(videos)] == [
        ("a kite", ""),
        ("a boat", ""),
        ("a kite", ""),
    ]
    assert len(posts(emulator)) == 3


def test_task_ids_are_stored_before_anything_else_can_fail_and_counted_even_if_the_next_chunk_fails(
    emulator, videos, monkeypatch
):
    store, counted = Store(), []

    def count(name, value=1, **_):
        assert sum(bool(task_id) for _, _, task_id in store["vidu_batch_0"]["items"].values()) == 8
        counted.append(value)

    monkeypatch.setattr(Stats, "incr", count)
    really_submit, chunks = Submits._submit_chunk, []

    def over(self, items):
        chunks.append(items)
        if len(chunks) == 2:
            raise AirflowTaskTimeout("Time is over")
        monkeypatch.setattr(self._log, "info", over_while_logging, raising=False)
        really_submit(self, items)

    def over_while_logging(text, *values):
        if text.startswith("Accepted"):
            assert "vidu_batch_0" in store
            assert all(task_id for _, _, task_id in store["vidu_batch_0"]["items"].values())

    monkeypatch.setattr(Submits, "_submit_chunk", over)
    with pytest.raises(AirflowTaskTimeout):
        tried(store, videos, many(10))
    assert counted == [31] * 8


def test_custom_ids_that_are_new_at_each_parse_are_paid_once_until_a_person_clears_the_task(emulator, videos):
    store = Store()
    deferred(videos, [asked("a0"), asked("a1")], store)
    task_id = emulator.tasks[0]["task_id"]
    with pytest.raises(
        AirflowFailException, match=f"changed between tries: 2 .*Vidu task {task_id}.*2 are new .b0, b1"
    ):
        tried(store, videos, [asked("b0"), asked("b1")])
    assert len(posts(emulator)) == 2
    deferred(videos, [asked("b0"), asked("b1")], store, max_tries=2)
    # What the person gave up does not trouble the retries that follow.
    assert tried(store, videos, [asked("b0"), asked("b1"), asked("b2")], max_tries=2)["counts"] == {"success": 3}
    assert len(posts(emulator)) == 5


@pytest.mark.parametrize("wrong", ["prices", "requests", "max_cost"])
def test_a_refusal_on_a_retry_names_what_was_paid_and_how_to_take_it_up(emulator, videos, wrong):
    store = Store()
    deferred(videos, many(2), store)
    given = {
        "prices": (many(2), {"prices": "/gone.csv"}),
        "requests": ("[1]", {}),
        "max_cost": (json.dumps(many(3)), {"max_cost": 0.1}),
    }
    requests, arguments = given[wrong]
    with pytest.raises(AirflowFailException, match=r"have submitted 2 Vidu tasks.*clear the task") as raised:
        tried(store, videos, requests, **arguments)
    assert all(task["task_id"] in str(raised.value) for task in emulator.tasks)
    assert tried(store, videos, many(2), max_tries=2)["counts"] == {"success": 2}
    assert len(posts(emulator)) == 2


def test_prices_that_cannot_be_read_for_the_moment_are_left_to_a_retry(emulator, videos, monkeypatch):
    def away(*args, **kwargs):
        raise ConnectionError("S3 stumbles")

    monkeypatch.setattr(ObjectStoragePath, "read_text", away)
    with pytest.raises(ViduStateError, match=r"S3 stumbles.*Nothing was sent"):
        tried(Store(), videos, many(2), prices=f"{videos}/prices.csv")
    assert posts(emulator) == []


@pytest.mark.parametrize("moment", ["before the submits", "while files are read"])
def test_a_task_that_is_killed_before_its_first_post_sends_none(emulator, videos, monkeypatch, moment):
    operator = ViduGenerateBatchOperator(task_id="batch", requests=many(20), destination=str(videos), deferrable=False)
    kind, name = (Ledger, "read") if moment == "before the submits" else (Item, "body")
    really = getattr(kind, name)

    def killed(self, *args):
        operator.on_kill()
        return really(self, *args)

    monkeypatch.setattr(kind, name, killed)
    with pytest.raises(AirflowException, match=r"20 unsubmitted.*the task was killed"):
        operator.execute(context_of(Store()))
    assert posts(emulator) == []


def test_a_wait_on_the_worker_whose_time_is_over_stores_what_is_ready(emulator, videos, monkeypatch):
    left = []

    async def over(self, hook, log):
        left.append(self.deadline - time.time())
        await asyncio.sleep(0.2)
        raise AirflowTaskTimeout("Time is over")

    monkeypatch.setattr(ViduBatchTrigger, "wait", over)
    told = tried(Store(), videos, many(2), execution_timeout=timedelta(seconds=100))
    assert told["counts"] == {"success": 2}
    assert left[0] <= 90


def test_an_answer_is_believed_where_it_ends_a_wait_and_not_where_the_asking_itself_took_too_long(monkeypatch):
    async def look(watch, hook):
        watch.last_answer = ViduTaskNotFoundError("no such task")
        return Outcome(hook, "over")

    monkeypatch.setattr(collect, "look", look)
    believed = {word: asyncio.run(collect.ask_all(word, {"t": 0.0}))["t"].believed for word in (LOST, FAILED, TIMEOUT)}
    assert believed == {LOST: True, FAILED: True, TIMEOUT: False}


def test_an_intent_without_an_outcome_is_uncertain_while_the_rest_proceeds(emulator, videos):
    store = Store()
    store["vidu_batch_0"] = {"max_tries": 1, "begun_at": 1e9, "items": {"kite-000": ["f", "r", ""]}}
    with pytest.raises(AirflowFailException, match="No retry can help"):
        tried(store, videos, many(3))
    assert outcomes(videos) == {"kite-000": "uncertain", "kite-001": "success", "kite-002": "success"}
    assert len(posts(emulator)) == 2


def test_what_is_not_asked_for_any_more_is_named(emulator, videos, capfd):
    store = Store()
    tried(store, videos, many(2))
    tried(store, videos, many(1))
    _, _, task_id = store["vidu_batch_0"]["items"]["kite-001"]
    assert f"Not asked for any more, but billed where it has an id: {{'kite-001': '{task_id}'}}" in (
        capfd.readouterr().out
    )


def test_every_item_is_noted_before_its_post_with_no_more_than_go_together(emulator, videos, monkeypatch):
    store, noted = Store(), []
    really_submit = ViduAsyncHook.submit

    async def submit(self, body):
        chunks = [value["items"].items() for key, value in store.items() if key != DELIVERED_KEY]
        noted.append([name for items in chunks for name, (_, _, vidu_task_id) in items if not vidu_task_id])
        return await really_submit(self, body)

    monkeypatch.setattr(ViduAsyncHook, "submit", submit)
    given = many(10)
    tried(store, videos, given)
    names = [item["custom_id"] for item in given]
    assert noted == [names[:CONCURRENT_SUBMITS]] * 8 + [names[CONCURRENT_SUBMITS:]] * 2


def test_an_intent_that_cannot_be_stored_keeps_its_chunk_from_being_sent_while_the_others_are_stored(emulator, videos):
    store = Store(fails_at=3)
    with pytest.raises(AirflowException, match=r"\(8 success, 2 unsubmitted\).*ViduStateError.*Nothing was sent"):
        tried(store, videos, many(10))
    assert len(posts(emulator)) == 8
    assert tried(store, videos, many(10))["counts"] == {"success": 10}
    assert len(posts(emulator)) == 10


@pytest.mark.parametrize("store", [Store(), None], ids=["remembered", "below 3.3"])
def test_a_picture_that_cannot_be_read_for_the_moment_holds_up_no_other_item(emulator, videos, monkeypatch, store):
    really_read = Item.body

    def read(self, warn):
        if self.custom_id == "kite-009":
            raise ConnectionError("the bucket is away")
        return really_read(self, warn)

    with monkeypatch.context() as patched:
        patched.setattr(Item, "body", read)
        with pytest.raises(AirflowException, match=r"\(1 unsubmitted, 9 success\)"):
            tried(store, videos, [many(10)[-1], *many(9)])
    assert lines(videos)[0]["reason"] == (
        "Its files could not be read (ConnectionError: 'the bucket is away'). Nothing of it was sent; a retry can help."
    )
    assert len(posts(emulator)) == 9
    if store is not None:
        assert tried(store, videos, many(10))["counts"] == {"success": 10}
        assert len(posts(emulator)) == 10


@pytest.mark.parametrize("error", [None, AirflowTaskTimeout("Time is over")])
def test_ids_that_cannot_be_stored_are_logged_stand_in_the_manifest_and_stop_the_submits(
    emulator, videos, capfd, error
):
    with pytest.raises(AirflowException, match="A retry can help 2 of them"):
        tried(Store(fails_at=2, error=error), videos, many(10))
    ids = {line["custom_id"]: line["task_id"] for line in lines(videos) if line["outcome"] == "success"}
    assert sorted(ids.values()) == sorted(task["task_id"] for task in emulator.tasks)
    assert len(ids) == 8
    assert "What was accepted could not be remembered" in capfd.readouterr().out


def test_time_that_is_over_during_the_posts_loses_nothing_that_was_accepted(emulator, videos, monkeypatch):
    really_run, runs = HookLoop.run, []

    def over_while_posting(self, work):
        runs.append(work)
        # Each chunk is read first and posted then.
        if len(runs) == 4:
            self._running = self._pool.submit(self._runner.run, self._remember(work))
            raise AirflowTaskTimeout("Time is over")
        return really_run(self, work)

    really_submit = ViduAsyncHook.submit

    async def slowly(self, body):
        accepted = await really_submit(self, body)
        await asyncio.sleep(0.5)
        return accepted

    store = Store()
    with monkeypatch.context() as patched:
        patched.setattr(ViduAsyncHook, "submit", slowly)
        patched.setattr(HookLoop, "run", over_while_posting)
        with pytest.raises(AirflowTaskTimeout):
            tried(store, videos, many(20))
    (notes,) = videos.glob("*.waiting")
    assert notes.read_text().count('"outcome": "submitted"') == 16
    assert len(posts(emulator)) == 16
    assert tried(store, videos, many(20))["counts"] == {"success": 20}
    assert len(emulator.tasks) == 20


def test_a_post_without_an_answer_when_time_is_over_is_uncertain(emulator, videos, monkeypatch):

    emulator.arm({"on": "submit", "fault": "accept_then_hang"})
    monkeypatch.setattr(batch_submits, "LAST_ANSWERS_SECONDS", 0.5)
    really_run = HookLoop.run

    def over(self, work):
        if self._running is None:
            return really_run(self, work)
        self._running = self._pool.submit(self._runner.run, self._remember(work))
        raise AirflowTaskTimeout("Time is over")

    store = Store()
    with monkeypatch.context() as patched:
        patched.setattr(HookLoop, "run", over)
        with pytest.raises(AirflowTaskTimeout):
            tried(store, videos, many(3))
    with pytest.raises(AirflowFailException):
        tried(store, videos, many(3))
    assert sorted(outcomes(videos).values()) == ["success", "success", "uncertain"]
    assert len(posts(emulator)) == 3


def test_a_killed_task_submits_nothing_more_and_waits_for_what_was_accepted(emulator, videos, monkeypatch):
    operator = ViduGenerateBatchOperator(
        task_id="batch", requests=many(20), destination=str(videos), deferrable=False, retries=0
    )
    really_submit = Submits._submit_chunk

    def killed(self, items):
        really_submit(self, items)
        operator.on_kill()

    monkeypatch.setattr(Submits, "_submit_chunk", killed)
    ti = SimpleNamespace(max_tries=1, dag_id="dag", run_id="run", task_id="batch", map_index=-1)
    with pytest.raises(AirflowException, match="12 unsubmitted"):
        operator.execute({"ti": ti, "task_state_store": Store(), "outlets": []})
    assert len(posts(emulator)) == 8


def test_below_airflow_3_3_nothing_is_retried_once_something_was_submitted(emulator, videos, capfd):
    emulator.arm({"on": "submit", "fault": "error", "status": 403, "every": 10})
    with pytest.raises(AirflowFailException, match="a retry would pay again"):
        tried(None, videos, many(20))
    assert list(outcomes(videos).values()).count("success") == 15
    assert capfd.readouterr().out.count("Airflow older than 3.3 keeps nothing of a try.") == 1


def test_below_airflow_3_3_what_goes_wrong_before_the_first_submit_may_be_retried(emulator, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ViduDownloadError):
        tried(None, tmp_path / "file", many(2))


def deferred(videos, requests, store=None, **arguments):
    with pytest.raises(TaskDeferred) as raised:
        tried(store, videos, requests, deferrable=True, **arguments)
    return raised.value


def test_the_hops_tell_each_other_little(slow_emulator, videos, monkeypatch):
    """A thousand tasks with ids of 36 characters."""
    monkeypatch.setattr(Submits, "_submit_chunk", accept_without_sending)
    stop = deferred(videos, many(1000), Store())
    _, kwargs = stop.trigger.serialize()
    assert sum(len(group[2]) for group in kwargs["groups"]) == 1000
    assert {len(task_id) for group in kwargs["groups"] for task_id in group[2]} == {36}
    assert len(json.dumps(kwargs)) < 64_000
    assert len(json.dumps(stop.kwargs)) < 1_000


def accept_without_sending(self, items):
    from airflow_provider_vidu.protocol.response import Submission

    for item in items:
        self.results[item.custom_id] = Submission(f"{item.custom_id:-<36}", "")


def finished(stop, videos, event, store, map_index=-1, **changes):
    operator = ViduGenerateBatchOperator(task_id="batch", requests=[], destination=str(videos), **changes)
    context = context_of(store, map_index=map_index)
    if stop is None:
        return operator.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
    return operator.resume_execution(stop.method_name, {**stop.kwargs, "event": event}, context)


def test_the_second_hop_believes_the_first_and_not_what_the_dag_asks_for_by_now(emulator, videos):
    stop = deferred(videos, many(2), store := Store())
    time.sleep(0.2)
    assert finished(stop, videos / "elsewhere", {"status": "strange"}, store)["counts"] == {"success": 2}
    assert sorted(path.name for path in videos.glob("*.mp4")) == ["kite-000.mp4", "kite-001.mp4"]


def test_a_trigger_that_airflow_gave_up_does_not_keep_ready_videos_from_being_stored(emulator, videos):
    deferred(videos, many(2), store := Store())
    time.sleep(0.2)
    assert finished(None, videos, None, store)["counts"] == {"success": 2}


def test_what_the_first_hop_noted_has_to_be_there(emulator, videos):
    stop = deferred(videos, many(2), store := Store())
    (notes,) = videos.glob("*.waiting")
    notes.unlink()
    with pytest.raises(ViduDownloadError, match="which has gone"):
        finished(stop, videos, None, store)


def test_a_batch_without_a_connection_to_fetch_videos_tells_of_each(emulator, videos, monkeypatch):
    stop = deferred(videos, many(2), store := Store())
    time.sleep(0.2)

    def broken(self, items):
        raise ViduRequestError("no connection")
        yield

    monkeypatch.setattr(VideoStore, "store_all", broken)
    with pytest.raises(AirflowException, match=r"2 not_stored.*kite-000: not_stored: no connection"):
        finished(stop, videos, None, store)


def test_mapped_batches_with_one_manifest_lose_nothing_and_pay_nothing_twice(emulator, videos):
    manifest, hops = f"{videos}/all.jsonl", []
    for index, names in enumerate(("ab", "cd")):
        store, given = Store(), [asked(name) for name in names]
        hops.append((deferred(videos, given, store, map_index=index, manifest=manifest), store))
    time.sleep(0.2)
    for index, (stop, store) in enumerate(hops):
        assert finished(stop, videos, None, store, index)["counts"] == {"success": 2}
        assert [line["custom_id"] for line in lines(videos)] == list(("ab", "cd")[index])
    assert sorted(path.name for path in videos.iterdir()) == ["a.mp4", "all.jsonl", "b.mp4", "c.mp4", "d.mp4"]
    assert len(posts(emulator)) == 4


def test_tasks_that_this_task_did_not_submit_are_not_taken_for_its_own(emulator, videos):
    stop = deferred(videos, many(2), Store())
    other = Store(vidu_batch_0={"max_tries": 1, "begun_at": 1e9, "items": {"kite-000": ["f", "r", "another"]}})
    with pytest.raises(ViduDownloadError, match=r"for 'kite-000', which this task did not submit\. A retry takes up"):
        finished(stop, videos, None, other)
