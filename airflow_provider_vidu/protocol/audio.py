# SPDX-License-Identifier: Apache-2.0
"""Audio files: format, completeness and length, and their data URIs."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Callable

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.files import other_format, refused_file
from airflow_provider_vidu.protocol.mp4 import Boxes

AUDIO_SECONDS = (10, 180)
"""Shortest and longest audio file of ``one-click/mv``, the one job that takes a file."""
_TOLERANCE_SECONDS = 0.5
"""The service may round a length, and encoders add a fraction of a second of silence."""
_SIGNATURES = ((0, b"ID3", "mpeg"), (8, b"WAVE", "wav"), (4, b"ftyp", "mp4"))
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)
"""A recorder that writes into a pipe cannot know the size and sets one of these."""

_MPEG_RATES = (44100, 48000, 32000)
_MPEG_KBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates of MP3 frames in kbit/s, for MPEG 1 and for MPEG 2 and 2.5 (ISO 11172-3, 13818-3)."""
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_PARSED_SHARE = 0.9
"""Part of a file that must consist of frames before their sum counts as its length; tags may follow them."""


def audio_data_uri(data: bytes, name: str) -> str:
    """
    Check an audio file and convert it to a data URI.

    :param data: content of the file.
    :param name: name of the argument for the error.
    :return: ``data:audio/…;base64,…``.
    :raises ViduRequestError: if the file is not mp3, wav, aac or m4a, its end is missing, or it is too short or too
        long. Nothing was sent.
    """
    kind = next((kind for at, magic, kind in _SIGNATURES if data[at : at + len(magic)] == magic), None)
    if kind is None and data[:1] == b"\xff" and len(data) > 1:
        # A frame header: 11 bits of sync, 2 of version, 2 of layer (01 for MP3, 00 for AAC's ADTS).
        kind = "mpeg" if data[1] & 0xE6 == 0xE2 else "aac" if data[1] & 0xF6 == 0xF0 else None
    if kind is None:
        raise refused_file(name, "be in an audio format (mp3, wav, aac, m4a)", other_format(data))
    if (kind == "wav" and not _is_whole_wav(data)) or (kind == "mp4" and not _is_whole_mp4(data)):
        raise ViduRequestError(
            f"{name} must be a complete audio file, got a {kind} file of {len(data):,} bytes whose end is missing. "
            "Nothing was sent or paid. Store or upload the file again."
        )
    low, high = AUDIO_SECONDS
    seconds = _SECONDS[kind](data)
    if seconds is not None and not low - _TOLERANCE_SECONDS <= seconds <= high + _TOLERANCE_SECONDS:
        raise refused_file(name, f"last {low} to {high} s", f"an audio file of {seconds:.1f} s")
    return f"data:audio/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _is_whole_wav(data: bytes) -> bool:
    size = int.from_bytes(data[4:8], "little")
    return size in _UNKNOWN_SIZES or 8 + size <= len(data) + size % 2


def _is_whole_mp4(data: bytes) -> bool:
    boxes = Boxes()
    boxes.take(data)
    return boxes.is_whole


def _wav_seconds(data: bytes) -> float | None:
    at, bytes_per_second = 12, 0
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8
        if kind == b"fmt ":
            bytes_per_second = int.from_bytes(data[at + 8 : at + 12], "little")
        if kind == b"data":
            # An unknown size is zero, or larger than the file.
            size = min(size or len(data), len(data) - at)
            return size / bytes_per_second if bytes_per_second else None
        at += size + size % 2
    return None


def _mp4_seconds(data: bytes) -> float | None:
    header = re.search(rb"mvhd(?:\x00...(?:.{8})(.{4})(.{4})|\x01...(?:.{16})(.{4})(.{8}))", data, re.DOTALL)
    if header is None:
        return None
    scale, duration = (int.from_bytes(one, "big") for one in header.groups() if one is not None)
    # A file in fragments has its length elsewhere.
    return duration / scale if scale and duration else None


def _frames_seconds(data: bytes, at: int, frame: Callable[[bytes], tuple[int, float]]) -> float | None:
    seconds = 0.0
    while at + 8 <= len(data):
        size, lasts = frame(data[at : at + 8])
        if not size:
            break
        seconds += lasts
        at += size
    is_long = seconds > AUDIO_SECONDS[1] + _TOLERANCE_SECONDS
    return seconds if is_long or (seconds and at >= _PARSED_SHARE * len(data)) else None


def _mp3_seconds(data: bytes) -> float | None:
    at = 0
    if data[:3] == b"ID3" and len(data) >= 10:
        # Seven bits of each of the four bytes count.
        first, second, third, fourth = data[6:10]
        at = 10 + (first << 21 | second << 14 | third << 7 | fourth)
        # Some writers leave room between the tag and the first frame.
        at += len(data[at:]) - len(data[at:].lstrip(b"\0"))
    return _frames_seconds(data, at, _mp3_frame)


def _mp3_frame(header: bytes) -> tuple[int, float]:
    word = int.from_bytes(header[:4], "big")
    version, layer, bits, rate = word >> 19 & 3, word >> 17 & 3, word >> 12 & 15, word >> 10 & 3
    if word >> 21 != 0x7FF or version == 1 or layer != 1 or bits in (0, 15) or rate == 3:
        return 0, 0.0
    is_first = version == 3
    hertz = _MPEG_RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    samples = 1152 if is_first else 576
    return samples // 8 * _MPEG_KBITS[is_first][bits] * 1000 // hertz + (word >> 9 & 1), samples / hertz


def _aac_seconds(data: bytes) -> float | None:
    return _frames_seconds(data, 0, _aac_frame)


def _aac_frame(header: bytes) -> tuple[int, float]:
    word, rate = struct.unpack(">Q", header)[0], header[2] >> 2 & 15
    if word >> 52 != 0xFFF or rate >= len(_AAC_RATES):
        return 0, 0.0
    blocks = (word >> 8 & 3) + 1
    return word >> 21 & 0x1FFF, 1024 * blocks / _AAC_RATES[rate]


_SECONDS: dict[str, Callable[[bytes], float | None]] = {
    "wav": _wav_seconds,
    "mp4": _mp4_seconds,
    "mpeg": _mp3_seconds,
    "aac": _aac_seconds,
}
