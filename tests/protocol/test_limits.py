# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import pytest

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.capabilities import CAPABILITIES
from airflow_provider_vidu.protocol.request import build
from tests.protocol.jobs import (
    DATA,
    EXTEND,
    FAST,
    FRAME,
    IMG,
    LIPS,
    MIB,
    MV,
    OLD,
    OLD_REF,
    OTHER,
    PAIR,
    PAIR_FAST,
    PAIR_Q3,
    Q3,
    REF,
    SOUND,
    TXT,
    VIDEO,
    data_uri,
    problems,
)

A_URL = "an http(s) URL or the URI of a file in an object store"


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
TO_2000 = "a string of at most 2,000 characters"
NEEDED_TO_2000 = "a non-blank string of at most 2,000 characters"
HD = "one of 540p, 720p, 1080p (default 720p)"
URL_OR_DATA = "an http(s) URL or a data URI"
SUBJECTS = (
    "a list of 1 to 7 subjects, each {'id': string, 'images': 1 to 3 images, 'voice_id': string} without other keys"
)
IMAGES = "a list of 1 to 7 images, each an http(s) URL or a data URI"
SPEECH = "a string of 4 to 2,000 units (a Han character counts as two) with pauses from <#0.01#> to <#99.99#> seconds"


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
    (IMG, "seed", 10**5000, "an int that is too large to show", "a whole number"),
    (IMG, "prompt", "x" * 2001, "2,001 characters", TO_2000),
    (IMG, "prompt", [5], "[5]", TO_2000),
    (TXT, "prompt", "x" * 2001, "2,001 characters", NEEDED_TO_2000),
    (TXT, "prompt", " \n", r"' \n'", NEEDED_TO_2000),
    (REF, "prompt", "x" * 2001, "2,001 characters", NEEDED_TO_2000),
    (REF, "prompt", "", "''", NEEDED_TO_2000),
    (PAIR, "prompt", "x" * 2001, "2,001 characters", TO_2000),
    (EXTEND, "prompt", b"x", "b'x'", "a string"),
    (MV, "prompt", "x" * 3001, "3,001 characters", "a string of at most 3,000 characters"),
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
        "a data URI of 10,485,761 bytes",
        f"{URL_OR_DATA} of at most 10,485,760 decoded bytes",
    ),
    (EXTEND, "video_url", DATA, "a data URI of 30 characters ('data:image/png;base64')", A_URL),
    (LIPS, "ref_photo_url", "a.png", "'a.png'", A_URL),
    (LIPS, "audio_url", DATA, "a data URI of 30 characters ('data:image/png;base64')", A_URL),
    (LIPS, "text", "abc", "3 units", SPEECH),
    (LIPS, "text", "你a", "3 units", SPEECH),
    (LIPS, "text", "x" * 2001, "2,001 units", SPEECH),
    (LIPS, "text", "字" * 1000 + "x", "2,001 units", SPEECH),
    (LIPS, "text", "abc<#1#>", "3 units", SPEECH),
    (LIPS, "text", "four<#0#>", "the pause <#0#>", SPEECH),
    (LIPS, "text", "four<#0.00#>", "the pause <#0.00#>", SPEECH),
    (LIPS, "text", "four<#100#>", "the pause <#100#>", SPEECH),
    (LIPS, "text", "four<#0.005#>", "the pause <#0.005#>", SPEECH),
    (LIPS, "text", "four<#soon#>", "the pause <#soon#>", SPEECH),
    (LIPS, "text", f"four<#{'9' * 99}#>", f"the pause <#{'9' * 20}#>", SPEECH),
    (LIPS, "text", [4], "[4]", SPEECH),
    (LIPS, "speed", 0.49, "0.49", "a number from 0.5 to 2 (default 1)"),
    (LIPS, "speed", 2.01, "2.01", "a number from 0.5 to 2 (default 1)"),
    (LIPS, "volume", -1, "-1", "a number from 0 to 10 (default 0)"),
    (LIPS, "volume", 10.5, "10.5", "a number from 0 to 10 (default 0)"),
    (MV, "language", "de", "'de'", "one of en, zh"),
    (MV, "srt_url", "a.srt", "'a.srt'", A_URL),
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
    (REF, "subjects", [{"id": []}], "a subject without an id: {'voice_id': '', 'id': []}", SUBJECTS),
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
    (problem,) = problems(vidu_type, model, {**least, name: value})
    assert problem == f"{name} must be {allowed}, got {given_text} ({vidu_type} with {model}; source: {source})"
    with pytest.raises(ViduRequestError) as caught:
        build(vidu_type, model, {**least, name: value})
    assert str(caught.value) == f"{problem}. Nothing was sent or paid. Correct the arguments."


@pytest.mark.parametrize(
    ("vidu_type", "model", "values", "found"),
    [
        ("img2video", "viduq2-pro", {}, [f"first_frame_url must be {URL_OR_DATA}, got nothing"]),
        ("text2video", "viduq2", {}, [f"prompt must be {NEEDED_TO_2000}, got nothing"]),
        (
            "reference2video",
            "viduq2",
            {},
            [
                f"prompt must be {NEEDED_TO_2000}, got nothing",
                "subjects or images must be given, got neither",
            ],
        ),
        (
            "reference2video",
            "viduq2",
            {"prompt": "p", "subjects": [subject()], "images": [FRAME]},
            ["only one of subjects and images may be given, got both"],
        ),
        (
            "reference2video",
            "viduq2",
            {"prompt": "p", "images": [FRAME], "audio": True},
            ["audio must be False or omitted unless subjects are given, got True"],
        ),
        (
            "start-end2video",
            "viduq2-pro",
            {},
            [f"{name} must be {URL_OR_DATA}, got nothing" for name in ("first_frame_url", "last_frame_url")],
        ),
        ("extend", "viduq2-pro", {}, [f"video_url must be {A_URL}, got nothing"]),
        (
            "lip-sync",
            "vidu-lip-sync",
            {"video_url": VIDEO},
            ["audio_url or text must be given, got neither"],
        ),
        ("lip-sync", "vidu-lip-sync", {"video_url": VIDEO, "audio_url": SOUND}, []),
        ("lip-sync", "vidu-lip-sync", {"video_url": VIDEO, "audio_url": SOUND, "text": "Hello"}, []),
        (
            "one-click/mv",
            "vidu-mv",
            {},
            [
                f"images must be {IMAGES}, got nothing",
                f"audio_url must be {URL_OR_DATA}, got nothing",
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
    assert re.findall(r"(\w+) (?:is not|must be) ", told) == ["voice_id", "prompt", "duration", "bgm"]
