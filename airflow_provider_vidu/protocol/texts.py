# SPDX-License-Identifier: Apache-2.0
"""
Helpers for texts: URLs, data URIs, and values in errors and logs.

They have their own module, because all modules need them and few need the fields.
"""

from __future__ import annotations

import re
import string
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any
from urllib.parse import quote, urlsplit

_DATA_URI = r"(?i:data:[\w.+-]+/[\w.+-]+(?:;[\w.+-]+=[^;,]*)*;base64)(?=,)"
# Without s3 and other stores: the connection id in s3://conn@bucket is not a secret.
_USERINFO = r"(?i)(\b(?:https?|socks[45]?h?|ftp)://)[^/\s@'\"]+(?::[^/\s'\"]*)?@"
# Parameters of presigned URLs of S3, Google, Azure, Aliyun, Tencent, Volcengine, UCloud and CDNs, also as JSON or
# another URL quotes them.
_HIDDEN_VALUES = (
    r"(?i)((?:[?&;]|\\u0026|%3f|%26)(?:x-(?:amz|goog|oss|cos|tos)-(?:signature|credential|security-token)"
    r"|(?:aws|oss|google)?access(?:key)?_?id|(?:access_?|auth_?|security-?)?token|signature|sig|sign|ucloudpublickey"
    r"|q-(?:signature|ak)|api_?key|key|password|secret)(?:=|%3d))[^&#;\s'\"]+"
)
_STORE_URI = r"(?!(?:https?|ftp|file|local):)[a-z][a-z0-9+.-]*://[^/\s]"
_IN_QUERY = "".join(sorted(set(string.punctuation) - set("\"#<>'")))
_IN_PATH = "".join(sorted(set(string.punctuation) - set('"#<>?^`{}')))
_SHOWN_CHARACTERS = 80
_SHOWN_TEXTS = 5


def brief(value: Any) -> str:
    """
    Show a value in an error text, shortened and without the content of data URIs.

    :param value: any value.
    :return: its ``repr`` without secrets of URLs, truncated if it is long. For a data URI, a short description.
    """
    if looks_like_data_uri(value):
        head = re.match(_DATA_URI, value)
        return f"a data URI of {len(value):,} characters" + (f" ({head[0]!r})" if head else "")
    try:
        text = without_secrets(repr(value))
    except (ValueError, RecursionError):  # an integer of over 4,300 digits; deeply nested lists
        return f"{'an' if isinstance(value, int) else 'a'} {type(value).__name__} that is too large to show"
    if "data:" in text[: 10 * _SHOWN_CHARACTERS].lower():
        return f"a {type(value).__name__} that holds a data URI"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}… ({len(text):,} characters)"


def without_secrets(text: str) -> str:
    """
    Hide the secrets of URLs: signatures, tokens, key ids, user names and passwords.

    A reader of the text could open a URL or log in with them.

    :param text: a URL, or a text that contains URLs.
    :return: the text with ``***`` in place of each secret.
    """
    return re.sub(_HIDDEN_VALUES, r"\1***", re.sub(_USERINFO, r"\1***@", text))


def one_line(text: str) -> str:
    """
    Escape characters that would start a new log line or control a terminal.

    :param text: a text from outside, such as that of an exception.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def is_missing(text: str) -> bool:
    """
    Check whether a text is one that a template or a table produces for a missing value.

    :param text: a text of an author.
    """
    return text.strip() in ("None", "nan", "NaN", "NaT", "<NA>", "null", "undefined", "#N/A", "#REF!", "#NAME?")


def utf8_problem(name: str, value: Any) -> str | None:
    """
    Check that UTF-8 can encode every text in a value.

    Airflow's stores, the ledger and the API take nothing else.

    :param name: name of the value.
    :param value: any value; only texts, and those in lists and mappings, are checked.
    :return: the problem as a sentence without a full stop, or ``None``.
    """
    try:
        found = _lone_surrogate(value)
    except RecursionError:
        # JSON cannot represent such a value, so another check refuses it.
        return None
    if not found:
        return None
    # Python reads the bytes of a file name that are not UTF-8 as these characters.
    step = "; rename the file if its name has another encoding" if "\udc80" <= found <= "\udcff" else ""
    return f"{one_line(name)} must be text that UTF-8 can encode, got {found!r} in {brief(value)}{step}"


def _lone_surrogate(value: Any) -> str:
    if isinstance(value, str):
        match = None if value.isascii() else re.search("[\ud800-\udfff]", value)
        return match[0] if match else ""
    parts = [one for pair in value.items() for one in pair] if isinstance(value, Mapping) else value
    return next(filter(None, map(_lone_surrogate, parts)), "") if isinstance(parts, (list, tuple)) else ""


def unstopped(text: str) -> str:
    """
    Remove the full stop at the end of a sentence in English or Chinese.

    :param text: a sentence from outside.
    """
    return text.rstrip(".。!！")


def named(error: BaseException) -> str:
    """
    Describe a library's error in one line, without secrets of URLs.

    :param error: the error.
    :return: its type and text without a full stop.
    """
    return f"{type(error).__name__}: {unstopped(one_line(without_secrets(str(error))))}"


def first_few(texts: Collection[str], separator: str = ", ") -> str:
    """
    Join the first few of many texts.

    :param texts: all texts; the result shows 5 of them, and ``…`` if there are more.
    :param separator: text between two of them, a comma and a space by default.
    """
    return separator.join([*islice(texts, _SHOWN_TEXTS), *["…"] * (len(texts) > _SHOWN_TEXTS)])


def looks_like_data_uri(value: Any) -> bool:
    """Check whether the author meant a value as a data URI, well-formed or not."""
    return isinstance(value, str) and re.match(r"\s*data:\S", value, re.IGNORECASE) is not None


def is_url(value: Any) -> bool:
    """Check whether a value is an http(s) URL with a host."""
    return isinstance(value, str) and re.match(r"https?://[^/\s]", value, re.IGNORECASE) is not None


def is_store_uri(value: Any) -> bool:
    """Check whether a value is a URI with a host as of an object store, such as ``s3://conn@bucket/file``."""
    return isinstance(value, str) and re.match(_STORE_URI, value, re.IGNORECASE) is not None


