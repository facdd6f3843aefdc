# SPDX-License-Identifier: Apache-2.0
"""MP4 files: checks of their first bytes and of the sizes of their boxes."""

from __future__ import annotations

HEAD_BYTES = 8
_LARGE_HEAD_BYTES = 16
_FIRST = (b"ftyp", b"styp", b"free", b"skip", b"wide", b"moov", b"mdat")
"""Types of a first box with which ISO 14496-12 and QuickTime files begin."""


def is_mp4(head: bytes) -> bool:
    """
    Check whether a file begins like an MP4 video, and not like a gateway's page.

    :param head: at least the first ``HEAD_BYTES`` bytes of the file.
    """
    return head[4:8] in _FIRST


class Boxes:
    """
    Tracks the top-level boxes of a file while it arrives, without storing the content.

    It cannot detect a file that was truncated between two fragments, at the end of a box.
    """

    def __init__(self) -> None:
        self._types: set[bytes] = set()
        self._head = b""
        self._left = 0
        self._is_open = False

    @property
    def has_no_end(self) -> bool:
        """Whether the last box extends to the end of the file, so that its size is unknown."""
        return self._is_open and not self._head

    @property
    def is_whole(self) -> bool:
        """Whether all boxes are complete, including the index and the frames. A partial header may follow."""
        return {b"moov", b"mdat"} <= self._types and self._left == 0

    def take(self, data: bytes) -> None:
        """
        Track the boxes in the next bytes of the file.

        :param data: the bytes that follow those of the last call.
        """
        at = 0
        while at < len(data) and not self._is_open:
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            needed = _LARGE_HEAD_BYTES if self._head[:4] == b"\0\0\0\1" else HEAD_BYTES
            piece = data[at : at + needed - len(self._head)]
            self._head += piece
            at += len(piece)
            self._begin()

    def _begin(self) -> None:
        size, head = int.from_bytes(self._head[:4], "big"), len(self._head)
        if head < HEAD_BYTES or (size == 1 and head < _LARGE_HEAD_BYTES):
            return
        if size == 1:
            size = int.from_bytes(self._head[HEAD_BYTES:], "big")
        if 0 < size < head or self._head == b"\0" * HEAD_BYTES:
            # A box is never smaller than its header and has a type, so the rest of the file is not part of the video.
            self._is_open = True
            return
        self._types.add(self._head[4:8])
        # A box of size 0 extends to the end of the file.
        self._is_open = size == 0
        self._left = max(0, size - head)
        self._head = b""
