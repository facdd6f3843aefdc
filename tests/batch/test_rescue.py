# SPDX-License-Identifier: Apache-2.0
"""Videos that were paid and forgotten, and what becomes of them."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowTaskTimeout
from airflow.sdk.execution_time.comms import DagRunStateResult

from airflow_provider_vidu.batch import rescue
from airflow_provider_vidu.durable.entries import Ending, Entry, day_of
from airflow_provider_vidu.emulator import KEY
from airflow_provider_vidu.exceptions import ViduDownloadError, ViduRequestError
from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.operators.rescue import ViduRescueOperator
from airflow_provider_vidu.protocol import response
from airflow_provider_vidu.protocol.request import build, fingerprint
from airflow_provider_vidu.storage import manifest
from tests.quick import Store, asked, deferred, lines, many, tried
from tests.versions import missing_connections_are_named

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")


def abandoned(ledger, prompt="a kite", run_id="deleted", ago=60.0, conn_id="vidu_default", accepted=True, index=-1):
    """Pay for a video as a task does that goes no further."""
    body = build("text2video", "viduq2", {"prompt": prompt, "duration": 1})
    name = ledger.name(time.time() - ago, 0.31, fingerprint(body, ""))
    entry = Entry("dag", run_id, "submit", index, "", conn_id, body)
    ledger.intend({name: entry})
    if not accepted:
        return ""
    vidu_task_id = ViduHook(conn_id).submit(body).task_id
    ledger.accept({name: vidu_task_id})
    return vidu_task_id


RUNS = {"running": "running", "queued": "queued", "over": "success", "broken": "failed"}


def state_of(dag_id, run_id):
    if run_id not in RUNS:
        raise RuntimeError("no such run")
    # As Airflow's task instance returns it: an enum whose str() is not its value.
    return DagRunStateResult(state=RUNS[run_id]).state


def rescued(destination, **arguments):
    names = {"dag_id": "rescue", "run_id": "hourly", "task_id": "rescue", "map_index": -1}
    ti = SimpleNamespace(max_tries=1, xcom_push=lambda key, value: None, get_dagrun_state=state_of, **names)
    operator = ViduRescueOperator(task_id="rescue", destination=str(destination), **arguments)
    return operator.execute({"ti": ti, "task_state_store": Store(), "outlets": []})


def stored_in(place):
    return sorted(path.stem for path in place.glob("*.mp4"))


def test_what_was_forgotten_is_stored_once(emulator, ledger, videos):
    ids = [abandoned(ledger, f"kite {number}", run) for number, run in enumerate(("deleted", "over", "broken"))]
    first = rescued(videos)
    assert (first["counts"], first["video_seconds"], first["estimated_cost"]) == ({"success": 3}, 3, 0.93)
    assert stored_in(videos) == sorted(ids)
    assert [ledger.ending(one).outcome for one in ids] == ["stored"] * 3
    before = {path: path.stat() for path in videos.iterdir()}
    assert rescued(videos) == {"manifest": None, "counts": {}, "video_seconds": 0, "estimated_cost": 0}
    assert {path: path.stat() for path in videos.iterdir()} == before
    assert [task["downloads"] for task in emulator.tasks] == [1, 1, 1]


def test_a_rescued_video_of_a_batch_is_found_by_its_request(emulator, ledger, videos, tmp_path):
    deferred(tmp_path / "never", [asked(f"kite-{number}", prompt=f"kite {number}") for number in range(2)])
    (group,) = ledger.groups(day_of(time.time(), ledger.zone))
    assert [ledger.accepted(name.request) for name in group] == [[], []]
    assert rescued(videos)["counts"] == {"success": 2}
    assert [ledger.accepted(name.request) for name in group] == [[name] for name in group]


@pytest.mark.parametrize(("index", "custom_id"), [(-1, "dag/deleted/submit"), (3, "dag/deleted/submit/3")])
def test_a_manifest_says_whose_videos_they_are(emulator, ledger, videos, index, custom_id):
    vidu_task_id = abandoned(ledger, index=index)
    rescued(videos)
    (line,) = lines(videos)
    names = ("custom_id", "outcome", "task_id", "files", "estimated_cost")
    assert {name: line[name] for name in names} == {
        "custom_id": custom_id,
        "outcome": "success",
        "task_id": vidu_task_id,
        "files": [f"file://{videos}/{vidu_task_id}.mp4"],
        "estimated_cost": 0.31,
    }


@pytest.mark.parametrize("run_id", ["running", "queued"])
def test_what_a_living_task_may_store_is_left_to_it_for_two_hours(emulator, ledger, videos, run_id):
    abandoned(ledger, run_id=run_id)
    assert rescued(videos)["counts"] == {}
    assert rescued(videos, after=timedelta(0))["counts"] == {"success": 1}


def test_what_a_task_has_stored_is_not_stored_again(emulator, ledger, videos, tmp_path):
    tried(Store(), tmp_path / "night", many(3))
    assert rescued(videos)["counts"] == {}
    assert not videos.exists()


def test_a_running_task_is_left_alone(slow_emulator, ledger, videos):
    abandoned(ledger)
    assert rescued(videos)["counts"] == {}


def test_a_failed_generation_is_noted_and_never_polled_again(emulator, ledger, videos):
    vidu_task_id = abandoned(ledger, "fail-by-moderation")
    assert rescued(videos)["counts"] == {}
    assert ledger.ending(vidu_task_id).outcome == "failed"
    polls = [task["polls"] for task in emulator.tasks]
    rescued(videos)
    assert [task["polls"] for task in emulator.tasks] == polls


def test_what_is_beyond_rescue_is_named_once_with_its_cost(emulator, ledger, videos, monkeypatch, capfd):
    vidu_task_id = abandoned(ledger, ago=25 * 3600)
    emulator.control("POST", "reset")
    totals = rescued(videos)
    assert (totals["counts"], totals["estimated_cost"]) == ({"lost": 1}, 0.31)
    assert ledger.ending(vidu_task_id).outcome == "gone"
    assert "Paid, but the links have expired: dag/deleted/submit: lost: " in capfd.readouterr().out
    assert rescued(videos)["counts"] == {}


def test_a_task_that_a_wrong_host_or_key_does_not_know_is_not_given_up(emulator, ledger, videos):
    vidu_task_id = abandoned(ledger)
    emulator.control("POST", "reset")
    with pytest.raises(AirflowException, match=r"Check the connection vidu_default\."):
        rescued(videos)
    assert ledger.ending(vidu_task_id) is None


def test_a_video_that_another_task_stored_meanwhile_is_not_given_up(emulator, ledger, videos, monkeypatch):
    vidu_task_id, asked_for = abandoned(ledger, ago=25 * 3600), rescue.poll_all
    emulator.control("POST", "reset")

    def polled(*given):
        ledger.end(vidu_task_id, Ending("stored", ("s3://b/1.mp4",)))
        return asked_for(*given)

    monkeypatch.setattr(rescue, "poll_all", polled)
    rescued(videos)
    assert ledger.ending(vidu_task_id).outcome == "stored"


def test_a_success_without_a_link_is_left_to_a_retry(emulator, ledger, videos):
    vidu_task_id = abandoned(ledger)
    emulator.arm({"on": "status", "fault": "no_urls", "times": None})
    with pytest.raises(AirflowException, match="the API returned no URLs"):
        rescued(videos)
    assert ledger.ending(vidu_task_id) is None


def test_a_retry_keeps_the_losses_of_the_first_try_in_the_manifest(emulator, ledger, videos):
    abandoned(ledger, "lost", run_id="over", ago=25 * 3600)
    emulator.control("POST", "reset")
    abandoned(ledger)
    emulator.arm({"on": "download", "fault": "error", "status": 500, "times": None})
    with pytest.raises(AirflowException, match=r"1 paid videos could not be stored"):
        rescued(videos)
    emulator.control("DELETE", "faults")
    assert rescued(videos)["counts"] == {"success": 1}
    found = {line["custom_id"]: line["outcome"] for line in lines(videos)}
    assert found == {"dag/over/submit": "lost", "dag/deleted/submit": "success"}


def test_a_manifest_that_cannot_be_read_is_replaced(emulator, ledger, videos, monkeypatch, capfd):
    def away(path):
        raise ViduDownloadError("The store is away.")

    abandoned(ledger)
    monkeypatch.setattr(manifest, "read", away)
    assert rescued(videos)["counts"] == {"success": 1}
    assert "Could not read the manifest of an earlier try, so a new one replaces it: The store is away." in (
        capfd.readouterr().out
    )


def test_a_link_that_has_expired_is_tried_before_it_is_given_up(emulator, ledger, videos, monkeypatch):
    abandoned(ledger)
    monkeypatch.setattr(response, "RESULT_LIFETIME_SECONDS", -1)
    # The assumed time is over, but the host still has the file.
    assert rescued(videos)["counts"] == {"success": 1}
    abandoned(ledger, "another")
    emulator.arm({"on": "download", "fault": "error", "status": 403, "times": None})
    assert rescued(videos)["counts"] == {"lost": 1}


def test_a_host_that_fails_now_is_left_to_a_retry(emulator, ledger, videos):
    vidu_task_id = abandoned(ledger)
    emulator.arm({"on": "download", "fault": "error", "status": 500, "times": None})
    with pytest.raises(AirflowException, match=r"1 paid videos could not be stored\. A retry is free"):
        rescued(videos)
    emulator.control("DELETE", "faults")
    assert rescued(videos)["counts"] == {"success": 1}
    assert stored_in(videos) == [vidu_task_id]


def test_a_submit_of_unknown_outcome_is_listed_beside_what_was_done(emulator, ledger, videos):
    abandoned(ledger, "uncertain", accepted=False, ago=3600)
    abandoned(ledger, "on its way", accepted=False)
    assert rescued(videos)["counts"] == {"uncertain": 1}
    abandoned(ledger)
    assert rescued(videos)["counts"] == {"uncertain": 1, "success": 1}


def test_each_connection_is_asked_for_its_own(emulator, ledger, videos, monkeypatch):
    connection = {"conn_type": "vidu", "password": KEY, "host": emulator.url}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(connection))
    ids = [abandoned(ledger, "one"), abandoned(ledger, "other", conn_id="other")]
    assert rescued(videos)["counts"] == {"success": 2}
    assert stored_in(videos) == sorted(ids)


@missing_connections_are_named
def test_a_missing_connection_does_not_stop_the_others(emulator, ledger, videos, monkeypatch):
    connection = {"conn_type": "vidu", "password": KEY, "host": emulator.url}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(connection))
    ids = [abandoned(ledger, "one"), abandoned(ledger, "other", conn_id="other")]
    monkeypatch.delenv("AIRFLOW_CONN_OTHER")
    with pytest.raises(AirflowException, match=r"1 paid videos could not be stored.*no Airflow connection 'other'"):
        rescued(videos)
    assert stored_in(videos) == ids[:1]


def test_a_silent_connection_does_not_keep_the_others_waiting(emulator, ledger, videos, monkeypatch):
    connection = {"conn_type": "vidu", "password": KEY, "host": emulator.url}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(connection))
    ids = [abandoned(ledger, "other", conn_id="other"), abandoned(ledger, "one")]
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(connection | {"host": "http://127.0.0.1:9"}))
    monkeypatch.setattr(rescue, "FIRST_POLL_SECONDS", -2.0)

    def poll_all(hook, started_at, patience):
        # The whole wait for a connection that is silent, when the time of the Airflow task is over.
        if patience > 0 and ids[0] in started_at:
            raise AirflowTaskTimeout("Time is over")
        return really_poll_all(hook, started_at, patience)

    really_poll_all = rescue.poll_all
    monkeypatch.setattr(rescue, "poll_all", poll_all)
    with pytest.raises(AirflowTaskTimeout):
        rescued(videos)
    assert stored_in(videos) == ids[1:]


def test_sidecars_are_written_beside_rescued_videos(emulator, ledger, videos):
    vidu_task_id = abandoned(ledger)
    rescued(videos, sidecar=True)
    found = json.loads((videos / f"{vidu_task_id}.json").read_text())
    assert (found["prompt"], found["ai_generated"], found["estimated_cost"]) == ("a kite", True, 0.31)


def test_a_rescue_needs_a_ledger(emulator, videos, monkeypatch):
    monkeypatch.delenv("AIRFLOW__VIDU__LEDGER", raising=False)
    with pytest.raises(AirflowFailException, match=r"\[vidu\] ledger must be set for a rescue, got none"):
        rescued(videos)


@pytest.mark.parametrize("destination", ["/videos/one.mp4", "/videos/{custom_id}.mp4", "", "/videos/{index}.mp4"])
def test_a_destination_of_one_file_is_refused_when_the_dag_is_parsed(destination):
    with pytest.raises(ViduRequestError, match="destination must"):
        ViduRescueOperator(task_id="rescue", destination=destination)


def test_fifty_that_were_abandoned_are_all_stored(emulator, ledger, videos):
    runs = ("deleted", "over", "broken", "gone", "another deployment")
    ids = [abandoned(ledger, f"kite {number}", runs[number % len(runs)]) for number in range(50)]
    assert rescued(videos)["counts"] == {"success": 50}
    assert stored_in(videos) == sorted(ids)
    assert rescued(videos)["counts"] == {}
    assert {task["downloads"] for task in emulator.tasks} == {1}
    assert [Ending.read(ledger.ending(one).content()).outcome for one in ids] == ["stored"] * 50