def bare_url(value: Any) -> Any:
    """
    Remove what a table's cell or a copied text leaves around a URL.

    :param value: a value of an author.
    :return: the URL without blanks, zero-width characters, quotes and angle brackets around it; any other value as it
        is.
    """
    if not isinstance(value, str):
        return value
    bare = value.strip(" \t\r\n\u00a0\u200b\ufeff\"'<>")
    return bare if is_url(bare) else value


def is_usable_url(value: str) -> bool:
    """
    Check whether a text is one http(s) URL that every HTTP library can read.

    :param value: an http(s) URL.
    """
    # Two URLs, as from one cell of a table.
    is_list = re.search(r"[,;\s]+https?://", value, re.IGNORECASE)
    return has_usable_host(value) and not is_list and value.isprintable()


def has_usable_host(value: str) -> bool:
    """
    Check whether every HTTP library can read the host and port of an http(s) URL.

    :param value: an http(s) URL.
    """
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
        is_good = parts.port != 0 and all(0 < len(label) < 64 for label in host.removesuffix(".").split("."))
    except ValueError:
        return False
    # User and password may be quoted, the host may not.
    return is_good and not re.search(r"[\s%]", parts.netloc.rpartition("@")[2])


def plain_url(url: str) -> str:
    """
    Clean a link as a browser does.

    This removes spaces around the link, and line feeds and tabs in it. Backslashes before the query become slashes.
    Source: the URL standard of WHATWG.

    :param url: an http(s) URL, absolute or relative to another one.
    """
    url = re.sub(r"[\t\r\n]", "", url.strip("".join(map(chr, range(33)))))
    before, mark, after = url.partition("?")
    return before.replace("\\", "/") + mark + after


def request_target(url: str) -> str:
    """
    Return the path and query of a URL as a browser sends them.

    HTTP libraries rewrite some percent-encodings, and a host may have signed the link as it is. Source: the URL
    standard of WHATWG.

    :param url: an http(s) URL.
    """
    rest = re.sub(r"https?://[^/?#]*", "", url.partition("#")[0], count=1, flags=re.IGNORECASE)
    path, mark, query = rest.partition("?")
    kept: list[str] = []
    *inner, last = path.split("/")[1:] or [""]
    for segment in inner:
        if (dots := _dots(segment)) == "..":
            del kept[-1:]
        elif dots != ".":
            kept.append(segment)
    if _dots(last) == "..":
        del kept[-1:]
    kept.append("" if _dots(last) in (".", "..") else last)
    return quote("/" + "/".join(kept), safe=_IN_PATH) + mark + quote(query, safe=_IN_QUERY)


def _dots(segment: str) -> str:
    return segment.lower().replace("%2e", ".")


def is_data_uri(value: Any) -> bool:
    """Check whether a value is a base64 data URI."""
    return isinstance(value, str) and re.match(_DATA_URI, value) is not None


def data_uri_bytes(value: str) -> int:
    """Return the decoded size of a base64 data URI in bytes."""
    encoded = value.partition(",")[2]
    return len(encoded) * 3 // 4 - encoded[-2:].count("=")
