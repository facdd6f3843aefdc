# SPDX-License-Identifier: Apache-2.0
"""The capability table, compared with what the API's pages say, written down here a second time."""

from __future__ import annotations

import pytest

from airflow_provider_vidu.protocol import capabilities
from airflow_provider_vidu.protocol.capabilities import CAPABILITIES, FIELDS, check, fields_of, find, kinds_of
from airflow_provider_vidu.protocol.fields import FILE_KINDS, Kind
from airflow_provider_vidu.protocol.notes import notes
from airflow_provider_vidu.protocol.request import Request

HD = ("540p", "720p", "1080p")
RATIOS = ("16:9", "9:16", "4:3", "3:4", "1:1")
AMPLITUDES = ("auto", "small", "medium", "large")
# (required, optional) fields of input; names of parameters.
IMG = (
    {"first_frame_url"},
    {"prompt"},
    {"duration", "seed", "resolution", "movement_amplitude", "bgm", "audio", "voice_id"},
)
TEXT = ({"prompt"}, set(), {"duration", "seed", "aspect_ratio", "resolution", "guidance_scale", "bgm"})
REFERENCE = (
    {"prompt"},
    {"subjects", "images"},
    {"duration", "seed", "aspect_ratio", "resolution", "movement_amplitude", "bgm", "audio"},
)
START_END = (
    {"first_frame_url", "last_frame_url"},
    {"prompt"},
    {"duration", "seed", "resolution", "movement_amplitude", "bgm"},
)
EXTEND = ({"video_url"}, {"last_frame_url", "prompt"}, {"duration", "resolution"})
LIP_SYNC = ({"video_url"}, {"audio_url", "text", "ref_photo_url"}, {"speed", "voice_id", "volume"})
MV = ({"images", "audio_url"}, {"prompt"}, {"aspect_ratio", "resolution", "add_subtitle", "language", "srt_url"})

IMG_DEFAULTS = {"duration": 5, "resolution": "720p", "movement_amplitude": "auto", "bgm": False, "audio": False}
OLDER_DEFAULTS = {"movement_amplitude": "auto", "bgm": False, "audio": False}
TEXT_DEFAULTS = {"duration": 5, "resolution": "720p", "aspect_ratio": "16:9"}
EXTEND_DEFAULTS = START_END_DEFAULTS = {"duration": 5, "resolution": "720p"}
MV_DEFAULTS = {"aspect_ratio": "16:9", "resolution": "720p", "add_subtitle": False}

# (vidu_type, model): fields, (least, greatest) duration, resolutions, defaults
PAGES = {
    ("img2video", "viduq2-pro"): (IMG, (1, 10), ("360p", *HD), IMG_DEFAULTS),
    ("img2video", "viduq2-turbo"): (IMG, (1, 10), ("360p", *HD), IMG_DEFAULTS),
    ("img2video", "viduq2-pro-fast"): (IMG, (1, 10), ("720p", "1080p"), IMG_DEFAULTS),
    ("img2video", "viduq3-pro"): (IMG, (1, 16), ("360p", *HD, "2K"), {**IMG_DEFAULTS, "audio": True}),
    ("img2video", "viduq1"): (IMG, (None, None), ("1080p",), OLDER_DEFAULTS),
    ("img2video", "vidu2.0"): (IMG, (None, None), ("360p", "720p", "1080p"), OLDER_DEFAULTS),
    ("img2video", "vidu1.5"): (IMG, (None, None), ("360p", "720p", "1080p"), OLDER_DEFAULTS),
    ("text2video", "viduq2"): (TEXT, (1, 10), HD, TEXT_DEFAULTS),
    ("reference2video", "viduq2"): (REFERENCE, (1, 10), HD, TEXT_DEFAULTS),
    ("start-end2video", "viduq2-pro"): (START_END, (1, 8), HD, START_END_DEFAULTS),
    ("start-end2video", "viduq2-turbo"): (START_END, (1, 8), HD, START_END_DEFAULTS),
    ("start-end2video", "viduq2-pro-fast"): (START_END, (1, 8), ("720p", "1080p"), START_END_DEFAULTS),
    ("start-end2video", "viduq3-pro"): (START_END, (None, None), HD, {"resolution": "720p"}),
    ("extend", "viduq2-turbo"): (EXTEND, (1, 7), HD, EXTEND_DEFAULTS),
    ("extend", "viduq2-pro"): (EXTEND, (1, 7), HD, EXTEND_DEFAULTS),
    ("lip-sync", "vidu-lip-sync"): (LIP_SYNC, None, None, {"speed": 1, "volume": 0}),
    ("one-click/mv", "vidu-mv"): (MV, None, HD, MV_DEFAULTS),
    ("one-click/mv", "vidu-one-click-mv"): (MV, None, HD, MV_DEFAULTS),
}
PROMPT_LIMITS = {
    "img2video": 2000,
    "text2video": 2000,
    "reference2video": 2000,
    "start-end2video": 2000,
    "extend": None,
    "one-click/mv": 3000,
}


