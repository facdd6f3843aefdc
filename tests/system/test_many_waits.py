# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from dev.airflow_bed import AirflowBed
from dev.emulator_process import EmulatorProcess
from tests.records import result_of

DAG_ID = "many_waits"


# More than the executor runs at once.
@pytest.mark.system
@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.long)])
def test_many_sensors_wait_at_once_and_each_returns_its_own_result(
    bed: AirflowBed, emulator: EmulatorProcess, count: int
) -> None:
    emulator.hold()
    run_id = bed.trigger(DAG_ID, {"count": count})
    most_deferred = 0

    def look() -> None:
        nonlocal most_deferred
        if most_deferred < count:
            path = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances?task_id=wait&state=deferred&limit=1"
            most_deferred = max(most_deferred, bed.request("GET", path)["total_entries"])
            if most_deferred == count:
                emulator.release()

    state = bed.wait(DAG_ID, run_id, 1200, look, every=2)

    assert state == "success", bed.failures(DAG_ID, run_id)
    assert most_deferred == count
    records = {record["body"]["input"]["prompt"]: record for record in emulator.tasks}
    assert len(records) == count
    for number in range(count):
        record = records[f"wave number {number}"]
        assert bed.xcom(DAG_ID, run_id, "submit", map_index=number) == record["task_id"]
        assert bed.xcom(DAG_ID, run_id, "wait", map_index=number) == result_of(record, seconds=1)
