# SPDX-License-Identifier: Apache-2.0
"""
Decoders of content and transfer codings.

They decode piece by piece, so that a small body cannot fill the memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

PIECE_BYTES = 1 << 20
MAX_ANSWER_BYTES = 1 << 20
"""
Largest decoded answer that the provider reads, in bytes.

The known answers of the API have some hundred bytes.
"""
_GZIP = ("gzip", "x-gzip")
_NAMES = (*_GZIP, "deflate")


def codings_of(headers: Mapping[str, str]) -> tuple[list[str], str]:
    """
    List the codings of a body, the last applied first.

    The list leaves out ``chunked``, because the HTTP library joins the chunks. It also leaves out unknown codings, as
    browsers do: stores keep the ``aws-chunked`` or ``utf-8`` of an upload as a header of plain files.

    :param headers: Response headers.
    :return: The known codings in lower case, and the first unknown one, empty if all are known.
    """
    found = {name.lower(): value for name, value in headers.items()}
    listed = f"{found.get('content-encoding', '')},{found.get('transfer-encoding', '')}".lower().split(",")
    names = [name for one in reversed(listed) if (name := one.strip()) not in ("", "identity", "chunked")]
    return [name for name in names if name in _NAMES], next((name for name in names if name not in _NAMES), "")


class Decoder:
    """
    Decoder of one coding.

    :param name: Name of the coding: ``gzip``, ``x-gzip`` or ``deflate``.
    """

    def __init__(self, name: str) -> None:
        self._is_gzip = name in _GZIP
        self._rest = b""
        self._stream: zlib._Decompress | None = None
        self._is_complete = self._is_over = False

    @property
    def is_complete(self) -> bool:
        """Whether the encoded body has reached its own end."""
        return self._is_complete and self._stream is None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """
        Decode the next part of a body.

        :param data: Any number of encoded bytes.
        :return: Decoded pieces of at most 1 MiB.
        :raises zlib.error: If the body is broken.
        """
        data, self._rest = self._rest + data, b""
        while data and not self._is_over:
            if self._stream is None:
                if len(data) < 2:
                    self._rest = data
                    return
                self._begin(data)
                continue
            piece = self._stream.decompress(data, PIECE_BYTES)
            data = self._stream.unconsumed_tail
            if self._stream.eof:
                data, self._stream, self._is_complete = self._stream.unused_data, None, True
            yield piece

    def _begin(self, data: bytes) -> None:
        """
        Begin the body, or the next member of a gzip file.

        The decoder ignores anything else after the end.
        """
        is_gzip = data.startswith(b"\x1f\x8b")
        if self._is_complete and not (self._is_gzip and is_gzip):
            self._is_over = True
        elif self._is_gzip:
            self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        else:
            # Some servers leave out the two bytes at the start of a zlib stream.
            is_bare = data[0] & 0x0F != 8 or int.from_bytes(data[:2], "big") % 31
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS if is_bare else zlib.MAX_WBITS)


def undone(decoders: list[Decoder], data: bytes) -> Iterator[bytes]:
    """
    Decode the next part of a body through several codings.

    :param decoders: Decoders, the one of the last applied coding first.
    :param data: The next part of the body.
    :return: Decoded pieces of at most 1 MiB; without decoders, the part itself.
    :raises zlib.error: If the body is broken.
    """
    if not decoders:
        yield data
        return
    first, *others = decoders
    for piece in first.pieces(data):
        yield from undone(others, piece)


def decoded(headers: Mapping[str, str], content: bytes) -> bytes:
    """
    Decode an answer of limited size.

    :param headers: Response headers.
    :param content: Raw response body.
    :return: The decoded body, cut one byte above ``MAX_ANSWER_BYTES``; empty if it cannot be decoded.
    """
    try:
        codings, unknown = codings_of(headers)
        body = b""
        for piece in undone([Decoder(name) for name in codings], content):
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                break
    except zlib.error:
        return b""
    if unknown and not body.lstrip().startswith(b"{"):
        return b""
    return body[: MAX_ANSWER_BYTES + 1]
