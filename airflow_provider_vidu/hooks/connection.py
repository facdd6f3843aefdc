# SPDX-License-Identifier: Apache-2.0
"""Settings of an Airflow connection of type ``vidu``, shared by both hooks."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_vidu.exceptions import ViduConnectError, ViduConnectionSettingsError, ViduError
from airflow_provider_vidu.hooks.certificates import is_bundle
from airflow_provider_vidu.protocol.texts import is_usable_url, named

if TYPE_CHECKING:
    from airflow.sdk import Connection

DEFAULT_CONN_ID = "vidu_default"
DEFAULT_BASE_URL = "https://api.modelverse.cn"
CONNECT_TIMEOUT = 10.0
DEFAULT_TIMEOUT = 60.0
AUTH_SCHEMES = ("key", "bearer")

log = logging.getLogger(__name__)

_RATE = "max_requests_per_minute"
_EXTRAS = {"auth_scheme", "timeout", "verify", "proxies", "download_verify", "download_proxies", _RATE}
_SHORTEST_SCRUBBED_KEY = 6
# A day in seconds. The clocks of HTTP libraries overflow at some larger number, after the request has left.
_LARGEST_NUMBER = 86_400.0
_PROXIED = re.compile(r"(https?|all)(://[^\s/]+)?", re.IGNORECASE)
_PROXY = re.compile(r"https?://([^\s/]+@)?[^\s/@]+/?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """
    Hold the settings that every request needs.

    :param base_url: Scheme, host and path, without a slash at the end.
    :param key: The API key; never shown.
    :param auth_scheme: ``key`` (the key alone) or ``bearer``.
    :param timeout: Seconds to wait for an answer. The connect timeout is 10 s at most.
    :param verify: Whether to verify the API's TLS certificate, or the path of a CA bundle.
    :param proxies: Proxy URL of the API by scheme; the environment's proxies when empty.
    :param max_requests_per_minute: Most requests per minute, evenly spread, that one triggerer process, or one batch on
        its worker, may send; ``None`` for no limit.
    :param download_verify: Same as ``verify``, for videos on hosts other than the API's.
    :param download_proxies: Same as ``proxies``, for videos on hosts other than the API's.
    """

    base_url: str
    key: str = field(repr=False)
    auth_scheme: str = "key"
    timeout: float = DEFAULT_TIMEOUT
    verify: bool | str = True
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_requests_per_minute: float | None = None
    download_verify: bool | str = True
    download_proxies: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def connect_timeout(self) -> float:
        """Seconds until a connection attempt times out."""
        return min(CONNECT_TIMEOUT, self.timeout)

    @property
    def authorization(self) -> str:
        """The value of the ``Authorization`` header."""
        return self.key if self.auth_scheme == "key" else f"Bearer {self.key}"

    def headers(self) -> dict[str, str]:
        """Make the headers of every request to the API."""
        return {"Authorization": self.authorization, "Accept": "application/json", "Accept-Encoding": "identity"}

    def scrub(self, text: str) -> str:
        """Mask the key in a text from outside."""
        return text.replace(self.key, "***") if len(self.key) >= _SHORTEST_SCRUBBED_KEY else text

    def describe(self, error: BaseException) -> str:
        """Describe an HTTP library's error in one line, without key and URL secrets."""
        return self.scrub(named(error))

    @property
    def proxy(self) -> str | None:
        """
        Proxy of all requests to the API: the connection's, else the environment's.

        :raises ViduConnectionSettingsError: If the environment names a proxy that one of the hooks cannot use.
        """
        return _proxy_of(self.base_url, self.proxies, "proxies")

    def download_proxy(self, url: str) -> str | None:
        """
        Choose the proxy for a video on a host other than the API's: the connection's, else the environment's.

        :param url: Link of the video.
        :raises ViduConnectionSettingsError: If the environment names a proxy that the provider cannot use.
        """
        return _proxy_of(url, self.download_proxies, "download_proxies")


def read_settings(connection: Connection) -> ConnectionSettings:
    """
    Read and check a connection.

    :param connection: host = base URL, password = API key, extra = ``auth_scheme``, ``timeout``,
        ``max_requests_per_minute``, ``verify``, ``proxies``, ``download_verify``, ``download_proxies``; null means
        unset. No value of extra ever becomes a header.
    :return: The settings.
    :raises ViduConnectionSettingsError: If a value is wrong. The error names it, but never the key. Nothing was sent.
    """
    from airflow.sdk.log import mask_secret

    name = f"connection {connection.conn_id!r}"
    extra = _extra(connection, name)
    key = re.sub(r"^bearer(\s+|$)", "", (connection.password or "").strip(), flags=re.IGNORECASE)
    if not key:
        raise ViduConnectionSettingsError(
            f"{name}: password must be the API key, got none. Nothing was sent or paid. Enter the key in the "
            "connection."
        )
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ViduConnectionSettingsError(
            f"{name}: password must be an API key of printable ASCII characters without spaces, got other characters. "
            "Nothing was sent or paid. Enter the key again."
        )
    if key != connection.password:
        # Airflow masks the whole password, which here is longer than the key.
        mask_secret(key)
    if unknown := sorted(extra.keys() - _EXTRAS):
        log.warning(
            "%s: the provider does not know the fields %s in extra and ignores them. Known fields: %s",
            name,
            unknown,
            ", ".join(sorted(_EXTRAS)),
        )
    auth_scheme = extra.get("auth_scheme", "key")
    if auth_scheme not in AUTH_SCHEMES:
        raise _wrong(name, "auth_scheme", auth_scheme, " or ".join(AUTH_SCHEMES))
    settings = ConnectionSettings(
        base_url=_base_url(connection, name),
        key=key,
        auth_scheme=auth_scheme,
        timeout=_number(name, "timeout", extra.get("timeout", DEFAULT_TIMEOUT), "a number of seconds"),
        verify=_verify(extra.get("verify"), name, "verify"),
        download_verify=_verify(extra.get("download_verify"), name, "download_verify"),
        proxies=_proxies(extra.get("proxies", {}), name, "proxies"),
        download_proxies=_proxies(extra.get("download_proxies", {}), name, "download_proxies"),
        max_requests_per_minute=_number(name, _RATE, extra[_RATE], "a number") if _RATE in extra else None,
    )
    # Not only when one is needed: the second one is once a video is paid for.
    _ = settings.proxy
    settings.download_proxy("https://videos.example")
    return settings