def test_the_table_holds_the_documented_pairs_and_no_other():
    assert set(CAPABILITIES) == set(PAGES)
    assert (
        *("img2video", "text2video", "reference2video", "start-end2video", "extend", "lip-sync", "one-click/mv"),
    ) == tuple(dict.fromkeys(vidu_type for vidu_type, _ in CAPABILITIES))


@pytest.mark.parametrize("pair", PAGES, ids="/".join)
def test_a_row_says_what_the_pages_say(pair):
    row, ((required, optional, parameters), duration, resolutions, defaults) = CAPABILITIES[pair], PAGES[pair]
    fields = row.fields.values()
    length, resolution = row.fields.get("duration"), row.fields.get("resolution")
    assert (row.vidu_type, row.model) == pair
    assert {field.name for field in fields if field.required} == required
    assert {field.name for field in fields if field.section == "input"} == required | optional
    assert {field.name for field in fields if field.section == "parameters"} == parameters
    assert (length and (length.low, length.high)) == duration
    assert (resolution and resolution.choices) == resolutions
    assert {field.name: field.default for field in fields if field.default is not None} == defaults


@pytest.mark.parametrize("row", CAPABILITIES.values(), ids=lambda row: f"{row.vidu_type}/{row.model}")
def test_a_field_has_the_same_values_in_all_rows_that_name_them(row):
    fields = row.fields
    if "prompt" in fields:
        assert (fields["prompt"].kind, fields["prompt"].high) == (Kind.TEXT, PROMPT_LIMITS[row.vidu_type])
    if "aspect_ratio" in fields:
        assert fields["aspect_ratio"].choices == RATIOS
    if "movement_amplitude" in fields:
        assert fields["movement_amplitude"].choices == (AMPLITUDES if row.vidu_type == "img2video" else ())
    if "seed" in fields:
        assert (fields["seed"].kind, fields["seed"].low, fields["seed"].high) == (Kind.INTEGER, None, None)
    if "images" in fields:
        assert (fields["images"].low, fields["images"].high) == (1, 7)


@pytest.mark.parametrize(
    ("pair", "name", "low", "high", "choices"),
    [
        (("reference2video", "viduq2"), "subjects", 1, 7, ()),
        (("lip-sync", "vidu-lip-sync"), "text", 4, 2000, ()),
        (("lip-sync", "vidu-lip-sync"), "speed", 0.5, 2, ()),
        (("lip-sync", "vidu-lip-sync"), "volume", 0, 10, ()),
        (("one-click/mv", "vidu-mv"), "language", None, None, ("en", "zh")),
        (("text2video", "viduq2"), "guidance_scale", None, None, ()),
    ],
)
def test_a_field_of_one_row_has_its_limits(pair, name, low, high, choices):
    field = CAPABILITIES[pair].fields[name]
    assert (field.low, field.high, field.choices) == (low, high, choices)


