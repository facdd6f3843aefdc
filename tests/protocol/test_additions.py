# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.capabilities import CAPABILITIES
from airflow_provider_vidu.protocol.request import build
from tests.protocol.jobs import DATA, FRAME, IMG, OTHER, VIDEO, problems


def test_a_pair_that_is_not_in_the_table_is_built_unchecked():
    values = {"first_frame_url": "anything", "duration": "99", "resolution": "8K", "text": 5}
    assert build("img2video", "viduq9", values) == {
        "model": "viduq9",
        "input": {"first_frame_url": "anything", "text": "5"},
        "parameters": {"vidu_type": "img2video", "duration": 99, "resolution": "8K"},
    }


def test_a_pair_that_is_not_in_the_table_still_has_to_be_json():
    values = {"prompt": b"x", "seed": float("nan"), "duration": object, "voice_id": "v"}
    assert problems("img2video", "viduq9", values) == [
        "prompt must be a value that JSON can represent, got b'x'",
        "seed must be a value that JSON can represent, got nan",
        "duration must be a value that JSON can represent, got <class 'object'>",
    ]
    assert problems("img2video", "viduq9", values, unknown_yet={"prompt", "seed", "duration"}) == []


def test_a_field_of_another_job_is_refused_with_the_way_round():
    row = CAPABILITIES["img2video", "viduq2-turbo"]
    fields = ", ".join(row.fields)
    assert problems(*IMG[:2], {**IMG[2], "aspect_ratio": "16:9", "video_url": VIDEO, "language": None}) == [
        f"{name} is not a field of img2video with viduq2-turbo, which takes: {fields} (source: {row.source}); "
        f"to send it anyway, put it into extra_{place}"
        for name, place in (("aspect_ratio", "parameters"), ("video_url", "input"))
    ]


@pytest.mark.parametrize("model", ["viduq2-turbo", "viduq9"])
def test_a_name_that_no_job_has_is_refused_with_the_way_round(model):
    with pytest.raises(ViduRequestError) as caught:
        build("img2video", model, {"first_frame_url": FRAME, "fps": 60, "off_peak": None})
    assert str(caught.value) == (
        "fps must be a field that this version knows; to send it anyway, put it into extra_input or extra_parameters. "
        "Nothing was sent or paid. Correct the arguments."
    )


@pytest.mark.parametrize("model", ["viduq2-turbo", "viduq9"])
def test_what_the_author_adds_on_purpose_is_sent(model):
    extras = {"extra_input": {"style": {"a": [1]}}, "extra_parameters": {"fps": 60, "aspect_ratio": "2:1"}}
    assert build("img2video", model, {"first_frame_url": FRAME}, **extras) == {
        "model": model,
        "input": {"first_frame_url": FRAME, "style": {"a": [1]}},
        "parameters": {"vidu_type": "img2video", "fps": 60, "aspect_ratio": "2:1"},
    }


@pytest.mark.parametrize("argument", ["extra_input", "extra_parameters"])
@pytest.mark.parametrize(
    ("extra", "text"),
    [
        ("fps=60", "'fps=60'"),
        ([1], "[1]"),
        ({1: 2}, "{1: 2}"),
        ({"a": b"x"}, "{'a': b'x'}"),
        ({"a": float("inf")}, "{'a': inf}"),
        ({"a": DATA, "b": b"x"}, "a dict that holds a data URI"),
    ],
)
def test_an_addition_that_is_no_mapping_or_no_json_is_refused(argument, extra, text):
    with pytest.raises(ViduRequestError) as caught:
        build(*IMG, **{argument: extra})
    assert str(caught.value) == (
        f"{argument} must be a mapping of names to values that JSON can represent, got {text}. "
        "Nothing was sent or paid. Correct the arguments."
    )


def test_an_addition_nested_without_end_is_refused():
    endless: list = []
    endless.append(endless)
    nested: list = []
    for _ in range(100_000):
        nested = [nested]
    assert problems(*IMG, extra_input={"a": endless}) == [
        "extra_input must be a mapping of names to values that JSON can represent, got {'a': [[...]]}"
    ]
    assert problems(*IMG, extra_input={"a": nested}) == [
        "extra_input must be a mapping of names to values that JSON can represent, got a dict that is too large to show"
    ]


def test_an_addition_does_not_replace_an_argument():
    values = {"first_frame_url": FRAME, "duration": 5, "seed": None}
    extras = {
        "extra_input": {"first_frame_url": OTHER, "vidu_type": "x"},
        "extra_parameters": {"vidu_type": "x", "seed": 1, "duration": 6},
    }
    assert problems("img2video", "viduq2-turbo", values, **extras) == [
        f"{argument} must not contain {name}, which is already given as an argument"
        for argument, name in (
            ("extra_input", "first_frame_url"),
            ("extra_input", "vidu_type"),
            ("extra_parameters", "vidu_type"),
            ("extra_parameters", "duration"),
        )
    ]


A_NAME = "must be a non-empty, printable string without spaces around it, such as"


@pytest.mark.parametrize(
    ("vidu_type", "model", "found"),
    [
        ("", "viduq2-turbo", [f"vidu_type {A_NAME} img2video, got ''"]),
        (
            "img2video",
            "viduq2 ",
            [f"model {A_NAME} viduq2-turbo, got 'viduq2 '"],
        ),
        ("img2video", " ", [f"model {A_NAME} viduq2-turbo, got ' '"]),
        (
            None,
            ["viduq2"],
            [
                f"vidu_type {A_NAME} img2video, got None",
                f"model {A_NAME} viduq2-turbo, got ['viduq2']",
            ],
        ),
    ],
)
def test_type_and_model_have_to_be_texts(vidu_type, model, found):
    assert problems(vidu_type, model, {"prompt": "p"}) == found
    with pytest.raises(ViduRequestError):
        build(vidu_type, model, {"prompt": "p"})
