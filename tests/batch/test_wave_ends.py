# SPDX-License-Identifier: Apache-2.0
"""What ends the waves of a batch before its last item: stops, budgets, time, faults and changed DAGs."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowTaskTimeout, TaskDeferred

from airflow_provider_vidu.batch.items import Item
from airflow_provider_vidu.batch.records import _CHANGED
from airflow_provider_vidu.batch.submits import Submits
from airflow_provider_vidu.batch.waves import Waves
from airflow_provider_vidu.durable import spending
from airflow_provider_vidu.exceptions import ViduBudgetError, ViduDownloadError, ViduRequestError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.triggers.batch import ViduBatchTrigger
from tests.batch.visits import as_stored, event_of, visited
from tests.quick import PRICE, Store, asked, context_of, lines, many, outcomes, posts, tried

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once", "flight")


def after(count, act):
    """Do something between two visits."""

    def between(stops):
        if len(stops) == count:
            act()

    return between


def counts(videos) -> dict[str, int]:
    found = list(outcomes(videos).values())
    return {outcome: found.count(outcome) for outcome in found}


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_spent_quota_ends_the_waves_and_a_retry_submits_the_rest(emulator, videos, deferrable):
    emulator.arm({"on": "submit", "fault": "error", "status": 403, "every": 6})
    store = Store()
    with pytest.raises(AirflowException, match="would pay again for 0"):
        visited(store, videos, many(12), deferrable=deferrable)
    assert counts(videos) == {"success": len(emulator.tasks), "unsubmitted": 12 - len(emulator.tasks)}
    assert 5 <= len(emulator.tasks) < 12
    emulator.control("DELETE", "faults")
    assert visited(store, videos, many(12), deferrable=deferrable)["counts"] == {"success": 12}
    assert len(emulator.tasks) == 12


@pytest.mark.parametrize(("choice", "kind"), [("fail", AirflowFailException), ("retry", AirflowException)])
def test_a_budget_covers_the_first_items_of_all_waves(emulator, videos, ledger, monkeypatch, choice, kind):
    monkeypatch.setenv("AIRFLOW__VIDU__DAILY_BUDGET", str(6.5 * PRICE))
    monkeypatch.setattr(spending, "PAUSE_SECONDS", 0.001)
    store = Store()
    with pytest.raises(kind) as raised:
        visited(store, videos, many(8), on_budget=choice)
    assert list(outcomes(videos).values()) == ["success"] * 6 + ["unsubmitted"] * 2
    assert {line["family"] for line in lines(videos)[6:]} == {"budget"}
    if choice == "retry":
        assert type(raised.value.__cause__) is ViduBudgetError
        assert raised.value.__cause__.resets_at
    assert len(posts(emulator)) == 6


def test_all_items_are_priced_before_the_first_is_sent(emulator, videos):
    with pytest.raises(AirflowFailException, match=r"max_cost must be at least the estimate, about ¥3\.1 for 10 items"):
        visited(Store(), videos, json.dumps(many(10)), max_cost=5 * PRICE)
    assert posts(emulator) == []


def test_the_timeout_bounds_all_waves_together(emulator, videos, flight):
    deadlines = []
    flight.seconds = 0.4
    with pytest.raises(AirflowException, match="The wait ended before its turn came"):
        visited(
            Store(), videos, many(30), timeout=4, between=lambda stops: deadlines.append(stops[-1].trigger.deadline)
        )
    assert len(set(deadlines)) == 1
    assert len(deadlines) > 1
    found = counts(videos)
    assert found["unsubmitted"] == 30 - len(posts(emulator)) > 0
    assert found["success"] > 0


def test_a_wait_on_the_worker_whose_time_is_over_submits_no_further_wave(emulator, videos, flight, monkeypatch):
    flight.seconds = 0.0

    async def over(self, hook, log):
        raise AirflowTaskTimeout("Time is over")

    monkeypatch.setattr(ViduBatchTrigger, "wait", over)
    with pytest.raises(AirflowException, match=r"\(4 success, 4 unsubmitted\)"):
        visited(Store(), videos, many(8), deferrable=False, execution_timeout=timedelta(seconds=100))
    assert len(posts(emulator)) == 4


def begun(store, videos, requests, **arguments):
    with pytest.raises(TaskDeferred) as raised:
        tried(store, videos, requests, deferrable=True, max_in_flight=4, **arguments)
    return raised.value


def test_a_new_id_that_the_api_does_not_know_yet_is_not_lost_between_two_waves(emulator, videos, flight):
    flight.seconds = 0.0
    stop = begun(store := Store(), videos, many(5))
    event = event_of(stop)
    # Four answers in a row end the wait for a task that is not new.
    emulator.arm({"on": "status", "fault": "error", "status": 404, "times": 16})
    operator = ViduGenerateBatchOperator(
        task_id="batch", requests=many(5), destination=f"{videos}/{{custom_id}}.mp4", max_in_flight=4, deferrable=False
    )
    kwargs = {**as_stored(stop.kwargs), "event": event}
    assert operator.resume_execution("execute_complete", kwargs, context_of(store))["counts"] == {"success": 5}


ODD_ENDS = {
    "Airflow ended the trigger": ("__fail__", {"error": "Trigger timeout"}),
    "the trigger failed": ("execute_complete", {"event": {"status": "lost", "counts": {}, "message": "It failed."}}),
    "a strange event": ("execute_complete", {"event": {"status": "strange"}}),
}


@pytest.mark.parametrize("end", ODD_ENDS)
@pytest.mark.parametrize("is_seen", [True, False], ids=["same worker", "another worker"])
def test_a_wait_that_ends_oddly_ends_the_waves_and_stores_what_is_ready(emulator, videos, end, is_seen):
    store = Store()
    stop = begun(store, videos, many(6))
    event_of(stop)
    if not is_seen:
        next(videos.glob("*.waiting")).unlink()
    method, more = ODD_ENDS[end]
    kwargs = more if method == "__fail__" else {**as_stored(stop.kwargs), **more}
    operator = ViduGenerateBatchOperator(
        task_id="batch", requests=many(6), destination=f"{videos}/{{custom_id}}.mp4", max_in_flight=4
    )
    with pytest.raises(AirflowException, match="2 unsubmitted"):
        operator.resume_execution(method, kwargs, context_of(store))
    assert len(posts(emulator)) == 4
    assert visited(store, videos, many(6))["counts"] == {"success": 6}
    assert len(posts(emulator)) == 6


def test_requests_that_change_between_two_visits_are_left_to_a_retry(emulator, videos):
    store = Store()

    def asked_for(visit):
        changed = {4: asked("kite-004", prompt="a boat"), 5: asked("another")} if visit else {}
        return [changed.get(index, one) for index, one in enumerate(many(8))]

    with pytest.raises(AirflowException, match=r"submit 2 for the first time.*The DAG no longer requests it as it did"):
        visited(store, videos, asked_for)
    assert counts(videos) == {"success": 6, "unsubmitted": 2}
    assert {task["body"]["input"]["prompt"] for task in emulator.tasks} == {"a kite"}
    assert visited(store, videos, many(8))["counts"] == {"success": 8}
    assert len(posts(emulator)) == 8


def test_requests_that_are_gone_at_the_next_visit_leave_what_is_in_flight(emulator, videos):
    store, seen = Store(), []
    with pytest.raises(AirflowException, match=r"\(4 success, 4 unsubmitted\)"):
        visited(store, videos, lambda visit: [] if visit else many(8), between=seen.extend)
    assert [line["reason"] for line in lines(videos)] == [""] * 4 + [_CHANGED] * 4
    assert (len(posts(emulator)), seen[-1].trigger.enough) == (4, None)


@pytest.mark.parametrize("broken", ["requests", "prices", "manifest"])
def test_what_breaks_between_two_visits_ends_the_waves_and_loses_nothing(emulator, videos, tmp_path, broken):
    prices, manifest = tmp_path / "prices.csv", tmp_path / "manifests" / "one.jsonl"
    prices.write_text("vidu_type,model,duration_s,resolution,price_cny\ntext2video,viduq2,1,540p,0.31\n")

    def breaks():
        if broken == "prices":
            prices.unlink()
        elif broken == "manifest":
            shutil.rmtree(manifest.parent)
            manifest.parent.write_text("in the way")

    told = {
        "requests": r"4 unsubmitted.*requests must be a list",
        "prices": r"4 unsubmitted.*prices must be a mapping",
        "manifest": "Could not write",
    }
    with pytest.raises((AirflowException, ViduDownloadError), match=told[broken]):
        visited(
            store := Store(),
            videos,
            lambda visit: "[1]" if visit and broken == "requests" else json.dumps(many(8)),
            between=after(1, breaks),
            prices=str(prices),
            manifest=str(manifest),
        )
    assert (len(posts(emulator)), len(list(videos.glob("*.mp4")))) == (4, 4)
    assert visited(store, videos, many(8))["counts"] == {"success": 8}
    assert len(posts(emulator)) == 8


def test_a_video_that_a_visit_cannot_store_is_stored_by_the_next(emulator, videos):
    emulator.arm({"on": "download", "fault": "not_a_video"})
    assert visited(Store(), videos, many(8))["counts"] == {"success": 8}
    assert len(posts(emulator)) == 8


def test_equal_requests_of_different_waves_are_paid_once(emulator, videos, ledger):
    given = [asked("first"), *(asked(f"other-{number}", prompt=f"kite {number}") for number in range(4)), *many(3)]
    returned = visited(Store(), videos, given, reuse=True, max_in_flight=2)
    assert returned["counts"] == {"success": 5, "reused": 3}
    assert len(posts(emulator)) == 5


def test_a_single_submit_of_unknown_outcome_ends_the_waves_only_if_nothing_is_in_flight(emulator, videos):
    lost = {"on": "submit", "fault": "accept_then_drop"}
    with pytest.raises(AirflowFailException, match=r"7 success|1 uncertain"):
        visited(Store(), videos / "four", many(8), between=after(1, lambda: emulator.arm(lost)))
    assert sorted(outcomes(videos / "four").values()) == ["success"] * 7 + ["uncertain"]
    with pytest.raises(AirflowException, match="unsubmitted"):
        visited(Store(), videos / "one", many(3), max_in_flight=1, between=after(1, lambda: emulator.arm(lost)))
    assert list(outcomes(videos / "one").values()) == ["success", "uncertain", "unsubmitted"]
    assert lines(videos / "one")[2]["reason"] == (
        "It is unknown whether any of the last submits was accepted, so they may hold all slots of max_in_flight. "
        "Nothing was sent or paid for this item. Read the reasons of the uncertain items, then retry the task."
    )
    assert len(posts(emulator)) == 10


def test_refused_items_and_unreadable_files_take_no_slot(emulator, videos, monkeypatch, flight):
    really_read = Item.prepared

    def read(self, warn):
        if self.custom_id == "kite-001":
            raise ConnectionError("the bucket is away")
        return really_read(self, warn)

    monkeypatch.setattr(Item, "prepared", read)
    given = [asked("refused", prompt="forbidden-by-moderation"), *many(7)]
    with pytest.raises(AirflowException, match="submit 1 for the first time"):
        visited(Store(), videos, given)
    assert counts(videos) == {"refused": 1, "success": 6, "unsubmitted": 1}
    assert flight.counts[:4] == [1, 2, 3, 4]


def test_a_task_that_is_killed_in_a_later_visit_submits_nothing_more(emulator, videos, monkeypatch):
    store, really_submit = Store(), Submits._submit_chunk
    stop = begun(store, videos, many(8))
    kwargs = {**as_stored(stop.kwargs), "event": event_of(stop)}
    operator = ViduGenerateBatchOperator(
        task_id="batch", requests=many(8), destination=f"{videos}/{{custom_id}}.mp4", max_in_flight=4, deferrable=False
    )

    def killed(self, marks, *others):
        really_submit(self, marks, *others)
        operator.on_kill()

    monkeypatch.setattr(Submits, "_submit_chunk", killed)
    with pytest.raises(AirflowException, match="the task was killed"):
        operator.resume_execution("execute_complete", kwargs, context_of(store))
    found = counts(videos)
    assert (found["success"], found["unsubmitted"]) == (len(posts(emulator)), 8 - len(posts(emulator)))


@pytest.mark.parametrize("most", [0, -1, 2.0, True, "4"], ids=str)
def test_a_number_that_is_none_is_refused_when_the_dag_is_parsed(most):
    with pytest.raises(ViduRequestError, match="max_in_flight must be a whole number of 1 or more, or None"):
        ViduGenerateBatchOperator(task_id="batch", requests=many(1), destination="/videos", max_in_flight=most)


def test_a_rate_limit_on_a_worker_that_waits_itself_leaves_items_to_a_later_wave(emulator, videos, monkeypatch):
    really_settle, waves = Waves.settle, []

    def limited(self):
        really_settle(self)
        waves.append(self)
        if len(waves) == 1:
            emulator.arm({"on": "submit", "fault": "rate_limit", "times": 4})

    monkeypatch.setattr(Waves, "settle", limited)
    assert visited(Store(), videos, many(10), deferrable=False)["counts"] == {"success": 10}
    assert (len(posts(emulator)), len(emulator.tasks)) == (14, 10)
