# SPDX-License-Identifier: Apache-2.0
"""What a text is, and how a value is shown in one. It stands apart from the fields, since all modules need it."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

_DATA_URI = r"(?i:data:[\w.+-]+/[\w.+-]+;base64)(?=,)"
# A store's connection id, as in s3://conn@bucket, is no secret.
_USERINFO = r"(?i)(\b(?:https?|socks[45]?h?|ftp)://)[^/\s@'\"]+(?::[^/\s'\"]*)?@"
# The parameters of presigned URLs of S3, Google, Azure, Aliyun, Tencent, UCloud and CDNs.
_HIDDEN_VALUES = (
    r"(?i)([?&;](?:x-(?:amz|goog|oss|cos)-(?:signature|credential|security-token)|(?:aws|oss|google)?access(?:key)?_?id"
    r"|(?:access_?|auth_?|security-?)?token|signature|sig|sign|ucloudpublickey|q-(?:signature|ak)|api_?key|key|password"
    r"|secret)=)[^&#;\s'\"]+"
)
_SHOWN_CHARACTERS = 80
_SHOWN_TEXTS = 5


def shown(value: Any) -> str:
    """
    Show a value in an error text: short, and never the content of a data URI.

    :param value: any value.
    :return: its representation, cut where it is long.
    """
    if looks_like_data_uri(value):
        head = re.match(_DATA_URI, value)
        return f"a data URI of {len(value):,} characters" + (f" ({head[0]!r})" if head else "")
    try:
        text = without_secrets(repr(value))
    except (ValueError, RecursionError):  # an integer of over 4,300 digits; a list in a list in a list …
        return f"a {type(value).__name__} that is too large to show"
    if "data:" in text[: 10 * _SHOWN_CHARACTERS].lower():
        return f"a {type(value).__name__} that holds a data URI"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}… ({len(text):,} characters)"


def without_secrets(text: str) -> str:
    """
    Hide what lets a reader of a URL open it or log in with it: signatures, tokens, key ids, user and password.

    :param text: a URL, or a text that holds some.
    :return: the same with ``***`` in place of these values.
    """
    return re.sub(_HIDDEN_VALUES, r"\1***", re.sub(_USERINFO, r"\1***@", text))


def one_line(text: str) -> str:
    """
    Escape what would begin another line of a log or steer a terminal.

    :param text: a text from outside, such as an exception's.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def named(error: BaseException) -> str:
    """
    Name what a library raised, in one line without the secrets of URLs and without a full stop.

    :param error: what it raised.
    """
    return f"{type(error).__name__}: {one_line(without_secrets(str(error))).rstrip('.')}"


def few(texts: Collection[str], separator: str = ", ") -> str:
    """
    Show the first few of many texts.

    :param texts: all of them.
    :param separator: what stands between two.
    """
    return separator.join([*islice(texts, _SHOWN_TEXTS), *["…"] * (len(texts) > _SHOWN_TEXTS)])


def looks_like_data_uri(value: Any) -> bool:
    """Whether a value is meant as a data URI, well-formed or not."""
    return isinstance(value, str) and re.match(r"\s*data:\S", value, re.IGNORECASE) is not None


def is_url(value: Any) -> bool:
    """Whether a value is an http(s) URL with a host."""
    return isinstance(value, str) and re.match(r"https?://[^/\s]", value, re.IGNORECASE) is not None


def is_usable_url(value: str) -> bool:
    """
    Check whether an http(s) URL leads to a host at all, as every HTTP library reads it.

    :param value: an http(s) URL.
    """
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
        is_good = parts.port != 0 and all(0 < len(label) < 64 for label in host.removesuffix(".").split("."))
    except ValueError:
        return False
    # User and password may be quoted, the host may not.
    return is_good and value.isprintable() and not re.search(r"[\s%]", parts.netloc.rpartition("@")[2])


def plain_url(url: str) -> str:
    """
    Read a link as a browser does: without blanks around it, line feeds and tabs in it, and with slashes only.

    A ``%`` that quotes nothing is quoted itself: HTTP libraries would take it for a sign that nothing in the URL is
    quoted, and quote the rest, its signature included, twice.

    :param url: an http(s) URL, whole or relative to another one. Source: the URL standard of WHATWG.
    """
    url = re.sub(r"[\t\r\n]", "", url.strip("".join(map(chr, range(33)))))
    before, mark, after = url.partition("?")
    return re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", before.replace("\\", "/") + mark + after)


def is_data_uri(value: Any) -> bool:
    """Whether a value is a base64 data URI."""
    return isinstance(value, str) and re.match(_DATA_URI, value) is not None


def data_uri_bytes(value: str) -> int:
    """How many bytes the base64 of a data URI stands for."""
    encoded = value.partition(",")[2]
    return len(encoded) * 3 // 4 - encoded[-2:].count("=")
