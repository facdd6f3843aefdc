# SPDX-License-Identifier: Apache-2.0
"""
Downloads of results into files.

``protocol.download`` decides what the host's answers mean.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from typing import BinaryIO

import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NewConnectionError,
    ProxyError,
    SSLError,
)

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduError
from airflow_provider_vidu.protocol.download import MAX_REDIRECTS, BrokenOff, Download, moved_to
from airflow_provider_vidu.protocol.texts import brief, is_url, plain_url

log = logging.getLogger(__name__)

# If the connection breaks in the middle of a chunk, the bytes of that chunk are lost.
_CHUNK_BYTES = 1 << 14

Get = Callable[[str, Mapping[str, str]], AbstractContextManager[requests.Response]]

_HOPELESS = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, LocationParseError, UnicodeError)

_HINTS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    (
        (SSLError, requests.exceptions.SSLError),
        "; set download_verify in the connection's extra for a certificate of your own (verify is for the API alone)",
    ),
    (
        (NewConnectionError, ConnectTimeoutError, ProxyError),
        "; set download_proxies in the connection's extra if videos need a proxy (proxies is for the API alone)",
    ),
)


class Downloader:
    """
    Download results by one connection's settings; safe to use from many threads.

    :param get: Opens a URL with headers and streams the answer, without the API key and without following redirects.
    """

    def __init__(self, get: Get) -> None:
        self._get = get

    def fetch(self, url: str, target: BinaryIO) -> int:
        """
        Stream a result to a file, and resume a few times after a broken connection.

        :param url: An http(s) URL of a result.
        :param target: Empty binary file, open for writing, seekable and truncatable.
        :return: Number of bytes written.
        :raises ViduDownloadError: If the file did not arrive completely. A retry is free until the link expires.
        """
        if not is_url(url := plain_url(url)):
            raise ViduDownloadError(f"url must be an http(s) URL, got {brief(url)}. Nothing was downloaded.")
        download = Download(url)
        while True:
            try:
                return self._go_on(download, target)
            except BrokenOff as broken:
                pause = download.resume_after(str(broken))
            time.sleep(pause)

    def _go_on(self, download: Download, target: BinaryIO) -> int:
        with closing(self._chunks(download, target)) as chunks:
            for chunk in chunks:
                for piece in download.pieces(chunk):
                    target.write(piece)
        download.ended()
        if download.lacks_boxes:
            log.warning(
                "The host of %s sent all %s announced bytes, but they are not a complete MP4 file. Check that the "
                "stored video plays before the link expires.",
                download.name,
                f"{download.written:,}",
            )
        return download.written

    def _chunks(self, download: Download, target: BinaryIO) -> Generator[bytes, None, None]:
        # This generator handles the host's faults only; errors of writing are raised outside of it.
        try:
            with self._opened(download) as response:
                if download.answered(response.status_code, response.headers):
                    target.seek(0)
                    target.truncate()
                # Undecoded: the protocol decodes it and limits its size.
                yield from response.raw.stream(_CHUNK_BYTES, decode_content=False)
        except ViduError:
            raise
        except _HOPELESS as error:
            raise ViduDownloadError(f"{download.name} has no valid host ({_fault(error)}).") from None
        except (requests.RequestException, HTTPError, ValueError) as error:
            raise BrokenOff(_fault(error)) from None

    @contextmanager
    def _opened(self, download: Download) -> Iterator[requests.Response]:
        url = download.url
        for _ in range(MAX_REDIRECTS + 1):
            with self._get(url, download.headers()) as response:
                target = moved_to(url, response.status_code, response.headers)
                if target is None:
                    yield response
                    return
            url = target
        raise ViduDownloadError(f"{download.name} redirects more than {MAX_REDIRECTS} times.")


def _fault(error: BaseException) -> str:
    """
    Describe an HTTP library's error by types and the system's text.

    Its own text may quote what the host sent.
    """
    chain = [error]
    while cause := next((one for one in _causes(chain[-1]) if isinstance(one, BaseException)), None):
        chain.append(cause)
    inner = chain[-1]
    reason = inner.strerror if isinstance(inner, OSError) else None
    names = dict.fromkeys(type(one).__name__ for one in (error, inner))
    hint = next((text for kinds, text in _HINTS if any(isinstance(one, kinds) for one in chain)), "")
    return f"{', '.join(names)}{f': {reason}' if reason else ''}{hint}"


def _causes(error: BaseException) -> tuple[object, ...]:
    return (getattr(error, "reason", None), *error.args, error.__cause__)
