# SPDX-License-Identifier: Apache-2.0
"""
Pictures and videos: a first frame in, a real H.264 MP4 out.

The video is a slow zoom over the picture with a bar along the lower edge that fills as time passes. The bar makes
every video move, also one made from a single-coloured frame, and tells a viewer that no model made it.
"""

from __future__ import annotations

import math
import textwrap
from array import array
from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import av
from PIL import Image, ImageDraw, ImageFont, ImageOps

FRAMES_PER_SECOND = 24
SAMPLES_PER_SECOND = 48_000
SHORT_SIDES = {"360p": 360, "540p": 540, "720p": 720, "1080p": 1080, "2K": 1440}

_ZOOM = 1.2
_TONE_HZ = 220
_TONE_VOLUME = 0.1

Size: TypeAlias = tuple[int, int]


class PictureError(ValueError):
    """The bytes are not a picture that the API accepts."""


def open_picture(data: bytes) -> Image.Image:
    """
    Decode a first frame.

    :param data: the bytes of a PNG, JPEG or WebP file.
    :raises PictureError: when they are anything else, or when the ratio is not between 1:4 and 4:1.
    """
    try:
        with Image.open(BytesIO(data), formats=["PNG", "JPEG", "WEBP"]) as file:
            picture = ImageOps.exif_transpose(file).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # Pillow reports damaged files with any of these.
        raise PictureError("not a readable png, jpeg or webp image") from error
    if not 0.25 <= picture.width / picture.height <= 4:
        raise PictureError(f"the ratio of {picture.width}x{picture.height} is not between 1:4 and 4:1")
    return picture


def title_card(text: str, aspect_ratio: str) -> Image.Image:
    """
    Draw the picture for a job that has no first frame.

    :param text: what to write on it.
    :param aspect_ratio: such as ``16:9``.
    """
    width, height = frame_size(_ratio(aspect_ratio), "720p")
    card = Image.merge(
        "RGB",
        (
            Image.linear_gradient("L").resize((width, height)),
            Image.linear_gradient("L").rotate(90).resize((width, height)),
            Image.radial_gradient("L").resize((width, height)),
        ),
    ).point(lambda value: value // 2)
    font = ImageFont.load_default(size=36)
    lines = textwrap.wrap(text, width // 24)[:8]
    ImageDraw.Draw(card).multiline_text(
        (width / 2, height / 2), "\n".join(lines), font=font, anchor="mm", align="center", spacing=12
    )
    return card


def frame_size(ratio: float, resolution: str) -> Size:
    """
    Give the width and height of a video, both even as yuv420p demands.

    :param ratio: width divided by height.
    :param resolution: one of :data:`SHORT_SIDES`; any other word counts as 720p.
    """
    short = SHORT_SIDES.get(resolution, 720)
    if ratio >= 1:
        return 2 * round(short * ratio / 2), short
    return short, 2 * round(short / ratio / 2)


def render(path: Path, picture: Image.Image, *, resolution: str, seconds: int, sound: bool) -> None:
    """
    Write an MP4 file of exactly ``seconds`` seconds; ``path`` appears only when it is complete.

    :param path: where the file shall be.
    :param picture: the first frame; the video has its ratio.
    :param resolution: one of :data:`SHORT_SIDES`.
    :param seconds: length of the video.
    :param sound: whether it has a sound track; without, the file has none at all.
    """
    width, height = frame_size(picture.width / picture.height, resolution)
    unfinished = path.with_suffix(".part")
    with av.open(unfinished, "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"preset": "ultrafast", "crf": "26"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLES_PER_SECOND, layout="mono") if sound else None
        for frame in _moving(picture, (width, height), seconds * FRAMES_PER_SECOND):
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            for samples in _tone(seconds * SAMPLES_PER_SECOND):
                container.mux(audio.encode(samples))
            container.mux(audio.encode(None))
    unfinished.replace(path)


def _ratio(aspect_ratio: str) -> float:
    width, _, height = aspect_ratio.partition(":")
    try:
        return int(width) / int(height)
    except (ValueError, ZeroDivisionError):
        return 16 / 9


def _moving(picture: Image.Image, size: Size, count: int) -> Iterator[av.VideoFrame]:
    width, height = size
    # One good scaling up front; each frame is then a cheap crop that needs next to no scaling.
    wide, high = round(width * _ZOOM), round(height * _ZOOM)
    source = picture.resize((wide, high), Image.Resampling.LANCZOS)
    bar = max(4, height // 60)
    for index in range(count):
        progress = index / max(1, count - 1)
        zoom = 1 + (_ZOOM - 1) * progress
        left, top = (wide - wide / zoom) * 0.7, (high - high / zoom) * 0.3
        image = source.resize(size, Image.Resampling.BILINEAR, box=(left, top, left + wide / zoom, top + high / zoom))
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, height - bar, width, height), fill="black")
        draw.rectangle((0, height - bar, round(width * progress), height), fill="white")
        frame = av.VideoFrame.from_image(image)  # type: ignore[no-untyped-call]
        frame.pts, frame.time_base = index, Fraction(1, FRAMES_PER_SECOND)
        yield frame


def _tone(count: int) -> Iterator[av.AudioFrame]:
    step = math.tau * _TONE_HZ / SAMPLES_PER_SECOND
    # AAC takes frames of 1,024 samples; the last one may be shorter.
    for start in range(0, count, 1024):
        stop = min(start + 1024, count)
        wave = array("f", (_TONE_VOLUME * math.sin(step * position) for position in range(start, stop)))
        frame = av.AudioFrame(format="fltp", layout="mono", samples=stop - start)
        frame.planes[0].update(wave.tobytes())
        frame.sample_rate = SAMPLES_PER_SECOND
        frame.pts, frame.time_base = start, Fraction(1, SAMPLES_PER_SECOND)
        yield frame
