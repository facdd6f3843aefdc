# SPDX-License-Identifier: Apache-2.0
"""The part of a file that a request asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re

_BYTES = re.compile(r"bytes[ \t]*=[ \t]*(\d{0,99})-(\d{0,99})[ \t]*", re.ASCII | re.IGNORECASE)


class Unsatisfiable(Exception):
    """Signal that the file has no such part (416)."""


def asked_range(header: str | None, size: int) -> range | None:
    """
    Parse the header ``Range``.

    :param header: Value of the header as sent, ``None`` if the request has none.
    :param size: Size of the file, in bytes.
    :return: The requested bytes, at least one; ``None`` for the whole file. A header with several parts also gives
        ``None``: no player sends one, and a server may ignore it.
    :raises Unsatisfiable: If the file has no such part.
    """
    match = _BYTES.fullmatch(header or "")
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        part = range(max(0, size - int(match[2])), size)
    elif match[2] and int(match[2]) < int(match[1]):
        # Not a valid range, so it counts as absent.
        return None
    else:
        part = range(int(match[1]), min(size, int(match[2] or size) + 1))
    if not part:
        raise Unsatisfiable
    return part
