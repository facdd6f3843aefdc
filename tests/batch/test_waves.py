# SPDX-License-Identifier: Apache-2.0
"""Batches with ``max_in_flight``: what is in flight, what is paid, and what a kill, a retry and a clear make of it."""

from __future__ import annotations

import copy
from collections import Counter
from itertools import count

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, Stats, TaskDeferred

from airflow_provider_vidu.batch import slots
from airflow_provider_vidu.batch.waves import Waves
from airflow_provider_vidu.durable.batch_record import BatchRecord
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.storage.video_store import VideoStore
from tests.batch.visits import as_stored, event_of, visited
from tests.quick import PRICE, Store, asked, context_of, lines, many, outcomes, posts, tried

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once", "flight")


@pytest.mark.parametrize("deferrable", [True, False])
def test_no_more_are_in_flight_than_allowed_and_each_is_paid_once(emulator, videos, flight, deferrable):
    stops = []
    returned = visited(Store(), videos, many(10), deferrable=deferrable, between=stops.append)
    assert (returned["counts"], returned["estimated_cost"]) == ({"success": 10}, round(10 * PRICE, 5))
    assert max(flight.counts) == 4
    assert (len(posts(emulator)), [task["downloads"] for task in emulator.tasks]) == (10, [1] * 10)
    assert sorted(path.suffix for path in videos.iterdir()) == [".jsonl"] + [".mp4"] * 10
    assert bool(stops) == deferrable


