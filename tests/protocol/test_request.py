# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.capabilities import CAPABILITIES, DOCUMENTATION
from airflow_provider_vidu.protocol.request import Request, build, encode, fingerprint, refusal, without_data
from tests.protocol.jobs import DATA, FRAME, IMG, MIB, OTHER, SOUND, VIDEO, data_uri, problems

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


@pytest.mark.parametrize(("name", "text"), [("images", "['https://a/b.png']"), ("subjects", " [{'id': 'fox'}]")])
def test_a_list_that_a_template_wrote_without_its_filter_is_refused_with_a_hint_at_it(name, text):
    with pytest.raises(ViduRequestError, match=r" must be a list .*, as a template with \| tojson renders it, got "):
        build("reference2video", "viduq2", {"prompt": "p", name: text})
    with pytest.raises(ViduRequestError) as raised:
        build("reference2video", "viduq2", {"prompt": "p", name: ["a.png"]})
    assert "tojson" not in str(raised.value)


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


UNREAD = "{{ params.later }}"


@pytest.mark.parametrize(
    ("vidu_type", "model", "values", "names"),
    [
        ("img2video", "viduq2-turbo", {"first_frame_url": UNREAD, "duration": UNREAD}, []),
        ("reference2video", "viduq2", {"prompt": UNREAD, "subjects": UNREAD}, []),
        ("reference2video", "viduq2", {"prompt": UNREAD, "images": UNREAD, "audio": True}, ["audio"]),
        (
            "reference2video",
            "viduq2",
            {"prompt": "p", "images": UNREAD, "subjects": UNREAD},
            ["only one of subjects and images"],
        ),
        ("text2video", "viduq2", {"prompt": UNREAD, "voice_id": UNREAD}, ["voice_id"]),
        ("text2video", "viduq2", {"prompt": UNREAD, "duration": 11}, ["duration"]),
        ("lip-sync", "vidu-lip-sync", {"video_url": UNREAD, "text": UNREAD}, []),
        ("lip-sync", "vidu-lip-sync", {"video_url": UNREAD}, ["audio_url or text"]),
    ],
)
def test_a_value_that_is_not_known_yet_counts_as_given_and_is_not_checked(vidu_type, model, values, names):
    unknown_yet = {name for name, value in values.items() if value == UNREAD}
    found = problems(vidu_type, model, values, unknown_yet=unknown_yet)
    assert [re.split(" (?:must|is|may) ", problem)[0] for problem in found] == names


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
        f"body must have at most 20,971,520 bytes, got 20,971,521 (source: {DOCUMENTATION}). "
        "Nothing was sent or paid. Pass files as URLs."
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
    assert str(refusal(["one", "two"])) == "one; two. Nothing was sent or paid. Correct the arguments."
    assert str(refusal(["one"], "Do this")) == "one. Nothing was sent or paid. Do this."


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
    assert Request("img2video", "viduq2-turbo", {"duration": 99, "subjects": "x", "seed": None}).assembled() == {
        "model": "viduq2-turbo",
        "input": {"subjects": "x"},
        "parameters": {"vidu_type": "img2video", "duration": 99},
    }


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