@pytest.mark.parametrize("row", CAPABILITIES.values(), ids=lambda row: f"{row.vidu_type}/{row.model}")
def test_a_row_names_its_source(row):
    specified = {"viduq1", "vidu2.0", "vidu1.5", "viduq2-pro", "viduq2-turbo"}
    by_specification = row.vidu_type == "img2video" and row.model in specified
    by_documentation = row.model not in ("viduq1", "vidu2.0", "vidu1.5")
    assert (capabilities.SPECIFICATION in row.source) is by_specification
    assert (capabilities.DOCUMENTATION in row.source) is by_documentation


def test_limits_of_files_are_the_documented_ones():
    assert (
        capabilities.MAX_BODY_BYTES,
        capabilities.LARGE_IMAGE_BYTES,
        capabilities.MAX_IMAGE_BYTES,
        capabilities.IMAGE_FORMATS,
        capabilities.IMAGE_RATIO,
        capabilities.FRAME_PAIR_RATIO,
        capabilities.MIN_REFERENCE_SIDE,
    ) == (20 * 2**20, 10 * 2**20, 50 * 2**20, ("png", "jpeg", "webp"), (0.25, 4), (0.8, 1.25), 128)


def test_no_two_rows_disagree_about_where_a_field_goes_or_how_its_text_is_read():
    spelled = (Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN)
    seen = {
        (name, field.section, field.kind in spelled)
        for row in CAPABILITIES.values()
        for name, field in row.fields.items()
    }
    assert seen == {(name, field.section, field.kind in spelled) for name, field in FIELDS.items()}


@pytest.mark.parametrize(
    ("pair", "takes"),
    [
        (("img2video", "viduq2-turbo"), {"first_frame_url"}),
        (("text2video", "viduq2"), set()),
        (("reference2video", "viduq2"), {"images", "subjects"}),
        (("start-end2video", "viduq2-pro"), {"first_frame_url", "last_frame_url"}),
        (("extend", "viduq2-pro"), {"last_frame_url"}),
        (("lip-sync", "vidu-lip-sync"), set()),
        (("one-click/mv", "vidu-mv"), {"images", "audio_url"}),
    ],
)
def test_files_stand_in_for_urls_only_where_data_uris_are_taken(pair, takes):
    assert {name for name, field in CAPABILITIES[pair].fields.items() if field.kind in FILE_KINDS} == takes


def test_a_field_has_the_kind_of_its_pair_and_for_unknown_pairs_that_of_any():
    assert kinds_of("lip-sync", "vidu-lip-sync", "audio_url") == {Kind.URL}
    assert kinds_of("one-click/mv", "vidu-mv", "audio_url") == {Kind.MEDIA}
    assert kinds_of("lip-sync", "vidu-lip-sync-2", "audio_url") == {Kind.URL, Kind.MEDIA}
    assert kinds_of("lip-sync", "vidu-lip-sync", "images") == set()
    assert kinds_of("lip-sync", "vidu-lip-sync-2", "shape_url") == set()


def test_a_pair_that_nobody_documented_is_not_found():
    assert find("text2video", "viduq3-pro") is None
    assert find("img2video", "viduq2-turbo") is CAPABILITIES["img2video", "viduq2-turbo"]


def body_of(vidu_type, model, inputs, **parameters):
    return {"model": model, "input": inputs, "parameters": {"vidu_type": vidu_type, **parameters}}


def test_the_fields_of_a_body_are_those_of_both_parts_without_the_type():
    body = body_of("img2video", "viduq2-turbo", {"first_frame_url": "u"}, seed=3)
    assert fields_of(body) == {"first_frame_url": "u", "seed": 3}
    assert fields_of({}) == {}


def test_check_leaves_an_unknown_pair_alone():
    assert check(body_of("img2video", "unknown-model", {}, duration="long")) == []
    assert check({}) == []


def test_check_names_every_problem_with_its_source():
    row = CAPABILITIES["img2video", "viduq2-turbo"]
    where = f"(img2video with viduq2-turbo; source: {row.source})"
    assert check(body_of("img2video", "viduq2-turbo", {}, duration=11)) == [
        f"first_frame_url must be an http(s) URL or a data URI, got nothing {where}",
        f"duration must be a whole number from 1 to 10 (default 5), got 11 {where}",
    ]


