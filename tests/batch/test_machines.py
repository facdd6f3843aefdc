# SPDX-License-Identifier: Apache-2.0
"""A batch whose visits run on workers that do not see each other's files."""

from __future__ import annotations

import json
import shutil

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.protocol import response
from tests.quick import PRICE, Store, asked, context_of, deferred, lines, many, outcomes, posts, tried

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")


@pytest.fixture
def another_machine(videos, tmp_path):
    """What stands at the destination stays on the first machine."""

    def move():
        shutil.move(videos, tmp_path / "first-machine")

    return move


def resumed(stop, videos, requests, store, max_tries=1, **arguments):
    arguments = {"destination": f"{videos}/{{custom_id}}.mp4", **arguments}
    operator = ViduGenerateBatchOperator(task_id="batch", requests=requests, **arguments)
    return operator.resume_execution(stop.method_name, {**stop.kwargs, "event": None}, context_of(store, max_tries))


UNFIT, REFUSED = asked("unfit", prompt="fail-by-moderation"), asked("refused", prompt="forbidden-by-moderation")


def test_the_second_visit_stores_what_the_first_submitted_from_another_machine(emulator, videos, another_machine):
    store, given = Store(), [*many(2), UNFIT, REFUSED]
    stop = deferred(videos, given, store)
    another_machine()
    with pytest.raises(
        AirflowException, match=r"2 of 4 items have no video.*pay again for 0 and submit 1 for the first time\."
    ):
        resumed(stop, videos, given, store)
    found = lines(videos)
    assert [(line["custom_id"], line["outcome"], line["estimated_cost"]) for line in found] == [
        ("kite-000", "success", PRICE),
        ("kite-001", "success", PRICE),
        ("unfit", "failed", PRICE),
        ("refused", "unsubmitted", 0),
    ]
    by_prompt = {task["task_id"]: task["body"]["input"]["prompt"] for task in emulator.tasks}
    assert [by_prompt.get(line["task_id"]) for line in found] == ["a kite", "a kite", "fail-by-moderation", None]
    assert found[-1]["reason"] == "No record of its submit exists: it was refused or not submitted."
    assert len(posts(emulator)) == 4


def test_a_submit_whose_outcome_is_unknown_stays_uncertain_on_another_machine(emulator, videos, another_machine):
    emulator.arm({"on": "submit", "fault": "accept_then_drop"})
    store, given = Store(), many(2)
    stop = deferred(videos, given, store)
    another_machine()
    with pytest.raises(AirflowFailException, match="No retry can recover"):
        resumed(stop, videos, given, store)
    assert sorted(outcomes(videos).values()) == ["success", "uncertain"]
    assert len(emulator.tasks) == 2


def test_what_an_earlier_try_left_on_this_machine_is_not_taken_for_what_this_one_submitted(emulator, videos):
    store = Store()
    deferred(videos, many(1), store)
    (waiting,) = videos.glob("*.waiting")
    earlier = waiting.read_text()
    stop = deferred(videos, many(2), store)
    waiting.write_text(earlier)
    assert resumed(stop, videos, many(2), store)["counts"] == {"success": 2}
    assert len(posts(emulator)) == 2


def test_below_airflow_3_3_the_second_visit_knows_the_tasks_on_another_machine(emulator, videos, another_machine):
    stop = deferred(videos, [*many(2), UNFIT], None)
    ids = {task["body"]["input"]["prompt"]: task["task_id"] for task in emulator.tasks}
    another_machine()
    with pytest.raises(AirflowFailException, match="1 of 3 items have no video"):
        resumed(stop, videos, [*many(2), UNFIT], None)
    assert outcomes(videos) == {"kite-000": "success", "kite-001": "success", "unfit": "failed"}
    assert lines(videos)[2]["task_id"] == ids["fail-by-moderation"]
    assert len(posts(emulator)) == 3


