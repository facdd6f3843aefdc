# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.capabilities import CAPABILITIES, DOCUMENTATION
from airflow_provider_vidu.protocol.fields import Field, Kind, spoken_units
from airflow_provider_vidu.protocol.request import (
    assemble,
    build,
    encode,
    fingerprint,
    problems,
    refusal,
    without_data,
)
from airflow_provider_vidu.protocol.texts import data_uri_bytes, is_data_uri, is_url, shown

FRAME = "https://example.com/a.png"
OTHER = "https://example.com/b.png"
VIDEO = "https://example.com/a.mp4"
SOUND = "https://example.com/a.mp3"
DATA = "data:image/png;base64,c2VjcmV0"
MIB = 2**20


def data_uri(decoded_bytes):
    """A data URI of a whole number of three bytes."""
    return "data:image/png;base64," + "QUJD" * (decoded_bytes // 3) + ("", "QQ==", "QUI=")[decoded_bytes % 3]


# Field values as an author gives them, the body's input and its parameters: made from the documentation.
MINIMAL = {
    "img2video": ("viduq2-turbo", {"first_frame_url": FRAME}, {"first_frame_url": FRAME}, {}),
    "text2video": ("viduq2", {"prompt": "a fox"}, {"prompt": "a fox"}, {}),
    "reference2video": (
        "viduq2",
        {"prompt": "@1 runs", "subjects": [{"id": "1", "images": [FRAME]}]},
        {"prompt": "@1 runs", "subjects": [{"id": "1", "images": [FRAME], "voice_id": ""}]},
        {},
    ),
    "start-end2video": (
        "viduq2-pro",
        {"first_frame_url": FRAME, "last_frame_url": OTHER},
        {"first_frame_url": FRAME, "last_frame_url": OTHER},
        {},
    ),
    "extend": ("viduq2-pro", {"video_url": VIDEO}, {"video_url": VIDEO}, {}),
    "lip-sync": (
        "vidu-lip-sync",
        {"video_url": VIDEO, "text": "Hello"},
        {"video_url": VIDEO, "text": "Hello"},
        {},
    ),
    "one-click/mv": (
        "vidu-mv",
        {"images": [FRAME], "audio_url": SOUND},
        {"images": [FRAME], "audio_url": SOUND},
        {},
    ),
}
FULL = {
    "img2video": (
        "viduq2-pro",
        {"first_frame_url": DATA, "prompt": "She turns"},
        {
            "duration": 4,
            "seed": 0,
            "resolution": "1080p",
            "movement_amplitude": "small",
            "bgm": True,
            "audio": True,
            "voice_id": "English_Aussie_Bloke",
        },
    ),
    "text2video": (
        "viduq2",
        {"prompt": "a fox"},
        {
            "duration": 10,
            "seed": -1,
            "aspect_ratio": "9:16",
            "resolution": "540p",
            "guidance_scale": 7.5,
            "bgm": False,
        },
    ),
    "reference2video": (
        "viduq2",
        {
            "prompt": "@fox meets @owl",
            "subjects": [
                {"id": "fox", "images": [FRAME, OTHER, DATA], "voice_id": "v1"},
                {"id": "owl", "images": [DATA], "voice_id": ""},
            ],
        },
        {
            "duration": 1,
            "seed": 7,
            "aspect_ratio": "1:1",
            "resolution": "720p",
            "movement_amplitude": "auto",
            "bgm": True,
            "audio": True,
        },
    ),
    "start-end2video": (
        "viduq2-turbo",
        {"first_frame_url": FRAME, "last_frame_url": DATA, "prompt": "It opens"},
        {"duration": 8, "seed": 5, "resolution": "540p", "movement_amplitude": "large", "bgm": True},
    ),
    "extend": (
        "viduq2-turbo",
        {"video_url": VIDEO, "last_frame_url": DATA, "prompt": "It goes on"},
        {"duration": 7, "resolution": "1080p"},
    ),
    "lip-sync": (
        "vidu-lip-sync",
        {"video_url": VIDEO, "audio_url": SOUND, "text": "你好<#0.5#>Hello", "ref_photo_url": FRAME},
        {"speed": 1.5, "voice_id": "v1", "volume": 10},
    ),
    "one-click/mv": (
        "vidu-one-click-mv",
        {"images": [FRAME, DATA], "audio_url": "data:audio/mpeg;base64,SUQz", "prompt": "Night"},
        {
            "aspect_ratio": "4:3",
            "resolution": "1080p",
            "add_subtitle": True,
            "language": "zh",
            "srt_url": "https://example.com/a.srt",
        },
    ),
}


@pytest.mark.parametrize("vidu_type", MINIMAL)
def test_the_least_that_a_job_needs_becomes_its_body(vidu_type):
    model, values, inputs, parameters = MINIMAL[vidu_type]
    assert build(vidu_type, model, values) == {
        "model": model,
        "input": inputs,
        "parameters": {"vidu_type": vidu_type, **parameters},
    }


@pytest.mark.parametrize("vidu_type", FULL)
def test_everything_that_a_job_takes_becomes_its_body(vidu_type):
    model, inputs, parameters = FULL[vidu_type]
    expected = {"model": model, "input": inputs, "parameters": {"vidu_type": vidu_type, **parameters}}
    assert build(vidu_type, model, {**inputs, **parameters}) == expected
    held = set(inputs) | set(parameters)
    assert held == set(CAPABILITIES[vidu_type, model].fields) - (
        {"images"} if vidu_type == "reference2video" else set()
    )


def test_the_older_form_of_references_is_a_list_of_images():
    body = build("reference2video", "viduq2", {"prompt": "p", "images": [FRAME, DATA], "audio": False})
    assert body["input"] == {"prompt": "p", "images": [FRAME, DATA]}


def test_none_leaves_a_field_out_and_nothing_else_does():
    values = {**dict.fromkeys(CAPABILITIES["img2video", "viduq2-turbo"].fields), "first_frame_url": FRAME}
    assert build("img2video", "viduq2-turbo", {**values, "seed": 0, "bgm": False, "prompt": ""}) == {
        "model": "viduq2-turbo",
        "input": {"first_frame_url": FRAME, "prompt": ""},
        "parameters": {"vidu_type": "img2video", "seed": 0, "bgm": False},
    }


def test_what_was_given_is_not_changed():
    subjects = [{"id": "1", "images": [FRAME]}]
    build("reference2video", "viduq2", {"prompt": "p", "subjects": subjects})
    assert subjects == [{"id": "1", "images": [FRAME]}]


IMG = ("img2video", "viduq2-turbo", {"first_frame_url": FRAME})
FAST = ("img2video", "viduq2-pro-fast", {"first_frame_url": FRAME})
Q3 = ("img2video", "viduq3-pro", {"first_frame_url": FRAME})
OLD = ("img2video", "viduq1", {"first_frame_url": FRAME})
TXT = ("text2video", "viduq2", {"prompt": "p"})
REF = ("reference2video", "viduq2", {"prompt": "p", "subjects": [{"id": "1", "images": [FRAME]}]})
OLD_REF = ("reference2video", "viduq2", {"prompt": "p", "images": [FRAME]})
PAIR = ("start-end2video", "viduq2-pro", {"first_frame_url": FRAME, "last_frame_url": OTHER})
PAIR_FAST = ("start-end2video", "viduq2-pro-fast", {"first_frame_url": FRAME, "last_frame_url": OTHER})
PAIR_Q3 = ("start-end2video", "viduq3-pro", {"first_frame_url": FRAME, "last_frame_url": OTHER})
EXTEND = ("extend", "viduq2-pro", {"video_url": VIDEO})
LIPS = ("lip-sync", "vidu-lip-sync", {"video_url": VIDEO, "text": "Hello"})
MV = ("one-click/mv", "vidu-mv", {"images": [FRAME], "audio_url": SOUND})


def numbered(cases):
    """Short ids: some values are megabytes long."""
    return [f"{number}-{case[0][0]}-{case[1]}" for number, case in enumerate(cases)]


def subject(**changes):
    return {"id": "1", "images": [FRAME], "voice_id": "", **changes}


EDGES = [
    (IMG, "duration", [1, 10]),
    (Q3, "duration", [1, 16]),
    (OLD, "duration", [0, 99]),
    (TXT, "duration", [1, 10]),
    (REF, "duration", [1, 10]),
    (PAIR, "duration", [1, 8]),
    (PAIR_Q3, "duration", [0, 99]),
    (EXTEND, "duration", [1, 7]),
    (IMG, "seed", [0, -(2**31), 2**63]),
    (IMG, "prompt", ["", "x" * 2000, "字" * 2000]),
    (TXT, "prompt", ["x", "x" * 2000]),
    (REF, "prompt", ["x" * 2000]),
    (PAIR, "prompt", ["x" * 2000]),
    (EXTEND, "prompt", ["x" * 5000]),
    (MV, "prompt", ["x" * 3000]),
    (IMG, "resolution", ["360p", "540p", "720p", "1080p"]),
    (FAST, "resolution", ["720p", "1080p"]),
    (Q3, "resolution", ["360p", "540p", "720p", "1080p", "2K"]),
    (OLD, "resolution", ["1080p"]),
    (TXT, "aspect_ratio", ["16:9", "9:16", "4:3", "3:4", "1:1"]),
    (IMG, "movement_amplitude", ["auto", "small", "medium", "large"]),
    (PAIR, "movement_amplitude", ["anything"]),
    (TXT, "guidance_scale", [-1, 0.5, 100]),
    (IMG, "bgm", [True, False]),
    (IMG, "first_frame_url", [FRAME, "HTTP://example.com/a", DATA, DATA.upper().replace("BASE64", "base64")]),
    (EXTEND, "last_frame_url", [OTHER, data_uri(10 * MIB)]),
    (REF, "subjects", [[subject(id=str(n)) for n in range(7)], [subject(images=[FRAME] * 3)], (subject(),)]),
    (OLD_REF, "images", [[FRAME], [FRAME] * 7, (FRAME, DATA)]),
    (MV, "images", [[FRAME], [FRAME] * 7]),
    (LIPS, "text", ["four", "你好", "x" * 2000, "字" * 1000, "<#0.01#>four<#99.99#>", "four<#5#>", "four <#"]),
    (LIPS, "speed", [0.5, 1, 2]),
    (LIPS, "volume", [0, 9.5, 10]),
    (MV, "language", ["en", "zh"]),
]


@pytest.mark.parametrize(("case", "name", "values"), EDGES, ids=numbered(EDGES))
def test_the_edge_of_a_limit_is_allowed(case, name, values):
    vidu_type, model, least = case
    assert [problems(vidu_type, model, {**least, name: value}) for value in values] == [[]] * len(values)


TO_10, TO_8 = "a whole number from 1 to 10 (default 5)", "a whole number from 1 to 8 (default 5)"
TO_2000 = "a text of at most 2,000 characters"
HD = "one of 540p, 720p, 1080p (default 720p)"
URL_OR_DATA = "an http(s) URL or a data URI"
SUBJECTS = "1 to 7 subjects, each {'id': text, 'images': 1 to 3 images, 'voice_id': text}, and no other keys"
IMAGES = "a list of 1 to 7 images, each an http(s) URL or a data URI"
SPEECH = "a text of 4 to 2,000 units (a Han character counts two), pauses as <#0.01#> to <#99.99#> seconds"


PAST = [
    (IMG, "duration", 0, "0", TO_10),
    (IMG, "duration", 11, "11", TO_10),
    (IMG, "duration", 5.0, "5.0", TO_10),
    (IMG, "duration", True, "True", TO_10),
    (IMG, "duration", [5], "[5]", TO_10),
    (Q3, "duration", 17, "17", "a whole number from 1 to 16 (default 5)"),
    (Q3, "duration", 0, "0", "a whole number from 1 to 16 (default 5)"),
    (OLD, "duration", "long", "'long'", "a whole number"),
    (TXT, "duration", 11, "11", TO_10),
    (REF, "duration", 11, "11", TO_10),
    (PAIR, "duration", 9, "9", TO_8),
    (PAIR_Q3, "duration", 1.5, "1.5", "a whole number"),
    (EXTEND, "duration", 8, "8", "a whole number from 1 to 7 (default 5)"),
    (IMG, "seed", 1.5, "1.5", "a whole number"),
    (IMG, "seed", 10**5000, "a int that is too large to show", "a whole number"),
    (IMG, "prompt", "x" * 2001, "a text of 2,001 characters", TO_2000),
    (IMG, "prompt", 5, "5", TO_2000),
    (TXT, "prompt", "x" * 2001, "a text of 2,001 characters", TO_2000),
    (TXT, "prompt", " \n", "an empty text", TO_2000),
    (REF, "prompt", "x" * 2001, "a text of 2,001 characters", TO_2000),
    (REF, "prompt", "", "an empty text", TO_2000),
    (PAIR, "prompt", "x" * 2001, "a text of 2,001 characters", TO_2000),
    (EXTEND, "prompt", b"x", "b'x'", "a text"),
    (MV, "prompt", "x" * 3001, "a text of 3,001 characters", "a text of at most 3,000 characters"),
    (IMG, "resolution", "2K", "'2K'", "one of 360p, 540p, 720p, 1080p (default 720p)"),
    (IMG, "resolution", "720P", "'720P'", "one of 360p, 540p, 720p, 1080p (default 720p)"),
    (FAST, "resolution", "540p", "'540p'", "one of 720p, 1080p (default 720p)"),
    (PAIR_FAST, "resolution", "540p", "'540p'", "one of 720p, 1080p (default 720p)"),
    (Q3, "resolution", "4K", "'4K'", "one of 360p, 540p, 720p, 1080p, 2K (default 720p)"),
    (OLD, "resolution", "720p", "'720p'", "one of 1080p"),
    (TXT, "resolution", "360p", "'360p'", HD),
    (REF, "resolution", "360p", "'360p'", HD),
    (PAIR, "resolution", "360p", "'360p'", HD),
    (PAIR_Q3, "resolution", "2K", "'2K'", HD),
    (EXTEND, "resolution", "360p", "'360p'", HD),
    (MV, "resolution", "360p", "'360p'", HD),
    (TXT, "aspect_ratio", "2:1", "'2:1'", "one of 16:9, 9:16, 4:3, 3:4, 1:1 (default 16:9)"),
    (MV, "aspect_ratio", "", "''", "one of 16:9, 9:16, 4:3, 3:4, 1:1 (default 16:9)"),
    (IMG, "movement_amplitude", "huge", "'huge'", "one of auto, small, medium, large (default auto)"),
    (IMG, "bgm", 1, "1", "true or false (default false)"),
    (Q3, "audio", "yes", "'yes'", "true or false (default true)"),
    (TXT, "guidance_scale", float("nan"), "nan", "a number"),
    (TXT, "guidance_scale", float("inf"), "inf", "a number"),
    (TXT, "guidance_scale", float("-inf"), "-inf", "a number"),
    (TXT, "guidance_scale", True, "True", "a number"),
    (IMG, "first_frame_url", "/srv/a.png", "'/srv/a.png'", URL_OR_DATA),
    (IMG, "first_frame_url", "ftp://h/a.png", "'ftp://h/a.png'", URL_OR_DATA),
    (IMG, "first_frame_url", "https://", "'https://'", URL_OR_DATA),
    (IMG, "first_frame_url", "", "''", URL_OR_DATA),
    (IMG, "first_frame_url", "data:image/png,c2VjcmV0", "a data URI of 23 characters", URL_OR_DATA),
    (
        EXTEND,
        "last_frame_url",
        data_uri(10 * MIB + 1),
        "a data URI of 10,485,761 bytes (at most 10,485,760)",
        URL_OR_DATA,
    ),
    (EXTEND, "video_url", DATA, "a data URI of 30 characters ('data:image/png;base64')", "an http(s) URL"),
    (LIPS, "ref_photo_url", "a.png", "'a.png'", "an http(s) URL"),
    (LIPS, "audio_url", DATA, "a data URI of 30 characters ('data:image/png;base64')", "an http(s) URL"),
    (LIPS, "text", "abc", "a text of 3 units", SPEECH),
    (LIPS, "text", "你a", "a text of 3 units", SPEECH),
    (LIPS, "text", "x" * 2001, "a text of 2,001 units", SPEECH),
    (LIPS, "text", "字" * 1000 + "x", "a text of 2,001 units", SPEECH),
    (LIPS, "text", "abc<#1#>", "a text of 3 units", SPEECH),
    (LIPS, "text", "four<#0#>", "the pause <#0#>", SPEECH),
    (LIPS, "text", "four<#0.00#>", "the pause <#0.00#>", SPEECH),
    (LIPS, "text", "four<#100#>", "the pause <#100#>", SPEECH),
    (LIPS, "text", "four<#0.005#>", "the pause <#0.005#>", SPEECH),
    (LIPS, "text", "four<#soon#>", "the pause <#soon#>", SPEECH),
    (LIPS, "text", f"four<#{'9' * 99}#>", f"the pause <#{'9' * 20}#>", SPEECH),
    (LIPS, "text", 4, "4", SPEECH),
    (LIPS, "speed", 0.49, "0.49", "a number from 0.5 to 2 (default 1)"),
    (LIPS, "speed", 2.01, "2.01", "a number from 0.5 to 2 (default 1)"),
    (LIPS, "volume", -1, "-1", "a number from 0 to 10 (default 0)"),
    (LIPS, "volume", 10.5, "10.5", "a number from 0 to 10 (default 0)"),
    (MV, "language", "de", "'de'", "one of en, zh"),
    (MV, "srt_url", "a.srt", "'a.srt'", "an http(s) URL"),
    (MV, "audio_url", "a.mp3", "'a.mp3'", URL_OR_DATA),
    (MV, "images", [], "0 images", IMAGES),
    (MV, "images", [FRAME] * 8, "8 images", IMAGES),
    (MV, "images", FRAME, repr(FRAME), IMAGES),
    (MV, "images", [FRAME, "a.png"], "'a.png'", IMAGES),
    (OLD_REF, "images", [FRAME] * 8, "8 images", IMAGES),
    (REF, "subjects", [], "0 subjects", SUBJECTS),
    (REF, "subjects", [subject()] * 8, "8 subjects", SUBJECTS),
    (REF, "subjects", "fox", "'fox'", SUBJECTS),
    (REF, "subjects", ["fox"], "a subject without an id: 'fox'", SUBJECTS),
    (REF, "subjects", [{}], "a subject without an id: {'voice_id': ''}", SUBJECTS),
    (REF, "subjects", [{"id": ""}], "a subject without an id: {'voice_id': '', 'id': ''}", SUBJECTS),
    (REF, "subjects", [{"id": 1}], "a subject without an id: {'voice_id': '', 'id': 1}", SUBJECTS),
    (REF, "subjects", [subject(image=FRAME)], "subject '1' with the key 'image'", SUBJECTS),
    (REF, "subjects", [{**subject(), 5: 1}], "subject '1' with the key 5", SUBJECTS),
    (REF, "subjects", [{"id": "1"}], "subject '1' with None images", SUBJECTS),
    (REF, "subjects", [subject(images=[])], "subject '1' with 0 images", SUBJECTS),
    (REF, "subjects", [subject(images=[FRAME] * 4)], "subject '1' with 4 images", SUBJECTS),
    (REF, "subjects", [subject(images=FRAME)], f"subject '1' with {FRAME!r} images", SUBJECTS),
    (REF, "subjects", [subject(images=["a.png"])], "subject '1' with 'a.png' as an image", SUBJECTS),
    (REF, "subjects", [subject(), subject(voice_id=None)], "subject '1' with the voice_id None", SUBJECTS),
]


@pytest.mark.parametrize(("case", "name", "value", "given_text", "allowed"), PAST, ids=numbered(PAST))
def test_past_its_limit_a_value_is_refused_by_name(case, name, value, given_text, allowed):
    vidu_type, model, least = case
    source = CAPABILITIES[vidu_type, model].source
    expected = f"allowed: {allowed} ({vidu_type} with {model}; source: {source})"
    (problem,) = problems(vidu_type, model, {**least, name: value})
    assert problem == f"{name}: {given_text} given, {expected}"
    with pytest.raises(ViduRequestError) as caught:
        build(vidu_type, model, {**least, name: value})
    assert str(caught.value) == f"Refused before anything was sent or paid: {problem}."


@pytest.mark.parametrize(
    ("vidu_type", "model", "values", "found"),
    [
        ("img2video", "viduq2-pro", {}, [f"first_frame_url: nothing given, required: {URL_OR_DATA}"]),
        ("text2video", "viduq2", {}, [f"prompt: nothing given, required: {TO_2000}"]),
        (
            "reference2video",
            "viduq2",
            {},
            [
                f"prompt: nothing given, required: {TO_2000}",
                "subjects or images: nothing given, one of them is required",
            ],
        ),
        (
            "reference2video",
            "viduq2",
            {"prompt": "p", "subjects": [subject()], "images": [FRAME]},
            ["subjects and images: both given, allowed: one of them"],
        ),
        (
            "reference2video",
            "viduq2",
            {"prompt": "p", "images": [FRAME], "audio": True},
            ["audio: True given, allowed: only with subjects"],
        ),
        (
            "start-end2video",
            "viduq2-pro",
            {},
            [f"{name}: nothing given, required: {URL_OR_DATA}" for name in ("first_frame_url", "last_frame_url")],
        ),
        ("extend", "viduq2-pro", {}, ["video_url: nothing given, required: an http(s) URL"]),
        (
            "lip-sync",
            "vidu-lip-sync",
            {"video_url": VIDEO},
            ["audio_url or text: nothing given, one of them is required"],
        ),
        ("lip-sync", "vidu-lip-sync", {"video_url": VIDEO, "audio_url": SOUND}, []),
        ("lip-sync", "vidu-lip-sync", {"video_url": VIDEO, "audio_url": SOUND, "text": "Hello"}, []),
        (
            "one-click/mv",
            "vidu-mv",
            {},
            [
                f"images: nothing given, required: {IMAGES}",
                f"audio_url: nothing given, required: {URL_OR_DATA}",
            ],
        ),
    ],
)
def test_what_a_job_needs_is_asked_for(vidu_type, model, values, found):
    where = f"({vidu_type} with {model}; source: {CAPABILITIES[vidu_type, model].source})"
    assert problems(vidu_type, model, values) == [f"{text} {where}" for text in found]


def test_all_problems_are_told_at_once():
    with pytest.raises(ViduRequestError) as caught:
        build("text2video", "viduq2", {"duration": 11, "voice_id": "v", "bgm": 1})
    told = str(caught.value)
    assert re.findall(r"(\w+): (?:not|nothing|11|1) ", told) == ["voice_id", "prompt", "duration", "bgm"]


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
    assert problem.startswith(f"{name}: {text!r} given, allowed: ")


@pytest.mark.parametrize(("name", "value"), [("prompt", "5"), ("voice_id", "true"), ("resolution", "720p")])
def test_a_text_stays_a_text(name, value):
    body = build(*IMG[:2], {**IMG[2], name: value})
    assert {**body["input"], **body["parameters"]}[name] == value


def test_a_pair_that_is_not_in_the_table_is_built_unchecked():
    values = {"first_frame_url": "anything", "duration": "99", "resolution": "8K", "text": 5}
    assert build("img2video", "viduq9", values) == {
        "model": "viduq9",
        "input": {"first_frame_url": "anything", "text": 5},
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


UNREAD = "{{ params.later }}"


@pytest.mark.parametrize(
    ("vidu_type", "model", "values", "names"),
    [
        ("img2video", "viduq2-turbo", {"first_frame_url": UNREAD, "duration": UNREAD}, []),
        ("reference2video", "viduq2", {"prompt": UNREAD, "subjects": UNREAD}, []),
        ("reference2video", "viduq2", {"prompt": UNREAD, "images": UNREAD, "audio": True}, ["audio"]),
        ("reference2video", "viduq2", {"prompt": "p", "images": UNREAD, "subjects": UNREAD}, ["subjects and images"]),
        ("text2video", "viduq2", {"prompt": UNREAD, "voice_id": UNREAD}, ["voice_id"]),
        ("text2video", "viduq2", {"prompt": UNREAD, "duration": 11}, ["duration"]),
        ("lip-sync", "vidu-lip-sync", {"video_url": UNREAD, "text": UNREAD}, []),
        ("lip-sync", "vidu-lip-sync", {"video_url": UNREAD}, ["audio_url or text"]),
    ],
)
def test_a_value_that_is_not_known_yet_counts_as_given_and_is_not_checked(vidu_type, model, values, names):
    unknown_yet = {name for name, value in values.items() if value == UNREAD}
    found = problems(vidu_type, model, values, unknown_yet=unknown_yet)
    assert [problem.partition(":")[0] for problem in found] == names


@pytest.mark.parametrize("over", [0, 1])
def test_a_body_of_20_mib_is_sent_and_one_byte_more_is_not(over):
    empty = len(encode(build(*IMG[:2], {"first_frame_url": "data:image/png;base64,"})))
    values = {"first_frame_url": "data:image/png;base64," + "A" * (20 * MIB - empty + over)}
    if not over:
        assert len(encode(build(*IMG[:2], values))) == 20 * MIB
        return
    with pytest.raises(ViduRequestError) as caught:
        build(*IMG[:2], values)
    assert str(caught.value) == (
        f"Refused before anything was sent or paid: the body has 20,971,521 bytes, allowed: 20,971,520 (source: "
        f"{DOCUMENTATION}). Pass files as URLs instead."
    )


def test_a_body_is_written_as_short_ascii_json():
    body = {"model": "m", "input": {"prompt": "字\ud83d"}, "parameters": {}}
    assert encode(body) == b'{"model":"m","input":{"prompt":"\\u5b57\\ud83d"},"parameters":{}}'


# Drawn from a fixed alphabet, since hypothesis takes seconds to learn all of Unicode.
TEXTS = st.text("a1.@ <#>:/字\ud83d\x00")
ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.just(FRAME)
VALUES = ATOMS | st.lists(ATOMS, max_size=3) | st.lists(st.dictionaries(TEXTS, ATOMS, max_size=2), max_size=2)
UNHURRIED = settings(deadline=None, database=None, derandomize=True)


@UNHURRIED
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(CAPABILITIES["reference2video", "viduq2"].fields, VALUES)))
def test_whatever_is_given_is_either_built_as_json_or_refused(values):
    try:
        body = build("reference2video", "viduq2", values)
    except ViduRequestError:
        return
    assert json.loads(encode(body)) == body


