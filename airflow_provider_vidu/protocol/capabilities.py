# SPDX-License-Identifier: Apache-2.0
"""
The capability table: the fields and limits of each pair of ``vidu_type`` and model.

The rows have two sources, ``SPECIFICATION`` and ``DOCUMENTATION``; the former takes precedence. A change of the API's
pages changes one row here and one sample in the tests. Prices and times are in ``prices``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from airflow_provider_vidu.protocol.fields import Field, Kind

SPECIFICATION = "the Vidu/Img2Video specification of ModelVerse"
DOCUMENTATION = "github.com/UCloudDoc-Team/modelverse, api_doc/video_api/vidu, as of 2026-04-15"
_BOTH = f"{SPECIFICATION}; {DOCUMENTATION}"

MAX_BODY_BYTES = 20 * 1024 * 1024
"""Documented for one-click/mv. It applies to all types, because no type documents a higher limit."""
LARGE_IMAGE_BYTES = 10 * 1024 * 1024
"""Decoded size above which a log line recommends a URL for an image: no base64 limit is documented."""
MAX_IMAGE_BYTES = 50 * 1024 * 1024
IMAGE_FORMATS = ("png", "jpeg", "webp")
IMAGE_RATIO = (1 / 4, 4.0)
"""Lowest and highest width divided by height."""
FRAME_PAIR_RATIO = (0.8, 1.25)
"""Lowest and highest resolution of the first frame divided by that of the last (start-end2video)."""
MIN_REFERENCE_SIDE = 128
"""Minimum width and height, in pixels, of a reference2video image."""


class Capability(NamedTuple):
    """
    One row of the table.

    :param vidu_type: type of the job.
    :param model: name of the model.
    :param fields: the allowed fields by name.
    :param source: document that defines the row.
    :param one_of: groups of fields; a request needs at least one field of each group.
    :param exclusive: whether a request must not have more than one field of a group.
    """

    vidu_type: str
    model: str
    fields: Mapping[str, Field]
    source: str
    one_of: tuple[tuple[str, ...], ...] = ()
    exclusive: bool = False


_RATIOS = ("16:9", "9:16", "4:3", "3:4", "1:1")
_HD = ("540p", "720p", "1080p")
_FAST = ("720p", "1080p")

_PROMPT = Field(name="prompt", kind=Kind.TEXT, section="input", high=2000)
_NEEDED_PROMPT = _PROMPT._replace(required=True)
_FIRST_FRAME = Field(name="first_frame_url", kind=Kind.MEDIA, section="input", required=True)
_LAST_FRAME = Field(name="last_frame_url", kind=Kind.MEDIA, section="input", required=True)
_VIDEO = Field(name="video_url", kind=Kind.URL, section="input", required=True)
_DURATION = Field(name="duration", kind=Kind.INTEGER, low=1, high=10, default=5)
_SEED = Field(name="seed", kind=Kind.INTEGER)
_RESOLUTION = Field(name="resolution", kind=Kind.TEXT, choices=_HD, default="720p")
_ASPECT = Field(name="aspect_ratio", kind=Kind.TEXT, choices=_RATIOS, default="16:9")
_AMPLITUDE = Field(name="movement_amplitude", kind=Kind.TEXT)
_IMG_AMPLITUDE = _AMPLITUDE._replace(choices=("auto", "small", "medium", "large"), default="auto")
_BGM = Field(name="bgm", kind=Kind.BOOLEAN)
_IMG_BGM = _BGM._replace(default=False)
_AUDIO = Field(name="audio", kind=Kind.BOOLEAN, default=False)
_VOICE = Field(name="voice_id", kind=Kind.TEXT)
_IMAGES = Field(name="images", kind=Kind.IMAGES, section="input", low=1, high=7)


def _row(vidu_type: str, model: str, *fields: Field, source: str = DOCUMENTATION, **rest: Any) -> Capability:
    return Capability(vidu_type, model, {field.name: field for field in fields}, source, **rest)


def _img2video(model: str, resolutions: tuple[str, ...], *, source: str = DOCUMENTATION) -> Capability:
    q3 = model.startswith("viduq3")
    common = (
        _FIRST_FRAME,
        _PROMPT,
        _SEED,
        _IMG_AMPLITUDE._replace(no_effect=f"{model} ignores it"),
        _IMG_BGM._replace(no_effect=f"{model} ignores it" if q3 else ""),
        _AUDIO._replace(default=q3, no_effect=f"{model} always adds audio" if q3 else ""),
        _VOICE._replace(no_effect=f"{model} ignores it" if q3 else ""),
        _DURATION._replace(high=16 if q3 else 10),
        _RESOLUTION._replace(choices=resolutions),
    )
    return _row("img2video", model, *common, source=source)


def _older_img2video(model: str, resolutions: tuple[str, ...]) -> Capability:
    resolution = _RESOLUTION._replace(choices=resolutions, default=None)
    duration = _DURATION._replace(low=None, high=None, default=None)
    fields = (_FIRST_FRAME, _PROMPT, _SEED, _IMG_AMPLITUDE, _IMG_BGM, _AUDIO, _VOICE, duration, resolution)
    return _row("img2video", model, *fields, source=SPECIFICATION)


def _start_end(model: str, resolutions: tuple[str, ...]) -> Capability:
    limits = {"low": None, "high": None, "default": None} if model.startswith("viduq3") else {"high": 8}
    fields = (
        _FIRST_FRAME,
        _LAST_FRAME,
        _PROMPT,
        _SEED,
        _AMPLITUDE,
        _BGM,
        _DURATION._replace(**limits),
        _RESOLUTION._replace(choices=resolutions),
    )
    return _row("start-end2video", model, *fields)


def _extend(model: str) -> Capability:
    last_frame = _LAST_FRAME._replace(required=False, max_data_bytes=LARGE_IMAGE_BYTES)
    prompt = _PROMPT._replace(high=None)
    return _row("extend", model, _VIDEO, last_frame, prompt, _DURATION._replace(high=7), _RESOLUTION)


def _mv(model: str) -> Capability:
    fields = (
        _IMAGES._replace(required=True),
        Field(name="audio_url", kind=Kind.MEDIA, section="input", required=True),
        _PROMPT._replace(high=3000),
        _ASPECT,
        _RESOLUTION,
        Field(name="add_subtitle", kind=Kind.BOOLEAN, default=False),
        Field(name="language", kind=Kind.TEXT, choices=("en", "zh")),
        Field(name="srt_url", kind=Kind.URL),
    )
    return _row("one-click/mv", model, *fields)


_ROWS = (
    _img2video("viduq2-pro", ("360p", *_HD), source=_BOTH),
    _img2video("viduq2-turbo", ("360p", *_HD), source=_BOTH),
    _img2video("viduq2-pro-fast", _FAST),
    _img2video("viduq3-pro", ("360p", *_HD, "2K")),
    _older_img2video("viduq1", ("1080p",)),
    _older_img2video("vidu2.0", ("360p", "720p", "1080p")),
    _older_img2video("vidu1.5", ("360p", "720p", "1080p")),
    _row(
        "text2video",
        "viduq2",
        *(_NEEDED_PROMPT, _DURATION, _SEED, _ASPECT, _RESOLUTION),
        *(Field(name="guidance_scale", kind=Kind.NUMBER), _BGM),
    ),
    _row(
        "reference2video",
        "viduq2",
        _NEEDED_PROMPT,
        Field(name="subjects", kind=Kind.SUBJECTS, section="input", low=1, high=7),
        *(_IMAGES, _DURATION, _SEED, _ASPECT, _RESOLUTION),
        _AMPLITUDE._replace(no_effect="viduq2 does not support it"),
        *(_BGM, _AUDIO._replace(default=None)),
        one_of=(("subjects", "images"),),
        exclusive=True,
    ),
    _start_end("viduq2-pro", _HD),
    _start_end("viduq2-turbo", _HD),
    _start_end("viduq2-pro-fast", _FAST),
    _start_end("viduq3-pro", _HD),
    _extend("viduq2-turbo"),
    _extend("viduq2-pro"),
    _row(
        "lip-sync",
        "vidu-lip-sync",
        _VIDEO,
        Field(name="audio_url", kind=Kind.URL, section="input"),
        Field(name="text", kind=Kind.SPEECH, section="input", low=4, high=2000),
        Field(name="ref_photo_url", kind=Kind.URL, section="input"),
        Field(name="speed", kind=Kind.NUMBER, low=0.5, high=2, default=1),
        _VOICE,
        Field(name="volume", kind=Kind.NUMBER, low=0, high=10, default=0),
        one_of=(("audio_url", "text"),),
    ),
    _mv("vidu-mv"),
    _mv("vidu-one-click-mv"),
)

CAPABILITIES: Mapping[tuple[str, str], Capability] = {(row.vidu_type, row.model): row for row in _ROWS}
FIELDS: Mapping[str, Field] = {name: field for row in reversed(_ROWS) for name, field in row.fields.items()}
"""Every field by its name, from its first row. All rows agree on the section of a field."""


def find(vidu_type: str, model: str) -> Capability | None:
    """
    Return the row of a pair.

    :param vidu_type: type of the job.
    :param model: name of the model.
    :return: ``None`` if the table does not know the pair; the operator sends such a request unchecked.
    """
    return CAPABILITIES.get((vidu_type, model))


def kinds_of(vidu_type: Any, model: Any, name: str) -> set[Kind]:
    """
    Return the kind of a field's value.

    :param vidu_type: type of the job.
    :param model: name of the model.
    :param name: name of the field.
    :return: the kind in the pair's row. For a pair that the table does not know, the kinds in all rows.
    """
    row = CAPABILITIES.get((vidu_type, model))
    return {found.fields[name].kind for found in ((row,) if row else _ROWS) if name in found.fields}


def fields_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the fields of a submit body.

    :param body: ``{"model", "input": {…}, "parameters": {"vidu_type", …}}``.
    :return: the fields of both sections by name, without ``vidu_type``.
    """
    merged = {**body.get("input", {}), **body.get("parameters", {})}
    merged.pop("vidu_type", None)
    return merged


