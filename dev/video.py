# SPDX-License-Identifier: Apache-2.0
"""Check of a finished video file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av


@dataclass(frozen=True)
class VideoFacts:
    """Properties of a video file after all its frames were decoded."""

    codec: str
    width: int
    height: int
    seconds: float


def read_video(path: Path) -> VideoFacts:
    """
    Decode a complete video file and return its properties.

    :param path: The file. A truncated file or one that is not a video raises an error.
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        if not stream.average_rate or not frames:
            raise ValueError(f"{path} holds no frames")
        seconds = round(float(frames / stream.average_rate), 2)
        return VideoFacts(stream.codec_context.name, stream.width, stream.height, seconds)
