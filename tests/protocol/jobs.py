# SPDX-License-Identifier: Apache-2.0
"""Fields of some jobs, for the tests of requests."""

from __future__ import annotations

from airflow_provider_vidu.protocol.request import Request

FRAME = "https://example.com/a.png"
OTHER = "https://example.com/b.png"
VIDEO = "https://example.com/a.mp4"
SOUND = "https://example.com/a.mp3"
DATA = "data:image/png;base64,c2VjcmV0"
MIB = 2**20


def data_uri(decoded_bytes):
    """A data URI of a whole number of three bytes."""
    return "data:image/png;base64," + "QUJD" * (decoded_bytes // 3) + ("", "QQ==", "QUI=")[decoded_bytes % 3]


IMG = ("img2video", "viduq2-turbo", {"first_frame_url": FRAME})
FAST = ("img2video", "viduq2-pro-fast", {"first_frame_url": FRAME})
Q3 = ("img2video", "viduq3-pro", {"first_frame_url": FRAME})
OLD = ("img2video", "viduq1", {"first_frame_url": FRAME})
TXT = ("text2video", "viduq2", {"prompt": "p"})
REF = ("reference2video", "viduq2", {"prompt": "p", "subjects": [{"id": "1", "images": [FRAME]}]})
OLD_REF = ("reference2video", "viduq2", {"prompt": "p", "images": [FRAME]})
PAIR = ("start-end2video", "viduq2-pro", {"first_frame_url": FRAME, "last_frame_url": OTHER})
PAIR_FAST = ("start-end2video", "viduq2-pro-fast", {"first_frame_url": FRAME, "last_frame_url": OTHER})
PAIR_Q3 = ("start-end2video", "viduq3-pro", {"first_frame_url": FRAME, "last_frame_url": OTHER})
EXTEND = ("extend", "viduq2-pro", {"video_url": VIDEO})
LIPS = ("lip-sync", "vidu-lip-sync", {"video_url": VIDEO, "text": "Hello"})
MV = ("one-click/mv", "vidu-mv", {"images": [FRAME], "audio_url": SOUND})


def problems(vidu_type, model, values, *, unknown_yet=(), **extras) -> list[str]:
    """Find what is wrong with a request."""
    return Request(vidu_type, model, values, **extras).problems(unknown_yet)
