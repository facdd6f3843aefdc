# SPDX-License-Identifier: Apache-2.0
"""
Readers of untrusted values.

Each reader bounds the size of a value and checks its type.
"""

from __future__ import annotations

import re

from airflow_provider_vidu.protocol.texts import is_missing, without_secrets

_LONGEST_ID = 256
_LONGEST_QUOTE = 300
_LONGEST_SEARCHED = 10 * _LONGEST_QUOTE


def identifier(value: object) -> str:
    """
    Read an id from a server or a template.

    :param value: A text, perhaps with blanks around it, or a number.
    :return: The id, empty if the value is not an id. An id has at most 256 characters, all of them printable.
    """
    text = plain(value)
    return text if len(text) <= _LONGEST_ID and text.isprintable() and not is_missing(text) else ""


def plain(value: object) -> str:
    """
    Read a text without the blanks around it, or a whole number as a text.

    Anything else becomes an empty text.
    """
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**30 else ""


def number(value: object) -> float | None:
    """
    Read a number that a database and a calendar can hold.

    Anything else becomes ``None``.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) < 10**15 else None


def moment(value: object) -> float | None:
    """
    Read epoch seconds.

    Some servers write the number as a text, or write 0 or a word for an unknown time. An unknown time becomes ``None``.
    """
    if isinstance(value, str) and re.fullmatch(r"\d{1,12}", value, re.ASCII):
        value = int(value)
    seconds = number(value)
    return seconds if seconds is not None and seconds > 0 else None


def quote(value: object) -> str:
    """
    Read a text for people.

    The result is one line of at most 300 printable characters, plus an ellipsis if it was cut. It hides the secrets of
    URLs, which a server may quote from the request.
    """
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not text.isprintable():
        text = "".join(character for character in text if character.isprintable())
    # The time of the search grows faster than the text, which may be long.
    text = without_secrets(text[:_LONGEST_SEARCHED])
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"