def test_the_first_videos_are_stored_while_the_last_items_wait(emulator, videos):
    stored = []
    visited(Store(), videos, many(8), between=lambda _: stored.append(len(list(videos.glob("*.mp4")))))
    assert 0 < sorted(stored)[len(stored) // 2] < 8


def test_each_video_and_failure_is_counted_once(emulator, videos, monkeypatch):
    counted = Counter()
    monkeypatch.setattr(Stats, "incr", lambda name, value=1, **_: counted.update({name: value}))
    with pytest.raises(AirflowFailException):
        visited(Store(), videos, [asked("unfit", prompt="fail-by-moderation"), *many(7)])
    assert (counted["vidu.videos"], counted["vidu.video_seconds"], counted["vidu.failures"]) == (7, 7, 1)


def test_a_visit_comes_when_a_quarter_of_the_slots_is_free(emulator, videos, flight):
    awaited = []
    visited(Store(), videos, many(20), max_in_flight=8, between=lambda stops: awaited.append(stops[-1].trigger.enough))
    assert awaited[0] == 2
    assert awaited[-1] is None
    assert (max(flight.counts), len(posts(emulator))) == (8, 20)


def test_without_it_or_with_slots_for_all_two_visits_are_enough(emulator, videos):
    for most, place in ((None, "all"), (10, "ten")):
        stops = []
        visited(Store(), videos / place, many(10), max_in_flight=most, between=stops.extend)
        (stop,) = stops
        assert set(stop.kwargs) == {"path", "destination", "mark"}
        assert "enough" not in stop.trigger.serialize()[1]


class Killed(BaseException):
    """The worker is gone: what it would still have written is not there."""


MOMENTS = {
    "before an acceptance": (BatchRecord, "settle", False),
    "before an intent": (BatchRecord, "intend", False),
    "after an acceptance": (BatchRecord, "settle", True),
    "before the videos are stored": (VideoStore, "store_all", False),
    "before the next wait": (Waves, "_wait", False),
}


@pytest.fixture
def killed_at(monkeypatch):
    """Kill the worker at the nth time of a moment, and undo what a dead worker could not have done."""

    def run(store, moment: str, number: int, attempt) -> bool:
        kind, name, is_after = MOMENTS[moment]
        really, times, left = getattr(kind, name), [], []

        def dies(self, *args):
            times.append(1)
            done = really(self, *args) if is_after or len(times) != number else None
            if len(times) == number:
                left.append(copy.deepcopy(dict(store)))
                raise Killed
            return done

        with monkeypatch.context() as patched:
            patched.setattr(kind, name, dies)
            try:
                attempt()
            except Killed:
                store.clear()
                store.update(left[0])
                return True
        return False

    return run


@pytest.mark.parametrize("moment", list(MOMENTS)[1:])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_kill_in_any_visit_pays_nothing_twice_and_loses_nothing(emulator, videos, flight, killed_at, moment, number):
    store = Store()
    assert killed_at(store, moment, number, lambda: visited(store, videos, many(8)))
    assert visited(store, videos, many(8))["counts"] == {"success": 8}
    assert (len(posts(emulator)), max(flight.counts)) == (8, 4)


def test_a_kill_during_a_post_of_a_later_wave_is_uncertain_and_never_sent_again(emulator, videos, killed_at):
    store = Store()
    assert killed_at(store, "before an acceptance", 2, lambda: visited(store, videos, many(8)))
    uncertain = [name for name, one in store["vidu_batch_0"]["submits"].items() if not one["task_id"]]
    with pytest.raises(AirflowFailException, match=f"{len(uncertain)} of 8 items have no video"):
        visited(store, videos, many(8))
    assert [name for name, outcome in outcomes(videos).items() if outcome == "uncertain"] == uncertain
    assert len(posts(emulator)) == 8


def first_waves(store, videos, requests, count, **arguments):
    """A try that ends after some visits, as if a person ended it."""

    def stop(stops):
        if len(stops) == count:
            raise Killed

    with pytest.raises(Killed):
        visited(store, videos, requests, between=stop, **arguments)


def test_a_clear_between_two_waves_attaches_to_what_runs_and_submits_the_rest(emulator, videos, flight):
    store = Store()
    first_waves(store, videos, many(8), 2)
    assert 4 <= len(posts(emulator)) < 8
    assert visited(store, videos, many(8), max_tries=2)["counts"] == {"success": 8}
    assert (len(posts(emulator)), max(flight.counts)) == (8, 4)


@pytest.mark.parametrize("is_elsewhere", [False, True], ids=["same worker", "another worker"])
def test_a_clear_of_a_delivered_batch_makes_all_of_it_anew(emulator, videos, is_elsewhere):
    store = Store()
    visited(store, videos, many(6))
    assert visited(store, videos, many(6), max_tries=2, between=elsewhere(videos, is_elsewhere))["counts"] == {
        "success": 6
    }
    assert len(posts(emulator)) == 12
    assert len({line["task_id"] for line in lines(videos)} & {task["task_id"] for task in emulator.tasks[6:]}) == 6


def elsewhere(videos, is_elsewhere=True):
    """Each visit is on another worker, which does not see what the one before left beside the videos."""

    def move(stops):
        for waiting in videos.glob("*.waiting") if is_elsewhere else ():
            waiting.unlink()

    return move


def test_visits_on_workers_that_do_not_see_each_others_lists_pay_nothing_twice(emulator, videos, flight):
    given = [*many(7), asked("unfit", prompt="fail-by-moderation"), asked("refused", prompt="forbidden-by-moderation")]
    with pytest.raises(AirflowException, match="2 of 9 items have no video"):
        visited(Store(), videos, given, between=elsewhere(videos))
    found = outcomes(videos)
    assert (found["unfit"], set(found[f"kite-00{number}"] for number in range(7))) == ("failed", {"success"})
    assert (len(emulator.tasks), max(flight.counts)) == (8, 4)


def test_ids_that_change_with_each_parse_are_paid_once_where_the_list_is_not_seen(emulator, videos):
    numbers = count()
    with pytest.raises(AirflowException, match="8 unsubmitted"):
        visited(
            Store(),
            videos,
            lambda visit: [asked(f"{next(numbers)}-kite") for _ in range(8)],
            between=elsewhere(videos),
        )
    assert len(posts(emulator)) == 4


def test_what_was_not_planned_is_left_to_a_retry_where_the_list_is_not_seen(emulator, videos):
    def requests(visit):
        return [*many(7), asked("kite-007", prompt="a boat"), asked("new")] if visit else many(8)

    with pytest.raises(AirflowException, match="2 unsubmitted"):
        visited(Store(), videos, requests, between=elsewhere(videos))
    found = outcomes(videos)
    assert (found.pop("kite-007"), found.pop("new"), set(found.values())) == ("unsubmitted", "unsubmitted", {"success"})
    assert len(posts(emulator)) == 7


def test_what_failed_is_not_submitted_in_a_later_wave_but_by_a_retry(emulator, videos):
    store, given = Store(), [asked("busy", prompt="fail-by-capacity"), *many(7)]
    with pytest.raises(AirflowException, match="It would pay again for 1 and submit 0"):
        visited(store, videos, given)
    assert len(posts(emulator)) == 8
    with pytest.raises(AirflowException):
        visited(store, videos, given)
    assert len(posts(emulator)) == 9


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_lack_of_capacity_halves_what_is_in_flight_for_a_while(emulator, videos, flight, capfd, deferrable):
    given = [asked("busy", prompt="fail-by-capacity"), *many(11)]
    with pytest.raises(AirflowException, match="1 of 12 items"):
        visited(Store(), videos, given, deferrable=deferrable)
    assert "At most 2 in flight for the next 10 minutes: the service was short of capacity for busy" in (
        capfd.readouterr().out
    )
    assert (max(flight.counts) <= 4, max(flight.counts[-5:]) <= 2) == (True, True)


def test_after_a_while_as_many_are_in_flight_as_before(emulator, videos, flight, monkeypatch):
    monkeypatch.setattr(slots, "LOWERED_SECONDS", 0.0)
    waited_for = []

    def look(stops):
        waited_for.append(sum(len(group.vidu_task_ids) for group in stops[-1].trigger.groups))

    with pytest.raises(AirflowException, match="1 of 12 items"):
        visited(Store(), videos, [asked("busy", prompt="fail-by-capacity"), *many(11)], between=look)
    assert waited_for[1] == 4


def test_a_rate_limit_leaves_items_to_a_later_wave_with_fewer_in_flight(emulator, videos, flight):
    lowered = []

    def limit(stops):
        lowered.append(stops[-1].kwargs.get("wave", {}).get("lowered_to"))
        if len(stops) == 1:
            emulator.arm({"on": "submit", "fault": "rate_limit", "times": 4})

    assert visited(Store(), videos, many(10), between=limit)["counts"] == {"success": 10}
    assert lowered[:2] == [4, 2]
    assert (len(posts(emulator)), len(emulator.tasks), max(flight.counts[-4:]) <= 2) == (14, 10, True)


def test_a_rate_limit_with_nothing_in_flight_stops_the_submits_for_a_retry(emulator, videos):
    emulator.arm({"on": "submit", "fault": "rate_limit", "times": None})
    store = Store()
    with pytest.raises(AirflowException, match=r"10 unsubmitted.*submit 10 for the first time"):
        visited(store, videos, many(10))
    assert len(posts(emulator)) == 16
    emulator.control("DELETE", "faults")
    assert visited(store, videos, many(10))["counts"] == {"success": 10}
    assert len(emulator.tasks) == 10


def test_never_fewer_than_one_is_in_flight():
    class Log:
        def warning(self, *args):
            pass

    few = slots.Slots(3, Log(), {})
    for number in (1, 1, 1):
        few.lower("busy")
        assert few.free(0) == number
    assert slots.Slots(8, Log(), few.state()).free(0) == 1
    assert slots.Slots(8, Log(), {}).enough(8, 20) == 2
    assert slots.Slots(8, Log(), few.state()).enough(8, 20) == 8


def test_below_airflow_3_3_without_a_ledger_waves_are_refused_before_anything_is_paid(emulator, videos):
    for deferrable in (True, False):
        with pytest.raises(
            AirflowFailException,
            match=r"^max_in_flight must be None without .* got 4\. .* paid nothing\. Set \[vidu\] le",
        ):
            tried(None, videos, many(2), max_in_flight=4, deferrable=deferrable)
    assert emulator.requests == []


def test_a_retry_without_it_takes_up_what_waves_began(emulator, videos):
    store = Store()
    first_waves(store, videos, many(8), 1)
    assert tried(store, videos, many(8))["counts"] == {"success": 8}
    assert len(posts(emulator)) == 8


def test_a_dag_that_drops_it_between_two_visits_submits_the_rest_at_once(emulator, videos):
    store = Store()
    with pytest.raises(TaskDeferred) as first:
        tried(store, videos, many(8), deferrable=True, max_in_flight=2)
    assert len(posts(emulator)) == 2
    operator = ViduGenerateBatchOperator(task_id="batch", requests=many(8), destination=str(videos))
    kwargs = {**as_stored(first.value.kwargs), "event": event_of(first.value)}
    with pytest.raises(TaskDeferred) as second:
        operator.resume_execution("execute_complete", kwargs, context_of(store))
    assert (second.value.trigger.enough, len(posts(emulator))) == (None, 8)