def test_a_refusal_joins_its_problems():
    assert str(refusal(["one", "two"])) == "Refused before anything was sent or paid: one; two."


SECRET = "c2VjcmV0" * 200


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (f"data:image/png;base64,{SECRET}", "a data URI of 1,622 characters ('data:image/png;base64')"),
        (f"DATA:IMAGE/PNG;BASE64,{SECRET}", "a data URI of 1,622 characters ('DATA:IMAGE/PNG;BASE64')"),
        (f"data:{SECRET}", "a data URI of 1,605 characters"),
        (f" \ndata:image/png;base64,{SECRET}", "a data URI of 1,624 characters"),
        ([FRAME, f"data:image/png;base64,{SECRET}"], "a list that holds a data URI"),
        ({"images": [f"Data:image/png;base64,{SECRET}"]}, "a dict that holds a data URI"),
        ("x" * 78, repr("x" * 78)),
        ("x" * 79, f"'{'x' * 79}… (81 characters)"),
        (10**5000, "a int that is too large to show"),
        (None, "None"),
    ],
    ids=range(10),
)
def test_a_value_is_shown_shortly_and_never_with_the_content_of_a_file(value, text):
    assert shown(value) == text


@pytest.mark.parametrize(
    "values",
    [
        {"images": f"data:image/png;base64,{SECRET}"},
        {"images": [f"data:image/png,{SECRET}"]},
        {"subjects": [{"id": "1", "images": [f" data:image/png;base64,{SECRET}"]}]},
        {"subjects": [{"id": f"data:image/png;base64,{SECRET}", "images": []}]},
        {"subjects": [{"id": "", "images": [f"data:image/png;base64,{SECRET}"]}]},
        {"duration": f"data:image/png;base64,{SECRET}"},
        {"prompt": [f"data:image/png;base64,{SECRET}"]},
        {"seed": {"a": f"data:image/png;base64,{SECRET}"}},
    ],
)
def test_no_refusal_shows_what_a_data_uri_holds(values):
    found = problems("reference2video", "viduq2", {"prompt": "p", **values})
    assert found
    assert SECRET[:8] not in " ".join(found)


