# SPDX-License-Identifier: Apache-2.0
"""Videos that were paid once and serve again, for submits, generate tasks and batches."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_vidu.durable.entries import Ending, Entry
from airflow_provider_vidu.durable.spending import Planned, Spending
from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.protocol import response
from airflow_provider_vidu.protocol.request import build, fingerprint
from tests.batch.nights import context, night, submitted
from tests.quick import QUICK, Store, asked, context_of, deferred, lines, many, outcomes, posts

pytestmark = pytest.mark.usefixtures("ledger", "soon", "asked_at_once")


def generated(destination, **arguments):
    made, _ = context()
    more = {"destination": str(destination), "deferrable": False, **arguments}
    return ViduGenerateVideoOperator(task_id="batch", **(QUICK | more)).execute(made)


def contents(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.glob("*.mp4")}


def test_the_same_batch_on_the_next_night_pays_nothing_and_ends_with_the_same_files(emulator, tmp_path):
    first = night(tmp_path / "first", many(20))
    second = night(tmp_path / "second", many(20))
    assert (first["counts"], second["counts"]) == ({"success": 1, "reused": 19}, {"reused": 20})
    assert (first["estimated_cost"], second["estimated_cost"]) == (0.31, 0)
    assert len(posts(emulator)) == 1
    assert contents(tmp_path / "second") == contents(tmp_path / "first")


def test_a_batch_of_different_requests_pays_for_what_has_changed_alone(emulator, tmp_path, frame):
    picture = {"vidu_type": "img2video", "model": "viduq2-turbo", "resolution": "720p", "first_frame_url": str(frame)}
    given = [asked(f"kite-{number}", prompt=f"kite {number}") for number in range(6)]
    given.append(asked("picture", **picture))
    assert night(tmp_path / "first", given)["counts"] == {"success": 7}
    changed = [dict(one) for one in given]
    changed[0]["prompt"] = "a boat"
    changed[1]["duration"] = 2
    data = bytearray(frame.read_bytes())
    frame.write_bytes(_other_pixel(frame, data))
    second = night(tmp_path / "second", changed)
    assert second["counts"] == {"success": 3, "reused": 4}
    assert len(posts(emulator)) == 10
    assert [outcomes(tmp_path / "second")[name] for name in ("kite-0", "kite-1", "picture")] == ["success"] * 3


def _other_pixel(frame, data):
    from io import BytesIO

    from PIL import Image

    image = Image.open(BytesIO(bytes(data)))
    image.putpixel((0, 0), (1, 2, 3))
    changed = BytesIO()
    image.save(changed, "PNG")
    return changed.getvalue()


def test_a_manifest_says_from_which_task_a_video_comes(emulator, tmp_path):
    night(tmp_path / "first", many(1))
    night(tmp_path / "second", many(1))
    (first,), (second,) = lines(tmp_path / "first"), lines(tmp_path / "second")
    assert (first["outcome"], first["reused_from"]) == ("success", "")
    assert {name: second[name] for name in ("outcome", "task_id", "reused_from", "estimated_cost", "files")} == {
        "outcome": "reused",
        "task_id": first["task_id"],
        "reused_from": first["task_id"],
        "estimated_cost": 0,
        "files": [f"file://{tmp_path}/second/kite-000.mp4"],
    }


def test_without_reuse_everything_is_paid_again(emulator, tmp_path):
    night(tmp_path / "first", many(2), reuse=False)
    assert night(tmp_path / "second", many(2), reuse=False)["counts"] == {"success": 2}
    assert len(posts(emulator)) == 4


def test_the_same_place_is_left_as_it_is(emulator, tmp_path):
    night(tmp_path, many(1))
    before = (tmp_path / "kite-000.mp4").stat()
    assert night(tmp_path, many(1))["counts"] == {"reused": 1}
    assert (tmp_path / "kite-000.mp4").stat() == before


@pytest.mark.parametrize("fate", ["removed", "failed", "gone"])
def test_a_video_that_is_no_more_is_paid_again(emulator, tmp_path, ledger, monkeypatch, fate):
    first = generated(tmp_path / "first", reuse=True)
    if fate == "removed":
        Path(first["files"][0].removeprefix("file://")).unlink()
        monkeypatch.setattr(response, "RESULT_LIFETIME_SECONDS", -1)
    else:
        ledger.end(first["task_id"], Ending(fate))
    second = generated(tmp_path / "second", reuse=True)
    assert second["task_id"] != first["task_id"]
    assert len(posts(emulator)) == 2


def test_a_file_that_another_video_has_replaced_is_not_taken(emulator, tmp_path):
    hero = {"destination": tmp_path / "hero.mp4", "reuse": True}
    first = generated(**hero)
    stored = (tmp_path / "hero.mp4").read_bytes()
    generated(**hero, duration=2)
    assert (tmp_path / "hero.mp4").read_bytes() != stored
    assert generated(**hero)["task_id"] == first["task_id"]
    assert (tmp_path / "hero.mp4").read_bytes() == stored
    assert len(posts(emulator)) == 2


def test_a_task_that_the_server_no_longer_knows_is_paid_again(emulator, ledger):
    request = fingerprint(build("text2video", "viduq2", {"prompt": "a kite", "duration": 1, "resolution": "540p"}), "")
    name = ledger.name(time.time() - 3600, 0.31, request)
    ledger.intend({name: Entry("other", "run", "task", -1, "", "vidu_default", {})})
    ledger.accept({name: "forgotten"})
    assert submitted(reuse=True)[0] == emulator.tasks[0]["task_id"]
    assert len(posts(emulator)) == 1


def test_a_stored_video_whose_file_is_gone_is_fetched_again_while_its_link_lives(emulator, tmp_path):
    first = generated(tmp_path / "first", reuse=True)
    Path(first["files"][0].removeprefix("file://")).unlink()
    second = generated(tmp_path / "second", reuse=True)
    assert (second["task_id"], second["reused_from"]) == (first["task_id"], first["task_id"])
    assert Path(second["files"][0].removeprefix("file://")).exists()
    assert len(posts(emulator)) == 1


def test_a_generate_task_copies_a_stored_video(emulator, tmp_path):
    first = generated(tmp_path / "first", reuse=True)
    second = generated(tmp_path / "second", reuse=True)
    assert second == {
        **dict.fromkeys(("submit_time", "finish_time", "expires_at")),
        "request_id": "",
        "urls": [],
        "task_id": first["task_id"],
        "video_seconds": 1,
        "files": [f"file://{tmp_path}/second/{first['task_id']}.mp4"],
        "reused_from": first["task_id"],
    }
    assert contents(tmp_path / "second") == contents(tmp_path / "first")


def test_a_running_task_is_awaited_by_all_that_ask_for_the_same(slow_emulator, tmp_path):
    tasks = set()
    for _ in range(3):
        made, _ = context()
        more = {"destination": str(tmp_path), "reuse": True}
        with pytest.raises(TaskDeferred) as deferred:
            ViduGenerateVideoOperator(task_id="batch", **(QUICK | more)).execute(made)
        tasks.add(deferred.value.kwargs["vidu_task_id"])
    assert len(tasks) == 1
    assert len(posts(slow_emulator)) == 1


def test_a_submit_returns_the_task_of_an_equal_one_while_its_links_live(emulator, monkeypatch):
    first, _ = submitted(reuse=True)
    second, pushed = submitted(reuse=True)
    assert second == first
    assert (pushed["estimated_cost"], pushed["reused_from"]) == (0.0, first)
    assert pushed["vidu_request"]["reused_from"] == first
    monkeypatch.setattr(response, "RESULT_LIFETIME_SECONDS", -1)
    third, _ = submitted(reuse=True)
    assert third != first
    assert len(posts(emulator)) == 2


def test_a_retry_keeps_the_reused_task(emulator):
    first, _ = submitted()
    store = Store()
    for _ in range(2):
        made, pushed = context(store)
        assert ViduSubmitOperator(task_id="batch", **QUICK, reuse=True).execute(made) == first
        assert pushed["estimated_cost"] == 0.0
    assert len(posts(emulator)) == 1


def test_another_connection_is_the_same_request(emulator, monkeypatch):
    first, _ = submitted(reuse=True)
    monkeypatch.setenv(
        "AIRFLOW_CONN_OTHER", json.dumps({"conn_type": "vidu", "password": _key(), "host": emulator.url})
    )
    assert submitted(reuse=True, vidu_conn_id="other")[0] == first


def _key():
    from airflow_provider_vidu.emulator import KEY

    return KEY


def test_reuse_needs_a_ledger(emulator, videos, monkeypatch):
    monkeypatch.delenv("AIRFLOW__VIDU__LEDGER")
    with pytest.raises(
        AirflowFailException, match=r"reuse must be False without a ledger, got True\. Nothing was sent"
    ):
        submitted(reuse=True)
    with pytest.raises(
        AirflowFailException, match=r"reuse must be False without a ledger, got True\. Nothing was sent"
    ):
        night(videos, many(1))
    assert posts(emulator) == []


def test_a_store_that_cannot_say_whether_a_video_is_there_lets_nothing_be_paid(emulator, tmp_path, lesser_store):
    lesser_store.forget()
    generated("s3://lesser@bucket/videos", reuse=True)
    lesser_store.refuse = {"HeadObject", "ListObjectsV2"}
    with pytest.raises(ViduDownloadError, match="Could not check which videos are stored already"):
        generated(tmp_path, reuse=True)
    assert len(posts(emulator)) == 1


# Where a video lies, where it is to be copied, and the calls of the store for the copy.
COPIES = {
    "within a store": ("s3://store@bucket/first", "s3://store@bucket/second"),
    "within a store that does not copy": ("s3://lesser@bucket/first", "s3://lesser@bucket/second"),
    "from one store to another": ("s3://store@bucket/first", "s3://lesser@bucket/second"),
    "from a store to a directory": ("s3://lesser@bucket/first", "{directory}"),
    "from a directory to a store": ("{directory}", "s3://store@bucket/second"),
}


@pytest.mark.parametrize(("source", "target"), COPIES.values(), ids=list(COPIES))
def test_a_video_is_copied_from_any_place_to_any_other(emulator, tmp_path, s3, lesser_store, source, target):
    lesser_store.forget()
    lesser_store.broken = {"CopyObject"}
    places = [one.format(directory=tmp_path) for one in (source, target)]
    first, second = (generated(place, reuse=True) for place in places)
    from airflow.sdk import ObjectStoragePath

    assert second["files"] == [f"{'file://' if target[0] == '{' else ''}{places[1]}/{first['task_id']}.mp4"]
    one, other = (ObjectStoragePath(result["files"][0]).read_bytes() for result in (first, second))
    assert one == other
    assert len(posts(emulator)) == 1


def test_a_reused_video_costs_nothing_of_a_budget(emulator, tmp_path, monkeypatch):
    night(tmp_path / "first", many(3))
    monkeypatch.setenv("AIRFLOW__VIDU__DAILY_BUDGET", "0.31")
    assert night(tmp_path / "second", many(3))["counts"] == {"reused": 3}


def test_spending_without_a_ledger_writes_nothing(monkeypatch):
    import logging

    monkeypatch.delenv("AIRFLOW__VIDU__LEDGER")
    spending = Spending(logging.getLogger("test"))
    entry = Entry("", "", "", -1, "", "", {})
    assert spending.intend({"": Planned("ab" * 32, 1.0, entry)}) == ({}, None)


def test_the_second_visit_of_a_batch_keeps_what_the_first_reused(emulator, tmp_path):
    night(tmp_path / "first", many(1))
    store, given = Store(), [*many(1), asked("new", prompt="new")]
    visit = deferred(tmp_path / "second", given, store, reuse=True)
    arguments = {"destination": f"{tmp_path}/second/{{custom_id}}.mp4", "reuse": True}
    operator = ViduGenerateBatchOperator(task_id="batch", requests=given, **arguments)
    event = {"status": "success", "counts": {}, "message": "It ended."}
    returned = operator.execute_complete(context_of(store), event, **visit.kwargs)
    assert returned["counts"] == {"reused": 1, "success": 1}
    # Without the mark, as dag.test() resumes.
    given[1]["prompt"] = "newer"
    deferred(tmp_path / "third", given, store := Store(), reuse=True)
    operator.requests = given
    operator.destination = f"{tmp_path}/third/{{custom_id}}.mp4"
    assert operator.execute_complete(context_of(store), event)["counts"] == {"reused": 1, "success": 1}


def test_a_task_whose_status_cannot_be_read_is_awaited_and_not_paid_again(emulator, tmp_path):
    first, _ = submitted()
    emulator.arm({"on": "status", "fault": "error", "status": 500, "times": 1})
    assert submitted(reuse=True)[0] == first
    assert len(posts(emulator)) == 1


def test_a_reused_task_needs_no_price_table(emulator, tmp_path):
    first, _ = submitted()
    second, pushed = submitted(reuse=True, prices=str(tmp_path / "none.csv"))
    assert (second, pushed["expected_seconds"] is not None) == (first, True)