def no_settings(vidu_conn_id: str, error: Exception) -> ViduError:
    """
    Make the error for a connection that Airflow did not return.

    :param vidu_conn_id: Id of the connection.
    :param error: Airflow's error.
    :return: The error to raise; temporary unless Airflow reports that there is no such connection.
    """
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    if isinstance(error, AirflowNotFoundException):
        return ViduConnectionSettingsError(
            f"There is no Airflow connection {vidu_conn_id!r}. Nothing was sent or paid. Create one of type vidu with "
            "the API key as its password."
        )
    return ViduConnectError(
        f"Could not read the connection {vidu_conn_id!r} from Airflow ({type(error).__name__}). Nothing was sent or "
        "paid. A retry can help."
    )


def _wrong(name: str, key: str, value: object, allowed: str) -> ViduConnectionSettingsError:
    return ViduConnectionSettingsError(
        f"{name}: {key} in extra must be {allowed}, got {value!r}. Nothing was sent or paid. Correct the connection."
    )


def _extra(connection: Connection, name: str) -> dict[str, Any]:
    extra = connection.extra_dejson
    if not isinstance(extra, dict):
        raise ViduConnectionSettingsError(
            f"{name}: extra must be a JSON object, got a {type(extra).__name__}. Nothing was sent or paid. Correct the "
            "connection."
        )
    return {key: value for key, value in extra.items() if value is not None and value != ""}


def _base_url(connection: Connection, name: str) -> str:
    url = (connection.host or "").strip() or DEFAULT_BASE_URL
    if "://" not in url:
        scheme = (connection.schema or "").lower()
        url = f"{scheme if scheme in ('http', 'https') else 'https'}://{url}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
        or not _is_host(parts.hostname)
    ):
        raise ViduConnectionSettingsError(
            f"{name}: host must be a base URL of the form http(s)://host[:port][/path], such as {DEFAULT_BASE_URL}, "
            "got another form. Nothing was sent or paid. Correct the connection."
        )
    netloc = f"{parts.netloc}:{connection.port}" if connection.port and port is None else parts.netloc
    # UCloud documents sibling APIs with /v1 in their base URL.
    return f"{parts.scheme}://{netloc}{parts.path.rstrip('/').removesuffix('/v1')}"


def _is_host(host: str) -> bool:
    """Return whether HTTP libraries will accept a host name."""
    if ":" in host:
        # urlsplit has checked the address in brackets.
        return True
    try:
        # Raises if a label of the name is empty or too long.
        return len(host.removesuffix(".").encode("idna")) < 254 and host.isprintable() and " " not in host
    except UnicodeError:
        return False


def _number(name: str, key: str, value: Any, allowed: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not 0 < number <= _LARGEST_NUMBER:
        raise _wrong(name, key, value, f"{allowed} above 0 and up to {_LARGEST_NUMBER:,.0f}")
    return number


def _verify(value: Any, name: str, key: str) -> bool | str:
    if value is None or str(value).lower() == "true":
        # requests reads these two variables by itself; the async hook must behave the same.
        found = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        if found and not is_bundle(found):
            raise ViduConnectionSettingsError(
                f"{name}: REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE in the environment must be the path of a CA bundle in "
                f"PEM format that is on this machine, got {found!r}. Nothing was sent or paid. Correct the variable, "
                f"or set {key} in the connection's extra."
            )
        return found or True
    if str(value).lower() == "false":
        return False
    if isinstance(value, str) and is_bundle(value):
        return value
    raise _wrong(name, key, value, "true, false or the path of a CA bundle in PEM format that is on this machine")


def _proxy_of(url: str, given: Mapping[str, str], key: str) -> str | None:
    from requests.utils import get_environ_proxies, select_proxy

    found = select_proxy(url, given or get_environ_proxies(url))
    if not found:
        return None
    # The environment may leave the scheme out, and then means HTTP, as curl reads it.
    whole = found if "://" in found else f"http://{found.lstrip('/')}"
    if not (_PROXY.fullmatch(whole) and is_usable_url(whole)):
        raise ViduConnectionSettingsError(
            f"The proxy for {url} must be an http:// or https:// URL, got one of the form "
            f"{whole.partition('://')[0]}://. Nothing was sent or paid. Set another one as {key} in the connection's "
            "extra, or change the environment variable that names it (such as HTTPS_PROXY or ALL_PROXY)."
        )
    return whole


def _proxies(value: Any, name: str, key: str) -> dict[str, str]:
    if (
        isinstance(value, dict)
        and all(_PROXIED.fullmatch(str(scheme)) for scheme in value)
        and all(isinstance(url, str) and _PROXY.fullmatch(url) for url in value.values())
    ):
        return {str(scheme): url for scheme, url in value.items()}
    raise ViduConnectionSettingsError(
        f"{name}: {key} in extra must map http, https or all to http:// or https:// URLs, such as "
        '{"https": "http://proxy:3128"}, got another value. Nothing was sent or paid. Correct the connection; SOCKS is '
        "not supported."
    )