def test_a_body_without_data_is_the_same_body_with_words_for_its_files():
    body = {
        "model": "viduq2",
        "input": {
            "prompt": "Data: a robot's log",
            "images": (FRAME, DATA),
            "subjects": [{"id": "1", "images": [DATA], "voice_id": ""}],
            "first_frame_url": f" {DATA}",
        },
        "parameters": {"vidu_type": "reference2video", "seed": 0},
    }
    words = "a data URI of 30 characters ('data:image/png;base64')"
    assert without_data(body) == {
        "model": "viduq2",
        "input": {
            "prompt": "Data: a robot's log",
            "images": [FRAME, words],
            "subjects": [{"id": "1", "images": [words], "voice_id": ""}],
            "first_frame_url": "a data URI of 31 characters",
        },
        "parameters": {"vidu_type": "reference2video", "seed": 0},
    }
    assert body["input"]["subjects"] == [{"id": "1", "images": [DATA], "voice_id": ""}]


def test_assembling_does_not_check():
    assert assemble("img2video", "viduq2-turbo", {"duration": 99, "subjects": "x", "seed": None}) == {
        "model": "viduq2-turbo",
        "input": {"subjects": "x"},
        "parameters": {"vidu_type": "img2video", "duration": 99},
    }


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ("http://h", True),
        ("https://h/a b", True),
        ("https:///a", False),
        ("https:// h", False),
        ("h", False),
        (5, False),
    ],
)
def test_a_url_has_a_scheme_and_a_host(value, is_one):
    assert is_url(value) is is_one


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        (DATA, True),
        ("data:image/svg+xml;base64,", True),
        ("data:;base64,", False),
        ("data:image/png,x", False),
        (5, False),
    ],
)
def test_a_data_uri_is_of_base64_and_names_its_type(value, is_one):
    assert is_data_uri(value) is is_one


