# SPDX-License-Identifier: Apache-2.0
"""
Rules of a download: the meaning of the host's answers, the resume after a break, and the check for completeness.

The hosts of result links are not documented, so these rules assume nothing beyond HTTP itself.
"""

from __future__ import annotations

import re
import string
import zlib
from collections.abc import Iterator, Mapping
from urllib.parse import quote, urljoin

from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.protocol.coding import Decoder, codings_of, undone
from airflow_provider_vidu.protocol.mp4 import HEAD_BYTES, Boxes, is_mp4
from airflow_provider_vidu.protocol.texts import is_url, is_usable_url, plain_url, without_secrets

MAX_VIDEO_BYTES = 5 * 1024**3
"""The largest video that the API itself takes (lip-sync's input). A longer answer would fill a worker's disk."""
MAX_REQUESTS = 5
"""Number of requests of one download that bring nothing new, the first included."""
MOST_REQUESTS = 100
"""Number of requests of one download, if each brings something new."""
MAX_REDIRECTS = 20
"""As browsers do."""
RESUME_SECONDS = 1.0
"""Pause after the first break in seconds, doubled after each further one."""

_WHOLE = (200, 203)
"""203 is a 200 that a proxy has changed, by its headers for example."""
_MOVED = (301, 302, 303, 307, 308)
_EXPIRED = (403, 404, 410)
_PASSING = (408, 429, *range(500, 600))
_COUNT = re.compile(r"\d{1,15}", re.ASCII)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15}|\*)", re.ASCII)
_ALL = re.compile(r"bytes 0-(\d{1,15})/(\d{1,15})", re.ASCII)
_CONTENT_TYPE = re.compile(r"[\w.+-]{1,40}/[\w.+-]{1,60}", re.ASCII)
_CODING = re.compile(r"[\w.+-]{1,20}", re.ASCII)


class BrokenOff(Exception):
    """The download broke off for a reason that may pass."""


def moved_to(url: str, status: int, headers: Mapping[str, str]) -> str | None:
    """
    Read the target of a redirect.

    :param url: URL of the request.
    :param status: HTTP status.
    :param headers: response headers, read as Latin-1 as HTTP libraries do.
    :return: An http(s) URL; ``None`` if the answer is not a redirect.
    :raises ViduDownloadError: If it redirects to anything else.
    """
    location = next((value for name, value in headers.items() if name.lower() == "location"), "")
    if status not in _MOVED or not location:
        return None
    # Its bytes are those of a URL that was never quoted.
    quoted = quote(location.encode("latin-1", "replace"), safe=string.punctuation + string.whitespace)
    try:
        target = plain_url(quoted)
        target = target if is_url(target) else plain_url(urljoin(url, target))
    except ValueError:
        target = ""
    if not (is_url(target) and is_usable_url(target)):
        raise ViduDownloadError(
            f"{without_secrets(url)} redirects to something that is not an http(s) URL. A retry cannot help."
        )
    return target


