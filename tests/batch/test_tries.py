# SPDX-License-Identifier: Apache-2.0
"""What a try of a batch makes of what earlier ones left, and of a person's clear."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    Stats,
)
from airflow.sdk import ObjectStoragePath

from airflow_provider_vidu.batch.submits import Submits
from airflow_provider_vidu.exceptions import ViduDownloadError, ViduStateError
from airflow_provider_vidu.protocol import response
from airflow_provider_vidu.storage import manifest as manifests
from tests.quick import PRICE, Store, asked, deferred, lines, many, outcomes, posts, tried

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")


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


@pytest.mark.parametrize("fault", ["cat_file", "stat"])
def test_a_destination_that_does_not_tell_what_is_stored_makes_a_clear_pay_for_nothing(
    emulator, videos, monkeypatch, fault
):
    store, given = Store(), [*many(3), asked("unfit", prompt="fail-by-moderation")]
    with pytest.raises(AirflowFailException):
        tried(store, videos, given)
    # The links of the videos that are stored have expired.
    monkeypatch.setattr(response, "RESULT_LIFETIME_SECONDS", -1)
    really_locate = manifests.places.located

    def away(*args, **kwargs):
        raise ConnectionError("S3 stumbles")

    def located(path):
        is_hit = fault == "cat_file" or str(path).endswith("kite-001.mp4")
        place = SimpleNamespace(**{fault: away}, path=path, protocol="file")
        place.fs = place
        return place if is_hit else really_locate(path)

    with monkeypatch.context() as patched:
        patched.setattr(manifests.places, "located", located)
        with pytest.raises(ViduDownloadError, match=r"S3 stumbles.*sent and paid nothing"):
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
    told = "An earlier try submitted it for a different request."
    for _ in range(2):
        assert tried(store, videos, moved)["counts"] == {"success": 3}
        assert [line["reason"] for line in lines(videos)] == [told, "", ""]
        assert f"0: {told} Check that its custom id is the same as in the previous try." in capfd.readouterr().out
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
        assert sum(bool(one["task_id"]) for one in store["vidu_batch_0"]["submits"].values()) == 8
        counted.append(value)

    monkeypatch.setattr(Stats, "incr", count)
    really_submit, chunks = Submits._submit_chunk, []

    def over(self, marks, *others):
        chunks.append(marks)
        if len(chunks) == 2:
            raise AirflowTaskTimeout("Time is over")
        monkeypatch.setattr(self._log, "info", over_while_logging, raising=False)
        really_submit(self, marks, *others)

    def over_while_logging(text, *values):
        if text.startswith("Accepted"):
            assert "vidu_batch_0" in store
            assert all(one["task_id"] for one in store["vidu_batch_0"]["submits"].values())

    monkeypatch.setattr(Submits, "_submit_chunk", over)
    with pytest.raises(AirflowTaskTimeout):
        tried(store, videos, many(10))
    assert counted == [31] * 8


def test_custom_ids_that_are_new_at_each_parse_are_paid_once_until_a_person_clears_the_task(emulator, videos):
    store = Store()
    deferred(videos, [asked("a0"), asked("a1")], store)
    task_id = emulator.tasks[0]["task_id"]
    with pytest.raises(
        AirflowFailException, match=f"the same between tries, got 2 new ones .b0, b1., while 2 .*Vidu task {task_id}"
    ):
        tried(store, videos, [asked("b0"), asked("b1")])
    assert len(posts(emulator)) == 2
    deferred(videos, [asked("b0"), asked("b1")], store, max_tries=2)
    # What the person gave up does not trouble the retries that follow.
    assert tried(store, videos, [asked("b0"), asked("b1"), asked("b2")], max_tries=2)["counts"] == {"success": 3}
    assert len(posts(emulator)) == 5


@pytest.mark.parametrize("wrong", ["requests", "max_cost"])
def test_a_refusal_on_a_retry_names_what_was_paid_and_how_to_take_it_up(emulator, videos, wrong):
    store = Store()
    deferred(videos, many(2), store)
    given = {
        "requests": ("[1]", {}),
        "max_cost": (json.dumps(many(3)), {"max_cost": 0.1}),
    }
    requests, arguments = given[wrong]
    with pytest.raises(AirflowFailException, match=r"submitted 2 Vidu tasks.*clear the task") as raised:
        tried(store, videos, requests, **arguments)
    assert all(task["task_id"] in str(raised.value) for task in emulator.tasks)
    assert tried(store, videos, many(2), max_tries=2)["counts"] == {"success": 2}
    assert len(posts(emulator)) == 2


def test_prices_that_cannot_be_read_for_the_moment_are_left_to_a_retry(emulator, videos, monkeypatch):
    really_read = ObjectStoragePath.read_bytes

    def away(self, *args, **kwargs):
        if self.name == "prices.csv":
            raise ConnectionError("S3 stumbles")
        return really_read(self, *args, **kwargs)

    monkeypatch.setattr(ObjectStoragePath, "read_bytes", away)
    with pytest.raises(ViduStateError, match=r"S3 stumbles.*Nothing was sent"):
        tried(Store(), videos, many(2), prices=f"{videos}/prices.csv")
    assert posts(emulator) == []


def test_an_intent_without_an_outcome_is_uncertain_while_the_rest_proceeds(emulator, videos):
    store = Store()
    store["vidu_batch_0"] = {"max_tries": 1, "begun_at": 1e9, "items": {"kite-000": ["f", "r", PRICE, 10.0, ""]}}
    with pytest.raises(AirflowFailException, match="No retry can recover"):
        tried(store, videos, many(3))
    assert outcomes(videos) == {"kite-000": "uncertain", "kite-001": "success", "kite-002": "success"}
    assert len(posts(emulator)) == 2


def test_what_is_not_asked_for_any_more_is_named(emulator, videos, capfd):
    store = Store()
    tried(store, videos, many(2))
    tried(store, videos, many(1))
    task_id = store["vidu_batch_0"]["submits"]["kite-001"]["task_id"]
    assert f"by custom id: {{'kite-001': '{task_id}'}}. Those with a task id are billed, the others may be." in (
        capfd.readouterr().out
    )
