# SPDX-License-Identifier: Apache-2.0
"""
The writer of real H.264 MP4 files, and the reader of input videos and sounds.

A bar along the lower edge fills as time passes. It makes every video move, even one of a single-coloured picture, and
shows a viewer that no model made it.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Literal, TypeAlias

import av
from PIL import Image, ImageDraw

FRAMES_PER_SECOND = 24
SAMPLES_PER_SECOND = 48_000
SHORT_SIDES = {"360p": 360, "540p": 540, "720p": 720, "1080p": 1080, "2K": 1440}

_TONE_HZ = 220
_TONE_VOLUME = 0.1
# An AAC frame has 1,024 samples; the last frame may be shorter.
_SAMPLES_PER_FRAME = 1024
_SAMPLE_BYTES = 4
# FFmpeg would also open a playlist, which could name any file of this machine.
_FORMATS = {"video": "mov,mp4,avi", "audio": "wav,mp3,asf,mov,mp4,m4a,aac,ogg"}
_NAMES = {"video": "mp4, mov or avi video", "audio": "wav, mp3, wma, m4a, aac or ogg sound"}

Size: TypeAlias = tuple[int, int]
Stream: TypeAlias = Literal["video", "audio"]


def frame_size(ratio: float, resolution: str) -> Size:
    """
    Return the width and height of a video, both even as yuv420p requires.

    :param ratio: Width divided by height.
    :param resolution: One of :data:`SHORT_SIDES`; any other word counts as 720p.
    """
    short = SHORT_SIDES.get(resolution, 720)
    if ratio >= 1:
        return 2 * round(short * ratio / 2), short
    return short, 2 * round(short / ratio / 2)


def render(
    path: Path, frames: Iterable[Image.Image], *, size: Size, seconds: int, sound: Iterator[bytes] | None
) -> None:
    """
    Write an MP4 file of exactly ``seconds`` seconds.

    ``path`` appears only when the file is complete.

    :param path: Path of the file.
    :param frames: A separate picture for each frame; the function draws the bar on it.
    :param size: Size of the pictures.
    :param seconds: Length of the video in seconds.
    :param sound: Samples of :func:`tone` or :func:`sound_of`; with ``None`` the file has no sound track.
    """
    unfinished = path.with_suffix(".part")
    with av.open(unfinished, "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"preset": "ultrafast", "crf": "26"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLES_PER_SECOND, layout="mono") if sound is not None else None
        for frame in _with_bar(frames, seconds * FRAMES_PER_SECOND):
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            for samples in _sounding(sound, seconds * SAMPLES_PER_SECOND):
                container.mux(audio.encode(samples))
            container.mux(audio.encode(None))
    unfinished.replace(path)


def shape(path: Path) -> float:
    """Return the width of a video divided by its height."""
    with _opened(path, "video") as container:
        stream = container.streams.video[0]
        return float(stream.width / stream.height)


@lru_cache(maxsize=1000)
def length(path: Path, stream: Stream) -> float:
    """
    Return the length of a file in seconds, and check that it can be decoded.

    :param path: The file. Its content never changes, because the name of an input file is the hash of its content.
    :param stream: Kind of stream that the file must hold.
    :raises ValueError: If the file holds no such stream.
    """
    try:
        with _opened(path, stream) as container:
            next(container.decode(**{stream: 0}))
            # A raw AAC file has only the container's estimate; a missing length counts as zero.
            return (container.duration or 0) / 1_000_000
    except (av.FFmpegError, IndexError, StopIteration) as error:
        raise ValueError(f"not a readable {_NAMES[stream]}") from error


def footage(path: Path, size: Size, count: int) -> Iterator[Image.Image]:
    """
    Play a video at the emulator's frame rate.

    :param path: The video.
    :param size: Size of the pictures.
    :param count: Number of pictures; if the video is shorter, the last picture repeats.
    """
    shown, sent, began = Image.new("RGB", size), 0, None
    with _opened(path, "video") as container:
        for frame in _readable(container.decode(video=0)):
            time = frame.time or 0
            began = time if began is None else began
            until = min(count, math.ceil((time - began) * FRAMES_PER_SECOND - 1e-6))
            while sent < until:
                yield shown.copy()
                sent += 1
            if sent >= count:
                return
            shown = frame.to_image(width=size[0], height=size[1])
    for _ in range(sent, count):
        yield shown.copy()


def sound_of(path: Path) -> Iterator[bytes]:
    """Decode a file's sound in chunks of samples, followed by silence."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLES_PER_SECOND, frame_size=_SAMPLES_PER_FRAME)
    with _opened(path, "audio") as container:
        for frame in chain(_readable(container.decode(audio=0)), [None]):
            for chunk in resampler.resample(frame):
                yield bytes(chunk.planes[0])[: chunk.samples * _SAMPLE_BYTES]
    yield from repeat(b"")


def tone() -> Iterator[bytes]:
    """Generate an endless tone, in chunks of samples."""
    step = math.tau * _TONE_HZ / SAMPLES_PER_SECOND
    position = 0
    while True:
        wave = (math.sin(step * (position + number)) for number in range(_SAMPLES_PER_FRAME))
        yield array("f", (_TONE_VOLUME * value for value in wave)).tobytes()
        position += _SAMPLES_PER_FRAME


def _opened(path: Path, stream: Stream) -> Any:
    return av.open(path, options={"format_whitelist": _FORMATS[stream]})


def _readable(frames: Iterator[Any]) -> Iterator[Any]:
    """Yield the frames up to the first damaged one."""
    try:
        yield from frames
    except av.FFmpegError:
        return


def _with_bar(images: Iterable[Image.Image], count: int) -> Iterator[av.VideoFrame]:
    for index, image in enumerate(images):
        bar = max(4, image.height // 60)
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, image.height - bar, image.width, image.height), fill="black")
        filled = round(image.width * index / max(1, count - 1))
        draw.rectangle((0, image.height - bar, filled, image.height), fill="white")
        frame = av.VideoFrame.from_image(image)  # type: ignore[no-untyped-call]
        frame.pts, frame.time_base = index, Fraction(1, FRAMES_PER_SECOND)
        yield frame


def _sounding(chunks: Iterator[bytes], count: int) -> Iterator[av.AudioFrame]:
    for start in range(0, count, _SAMPLES_PER_FRAME):
        samples = min(_SAMPLES_PER_FRAME, count - start)
        wanted = samples * _SAMPLE_BYTES
        frame = av.AudioFrame(format="fltp", layout="mono", samples=samples)
        frame.planes[0].update(next(chunks)[:wanted].ljust(wanted, b"\0"))
        frame.sample_rate = SAMPLES_PER_SECOND
        frame.pts, frame.time_base = start, Fraction(1, SAMPLES_PER_SECOND)
        yield frame
