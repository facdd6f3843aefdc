# SPDX-License-Identifier: Apache-2.0
"""Content and transfer codings of an answer, undone piece by piece so that a small body cannot fill the memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

PIECE_BYTES = 1 << 20
_GZIP = ("gzip", "x-gzip")
_NAMES = (*_GZIP, "deflate")


def codings_of(headers: Mapping[str, str]) -> tuple[list[str], str]:
    """
    List the codings of a body, the last applied first. Chunks are the HTTP library's business.

    A coding that is not known is passed over, as browsers do: stores keep the ``aws-chunked`` or ``utf-8`` of an upload
    as a header of plain files.

    :param headers: response headers.
    :return: those that can be undone, in lower case, and the first that is not known, empty where all are.
    """
    found = {name.lower(): value for name, value in headers.items()}
    listed = f"{found.get('content-encoding', '')},{found.get('transfer-encoding', '')}".lower().split(",")
    names = [name for one in reversed(listed) if (name := one.strip()) not in ("", "identity", "chunked")]
    return [name for name in names if name in _NAMES], next((name for name in names if name not in _NAMES), "")


class Decoder:
    """
    Undoes one coding.

    :param name: ``gzip``, ``x-gzip`` or ``deflate``.
    """

    def __init__(self, name: str) -> None:
        self._is_gzip = name in _GZIP
        self._head = b""
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16) if self._is_gzip else None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """
        Undo the coding of the next part of a body.

        :param data: any number of bytes.
        :return: pieces of at most 1 MiB.
        :raises zlib.error: if it is broken.
        """
        if self._inflate is None:
            data = self._head = self._head + data
            if len(data) < 2:
                return
            # Some servers leave out the two bytes that begin a zlib stream.
            is_bare = data[0] & 0x0F != 8 or int.from_bytes(data[:2], "big") % 31
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS if is_bare else zlib.MAX_WBITS)
        while data and not self._inflate.eof:
            piece = self._inflate.decompress(data, PIECE_BYTES)
            data = self._inflate.unconsumed_tail
            yield piece
            if self._inflate.eof and self._is_gzip and self._inflate.unused_data.startswith(b"\x1f\x8b"):
                # A gzip file may have several members.
                data = self._inflate.unused_data
                self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)


def undone(decoders: list[Decoder], data: bytes) -> Iterator[bytes]:
    """
    Undo several codings, one after the other.

    :param decoders: the last applied first.
    :param data: the next part of the body.
    :return: pieces of at most 1 MiB.
    :raises zlib.error: if one of them is broken.
    """
    if not decoders:
        yield data
        return
    first, *others = decoders
    for piece in first.pieces(data):
        yield from undone(others, piece)
