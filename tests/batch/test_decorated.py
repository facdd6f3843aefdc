# SPDX-License-Identifier: Apache-2.0
"""Single tries of a decorated batch: when its function is called, and what is paid."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowTaskTimeout, TaskDeferred

from airflow_provider_vidu.batch.submits import Submits
from airflow_provider_vidu.decorators.batch import vidu_batch_task
from airflow_provider_vidu.exceptions import ViduStateError
from tests.quick import Store, asked, context_of, many, outcomes, posts

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")


def decorated(videos, function, **arguments):
    arguments = {"task_id": "batch", "destination": f"{videos}/{{custom_id}}.mp4", "deferrable": False, **arguments}
    return vidu_batch_task(function, **arguments)().operator


def never():
    raise AssertionError("the function was called")


def begun(videos, store, function, **arguments):
    """Let the first visit of a try defer; what Airflow keeps for the next visit."""
    with pytest.raises(TaskDeferred) as raised:
        decorated(videos, function, deferrable=True, **arguments).execute(context_of(store))
    return json.loads(json.dumps(raised.value.kwargs))


def outcomes_after(videos, store, kwargs, next_method="execute_complete"):
    """Resume a try whose batch may fail, and give the outcomes of its manifest."""
    with suppress(AirflowException):
        decorated(videos, never, deferrable=True).resume_execution(next_method, kwargs, context_of(store))
    return outcomes(videos)


@pytest.mark.parametrize("is_seen", [True, False], ids=["same worker", "another worker"])
@pytest.mark.parametrize("next_method", ["execute_complete", "__fail__"])
def test_a_resume_never_calls_the_function(emulator, videos, is_seen, next_method):
    store, given = Store(), [*many(2), asked("unfit", prompt="forbidden-by-moderation")]
    kwargs = begun(videos, store, lambda: given)
    if not is_seen:
        (waiting,) = videos.glob("*.waiting")
        waiting.unlink()
    kwargs = kwargs if next_method == "execute_complete" else {"error": "Trigger timeout"}
    # No record of the third item's submit exists, so it must appear as one that has no video.
    assert outcomes_after(videos, store, kwargs, next_method) == {
        "kite-000": "success",
        "kite-001": "success",
        "unfit": "refused" if is_seen else "unsubmitted",
    }
    assert len(posts(emulator)) == 3


def test_later_waves_never_call_the_function(emulator, videos, flight):
    store = Store()
    kwargs = begun(videos, store, lambda: many(6), max_in_flight=2)
    last = decorated(videos, never, max_in_flight=2)
    event = {"status": "success", "counts": {"success": 1}, "message": "One has ended."}
    returned = last.resume_execution("execute_complete", {**kwargs, "event": event}, context_of(store))
    assert (returned["counts"], len(posts(emulator)), max(flight.counts)) == ({"success": 6}, 6, 2)


def test_a_retry_takes_what_the_first_try_asked_for(emulator, videos):
    store = Store()
    begun(videos, store, lambda: many(2))
    assert decorated(videos, never).execute(context_of(store))["counts"] == {"success": 2}
    assert len(posts(emulator)) == 2


def test_a_worker_that_dies_between_two_chunks_leaves_the_requests_to_the_next_try(emulator, videos, monkeypatch):
    store, really_submit, chunks = Store(), Submits._submit_chunk, []

    def dies_at_the_second(self, marks, *others):
        chunks.append(marks)
        if len(chunks) == 2:
            raise AirflowTaskTimeout("Time is over")
        really_submit(self, marks, *others)

    with monkeypatch.context() as patched:
        patched.setattr(Submits, "_submit_chunk", dies_at_the_second)
        with pytest.raises(AirflowTaskTimeout):
            decorated(videos, lambda: many(10)).execute(context_of(store))
    assert decorated(videos, never).execute(context_of(store))["counts"] == {"success": 10}
    assert len(posts(emulator)) == 10


def test_a_clear_calls_the_function_again_and_follows_the_operators_table(emulator, videos):
    store = Store()
    requests = [asked("fine"), asked("unfit", prompt="fail-by-moderation")]
    with pytest.raises(AirflowException):
        decorated(videos, lambda: requests).execute(context_of(store))
    changed = [asked("fine"), asked("unfit", prompt="a boat")]
    operator = decorated(videos, lambda: changed)
    assert operator.execute(context_of(store, max_tries=2))["counts"] == {"success": 2}
    # The retry of the cleared try takes the new requests.
    assert decorated(videos, never).execute(context_of(store, max_tries=2))["counts"] == {"success": 2}
    assert len(posts(emulator)) == 3


def test_a_clear_during_which_a_worker_dies_before_its_submits_keeps_the_paid_tasks(emulator, videos):
    store = Store()
    begun(videos, store, lambda: many(2))

    def dies():
        raise AirflowTaskTimeout("Time is over")

    with pytest.raises(AirflowTaskTimeout):
        decorated(videos, dies).execute(context_of(store, max_tries=2))
    returned = decorated(videos, lambda: many(3)).execute(context_of(store, max_tries=2))
    assert returned["counts"] == {"success": 3}
    assert len(posts(emulator)) == 3


def test_without_a_record_the_resume_takes_the_requests_along(emulator, videos):
    kwargs = begun(videos, None, lambda: [*many(2), asked("unfit", prompt="forbidden-by-moderation")])
    (waiting,) = videos.glob("*.waiting")
    waiting.unlink()
    assert outcomes_after(videos, None, kwargs) == {
        "kite-000": "success",
        "kite-001": "success",
        "unfit": "unsubmitted",
    }
    assert len(posts(emulator)) == 3


def test_with_a_record_the_database_holds_no_copy_of_the_requests(emulator, videos):
    assert "requests" not in begun(videos, Store(), lambda: many(2))


def test_requests_that_cannot_be_stored_or_read_send_nothing(emulator, videos):
    with pytest.raises(ViduStateError, match=r"Nothing was sent"):
        decorated(videos, lambda: many(2)).execute(context_of(Store(fails_at=1)))
    strange = Store(vidu_requests={"version": 2, "max_tries": 1, "requests": []})
    with pytest.raises(ViduStateError, match="The task state 'vidu_requests' must be"):
        decorated(videos, never).execute(context_of(strange))
    assert emulator.requests == []


def test_paths_become_texts_that_the_next_try_reads(emulator, videos, frame):
    store = Store()
    picture = {"custom_id": "frame", "model": "viduq2-turbo", "duration": 1, "resolution": "540p"}
    begun(videos, store, lambda: ({**picture, "first_frame_url": Path(frame)},))
    assert store["vidu_requests"] == {
        "version": 1,
        "max_tries": 1,
        "requests": [{**picture, "first_frame_url": str(frame)}],
    }
    assert decorated(videos, never).execute(context_of(store))["counts"] == {"success": 1}
    assert len(posts(emulator)) == 1
