# SPDX-License-Identifier: Apache-2.0
"""Values that come from outside, read without trusting any of them: bounded, and of the type they should be."""

from __future__ import annotations

import re
from itertools import islice

from airflow_provider_vidu.protocol.texts import plain_url

_MAX_URLS = 100
_LONGEST_URL = 8192
_LONGEST_ID = 256
_LONGEST_QUOTE = 300


def identifier(value: object) -> str:
    """
    Read an id that a server or a template gave.

    :param value: a text, perhaps with blanks around it, or a number.
    :return: the id, empty if there is none: no text of over 256 characters or with one that cannot be printed is an id.
    """
    text = plain(value)
    return text if len(text) <= _LONGEST_ID and text.isprintable() else ""


def plain(value: object) -> str:
    """Read a text without the blanks around it, or a whole number as one; anything else is empty."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**30 else ""


def number(value: object) -> float | None:
    """Read a number that a database and a calendar can hold; anything else is ``None``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) < 10**15 else None


def urls_in(value: object) -> tuple[str, ...]:
    """Read a list of URLs as a browser would; what is too long or too much is left out."""
    urls = (plain_url(url) for url in (value if isinstance(value, list) else ()) if isinstance(url, str))
    return tuple(islice((url for url in urls if 0 < len(url) <= _LONGEST_URL), _MAX_URLS))


def moment(value: object) -> float | None:
    """Read epoch seconds. Some servers write 0 or a text for a time that they do not know."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,12}", value, re.ASCII):
        value = int(value)
    seconds = number(value)
    return seconds if seconds is not None and seconds > 0 else None


def quote(value: object) -> str:
    """Read a text for people: in one line, of bounded length, without what cannot be printed."""
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not text.isprintable():
        text = "".join(character for character in text if character.isprintable())
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"
