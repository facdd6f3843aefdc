# SPDX-License-Identifier: Apache-2.0
"""Values that templates give as texts."""

from __future__ import annotations

import pytest

from airflow_provider_vidu.protocol.request import build
from tests.protocol.jobs import IMG, TXT, problems


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("duration", "5", 5),
        ("duration", " 5\n", 5),
        ("duration", "+5", 5),
        ("seed", "-7", -7),
        ("bgm", "true", True),
        ("bgm", "True", True),
        ("bgm", " FALSE ", False),
        ("guidance_scale", "1.5", 1.5),
        ("guidance_scale", ".5", 0.5),
        ("guidance_scale", "3.", 3.0),
        ("guidance_scale", "-2", -2.0),
    ],
)
def test_the_text_of_a_template_is_understood(name, text, value):
    case = TXT[:2]
    parameters = build(*case, {"prompt": "p", name: text})["parameters"]
    assert parameters == {"vidu_type": "text2video", name: value}
    assert type(parameters[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("duration", "5.0"),
        ("duration", "five"),
        ("duration", ""),
        ("duration", "None"),
        ("duration", "٥"),
        ("duration", "1_0"),
        ("seed", "9" * 19),
        ("bgm", "1"),
        ("bgm", "yes"),
        ("bgm", ""),
        ("guidance_scale", "1,5"),
        ("guidance_scale", "nan"),
        ("guidance_scale", "1e3"),
        ("guidance_scale", "."),
    ],
)
def test_any_other_text_is_refused_by_name(name, text):
    (problem,) = problems(*TXT[:2], {"prompt": "p", name: text})
    assert problem.startswith(f"{name} must be ")
    assert f", got {text!r} (" in problem


@pytest.mark.parametrize(("name", "value"), [("prompt", "5"), ("voice_id", "true"), ("resolution", "720p")])
def test_a_text_stays_a_text(name, value):
    body = build(*IMG[:2], {**IMG[2], name: value})
    assert {**body["input"], **body["parameters"]}[name] == value