@UNHURRIED
@given(st.binary(max_size=64))
def test_the_bytes_of_a_data_uri_are_counted_without_decoding_it(content):
    assert data_uri_bytes(f"data:image/png;base64,{base64.b64encode(content).decode()}") == len(content)


@pytest.mark.parametrize(
    ("text", "units"),
    [("", 0), ("abc", 3), ("字", 2), ("a字 ", 4), ("<#1#>", 0), ("a<#1#>b<#2#>", 2), ("<#", 2), ("𠀀", 2), ("ア", 1)],
)
def test_a_han_character_counts_two_and_a_pause_none(text, units):
    assert spoken_units(text) == units


def test_a_limit_on_one_side_or_none_is_not_checked_on_the_other():
    assert Field(name="n", kind=Kind.INTEGER, high=3).problem(-9) is None
    assert Field(name="n", kind=Kind.IMAGES).problem([]) is None
    assert Field(name="n", kind=Kind.SUBJECTS).problem([]) is None
    assert Field(name="n", kind=Kind.SPEECH).problem("") is None


ASKED = build("text2video", "viduq2", {"prompt": "a fox", "duration": 5})


@pytest.mark.parametrize(
    ("body", "conn_id", "same"),
    [
        (build("text2video", "viduq2", {"duration": "5", "prompt": "a fox"}), "vidu_default", True),
        (build("text2video", "viduq2", {"prompt": "a fox", "duration": 4}), "vidu_default", False),
        (build("text2video", "viduq2", {"prompt": "a hen", "duration": 5}), "vidu_default", False),
        (build("text2video", "viduq2", {"prompt": "a fox"}), "vidu_default", False),
        (ASKED, "another_connection", False),
    ],
)
def test_a_request_is_known_again_by_all_that_is_sent_and_the_connection(body, conn_id, same):
    assert (fingerprint(body, conn_id) == fingerprint(ASKED, "vidu_default")) is same


def test_a_file_is_part_of_the_request_by_its_content():
    one, other = (build("img2video", "viduq2-pro", {"first_frame_url": data_uri(size)}) for size in (30, 31))
    assert fingerprint(one, "c") != fingerprint(other, "c")
    assert re.fullmatch("[0-9a-f]{64}", fingerprint(one, "c"))


def test_keys_that_json_turns_into_text_make_no_other_request():
    mixed = {"parameters": {"style": {1: "a", "b": 2}}}
    assert fingerprint(mixed, "c") == fingerprint({"parameters": {"style": {"1": "a", "b": 2}}}, "c")