def row_of(body: Mapping[str, Any]) -> Capability | None:
    """Return the row of a submit body, ``None`` if the table does not know its pair."""
    return find(body.get("parameters", {}).get("vidu_type", ""), body.get("model", ""))


def meant(vidu_type: str, model: str) -> Capability | None:
    """
    Return the row of a pair that differs in upper and lower case alone.

    :param vidu_type: type of the job.
    :param model: name of the model.
    :return: ``None`` if there is none.
    """
    names = vidu_type.casefold(), model.casefold()
    return next((row for row in _ROWS if (row.vidu_type.casefold(), row.model.casefold()) == names), None)


def check(body: Mapping[str, Any], *, unknown_yet: Collection[str] = ()) -> list[str]:
    """
    Check a submit body against the table.

    :param body: ``{"model", "input": {…}, "parameters": {"vidu_type", …}}``.
    :param unknown_yet: fields that this body omits, because their values are supplied later.
    :return: one sentence for each problem, with rule, value and source; none if the table does not know the pair.
    """
    row = row_of(body)
    if row is None:
        return []
    return [
        f"{problem} ({row.vidu_type} with {row.model}; source: {row.source})"
        for problem in _problems(row, body, unknown_yet)
    ]


def _problems(row: Capability, body: Mapping[str, Any], unknown_yet: Collection[str]) -> Iterator[str]:
    values = fields_of(body)
    given = values.keys() | set(unknown_yet)
    for field in row.fields.values():
        if field.name in values:
            if problem := field.problem(values[field.name]):
                yield problem
        elif field.required and field.name not in given:
            yield f"{field.name} must be {field.allowed}, got nothing"
    for group in row.one_of:
        members = [name for name in group if name in given]
        if not members:
            yield f"{' or '.join(group)} must be given, got neither"
        elif len(members) > 1 and row.exclusive:
            yield f"only one of {' and '.join(members)} may be given, got both"
    if row.vidu_type == "reference2video" and values.get("audio") is True and "images" in given:
        yield "audio must be False or omitted unless subjects are given, got True"
