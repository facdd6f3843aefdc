# SPDX-License-Identifier: Apache-2.0
"""URLs of inputs that the service cannot fetch, as far as the URL itself says so."""

from __future__ import annotations

import ipaddress
import re
from calendar import timegm
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_vidu.protocol.texts import brief, is_url, is_usable_url, without_secrets

# Both networks embed an IPv4 address in the last 32 bits.
_WITH_IPV4 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
# RFC 6761, 6762, 8375 and 9476, the names of Kubernetes' services, and those that container engines give their host.
_LOCAL_NAMES = re.compile(r"(?i)([^.]+|.*\.(localhost|local|internal|svc|lan|home\.arpa|test|invalid|alt))\.?")

_IMAGES = ("first_frame_url", "last_frame_url", "images", "subjects")
_SHARE_PAGES = (r"drive\.google\.com/file/", r"dropbox\.com/", r"github\.com/[^/]+/[^/]+/blob/")


def is_public(address: str) -> bool:
    """
    Return whether an address is public, not private, loopback or link-local.

    :param address: An IPv4 or IPv6 address.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.is_site_local or found in _LOCAL_NAT64:
            return False
        teredo = found.teredo
        last = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF) if any(found in one for one in _WITH_IPV4) else None
        if inner := found.ipv4_mapped or found.sixtofour or (teredo[1] if teredo else None) or last:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast


def is_local_host(host: str) -> bool:
    """
    Return whether a host's name or address shows that it is of a private network. No name is resolved.

    :param host: a name, or an IPv4 or IPv6 address.
    """
    try:
        return not is_public(host)
    except ValueError:
        return _LOCAL_NAMES.fullmatch(host) is not None


def ends_at(url: str) -> float | None:
    """
    Read until when a presigned URL is valid.

    :param url: an http(s) URL, signed as by AWS, Google, OSS, COS, TOS or Azure.
    :return: epoch seconds, ``None`` if the URL does not say.
    """
    query = {name.lower(): value for name, value in parse_qsl(urlsplit(url).query)}
    try:
        for vendor in ("amz", "goog", "oss", "tos"):
            if f"x-{vendor}-date" in query and f"x-{vendor}-expires" in query:
                return _seconds_of(query[f"x-{vendor}-date"]) + _count(query[f"x-{vendor}-expires"])
        if "expires" in query and "signature" in query:
            return _count(query["expires"])
        if "q-sign-time" in query:
            return _count(query["q-sign-time"].partition(";")[2])
        if "se" in query and "sig" in query:
            return _seconds_of(query["se"])
    except ValueError:
        # Some other parameter of that name.
        return None
    return None


def _count(text: str) -> int:
    if re.fullmatch(r"\d{1,12}", text, re.ASCII) is None:
        raise ValueError(text)
    return int(text)


def _seconds_of(text: str) -> float:
    """Read a time in UTC, with or without separators."""
    match = re.fullmatch(r"(\d{4})-?(\d\d)-?(\d\d)(?:T(\d\d):?(\d\d)(?::?(\d\d))?)?Z?", text, re.ASCII)
    if match is None:
        raise ValueError(text)
    return timegm(tuple(int(part or 0) for part in match.groups()))


def unreachable(body: Mapping[str, Any], api_host: str, now: float) -> str | None:
    """
    Find an input that the service cannot fetch.

    :param body: body of a submit.
    :param api_host: host of the API; a private one may reach private hosts.
    :param now: epoch seconds.
    :return: one sentence without a full stop, ``None`` if there is none.
    """
    given = {**_mapping(body.get("parameters")), **_mapping(body.get("input"))}
    for name, url in _urls(given):
        if kind := _foreign_image(name, url):
            return f"{name} must be a png, jpeg or webp image, got the URL of {kind}: {brief(without_secrets(url))}"
        host = urlsplit(url).hostname or ""
        if is_local_host(host) and not is_local_host(api_host):
            return (
                f"{name} must be a URL that the service can reach, got a host of a private network: "
                f"{brief(without_secrets(url))}"
            )
        if (until := ends_at(url)) is not None and until <= now:
            return (
                f"{name} must be a URL that is still valid, got one that expired at "
                f"{formatdate(until, usegmt=True)}: {brief(without_secrets(url))}"
            )
    return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _foreign_image(name: str, url: str) -> str:
    """Describe the kind of file that an image URL names, empty if it may be an image that the API takes."""
    if name not in _IMAGES:
        return ""
    parts = urlsplit(url)
    ending = re.search(r"\.(heic|heif|avif|svg|pdf|gif|bmp|tiff?|psd|mp4|mov|webm)$", parts.path, re.IGNORECASE)
    if ending:
        return f"a {ending[0].lower()} file"
    place = f"{(parts.hostname or '').removeprefix('www.')}{parts.path}"
    is_page = any(re.match(page, place) for page in _SHARE_PAGES) and not re.search(r"\b(dl|raw)=1\b", parts.query)
    return "a page that shows an image" if is_page else ""


def _urls(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _urls(one, name or str(key))
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _urls(one, name)
    elif is_url(value) and is_usable_url(value) and (name.endswith("url") or name in ("images", "subjects")):
        yield name, value
