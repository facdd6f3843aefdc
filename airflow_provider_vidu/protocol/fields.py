# SPDX-License-Identifier: Apache-2.0
"""Fields of a request: their kinds, their limits and the checks of their values."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

from airflow_provider_vidu.protocol.texts import (
    bare_url,
    brief,
    data_uri_bytes,
    is_data_uri,
    is_missing,
    is_url,
    is_usable_url,
)

# Compiled at first use, because most patterns serve errors, and Airflow parses DAG files again and again.
_HAN = r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]"
_PAUSE = r"<#(.*?)#>"
_MAX_REFERENCE_IMAGES = 3
_INFINITE = 1e300


class Kind(str, Enum):
    """The shape of a field's value."""

    TEXT = "a string"
    SPEECH = "a string to be spoken"
    INTEGER = "a whole number"
    NUMBER = "a number"
    BOOLEAN = "true or false"
    URL = "an http(s) URL"
    MEDIA = "an http(s) URL or a data URI"
    IMAGES = "a list of images, each an http(s) URL or a data URI"
    SUBJECTS = "a list of subjects"


_TEXTS = (Kind.TEXT, Kind.SPEECH)
FILE_KINDS = frozenset({Kind.MEDIA, Kind.IMAGES, Kind.SUBJECTS})
"""Kinds of fields in which a file may replace a URL; the worker reads it and sends a data URI."""


class Field(NamedTuple):
    """
    The API's rules for one field.

    A limit that is ``None`` or empty is unknown, and the field does not check it.

    :param name: the API's name of the field.
    :param kind: the shape of its value.
    :param section: the part of the body that contains the field, ``input`` or ``parameters``.
    :param required: whether a request must have the field.
    :param default: value that the API assumes if a request omits the field.
    :param choices: the allowed values.
    :param low: lowest value, fewest units of a spoken text, or fewest items of a list.
    :param high: highest value, most characters or units of a text, or most items of a list.
    :param no_effect: reason why the field has no effect, empty if it has one. The operator still sends such a field and
        logs a warning.
    :param max_data_bytes: highest decoded size of a data URI in bytes.
    """

    name: str
    kind: Kind
    section: str = "parameters"
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    no_effect: str = ""
    max_data_bytes: int | None = None

    def coerce(self, value: Any) -> Any:
        """
        Convert a rendered template to the type of the field.

        A template renders numbers, booleans and (with ``| tojson``) lists as texts. With native rendering, Airflow
        turns a text that looks like a number or a boolean into one.

        :param value: the value from the author or a template.
        :return: an ``int``, ``float``, ``bool`` or ``list`` if the field is one and the text spells one. A text if the
            field is one and the value is a number or a boolean. Any other value stays unchanged.
        """
        if self.kind in _TEXTS and isinstance(value, (bool, int, float)):
            return str(value)
        if isinstance(value, Decimal) and self.kind in (Kind.INTEGER, Kind.NUMBER) and value.is_finite():
            # Databases return it for a column NUMERIC.
            return int(value) if value == value.to_integral_value() else float(value)
        if self.kind in (Kind.IMAGES, Kind.SUBJECTS):
            value = listed(value.strip(), value) if isinstance(value, str) else value
            return [_named_by_texts(bare_url(one)) for one in value] if isinstance(value, (list, tuple)) else value
        if not isinstance(value, str):
            return value
        text = value.strip()
        if self.kind in (Kind.URL, Kind.MEDIA):
            return bare_url(value)
        if self.kind is Kind.BOOLEAN:
            return {"true": True, "false": False}.get(text.lower(), value)
        if self.kind is Kind.INTEGER and re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
            return int(text)
        if self.kind is Kind.NUMBER and re.fullmatch(r"[+-]?(\d{1,18}(\.\d{0,18})?|\.\d{1,18})", text, re.ASCII):
            return float(text)
        return value

    def problem(self, value: Any) -> str | None:
        """
        Check a value.

        :param value: the value, already converted by :meth:`coerce`.
        :return: ``None`` if the API accepts it; otherwise a sentence with the rule and the value, without a full stop.
        """
        fault = _FAULTS[self.kind](self, value)
        # A template without the filter renders a list as Python's own notation, which is not JSON.
        is_written = (
            isinstance(value, str) and self.kind in (Kind.IMAGES, Kind.SUBJECTS) and re.match(r"\s*[\[{]", value)
        )
        hint = ", as a template with | tojson renders it" if is_written else ""
        return f"{self.name} must be {self.allowed}{hint}, got {fault}" if fault else None

    @property
    def allowed(self) -> str:
        """The rule for the field's value, as it follows "must be" in an error."""
        if self.choices:
            text = "one of " + ", ".join(self.choices)
        elif self.kind is Kind.TEXT and self.high is not None:
            text = f"a {'non-blank ' if self.required else ''}string of at most {self.high:,.0f} characters"
        elif self.kind is Kind.SPEECH:
            text = (
                f"a string of {self.low:,.0f} to {self.high:,.0f} units (a Han character counts as two) with pauses "
                "from <#0.01#> to <#99.99#> seconds"
            )
        elif self.kind is Kind.SUBJECTS:
            text = (
                f"a list of {self.low} to {self.high} subjects, each {{'id': string, 'images': 1 to "
                f"{_MAX_REFERENCE_IMAGES} images, 'voice_id': string}} without other keys"
            )
        elif self.kind is Kind.IMAGES:
            text = f"a list of {self.low} to {self.high} images, each an http(s) URL or a data URI"
        elif self.kind is Kind.URL:
            text = f"{self.kind.value} or the URI of a file in an object store"
        elif self.max_data_bytes is not None:
            text = f"{self.kind.value} of at most {self.max_data_bytes:,} decoded bytes"
        elif self.low is not None:
            text = f"{self.kind.value} from {self.low:g} to {self.high:g}"
        else:
            text = self.kind.value
        return text if self.default is None else f"{text} (default {_spelled(self.default)})"