def test_a_visit_that_0_1_0_deferred_fails_for_good_below_airflow_3_3_where_its_record_is_elsewhere(
    emulator, videos, another_machine
):
    stop = deferred(videos, many(2), None)
    another_machine()
    del stop.kwargs["tasks"], stop.kwargs["mark"]
    with pytest.raises(
        AirflowFailException, match=r"^destination must be visible to all workers, got .* not see .*waiting\. The"
    ):
        resumed(stop, videos, many(2), None)


def test_custom_ids_that_are_new_at_each_parse_keep_the_videos_of_the_first_visit(emulator, videos, another_machine):
    store = Store()
    stop = deferred(videos, [asked("x0"), asked("x1")], store)
    another_machine()
    with pytest.raises(AirflowException, match="2 of 4 items have no video"):
        resumed(stop, videos, [asked("y0"), asked("y1")], store)
    assert outcomes(videos) == {"y0": "unsubmitted", "y1": "unsubmitted", "x0": "success", "x1": "success"}
    assert sorted(path.name for path in videos.glob("*.mp4")) == ["x0.mp4", "x1.mp4"]
    assert len(posts(emulator)) == 2


def test_the_second_visit_is_handed_nothing_that_the_state_store_knows(slow_emulator, videos):
    assert json.dumps(deferred(videos, many(2), Store()).kwargs).count("tasks") == 0


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_what_a_person_gave_up_before_a_clear_stays_out_of_the_batch(emulator, videos, another_machine, is_elsewhere):
    store = Store()
    deferred(videos, many(2), store)
    given = [many(1)[0], REFUSED, asked("more")]
    stop = deferred(videos, given, store, max_tries=2)
    if is_elsewhere:
        another_machine()
    with pytest.raises(AirflowException, match="1 of 3 items have no video"):
        resumed(stop, videos, given, store, max_tries=2)
    refused = "unsubmitted" if is_elsewhere else "refused"
    assert outcomes(videos) == {"kite-000": "success", "refused": refused, "more": "success"}


def test_a_trigger_that_airflow_gave_up_resumes_without_the_record_of_an_earlier_try(emulator, videos):
    store = Store()
    deferred(videos, many(1), store)
    (waiting,) = videos.glob("*.waiting")
    earlier = waiting.read_text()
    deferred(videos, many(2), store)
    waiting.write_text(earlier)
    operator = ViduGenerateBatchOperator(task_id="batch", requests=many(2), destination=f"{videos}/{{custom_id}}.mp4")
    returned = operator.resume_execution("__fail__", {"error": "Trigger timeout"}, context_of(store))
    assert returned["counts"] == {"success": 2}


@pytest.fixture
def expired(monkeypatch):
    """The links of all videos expire."""
    return lambda: monkeypatch.setattr(response, "RESULT_LIFETIME_SECONDS", -1)


def failed_batch(store, videos):
    """Seven of eight videos are stored, one can be made only of another request."""
    with pytest.raises(AirflowFailException):
        tried(store, videos, [*many(7), UNFIT])
    return [*many(7), asked("unfit", prompt="a boat")]


def test_what_is_stored_on_another_machine_is_not_paid_again(emulator, videos, another_machine, expired):
    store = Store()
    given = failed_batch(store, videos)
    another_machine()
    expired()
    with pytest.raises(AirflowException, match="7 of 8 items have no video"):
        tried(store, videos, given, max_tries=2)
    assert [task["body"]["input"]["prompt"] for task in emulator.tasks][8:] == ["a boat"]
    found = {line["custom_id"]: line for line in lines(videos)}
    assert {name: line["outcome"] for name, line in found.items()} == {
        **{item["custom_id"]: "lost" for item in many(7)},
        "unfit": "success",
    }
    assert found["kite-003"]["reason"].endswith(
        f"was ready, but its links have expired. An earlier try stored its video at file://{videos}/kite-003.mp4. "
        "Nothing is submitted or paid. If this worker does not see that file, use one destination for all workers, "
        "then clear this task. "
        'Set on_missing="resubmit" to pay for it again.'
    )


