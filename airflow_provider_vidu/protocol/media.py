# SPDX-License-Identifier: Apache-2.0
"""Image files: format, size and completeness, and their data URIs."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from typing import NamedTuple

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.capabilities import (
    DOCUMENTATION,
    FRAME_PAIR_RATIO,
    IMAGE_FORMATS,
    IMAGE_RATIO,
    MAX_IMAGE_BYTES,
)
from airflow_provider_vidu.protocol.files import other_format, refused_file

_JPEG_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
_ZEROS = 64
"""Zero bytes at the end of an image that show that the end is missing; compressed pixels never end like this."""


class Image(NamedTuple):
    """
    Format and size of an image file, from its own bytes.

    :param format: ``png``, ``jpeg`` or ``webp``.
    :param width: pixels.
    :param height: pixels.
    """

    format: str
    width: int
    height: int


def read_image(data: bytes) -> Image | None:
    """
    Read the format and size of an image file from its bytes.

    :param data: content of the file.
    :return: ``None`` if the file is not png, jpeg or webp, or ends before its size.
    """
    for reader in (_png, _jpeg, _webp):
        size = reader(data)
        if size and min(size) > 0:
            return Image(reader.__name__[1:], *size)
    return None


def is_cut(data: bytes) -> bool:
    """
    Check whether the content of an image file is empty, or has a beginning without its end.

    :param data: content of the file.
    """
    image = read_image(data)
    return not data or (image is not None and not _IS_WHOLE[image.format](data))


def image_data_uri(data: bytes, name: str, *, least_side: int = 1) -> str:
    """
    Check an image file and convert it to a data URI.

    :param data: content of the file.
    :param name: name of the argument for the error.
    :param least_side: minimum width and height in pixels, 1 by default.
    :return: ``data:image/…;base64,…``.
    :raises ViduRequestError: if the API would refuse the image. Nothing was sent.
    """
    if len(data) > MAX_IMAGE_BYTES:
        raise refused_file(name, f"have at most {MAX_IMAGE_BYTES:,} bytes", f"{len(data):,} bytes")
    image = read_image(data)
    if image is None:
        raise refused_file(name, f"be in an image format ({', '.join(IMAGE_FORMATS)})", other_format(data))
    if not _IS_WHOLE[image.format](data):
        raise ViduRequestError(
            f"{name} must be a complete image, got a {image.format} file of {len(data):,} bytes whose end is missing "
            "or broken. Nothing was sent or paid. Store or upload the file again."
        )
    size = f"{image.width}×{image.height} pixels"
    low, high = IMAGE_RATIO
    if not low <= image.width / image.height <= high:
        raise refused_file(name, "have a ratio of width to height from 1:4 to 4:1", size)
    if min(image.width, image.height) < least_side:
        raise refused_file(name, f"have at least {least_side}×{least_side} pixels", size)
    return f"data:image/{image.format};base64,{base64.b64encode(data).decode('ascii')}"


def frame_pair_problem(first: bytes, last: bytes) -> str | None:
    """
    Compare the resolutions of the two frames of start-end2video.

    :param first: content of the first frame's file.
    :param last: content of the last frame's file.
    :return: the problem without a full stop, or ``None``. Also ``None`` if a file is not an image, which another check
        reports.
    """
    one, other = read_image(first), read_image(last)
    if one is None or other is None:
        return None
    low, high = FRAME_PAIR_RATIO
    ratio = (one.width * one.height) / (other.width * other.height)
    if low <= ratio <= high:
        return None
    return (
        f"first_frame_url and last_frame_url must have resolutions with a ratio from {low:g} to {high:g}, got "
        f"{one.width}×{one.height} and {other.width}×{other.height} pixels (source: {DOCUMENTATION})"
    )


def _png(data: bytes) -> tuple[int, int] | None:
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR" or len(data) < 24:
        return None
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _jpeg(data: bytes) -> tuple[int, int] | None:
    if data[:3] != b"\xff\xd8\xff":
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _JPEG_SIZE_MARKERS:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        if marker == 0xFF:
            at += 1
        elif marker in _JPEG_BARE_MARKERS:
            at += 2
        else:
            at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    chunk = data[12:16]
    if chunk == b"VP8X" and len(data) >= 30:
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L" and data[20:21] == b"\x2f" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 " and data[23:26] == b"\x9d\x01\x2a" and len(data) >= 30:
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _is_whole_png(data: bytes) -> bool:
    at, has_pixels = 8, False
    while at + 12 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        end = at + 8 + size
        # The checksum of a truncated or zeroed chunk is wrong. Decoders do not verify that of an optional chunk, whose
        # type begins with a lowercase letter.
        if end + 4 > len(data):
            return False
        is_whole = zlib.crc32(memoryview(data)[at + 4 : end]) == int.from_bytes(data[end : end + 4], "big")
        if not is_whole and not kind[:1].islower():
            return False
        if kind == b"IEND":
            return has_pixels
        has_pixels |= kind == b"IDAT"
        at = end + 4
    return False


def _is_whole_jpeg(data: bytes) -> bool:
    at, has_pixels = 2, False
    # Stuffed bytes and fill bytes are not markers. Decoders skip any bytes between two segments.
    next_marker = re.compile(rb"\xff([^\x00\xff])")
    while found := next_marker.search(data, at):
        marker, at = found[1][0], found.end()
        if marker == 0xD9:
            return has_pixels
        if marker not in _JPEG_BARE_MARKERS:
            # The pixels of a scan follow its header, up to a marker that is not one of their restart markers.
            at += int.from_bytes(data[at : at + 2], "big")
            has_pixels |= marker == 0xDA
    return False


def _is_whole_webp(data: bytes) -> bool:
    end, at, has_pixels = 8 + int.from_bytes(data[4:8], "little"), 12, False
    while at + 8 <= min(end, len(data)):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if not kind.isascii() or not kind.decode("ascii").isprintable():
            return False
        if kind in (b"VP8 ", b"VP8L", b"ANMF"):
            has_pixels = True
            if size >= _ZEROS and not data[at + 8 : at + 8 + size][-_ZEROS:].strip(b"\0"):
                # Room that was kept for a copy which broke off.
                return False
        # RIFF pads chunks to an even length.
        at += 8 + size + size % 2
    return has_pixels and at >= end and end <= len(data) + end % 2


_IS_WHOLE = {"png": _is_whole_png, "jpeg": _is_whole_jpeg, "webp": _is_whole_webp}
