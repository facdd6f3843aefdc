# SPDX-License-Identifier: Apache-2.0
"""The example DAGs, run by a real Airflow as they are."""

from __future__ import annotations

import json
import shutil
import time
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from dev.video import read_video

pytestmark = pytest.mark.system


@pytest.fixture
def ends(bed, emulator):
    """Run an example to its end, which has to be a success."""
    emulator.release()

    def run(dag_id: str, on_poll=None, **params: str) -> str:
        run_id = bed.trigger(dag_id, params)
        state = bed.wait(dag_id, run_id, 180, (lambda: on_poll(run_id)) if on_poll else None)
        assert state == "success", bed.failures(dag_id, run_id)
        return run_id

    return run


@pytest.fixture
def folder(tmp_path):
    """Three pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (160, 90), colour).save(folder / f"{number}.png")
    return folder


def test_each_picture_of_a_folder_becomes_a_video(ends, emulator, folder, tmp_path):
    videos = tmp_path / "videos"
    ends("example_vidu_mapped", folder=str(folder), destination=videos.as_uri())
    hashes = [sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())]
    made = {task["body"]["input"]["first_frame_url"].split("sha256=")[1][:64]: task for task in emulator.tasks}
    names = [f"{index}-{made[sha]['task_id']}.mp4" for index, sha in enumerate(hashes)]
    assert sorted(path.name for path in videos.iterdir()) == sorted(names)


def test_a_picture_that_is_refused_keeps_no_other_video_from_being_stored(bed, emulator, folder, tmp_path):
    emulator.arm({"on": "submit", "fault": "error", "status": 400})
    params = {"folder": str(folder), "destination": (tmp_path / "videos").as_uri()}
    run_id = bed.trigger("example_vidu_mapped", params)
    assert bed.wait("example_vidu_mapped", run_id, 180) == "failed"
    assert sorted(path.name[2:] for path in (tmp_path / "videos").iterdir()) == sorted(
        f"{task['task_id']}.mp4" for task in emulator.tasks
    )
    assert len(emulator.tasks) == 2


def test_a_story_is_told_in_three_shots_each_from_the_last(ends, bed, emulator, tmp_path):
    run_id = ends("example_vidu_storyboard", destination=tmp_path.as_uri())
    opening, approach, arrival = emulator.tasks
    jobs = [task["body"]["parameters"]["vidu_type"] for task in emulator.tasks]
    assert jobs == ["text2video", "start-end2video", "extend"]
    frame = tmp_path / f"{opening['task_id']}-last.png"
    assert sha256(frame.read_bytes()).hexdigest() in approach["body"]["input"]["first_frame_url"]
    urls = bed.xcom("example_vidu_storyboard", run_id, "approach")["urls"]
    assert urls == [arrival["body"]["input"]["video_url"]]
    assert [read_video(tmp_path / f"{name}.mp4").codec for name in ("opening", "approach", "arrival")] == ["h264"] * 3


@pytest.mark.parametrize(("answer", "published"), [("Approve", 1), ("Reject", 0)])
def test_a_person_decides_what_is_published(ends, bed, emulator, tmp_path, answer, published):
    dag_id, seen, answered = "example_vidu_review", [], []

    def look(run_id):
        states = {task["task_id"]: task["state"] for task in bed.task_instances(dag_id, run_id)}
        if states.get("approve") in ("awaiting_input", "deferred"):
            seen.append(time.monotonic())
        # Airflow fails the task where the answer comes while it is still putting it aside; no person is as fast.
        if not answered and seen and seen[-1] - seen[0] > 3:
            path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/approve/-1/hitlDetails"
            bed.request("PATCH", path, {"chosen_options": [answer], "params_input": {}})
            answered.append(len(emulator.tasks))

    ends(dag_id, look, drafts=f"{tmp_path.as_uri()}/drafts", public=f"{tmp_path.as_uri()}/public")
    assert answered == [1]
    assert len(list(tmp_path.glob("drafts/*.mp4"))) == 1
    assert len(list(tmp_path.glob("public/*.mp4"))) == published


def test_new_videos_start_the_dag_that_publishes_them(ends, bed, emulator, tmp_path):
    run_id = ends("example_vidu_make", destination=tmp_path.as_uri())
    made = bed.xcom("example_vidu_make", run_id, "generate")
    deadline = time.monotonic() + 60
    while not (runs := bed.request("GET", "/api/v2/dags/example_vidu_publish/dagRuns")["dag_runs"]):
        assert time.monotonic() < deadline, "no run was started by the asset's event"
        time.sleep(0.5)
    publishing = runs[0]["dag_run_id"]
    assert bed.wait("example_vidu_publish", publishing) == "success", bed.failures("example_vidu_publish", publishing)
    (file,) = made["files"]
    told = {"files": [file], "video_seconds": 2, "estimated_cost": 0.25}
    assert bed.xcom("example_vidu_publish", publishing, "publish") == [told]
    assert json.loads((tmp_path / f"{made['task_id']}.mp4.json").read_text("utf-8")) == told


def test_a_video_whose_run_was_deleted_is_rescued(ends, bed, emulator, tmp_path):
    dag_id = "example_vidu_img2video"
    # The emulator has forgotten the tasks of earlier tests, which a rescue gives up only after a day.
    shutil.rmtree(Path(bed.env["AIRFLOW__VIDU__LEDGER"]) / "spent", ignore_errors=True)
    emulator.hold()
    run_id = bed.trigger(dag_id, {"destination": (tmp_path / "never").as_uri()})
    deadline = time.monotonic() + 60
    # Airflow answers with a deadlock of its database where it is still putting a task of the run aside.
    while not any(task["state"] == "deferred" for task in bed.task_instances(dag_id, run_id)):
        assert time.monotonic() < deadline, bed.failures(dag_id, run_id)
        time.sleep(0.2)
    run = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
    # Airflow deletes no run that goes on.
    bed.request("PATCH", run, {"state": "failed"})
    bed.request("DELETE", run)
    vidu_task_id = emulator.tasks[-1]["task_id"]
    emulator.release()
    # The run of the hour starts as soon as the DAG is not paused, and stores at the default destination.
    folders = [tmp_path / "rescued", Path("/tmp/vidu-videos/rescued")]
    deadline = time.monotonic() + 120
    while not (found := [file for one in folders if (file := one / f"{vidu_task_id}.mp4").exists()]):
        # A run that comes before the video is ready leaves it to the next.
        assert time.monotonic() < deadline, "no run has stored the video"
        ends("example_vidu_rescue", destination=folders[0].as_uri())
    assert [read_video(file).codec for file in found] == ["h264"]
    assert not (tmp_path / "never").exists()
