# SPDX-License-Identifier: Apache-2.0
"""Which part of a file a request asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re

_BYTES = re.compile(r"bytes[ \t]*=[ \t]*(\d{0,99})-(\d{0,99})[ \t]*", re.ASCII | re.IGNORECASE)


class Unsatisfiable(Exception):
    """The file has no such part (416)."""


def asked_range(header: str | None, size: int) -> range | None:
    """
    Read the header ``Range``.

    :param header: as it was sent, ``None`` where none was.
    :param size: of the file, in bytes.
    :return: the bytes that are asked for, at least one; ``None`` for all of it, as where several parts are asked for
        at once, which no player does and no server has to answer.
    :raises Unsatisfiable: when the file has no such part.
    """
    match = _BYTES.fullmatch(header or "")
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        part = range(max(0, size - int(match[2])), size)
    elif match[2] and int(match[2]) < int(match[1]):
        # Not a range at all, so that it is as if it were not there.
        return None
    else:
        part = range(int(match[1]), min(size, int(match[2] or size) + 1))
    if not part:
        raise Unsatisfiable
    return part
