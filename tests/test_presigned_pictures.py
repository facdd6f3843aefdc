# SPDX-License-Identifier: Apache-2.0
"""Large pictures in a store: sent as presigned URLs where they are too large to be sent as data."""

from __future__ import annotations

import os
from io import BytesIO

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from PIL import Image

from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.storage import presigned
from dev.emulator_client import set_connection
from tests.quick import IMG, Store, context_of, posts
from tests.served import plain

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")

MV = {"vidu_type": "one-click/mv", "model": "vidu-mv"}
REFERENCES = {"vidu_type": "reference2video", "model": "viduq2", "prompt": "a kite", "duration": 1}
EXTEND = {"vidu_type": "extend", "model": "viduq2-turbo", "video_url": "https://example.com/a.mp4", "duration": 1}


def picture(megabytes: float) -> bytes:
    """Make a picture of so many MiB, which no compression makes smaller."""
    data, height = BytesIO(), int(megabytes * 1024**2 / 6000)
    Image.frombytes("RGB", (2000, height), os.urandom(6000 * height)).save(data, "PNG", compress_level=0)
    return data.getvalue()


HUGE = picture(16)
FILES = {"small.png": plain("teal", 200, 200), "middle.png": picture(7), "large.png": picture(12), "huge.png": HUGE}
FILES |= {"other.png": picture(7), "third.png": picture(7), "song.mp3": b"ID3" + bytes(11 * 1024**2)}


@pytest.fixture
def stored(lesser_store, tmp_path):
    """The pictures in a store and in a directory of this machine."""
    lesser_store.forget()
    for name, data in FILES.items():
        lesser_store.put(name, data)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def sent_as(value):
    """Tell how a picture was sent."""
    if isinstance(value, list):
        return [sent_as(one) for one in value]
    if isinstance(value, dict):
        return sent_as(value["images"])
    return "data" if value.startswith("data:") else "URL"


PUBLIC, PRIVATE, UNSIGNING = "s3://public@bucket", "s3://lesser@bucket", "{unsigning}{stored}"
# A request, and how its picture or pictures are sent.
SENT = {
    "small": (IMG | {"first_frame_url": f"{PUBLIC}/small.png"}, "data"),
    "below the size": (IMG | {"first_frame_url": f"{PUBLIC}/middle.png"}, "data"),
    "large": (IMG | {"first_frame_url": f"{PUBLIC}/large.png"}, "URL"),
    "large, on this machine": (IMG | {"first_frame_url": "{stored}/large.png"}, "data"),
    "large, in a store that signs no URLs": (IMG | {"first_frame_url": f"{UNSIGNING}/large.png"}, "data"),
    "large, in a private store": (IMG | {"first_frame_url": f"{PRIVATE}/large.png"}, "data"),
    "too large for a body, in a private store as the API": (IMG | {"first_frame_url": f"{PRIVATE}/huge.png"}, "URL"),
    "too large for the field": (EXTEND | {"last_frame_url": f"{PRIVATE}/large.png"}, "URL"),
    "together too large": (
        REFERENCES | {"images": [f"{PRIVATE}/{name}" for name in ("small.png", "middle.png", "large.png")]},
        ["data", "data", "URL"],
    ),
    "twice": (
        REFERENCES | {"images": ["{stored}/huge.png", f"{PRIVATE}/huge.png", "{stored}/huge.png"]},
        ["URL", "URL", "URL"],
    ),
    "together too large, each small enough": (
        REFERENCES
        | {"images": [f"{PRIVATE}/middle.png", "{stored}/small.png", f"{PRIVATE}/other.png", "{stored}/third.png"]},
        ["URL", "data", "data", "data"],
    ),
    "of subjects": (
        REFERENCES | {"subjects": [{"id": "a", "images": [f"{PUBLIC}/large.png", f"{PUBLIC}/small.png"]}]},
        [["URL", "data"]],
    ),
    "a song": (MV | {"images": [f"{PUBLIC}/small.png"], "audio_url": f"{PUBLIC}/song.mp3"}, "URL"),
}


@pytest.mark.parametrize(("request_", "expected"), SENT.values(), ids=list(SENT))
def test_a_picture_is_sent_as_data_until_it_is_too_large(
    run_dag, emulator, stored, unsigning, capsys, request_, expected
):
    *others, (name, value) = request_.items()
    text = repr(value).replace("{stored}", str(stored)).replace("{unsigning}", unsigning)
    ran = run_dag(lambda: ViduSubmitOperator(task_id="submit", **dict(others), **{name: eval(text)}))
    assert ran.states == {"submit": "success"}
    assert sent_as(emulator.tasks[0]["body"]["input"][name]) == expected
    is_large = "large.png" in text and expected == "data"
    assert ("bytes inside the request. Prefer a URL." in capsys.readouterr().out) == is_large
    assert "Signature" not in str(ran.xcom("submit", "vidu_request"))


# A request that cannot be sent as data, nor be signed.
REFUSED = {
    "on this machine": ("{stored}/huge.png", "body must have at most 20,971,520 bytes, got "),
    "in a store that signs no URLs": (f"{UNSIGNING}/huge.png", "body must have at most 20,971,520 bytes, got "),
    "no picture": (f"{PUBLIC}/song.mp3", "first_frame_url must be in an image format (png, jpeg, webp), got"),
}


@pytest.mark.parametrize(("name", "rule"), REFUSED.values(), ids=list(REFUSED))
def test_a_picture_that_cannot_be_sent_is_not_paid_for(run_dag, emulator, stored, unsigning, name, rule):
    name = name.format(stored=stored, unsigning=unsigning)
    ran = run_dag(lambda: ViduSubmitOperator(task_id="submit", **IMG, first_frame_url=name))
    assert type(ran.error) is AirflowFailException
    assert str(ran.error).startswith(rule)
    assert emulator.requests == []


def test_a_picture_that_is_too_large_in_a_private_store_is_refused_by_the_rule_for_hosts(
    run_dag, emulator, stored, monkeypatch
):
    set_connection(monkeypatch, host="https://api.modelverse.cn")
    ran = run_dag(lambda: ViduSubmitOperator(task_id="submit", **IMG, first_frame_url=f"{PRIVATE}/huge.png"))
    assert type(ran.error) is AirflowFailException
    assert str(ran.error).startswith(
        "first_frame_url must be a URL that the service can reach, got a host of a private"
    )
    assert emulator.requests == []


@pytest.mark.parametrize(("content", "paid"), [(HUGE, 1), (picture(16), 2)], ids=["the same", "other content"])
def test_a_large_picture_is_the_same_under_another_name_and_signature_until_it_changes(
    slow_emulator, stored, lesser_store, monkeypatch, content, paid
):
    lesser_store.put("copy.png", content)
    store = Store()
    for tries, name in enumerate(("huge.png", "copy.png"), 1):
        made = context_of(store, tries)
        made["ti"].xcom_push = lambda key, value: None
        more = {"first_frame_url": f"{PRIVATE}/{name}", "destination": str(stored)}
        with pytest.raises(TaskDeferred):
            ViduGenerateVideoOperator(task_id="batch", **IMG, **more).execute(made)
        monkeypatch.setattr(presigned, "SIGNED_SECONDS", 3600)
    assert [sent_as(task["body"]["input"]["first_frame_url"]) for task in slow_emulator.tasks] == ["URL"] * paid
    assert len(posts(slow_emulator)) == paid