def _named_by_texts(subject: Any) -> Any:
    """Clean a subject's URLs, and convert its id and voice id to texts if native rendering made them numbers."""
    if isinstance(subject, str):
        subject = listed(subject.strip(), subject)
    if not isinstance(subject, dict):
        return subject
    if isinstance(subject.get("images"), (list, tuple)):
        subject = subject | {"images": [bare_url(one) for one in subject["images"]]}
    names = {name: subject[name] for name in ("id", "voice_id") if isinstance(subject.get(name), (int, float))}
    return subject | {name: str(value) for name, value in names.items()}


def listed(text: str, otherwise: Any) -> Any:
    """
    Parse a JSON text of a list or a mapping, as ``| tojson`` renders it.

    :param text: the text.
    :param otherwise: value to return for any other text.
    """
    if not text.startswith(("[", "{")):
        return otherwise
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return otherwise


def spoken_units(text: str) -> int:
    """
    Count the units of a spoken text.

    A Han character counts as two units, any other character as one and a pause as none. The documentation does not say
    whether the API counts pauses. Without them, the limit never refuses a text that the API accepts as short enough.

    :param text: the text.
    """
    plain = re.sub(_PAUSE, "", text)
    return len(plain) + len(re.findall(_HAN, plain))


def _spelled(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _no_text(value: Any) -> str | None:
    if not isinstance(value, str):
        return brief(value)
    return f"{brief(value)}, as a template renders a missing value" if is_missing(value) else None


def _text(field: Field, value: Any) -> str | None:
    if fault := _no_text(value):
        return fault
    if field.choices and value not in field.choices:
        return brief(value)
    if field.required and not value.strip():
        return brief(value)
    if field.high is not None and len(value) > field.high:
        return f"{len(value):,} characters"
    return None


def _speech(field: Field, value: Any) -> str | None:
    if fault := _no_text(value):
        return fault
    for pause in re.findall(_PAUSE, value):
        if not re.fullmatch(r"\d{1,2}(\.\d{1,2})?", pause, re.ASCII) or not 0.01 <= float(pause) <= 99.99:
            return f"the pause <#{pause[:20]}#>"
    units = spoken_units(value)
    if (field.low is not None and units < field.low) or (field.high is not None and units > field.high):
        return f"{units:,} units"
    return None


def _number(field: Field, value: Any) -> str | None:
    types = int if field.kind is Kind.INTEGER else (int, float)
    if isinstance(value, bool) or not isinstance(value, types):
        return brief(value)
    # Every comparison with NaN is false, so this form refuses NaN, too.
    in_range = (field.low is None or value >= field.low) and (field.high is None or value <= field.high)
    return None if in_range and abs(value) < _INFINITE else brief(value)


def _boolean(field: Field, value: Any) -> str | None:
    return None if isinstance(value, bool) else brief(value)


def _url(field: Field, value: Any) -> str | None:
    return None if is_url(value) and is_usable_url(value) else brief(value)


def _media(field: Field, value: Any) -> str | None:
    if is_url(value):
        return None if is_usable_url(value) else brief(value)
    if not is_data_uri(value):
        return brief(value)
    if field.max_data_bytes is not None and data_uri_bytes(value) > field.max_data_bytes:
        return f"a data URI of {data_uri_bytes(value):,} bytes"
    return None


def _images(field: Field, value: Any) -> str | None:
    if not isinstance(value, (list, tuple)):
        return brief(value)
    if (field.low is not None and len(value) < field.low) or (field.high is not None and len(value) > field.high):
        return f"{len(value)} images"
    return next((fault for item in value if (fault := _media(field, item))), None)


def _subjects(field: Field, value: Any) -> str | None:
    if not isinstance(value, (list, tuple)):
        return brief(value)
    if (field.low is not None and len(value) < field.low) or (field.high is not None and len(value) > field.high):
        return f"{len(value)} subjects"
    for subject in value:
        if not isinstance(subject, dict) or not isinstance(subject.get("id"), str) or not subject["id"]:
            return f"a subject without an id: {brief(subject)}"
        label = f"subject {brief(subject['id'])}"
        extra = subject.keys() - {"id", "images", "voice_id"}
        if extra:
            return f"{label} with the key {brief(min(extra, key=str))}"
        images = subject.get("images")
        if not isinstance(images, (list, tuple)) or not 1 <= len(images) <= _MAX_REFERENCE_IMAGES:
            return f"{label} with {len(images) if isinstance(images, (list, tuple)) else brief(images)} images"
        fault = next((fault for item in images if (fault := _media(field, item))), None)
        if fault:
            return f"{label} with {fault} as an image"
        if not isinstance(subject.get("voice_id", ""), str):
            return f"{label} with the voice_id {brief(subject['voice_id'])}"
    return None


_FAULTS = {
    Kind.TEXT: _text,
    Kind.SPEECH: _speech,
    Kind.INTEGER: _number,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.URL: _url,
    Kind.MEDIA: _media,
    Kind.IMAGES: _images,
    Kind.SUBJECTS: _subjects,
}
