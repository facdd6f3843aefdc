# SPDX-License-Identifier: Apache-2.0
"""What keeps a batch from paying twice and from losing what is paid, where a try is not like the one before."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_vidu.durable.batch_record import BatchRecord
from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.storage import manifest as manifests
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


def test_half_a_character_in_a_prompt_of_an_earlier_version_is_written_and_read(videos):
    # An earlier version submitted such prompts, and a later visit reads its manifest.
    record = manifests.Record("a", {"model": "viduq2", "input": {"prompt": "kite \ud83d"}}, "success", "")
    videos.mkdir(exist_ok=True)
    manifests.write(str(videos / "manifest.jsonl"), [record])
    assert list(manifests.read(str(videos / "manifest.jsonl"))) == [record]


def test_a_refusal_after_a_delivered_batch_does_not_promise_its_videos_for_nothing(emulator, videos):
    store = Store()
    tried(store, videos, many(2))
    prices = {("text2video", "viduq2", 1, "540p"): 9.0}
    with pytest.raises(AirflowFailException, match="about ¥18 for 2 items") as raised:
        rendered(many(2), videos, max_cost=5, prices=prices).execute(context_of(store, max_tries=2))
    assert "clear the task" not in str(raised.value)


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
    assert [line["error"] for line in lines(videos)] == ["", "ViduModerationError"]


def test_totals_are_pushed_only_where_xcoms_are_wanted(emulator, videos):
    pushed = []
    for wanted in (True, False):
        context = context_of(Store())
        context["ti"].xcom_push = lambda key, value: pushed.append((key, value.get("counts")))
        with pytest.raises(AirflowFailException):
            rendered([UNFIT], videos, do_xcom_push=wanted).execute(context)
    told = [one for one in pushed if one[0] != "vidu_submits"]
    assert told == [("return_value", {"failed": 1}), ("vidu_failure", None), ("vidu_failure", None)]


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
    # A Chinese reader sees the meaning of the class, in place of the message alone.
    failure = {"task_id": "", "reason": str(raised.value), "error": "ViduRequestError"}
    assert pushed == {"vidu_failure": failure}


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
