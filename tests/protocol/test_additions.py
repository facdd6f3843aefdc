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
        "prompt: b'x' given, allowed: what JSON can hold",
        "seed: nan given, allowed: what JSON can hold",
        "duration: <class 'object'> given, allowed: what JSON can hold",
    ]
    assert problems("img2video", "viduq9", values, unknown_yet={"prompt", "seed", "duration"}) == []


def test_a_field_of_another_job_is_refused_with_the_way_round():
    row = CAPABILITIES["img2video", "viduq2-turbo"]
    fields = ", ".join(row.fields)
    assert problems(*IMG[:2], {**IMG[2], "aspect_ratio": "16:9", "video_url": VIDEO, "language": None}) == [
        f"{name}: not a field of img2video with viduq2-turbo, allowed: {fields} (source: {row.source}). "
        f"To send it all the same, put it into extra_{place}"
        for name, place in (("aspect_ratio", "parameters"), ("video_url", "input"))
    ]


@pytest.mark.parametrize("model", ["viduq2-turbo", "viduq9"])
def test_a_name_that_no_job_has_is_refused_with_the_way_round(model):
    with pytest.raises(ViduRequestError) as caught:
        build("img2video", model, {"first_frame_url": FRAME, "fps": 60, "off_peak": None})
    assert str(caught.value) == (
        "Refused before anything was sent or paid: fps: not a field of this version. "
        "To send it all the same, put it into extra_input or extra_parameters."
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
        f"Refused before anything was sent or paid: {argument}: {text} given, "
        "allowed: a mapping of names to what JSON can hold."
    )


def test_an_addition_nested_without_end_is_refused():
    endless: list = []
    endless.append(endless)
    nested: list = []
    for _ in range(100_000):
        nested = [nested]
    assert problems(*IMG, extra_input={"a": endless}) == [
        "extra_input: {'a': [[...]]} given, allowed: a mapping of names to what JSON can hold"
    ]
    assert problems(*IMG, extra_input={"a": nested}) == [
        "extra_input: a dict that is too large to show given, allowed: a mapping of names to what JSON can hold"
    ]


def test_an_addition_does_not_replace_an_argument():
    values = {"first_frame_url": FRAME, "duration": 5, "seed": None}
    extras = {
        "extra_input": {"first_frame_url": OTHER, "vidu_type": "x"},
        "extra_parameters": {"vidu_type": "x", "seed": 1, "duration": 6},
    }
    assert problems("img2video", "viduq2-turbo", values, **extras) == [
        f"{argument}: {name} is given as an argument of its own, allowed: one of the two"
        for argument, name in (
            ("extra_input", "first_frame_url"),
            ("extra_input", "vidu_type"),
            ("extra_parameters", "vidu_type"),
            ("extra_parameters", "duration"),
        )
    ]


@pytest.mark.parametrize(
    ("vidu_type", "model", "found"),
    [
        ("", "viduq2-turbo", ["vidu_type: '' given, allowed: a text without blanks around it, such as img2video"]),
        (
            "img2video",
            "viduq2 ",
            ["model: 'viduq2 ' given, allowed: a text without blanks around it, such as viduq2-turbo"],
        ),
        ("img2video", " ", ["model: ' ' given, allowed: a text without blanks around it, such as viduq2-turbo"]),
        (
            None,
            ["viduq2"],
            [
                "vidu_type: None given, allowed: a text without blanks around it, such as img2video",
                "model: ['viduq2'] given, allowed: a text without blanks around it, such as viduq2-turbo",
            ],
        ),
    ],
)
def test_type_and_model_have_to_be_texts(vidu_type, model, found):
    assert problems(vidu_type, model, {"prompt": "p"}) == found
    with pytest.raises(ViduRequestError):
        build(vidu_type, model, {"prompt": "p"})
