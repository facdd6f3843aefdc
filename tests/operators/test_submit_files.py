# SPDX-License-Identifier: Apache-2.0
"""The files that a submit sends as data, read by Airflow itself against the emulator."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from PIL import Image

from tests.operators.submits import URL


def shortened(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,sha256={hashlib.sha256(data).hexdigest()},length={len(data)}"


@pytest.mark.parametrize("location", ["{path}", "file://{path}", "{{{{ params.path }}}}"])
def test_an_image_file_is_sent_as_a_data_uri_and_shows_nowhere(submit, emulator, frame, location):
    ran = submit({"path": str(frame)}, first_frame_url=location.format(path=frame))
    (task,) = emulator.tasks
    assert task["body"]["input"]["first_frame_url"] == shortened(frame.read_bytes())
    asked = ran.xcom("submit", "vidu_request")
    assert asked["input"]["first_frame_url"].endswith(str(frame))
    assert "base64" not in json.dumps(asked)


def test_a_data_uri_is_checked_and_shortened_in_xcom(submit, emulator, frame):
    uri = f"data:image/png;base64,{base64.b64encode(frame.read_bytes()).decode()}"
    ran = submit(first_frame_url=uri)
    assert len(emulator.tasks) == 1
    shown = ran.xcom("submit", "vidu_request")["input"]["first_frame_url"]
    assert shown == f"a data URI of {len(uri):,} characters ('data:image/png;base64')"


@pytest.mark.parametrize("parameters", [";charset=utf-8", ";name=a.png", ";charset=utf-8;name=kite 1.png"])
def test_the_parameters_of_a_data_uri_are_left_out(submit, emulator, frame, parameters):
    submit(first_frame_url=f"data:image/png{parameters};base64,{base64.b64encode(frame.read_bytes()).decode()}")
    (task,) = emulator.tasks
    assert task["body"]["input"]["first_frame_url"] == shortened(frame.read_bytes())


def picture(path: Path, width: int, height: int) -> str:
    Image.new("RGB", (width, height)).save(path)
    return str(path)


def test_subjects_and_reference_images_are_read_from_files(submit, emulator, tmp_path):
    one, two = (picture(tmp_path / f"{name}.png", 128, 128) for name in ("one", "two"))
    subjects = [{"id": "cat", "images": [one, two]}, {"id": "dog", "images": [URL], "voice_id": "v"}]
    submit(
        vidu_type="reference2video",
        model="viduq2",
        first_frame_url=None,
        prompt="@cat meets @dog",
        subjects=subjects,
    )
    (task,) = emulator.tasks
    data = Path(one).read_bytes()
    assert task["body"]["input"]["subjects"] == [
        {"voice_id": "", "id": "cat", "images": [shortened(data), shortened(Path(two).read_bytes())]},
        {"voice_id": "v", "id": "dog", "images": [URL]},
    ]


def refusals(tmp_path: Path) -> dict[str, tuple[dict, str]]:
    text = tmp_path / "text.png"
    text.write_text("no image")
    return {
        "missing": (
            {"first_frame_url": str(tmp_path / "none.png")},
            "(there is no such file). Nothing was sent or paid. Put the",
        ),
        "folder": ({"first_frame_url": str(tmp_path)}, "that this worker can read"),
        "not an image": (
            {"first_frame_url": str(text)},
            "must be in an image format (png, jpeg, webp), got a file of another format",
        ),
        "ratio": ({"first_frame_url": picture(tmp_path / "wide.png", 401, 100)}, "from 1:4 to 4:1, got 401×100 pixels"),
        "strange data": (
            {"first_frame_url": "{{ ' data:image/png;name=x;base64,c2VjcmV0' }}"},
            "a data URI of 38 char",
        ),
        "bad base64": ({"first_frame_url": "data:image/png;base64,%%%"}, "got one that is not base64"),
        "templated duration": (
            {"duration": "{{ 11 }}"},
            "duration must be a whole number from 1 to 10 (default 5), got 11",
        ),
        "templated text": (
            {"duration": "{{ 'long' }}"},
            "duration must be a whole number from 1 to 10 (default 5), got 'long'",
        ),
        "templated prompt": (
            {"prompt": "{{ 'x' * 2001 }}"},
            "prompt must be a string of at most 2,000 characters, got 2,001 characters",
        ),
        "small reference": (
            {
                "vidu_type": "reference2video",
                "model": "viduq2",
                "first_frame_url": None,
                "prompt": "a cat",
                "images": [picture(tmp_path / "small.png", 127, 128)],
            },
            "images must have at least 128×128 pixels, got 127×128 pixels",
        ),
        "frames": (
            {
                "vidu_type": "start-end2video",
                "first_frame_url": picture(tmp_path / "first.png", 200, 100),
                "last_frame_url": picture(tmp_path / "last.png", 100, 100),
            },
            "with a ratio from 0.8 to 1.25, got 200×100 and 100×100 pixels",
        ),
    }


@pytest.mark.parametrize(
    "case",
    [
        *("strange data", "missing", "folder", "not an image", "ratio", "bad base64", "small reference", "frames"),
        *("templated duration", "templated text", "templated prompt"),
    ],
)
def test_what_only_the_worker_can_see_is_refused_before_the_call_and_not_retried(submit, emulator, tmp_path, case):
    arguments, text = refusals(tmp_path)[case]
    ran = submit(retries=2, retry_delay=timedelta(0), **arguments)
    assert ran.states == {"submit": "failed"}
    assert type(ran.error) is AirflowFailException
    assert text in str(ran.error)
    assert "c2VjcmV0" not in str(ran.error)
    assert emulator.requests == []


def test_a_file_is_never_sent_as_a_path_even_to_a_model_that_nobody_knows(submit, emulator, tmp_path):
    sound = tmp_path / "a.mp3"
    sound.write_bytes(b"ID3" + bytes(20))
    asked = {"vidu_type": "one-click/mv", "model": "vidu-mv-2", "images": [URL], "first_frame_url": None}
    ran = submit(**asked, audio_url=str(sound))
    assert ran.states == {"submit": "success"}
    (task,) = emulator.tasks
    assert task["body"]["input"]["audio_url"] == shortened(sound.read_bytes(), "audio/mpeg")
