# SPDX-License-Identifier: Apache-2.0
"""
How a video is fetched: what an answer of its host means, where to go on after a break, and when it is whole.

The hosts of result links are not documented, so nothing is assumed of them beyond HTTP itself.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping

from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.protocol.coding import Decoder, UnknownCoding, codings_of, undone
from airflow_provider_vidu.protocol.mp4 import HEAD_BYTES, Boxes, is_mp4

MAX_VIDEO_BYTES = 5 * 1024**3
"""The largest video that the API itself takes (lip-sync's input). What goes on beyond it would fill a worker's disk."""
MAX_REQUESTS = 5
"""How often one download asks its host, the first time included."""
RESUME_SECONDS = 1.0
"""How long the pause after a break is; twice as long after each further one."""

_EXPIRED = (403, 404, 410)
_PASSING = (408, 429, *range(500, 600))
_COUNT = re.compile(r"\d{1,15}", re.ASCII)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15}|\*)", re.ASCII)


class BrokenOff(Exception):
    """The download broke off for a reason that may pass."""


class Download:
    """
    One video on its way.

    :param url: where it lies.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.written = 0
        self.total: int | None = None
        self._requests = 0
        self._etag = ""
        self._content_type = ""
        self._begin()

    def _begin(self) -> None:
        self.written, self._head = 0, b""
        self._boxes = Boxes()
        self._decoders: list[Decoder] = []

    def headers(self) -> dict[str, str]:
        """
        Give the headers of the next request.

        :return: plain bytes, so that their number can be compared with the announced one, from where it broke off.
        """
        headers = {"Accept-Encoding": "identity"}
        # Of a body that comes encoded all the same, no part can be had.
        if self.written and not self._decoders:
            headers["Range"] = f"bytes={self.written}-"
            if self._etag:
                headers["If-Range"] = self._etag
        return headers

    def answered(self, status: int, headers: Mapping[str, str]) -> bool:
        """
        Read the head of an answer.

        :param status: HTTP status.
        :param headers: response headers.
        :return: whether the file begins anew, so that what was written has to go.
        :raises BrokenOff: ask again, see :meth:`resume_after`.
        :raises ViduDownloadError: asking again cannot help.
        """
        if status in _PASSING:
            raise BrokenOff(f"HTTP {status} instead of the video")
        told = {name.lower(): value for name, value in headers.items()}
        if status == 206 and self.written:
            if self._decoders_of(told) or self._decoders:
                raise ViduDownloadError(f"{self.url} was asked for plain bytes and gave a part of encoded ones.")
            self._goes_on(told.get("content-range", ""))
            return False
        if status != 200:
            raise ViduDownloadError(
                f"HTTP {status} instead of the video at {self.url}. Result links are assumed to live 24 hours after "
                "the generation finished.",
                expired=status in _EXPIRED,
            )
        again, decoders = self.written > 0, self._decoders_of(told)
        self._begin()
        self._decoders = decoders
        length, etag = told.get("content-length", ""), told.get("etag", "")
        # The length of an encoded body is not that of the file, and HTTP ignores it where a transfer coding frames it.
        is_plain = not decoders and "transfer-encoding" not in told
        self._announce(int(length) if is_plain and _COUNT.fullmatch(length) else None)
        # A weak one (W/"…") does not promise the same bytes.
        self._etag = etag if etag.startswith('"') else ""
        self._content_type = told.get("content-type", "").partition(";")[0].strip()
        return again

    def _decoders_of(self, headers: Mapping[str, str]) -> list[Decoder]:
        try:
            return [Decoder(name) for name in codings_of(headers)]
        except UnknownCoding as coding:
            raise ViduDownloadError(
                f"{self.url} must give plain bytes, gzip or deflate, got the coding {str(coding)[:20]!r}."
            ) from None

    def _goes_on(self, content_range: str) -> None:
        match = _CONTENT_RANGE.fullmatch(content_range)
        total = int(match[2]) if match and match[2] != "*" else self.total
        if not match or int(match[1]) != self.written or (self.total is not None and total != self.total):
            raise ViduDownloadError(
                f"{self.url} was asked to go on at byte {self.written:,} of {self.total or 'an unknown number'} and "
                f"answered with Content-Range {content_range[:100]!r}."
            )
        self._announce(total)

    def _announce(self, total: int | None) -> None:
        self.total = total
        self._check_size(total or 0)

    def _check_size(self, size: int) -> None:
        if size > MAX_VIDEO_BYTES:
            raise ViduDownloadError(
                f"{self.url} gives {size:,} bytes or more, allowed: {MAX_VIDEO_BYTES:,}. No video is that large."
            )

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """
        Decode and check a piece of the body as it came over the wire.

        :param data: any number of bytes.
        :return: what to write, in pieces of bounded size.
        :raises BrokenOff: if its coding is broken: ask again, see :meth:`resume_after`.
        :raises ViduDownloadError: if it is no MP4 file, or too large.
        """
        try:
            for piece in undone(self._decoders, data):
                yield self.take(piece)
        except zlib.error as error:
            raise BrokenOff(f"its coding is broken ({error})") from None

    def take(self, chunk: bytes) -> bytes:
        """
        Check a piece of the file.

        :param chunk: any number of bytes.
        :return: what to write; nothing as long as the beginning is too short to tell a video from a page.
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

        :raises BrokenOff: ask for the rest, see :meth:`resume_after`.
        :raises ViduDownloadError: when it was none or too long.
        """
        if self.total is not None and 0 < self.written < self.total:
            raise BrokenOff(f"the connection ended before byte {self.total:,}")
        if self._head and not self.written:
            raise self._no_video()
        if not self.written or self.total not in (None, self.written):
            raise ViduDownloadError(f"{self.url} gave {self.written:,} bytes, announced: {self.total}.")
        if self.total is None and not self._boxes.is_whole:
            raise BrokenOff("the connection ended before the video did, and its length was not announced")

    def _no_video(self) -> ViduDownloadError:
        # Never any of its content: the link may lead to a host that is nobody else's business.
        kind = self._content_type if re.fullmatch(r"[\w.+-]{1,40}/[\w.+-]{1,60}", self._content_type, re.ASCII) else ""
        return ViduDownloadError(f"{self.url} gave something else than an MP4 file ({kind or 'of no known type'}).")

    def resume_after(self, reason: str) -> float:
        """
        Say when to ask for the rest.

        :param reason: why it broke off, without anything secret.
        :return: seconds to wait.
        :raises ViduDownloadError: when it was asked for often enough.
        """
        self._requests += 1
        if self._requests >= MAX_REQUESTS:
            raise ViduDownloadError(
                f"The download of {self.url} broke off after {self.written:,} bytes, at request {self._requests}: "
                f"{reason}."
            )
        return RESUME_SECONDS * 2.0 ** (self._requests - 1)