def subjects_of(prompt):
    subjects = [{"id": id_, "images": ["https://h/a.png"], "voice_id": ""} for id_ in ("cat", "cat2")]
    return body_of("reference2video", "viduq2", {"prompt": prompt, "subjects": subjects})


FRAME = {"first_frame_url": "https://h/a.png"}
Q2_AMPLITUDE = "movement_amplitude has no effect: viduq2-turbo ignores it."
SILENT = "voice_id has no effect without audio=True."


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (body_of("img2video", "viduq2-turbo", FRAME), []),
        (body_of("img2video", "viduq2-turbo", FRAME, movement_amplitude="auto"), [Q2_AMPLITUDE]),
        (body_of("img2video", "viduq2-turbo", FRAME, bgm=True, audio=True), []),
        (body_of("img2video", "viduq2-turbo", FRAME, audio=True, voice_id="v"), []),
        (body_of("img2video", "viduq2-turbo", FRAME, audio=False, voice_id="v"), [SILENT]),
        (body_of("img2video", "viduq2-turbo", FRAME, voice_id="v"), [SILENT]),
        (body_of("img2video", "viduq1", FRAME, movement_amplitude="auto", voice_id="v"), [SILENT]),
        (
            body_of("img2video", "viduq3-pro", FRAME, movement_amplitude="auto", bgm=True, audio=True, voice_id="v"),
            [
                "movement_amplitude has no effect: viduq3-pro ignores it.",
                "bgm has no effect: viduq3-pro ignores it.",
                "audio has no effect: viduq3-pro always adds audio.",
                "voice_id has no effect: viduq3-pro ignores it.",
            ],
        ),
        (
            body_of("reference2video", "viduq2", {"prompt": "p"}, movement_amplitude="large", voice_id="extra"),
            ["movement_amplitude has no effect: viduq2 does not support it."],
        ),
        (body_of("start-end2video", "viduq2-pro", {}, movement_amplitude="large", bgm=True), []),
        (body_of("lip-sync", "vidu-lip-sync", {"video_url": "u", "text": "four"}, speed=1, voice_id="v"), []),
        (
            body_of("lip-sync", "vidu-lip-sync", {"audio_url": "u", "text": "four"}, speed=1, voice_id="v", volume=1),
            [f"{name} has no effect: audio_url takes precedence." for name in ("text", "speed", "voice_id", "volume")],
        ),
        (body_of("lip-sync", "vidu-lip-sync", {"audio_url": "u"}), []),
        (subjects_of("@cat2 follows @cat, mail a@b.example"), []),
        (subjects_of("@cat追着@cat2跑"), []),
        (
            subjects_of("@dog chases @cat, then @dog rests with @bird"),
            [
                "prompt names @dog, which is no id of subjects: cat, cat2.",
                "prompt names @bird, which is no id of subjects: cat, cat2.",
            ],
        ),
        (
            body_of("img2video", "unknown-model", {}, movement_amplitude="auto"),
            [
                "Sending an unchecked request: this version does not know 'img2video' with 'unknown-model'. Known "
                f"models of this type: {', '.join(model for kind, model in CAPABILITIES if kind == 'img2video')}. If a "
                "name is mistyped, stop the task now: Vidu bills an accepted submit."
            ],
        ),
        (
            {},
            [
                "Sending an unchecked request: this version does not know None with None. Known types: img2video, "
                "text2video, reference2video, start-end2video, extend, lip-sync, one-click/mv. If a name is mistyped, "
                "stop the task now: Vidu bills an accepted submit."
            ],
        ),
    ],
)
def test_notes_name_what_changes_nothing_and_what_could_not_be_checked(body, expected):
    assert notes(body) == expected


@pytest.mark.parametrize(("vidu_type", "model"), [("text2video", "ViduQ2"), ("Text2Video", "viduq2")])
def test_a_name_with_other_capital_letters_is_refused(vidu_type, model):
    (problem,) = Request(vidu_type, model, {"prompt": "p"}).problems()
    assert problem == (
        "vidu_type and model must have the API's capital and small letters, text2video with viduq2, got "
        f"{vidu_type} with {model} (source: {find('text2video', 'viduq2').source})"
    )