class Download:
    """
    The download of one video.

    :param url: URL of the video.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        # Errors go into logs, XComs and manifests: without what lets a reader open the link.
        self.name = without_secrets(url)
        self.written = 0
        self.total: int | None = None
        self._requests, self._fruitless, self._reached = 0, 0, 0
        self._etag = ""
        self._validators: dict[str, str] = {}
        self._kind = ""
        self._has_parts = True
        self._is_framed = False
        self._begin()

    def _begin(self) -> None:
        self.written, self._head = 0, b""
        self._boxes = Boxes()
        self._decoders: list[Decoder] = []

    def headers(self) -> dict[str, str]:
        """
        Return the headers of the next request.

        :return: headers that request plain bytes, from the byte at which the download broke off. The number of plain
            bytes can be compared with the announced one.
        """
        headers = {"Accept-Encoding": "identity"}
        if self._asks_for_rest:
            headers["Range"] = f"bytes={self.written}-"
            if self._etag:
                headers["If-Range"] = self._etag
        return headers

    @property
    def _asks_for_rest(self) -> bool:
        # Of a body that comes encoded all the same, no part can be had.
        return self.written > 0 and self._has_parts and not self._decoders

    def answered(self, status: int, headers: Mapping[str, str]) -> bool:
        """
        Read the head of an answer.

        :param status: HTTP status.
        :param headers: response headers.
        :return: Whether the file restarts, so that the caller has to discard the bytes written before.
        :raises BrokenOff: The caller should send the next request, see :meth:`resume_after`.
        :raises ViduDownloadError: Another request cannot help.
        """
        if status in _PASSING:
            raise BrokenOff(f"HTTP {status} instead of the video")
        named = {name.lower(): value for name, value in headers.items()}
        codings, unknown = codings_of(named)
        if self._asks_for_rest and status in (206, 304, 412, 416):
            if status == 206 and not codings and self._is_same(named) and self._goes_on(named.get("content-range", "")):
                return False
            self._has_parts = False
            raise BrokenOff(f"the host did not resume at byte {self.written:,}")
        if status not in _WHOLE and not (status == 206 and self._is_all(named.get("content-range", ""))):
            raise ViduDownloadError(
                f"HTTP {status} instead of the video at {self.name}. Result links are assumed to expire 24 hours "
                "after the generation finished.",
                expired=status in _EXPIRED,
            )
        self._begin()
        self._decoders = [Decoder(name) for name in codings]
        length, etag = named.get("content-length", ""), named.get("etag", "")
        # The length of an encoded body is not that of the file, and HTTP ignores it where a transfer coding frames it.
        is_plain = not codings and "transfer-encoding" not in named
        self._announce(int(length) if is_plain and _COUNT.fullmatch(length) else None)
        # The HTTP library reports chunks without an end, and a coding has an end of its own.
        self._is_framed = bool(codings) or "chunked" in named.get("transfer-encoding", "").lower()
        self._validators = {name: named[name] for name in ("etag", "last-modified") if name in named}
        # A weak one (W/"…") does not promise the same bytes.
        self._etag = etag if etag.startswith('"') else ""
        content_type = named.get("content-type", "").partition(";")[0].strip()
        self._kind = content_type if _CONTENT_TYPE.fullmatch(content_type) else "of no known type"
        if unknown:
            self._kind += (
                f", in the content encoding {unknown}"
                if _CODING.fullmatch(unknown)
                else ", in an unknown content encoding"
            )
        return True

    def _is_all(self, content_range: str) -> bool:
        """Check whether a part is the whole file, which some hosts send although no part was requested."""
        match = _ALL.fullmatch(content_range)
        return match is not None and not self._asks_for_rest and int(match[1]) + 1 == int(match[2])

    def _is_same(self, named: Mapping[str, str]) -> bool:
        """Check whether a part is of the same file as the bytes before it, as far as the host says."""
        return all(named.get(name, known) == known for name, known in self._validators.items())

    def _goes_on(self, content_range: str) -> bool:
        match = _CONTENT_RANGE.fullmatch(content_range)
        total = int(match[2]) if match and match[2] != "*" else self.total
        if not match or int(match[1]) != self.written or (self.total is not None and total != self.total):
            return False
        self._announce(total)
        return True

    def _announce(self, total: int | None) -> None:
        self.total = total
        self._check_size(total or 0)

    def _check_size(self, size: int) -> None:
        if size > MAX_VIDEO_BYTES:
            raise ViduDownloadError(
                f"The video at {self.name} must have at most {MAX_VIDEO_BYTES:,} bytes, got {size:,} or more. Nothing "
                "was stored."
            )

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """
        Decode and check a piece of the body as it came over the wire.

        :param data: any number of bytes.
        :return: what to write, in pieces of bounded size.
        :raises BrokenOff: if its coding is broken; the caller requests the rest, see :meth:`resume_after`.
        :raises ViduDownloadError: if it is no MP4 file, or too large.
        """
        try:
            for piece in undone(self._decoders, data):
                yield self.take(piece)
        except zlib.error as error:
            raise BrokenOff(f"its content encoding is broken ({error})") from None

    def take(self, chunk: bytes) -> bytes:
        """
        Check a piece of the file.

        :param chunk: any number of bytes.
        :return: Bytes to write; none until the beginning is long enough to recognize a video.
        :raises ViduDownloadError: when it is no MP4 file, or too large.
        """
        if not self.written:
            chunk = self._head = self._head + chunk
            if len(chunk) < HEAD_BYTES:
                return b""
            if not is_mp4(chunk):
                raise self._no_video()
        self._check_size(self.written + len(chunk))
        self.written += len(chunk)
        self._boxes.take(chunk)
        return chunk

    def ended(self) -> None:
        """
        Check that the file is whole: of the announced length or, where none was announced, with all its boxes.

        :raises BrokenOff: if it is not; the caller requests the rest, see :meth:`resume_after`.
        :raises ViduDownloadError: if it is not a video, or is longer than announced.
        """
        if self.total is not None and 0 < self.written < self.total:
            raise BrokenOff(f"the connection ended before byte {self.total:,}")
        if self._head and not self.written:
            raise self._no_video()
        if not self.written and not self.total:
            raise BrokenOff("the response was empty")
        if self.total not in (None, self.written):
            raise ViduDownloadError(
                f"The host of {self.name} announced {self.total or 0:,} bytes, but sent {self.written:,}."
            )
        if not all(decoder.is_complete for decoder in self._decoders):
            raise BrokenOff("the connection ended before the encoded content was complete")
        # Only the framing of the answer shows where a box without a size ends.
        is_whole = self._boxes.is_whole and (self._is_framed or not self._boxes.has_no_end)
        if self.total is None and not is_whole:
            raise BrokenOff("the connection ended before the video was complete, and the host had announced no length")

    @property
    def lacks_boxes(self) -> bool:
        """Whether all announced bytes came, but do not make a whole MP4 file, so that it may not play."""
        return not self._boxes.is_whole

    def _no_video(self) -> ViduDownloadError:
        # Never any of its content: the link may lead to a host that is nobody else's business.
        return ViduDownloadError(f"{self.name} returned something other than an MP4 file ({self._kind}).")

    def resume_after(self, reason: str) -> float:
        """
        Return the pause before the rest is requested.

        :param reason: why it broke off, without anything secret.
        :return: seconds to wait.
        :raises ViduDownloadError: if no request is left: too many brought nothing new.
        """
        self._requests += 1
        # A proxy may close each connection after some seconds or bytes.
        self._fruitless = 1 if self.written > self._reached else self._fruitless + 1
        self._reached = max(self._reached, self.written)
        if self._fruitless >= MAX_REQUESTS or self._requests >= MOST_REQUESTS:
            raise ViduDownloadError(
                f"The download of {self.name} stopped after {self.written:,} bytes, at request {self._requests}: "
                f"{reason}."
            )
        return RESUME_SECONDS * 2.0 ** (self._fruitless - 1)
