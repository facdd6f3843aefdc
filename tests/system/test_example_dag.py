# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_provider_vidu.protocol.prices import estimate
from dev.airflow_bed import AirflowBed
from dev.demo import ASKED, DAG_ID
from dev.emulator_process import EmulatorProcess
from dev.video import VideoFacts, read_video
from tests.records import result_of


@pytest.mark.system
@pytest.mark.smoke
def test_a_picture_becomes_a_stored_video_and_the_wait_holds_no_worker(
    bed: AirflowBed, emulator: EmulatorProcess, tmp_path: Path
) -> None:
    emulator.hold()
    run_id = bed.trigger(DAG_ID, {"destination": tmp_path.as_uri()})
    while_held: list[tuple[str, list[int]]] = []

    def look() -> None:
        states = {task["task_id"]: task["state"] for task in bed.task_instances(DAG_ID, run_id)}
        # The worker that deferred the task reports for some tenths of a second longer.
        if states["wait"] == "deferred" and not while_held and not bed.worker_processes():
            while_held.append((states["wait"], bed.worker_processes()))
            emulator.release()

    state = bed.wait(DAG_ID, run_id, 180, look)

    assert state == "success", bed.failures(DAG_ID, run_id)
    assert while_held == [("deferred", [])]
    (record,) = emulator.tasks
    assert bed.xcom(DAG_ID, run_id, "submit") == record["task_id"]
    assert bed.xcom(DAG_ID, run_id, "wait") == result_of(record, seconds=4)
    stored = tmp_path / f"{record['task_id']}.mp4"
    assert bed.xcom(DAG_ID, run_id, "store") == [stored.as_uri()]
    assert os.listdir(tmp_path) == [stored.name]
    assert read_video(stored) == VideoFacts("h264", 1280, 720, 4.0)
    assert bed.xcom(DAG_ID, run_id, "submit", "estimated_cost") == estimate(ASKED).price_cny