def test_what_is_stored_on_another_machine_is_stored_again_while_its_links_live(emulator, videos, another_machine):
    store = Store()
    given = failed_batch(store, videos)
    another_machine()
    assert tried(store, videos, given, max_tries=2)["counts"] == {"success": 8}
    assert len(posts(emulator)) == 9


@pytest.mark.parametrize("manifest_has_gone", [False, True])
def test_what_is_stored_where_the_clear_runs_is_kept(emulator, videos, expired, manifest_has_gone):
    store = Store()
    given = failed_batch(store, videos)
    before = {path.name: path.stat().st_mtime_ns for path in videos.glob("kite-*.mp4")}
    if manifest_has_gone:
        next(videos.glob("*.jsonl")).unlink()
    expired()
    assert tried(store, videos, given, max_tries=2)["counts"] == {"success": 8}
    assert {path.name: path.stat().st_mtime_ns for path in videos.glob("kite-*.mp4")} == before
    assert [line["files"] for line in lines(videos)][3] == [f"file://{videos}/kite-003.mp4"]
    assert len(posts(emulator)) == 9


def test_a_person_may_choose_to_pay_again_for_what_is_out_of_reach(emulator, videos, another_machine, expired):
    store = Store()
    given = failed_batch(store, videos)
    another_machine()
    expired()
    with pytest.raises(AirflowException, match="7 lost, 1 failed"):
        # A retry is no person's word.
        tried(store, videos, [*many(7), UNFIT], on_missing="resubmit")
    assert len(posts(emulator)) == 8
    tried(store, videos, given, max_tries=2, on_missing="resubmit")
    assert len(posts(emulator)) == 16


def test_an_unknown_choice_is_refused():
    with pytest.raises(ViduRequestError, match="on_missing must be 'fail' or 'resubmit', got 'again'"):
        ViduGenerateBatchOperator(task_id="batch", requests=many(1), destination="/videos", on_missing="again")


def test_a_visit_elsewhere_keeps_what_an_earlier_try_stored(emulator, videos):
    store, given = Store(), [*many(1), asked("busy", prompt="fail-by-capacity")]
    with pytest.raises(AirflowException, match="1 failed"):
        tried(store, videos, given)
    visit = deferred(videos, given, store)
    (waiting,) = videos.glob("*.waiting")
    waiting.unlink()
    operator = ViduGenerateBatchOperator(
        task_id="batch", requests=given, destination=f"{videos}/{{custom_id}}.mp4", fail_on="all"
    )
    event = {"status": "success", "counts": {}, "message": "It ended."}
    returned = operator.execute_complete(context_of(store), event, **visit.kwargs)
    assert returned["counts"] == {"success": 1, "failed": 1}
    assert len(posts(emulator)) == 3


def test_a_clear_whose_picture_has_gone_attaches_to_what_runs(slow_emulator, videos, frame, capfd):
    picture = {"vidu_type": "img2video", "model": "viduq2-turbo", "resolution": "720p", "first_frame_url": str(frame)}
    store, given = Store(), [asked("a", **picture)]
    deferred(videos, given, store)
    frame.unlink()
    deferred(videos, given, store, max_tries=2)
    assert "Could not rebuild the request of a" in capfd.readouterr().out
    assert len(posts(slow_emulator)) == 1


def test_a_resume_without_its_mark_takes_the_list_of_tasks_that_no_store_holds(emulator, videos):
    class Full(Store):
        def set(self, key, value, *, retention):
            if self.writes:
                raise ConnectionError("Airflow is away")
            super().set(key, value, retention=retention)

    store = Full()
    deferred(videos, many(2), store)
    operator = ViduGenerateBatchOperator(task_id="batch", requests=many(2), destination=f"{videos}/{{custom_id}}.mp4")
    event = {"status": "success", "counts": {}, "message": "It ended."}
    assert operator.execute_complete(context_of(store), event)["counts"] == {"success": 2}
    assert len(posts(emulator)) == 2
