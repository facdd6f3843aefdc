# SPDX-License-Identifier: Apache-2.0
"""Videos that a batch reuses and copies: each copy is made once, whichever worker goes on with the batch."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from tests.batch.nights import night
from tests.batch.visits import as_stored, event_of, visited
from tests.quick import Store, asked, context_of, deferred, posts

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once", "flight", "ledger")

GIVEN = [asked(f"kite-{number}", prompt=f"kite {number}") for number in range(6)]


@pytest.fixture
def old(tmp_path):
    """Videos of an earlier night for each second request."""
    night(tmp_path / "old", GIVEN[::2])
    return tmp_path / "old"


def copies(videos):
    """Return the number of each copy, which is another one when it is written again."""
    return {path.name: path.stat().st_ino for path in videos.glob("kite-[024].mp4")}


@pytest.mark.parametrize("most", [2, None])
def test_a_visit_that_does_not_see_the_list_keeps_the_copies(emulator, videos, old, most):
    made = []

    def elsewhere(stops):
        made.append(copies(videos))
        for waiting in videos.glob("*.waiting"):
            waiting.unlink()

    returned = visited(Store(), videos, GIVEN, max_in_flight=most, reuse=True, between=elsewhere)
    assert returned["counts"] == {"success": 3, "reused": 3}
    assert made[0]
    assert copies(videos).items() >= made[0].items()
    assert len(posts(emulator)) == 6


def test_a_retry_keeps_the_copies_of_the_first_try_and_makes_a_changed_one_again(emulator, videos, old):
    store, given, made = Store(), [*GIVEN[:5], asked("kite-5", prompt="fail-by-capacity")], []
    for number in range(3):
        if number == 2:
            (videos / "kite-0.mp4").write_bytes(b"another video")
        with pytest.raises(AirflowException, match=r"1 of 6 items have no video \(3 reused, 2 success, 1 failed\)"):
            visited(store, videos, given, reuse=True)
        made.append(copies(videos))
    assert made[0] == made[1]
    assert (videos / "kite-0.mp4").read_bytes() == (old / "kite-0.mp4").read_bytes()
    assert [made[1][name] == made[2][name] for name in ("kite-2.mp4", "kite-4.mp4")] == [True, True]


def test_the_last_wait_of_a_batch_with_copies_shows_what_has_ended(emulator, videos, old):
    store, arguments = Store(), {"destination": f"{videos}/{{custom_id}}.mp4", "reuse": True}
    stop = deferred(videos, GIVEN, store, reuse=True)
    context = context_of(store)
    kwargs = {**as_stored(stop.kwargs), "event": event_of(stop)}
    operator = ViduGenerateBatchOperator(task_id="batch", requests=GIVEN, **arguments)
    assert operator.resume_execution("execute_complete", kwargs, context)["counts"] == {"success": 3, "reused": 3}
    assert context["ti"].pushed["vidu_progress"] == {"tasks": 3, "counts": {"success": 3}}
