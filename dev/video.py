# SPDX-License-Identifier: Apache-2.0
"""Read a finished video back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av


@dataclass(frozen=True)
class VideoFacts:
    """What a video file says about itself after every frame of it was decoded."""

    codec: str
    width: int
    height: int
    seconds: float


def read_video(path: Path) -> VideoFacts:
    """
    Decode a whole video file.

    :param path: The file; one that is cut short or is no video raises.
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        if not stream.average_rate or not frames:
            raise ValueError(f"{path} holds no frames")
        seconds = round(float(frames / stream.average_rate), 2)
        return VideoFacts(stream.codec_context.name, stream.width, stream.height, seconds)
