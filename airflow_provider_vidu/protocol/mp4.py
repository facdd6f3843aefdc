# SPDX-License-Identifier: Apache-2.0
"""MP4 files, seen from outside: whether one begins like a video, and whether its boxes add up."""

from __future__ import annotations

HEAD_BYTES = 8
_LARGE_HEAD_BYTES = 16


def is_mp4(head: bytes) -> bool:
    """
    Tell a video from a gateway's page by its first bytes.

    :param head: the beginning of a file, at least ``HEAD_BYTES`` of it.
    """
    return head[4:8] == b"ftyp"


class Boxes:
    """
    Walks along the top-level boxes of a file while it comes, and keeps nothing of it.

    A file that was cut at the end of a box, between two fragments, looks whole.
    """

    def __init__(self) -> None:
        self._types: set[bytes] = set()
        self._head = b""
        self._left = 0
        self._is_open = False

    @property
    def has_no_end(self) -> bool:
        """Whether the last box goes to the end of the file, wherever that is."""
        return self._is_open and not self._head

    @property
    def is_whole(self) -> bool:
        """Whether all boxes have come, the index and the pictures among them. Less than a box may follow."""
        return {b"moov", b"mdat"} <= self._types and self._left == 0

    def take(self, data: bytes) -> None:
        """
        Walk on.

        :param data: the next bytes of the file.
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
        if 0 < size < head:
            # No box is smaller than its head: what follows is no part of the video.
            self._is_open = True
            return
        self._types.add(self._head[4:8])
        # A box without a size goes to the end of the file.
        self._is_open = size == 0
        self._left = max(0, size - head)
        self._head = b""
