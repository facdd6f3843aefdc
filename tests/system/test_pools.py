# SPDX-License-Identifier: Apache-2.0
"""The pool of docs/deploy.md, which limits how many mapped generations run at once."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.system.support.trouble import until

pytestmark = pytest.mark.system
SLOTS = 2


@pytest.fixture
def pool(bed):
    bed.request("POST", "/api/v2/pools", {"name": "vidu", "slots": SLOTS, "include_deferred": True})
    yield
    bed.request("DELETE", "/api/v2/pools/vidu")


def test_a_pool_that_counts_deferred_tasks_limits_the_generations_at_once(bed, emulator, pool, tmp_path):
    emulator.hold()
    run_id = bed.trigger("pooled", {"destination": str(tmp_path)})

    def states():
        return Counter(task["state"] for task in bed.task_instances("pooled", run_id))

    until("two generations", lambda: states()["deferred"] == SLOTS)
    # The scheduler queues older runs first, so what the pool let through would have run before this.
    other = bed.trigger("unpooled")
    assert bed.wait("unpooled", other) == "success"
    assert (states(), len(emulator.tasks)) == ({"deferred": SLOTS, "scheduled": 5 - SLOTS}, SLOTS)

    emulator.release()
    assert bed.wait("pooled", run_id, 240) == "success", bed.failures("pooled", run_id)
    assert sorted(path.name for path in tmp_path.glob("*.mp4")) == [f"{number}.mp4" for number in range(5)]
    # The emulator knows whole seconds; whoever begins in the second in which another ends is not at once with it.
    begun = [task["submit_time"] for task in emulator.tasks]
    at_once = [sum(other["submit_time"] <= time < other["finish_time"] for other in emulator.tasks) for time in begun]
    assert max(at_once) <= SLOTS
