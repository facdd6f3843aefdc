# SPDX-License-Identifier: Apache-2.0
"""Every example of ``docs/jobs.md`` runs, sends what the page shows, and gives the video that it asks for."""

from __future__ import annotations

import json
import re
import time
from io import BytesIO
from pathlib import Path

import av
import pytest
import requests

import airflow_provider_vidu
from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.protocol.capabilities import CAPABILITIES
from airflow_provider_vidu.protocol.prices import (
    AUDIO_PRICE,
    LIP_SYNC_PRICE_PER_5_SECONDS,
    PRICES_AS_OF,
    PRICES_PER_SECOND,
    estimate,
)
from tests.served import clip, plain, serving, sound

PAGE = (Path(airflow_provider_vidu.__file__).parents[1] / "docs" / "jobs.md").read_text("utf-8")
EXAMPLES = dict(re.findall(r"^## `(.+?)`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
SECONDS = {"extend": 4 + 5, "lip-sync": 6, "one-click/mv": 10}
SIZES = {"text2video": (720, 1280)}


@pytest.fixture(scope="module")
def web():
    pictures = ("mountains", "cat-1", "cat-2", "dog", "morning", "evening")
    files = {f"{name}.png": plain("teal", 160, 90) for name in pictures}
    files |= {"first-part.mp4": clip(4, "green"), "speaker.mp4": clip(6, "gold"), "song.wav": sound(10)}
    with serving(files) as url:
        yield url


def block(vidu_type: str, language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", EXAMPLES[vidu_type], re.DOTALL)
    return found


def finished(task_id: str):
    while (task := ViduHook().get_task(task_id)).word in ("Pending", "Running"):
        time.sleep(0.05)
    return task


def test_the_page_has_an_example_of_every_job():
    assert sorted(EXAMPLES) == sorted({vidu_type for vidu_type, _ in CAPABILITIES})


@pytest.mark.parametrize("vidu_type", EXAMPLES)
def test_an_example_sends_the_body_of_the_page_and_gives_a_video(run_dag, emulator, web, vidu_type):
    source, shown = (block(vidu_type, language).replace("https://example.com", web) for language in ("python", "json"))
    source, dags = re.subn(r'with DAG\("\w+", schedule=None\):', "if True:", source)
    assert dags == 1
    ran = run_dag(lambda: exec(source, {}))
    assert ran.states == {"submit": "success"}
    (accepted,) = emulator.tasks
    assert accepted["body"] == json.loads(shown)
    task = finished(ran.xcom("submit"))
    seconds = SECONDS.get(vidu_type, 5)
    assert (task.word, task.error_message, task.video_seconds) == ("Success", "", seconds)
    with av.open(BytesIO(requests.get(task.urls[0], timeout=120).content)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == SIZES.get(vidu_type, (1280, 720))
        assert stream.frames == 24 * seconds
        assert (container.duration, stream.codec_context.name) == (seconds * 1_000_000, "h264")


@pytest.mark.parametrize("vidu_type", EXAMPLES)
def test_the_cost_of_an_example_is_the_codes(vidu_type):
    (told,) = re.findall(r"^Cost: (.*?)\n\n", EXAMPLES[vidu_type], re.MULTILINE | re.DOTALL)
    found = estimate(json.loads(block(vidu_type, "json")))
    rates = PRICES_PER_SECOND["one-click/mv", "vidu-mv"]
    unknown = "The duration is not known beforehand, so there is no estimate, and `max_cost` refuses the submit."
    assert " ".join(told.split()) == {
        "lip-sync": f"¥{LIP_SYNC_PRICE_PER_5_SECONDS} per 5 s. {unknown}",
        "one-click/mv": f"¥{rates['720p']} per second at 720p (¥{rates['540p']} at 540p, ¥{rates['1080p']} at "
        f"1080p). {unknown}",
    }.get(vidu_type, f"about ¥{found.price_cny}; typical generation: {found.typical_seconds} s.")
    assert (found.price_cny is None) == (vidu_type in ("lip-sync", "one-click/mv"))


def test_the_dates_and_the_price_of_sound_are_the_codes():
    assert f"the price table of {PRICES_AS_OF}" in " ".join(PAGE.split())
    assert re.findall(r"`audio=True` adds ¥(\d+\.\d+)", PAGE) == [str(AUDIO_PRICE)] * 2


@pytest.mark.parametrize("vidu_type", EXAMPLES)
def test_the_models_that_the_page_lists_are_the_tables(vidu_type):
    listed = re.search(r"Models: ((?:[^.]|\.\d)*)\.\s|The model is (.*?)\.\n", EXAMPLES[vidu_type])
    told = re.findall(r"`(.+?)`", listed[0]) if listed else [json.loads(block(vidu_type, "json"))["model"]]
    assert told == [model for name, model in CAPABILITIES if name == vidu_type]
