# SPDX-License-Identifier: Apache-2.0
"""Frames of a video, made from input pictures or drawn ones."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from PIL import Image, ImageOps

from airflow_provider_vidu.emulator.lettering import lettered, pages
from airflow_provider_vidu.emulator.video import FRAMES_PER_SECOND, Size

Frames: TypeAlias = Iterator[Image.Image]

_ZOOM = 1.2
_SAME_RATIO = 0.02
_DARK = (24, 24, 32)
_CUE = re.compile(
    r"(\d+):(\d\d):(\d\d)[,.](\d{3})\s*-->\s*(\d+):(\d\d):(\d\d)[,.](\d{3})[^\n]*\n(.*?)(?:\n\s*\n|\Z)", re.S
)


@dataclass(frozen=True, slots=True)
class Cue:
    """
    Hold a text and the time span in which it is visible.

    :param text: Text of any length.
    :param start: Start in seconds.
    :param end: End in seconds.
    """

    text: str
    start: float = 0
    end: float = math.inf


@dataclass(frozen=True, slots=True)
class Place:
    """
    Hold the position and the largest size of a text, in shares of the frame.

    :param top: Share of the free height that is above the text.
    :param width: Largest width.
    :param height: Largest height.
    :param size: Size of the letters, as a share of the frame's shorter side.
    """

    top: float
    width: float
    height: float
    size: float


MIDDLE = Place(0.5, 0.86, 0.86, 0.09)
BELOW = Place(0.95, 0.92, 0.3, 0.06)
ABOVE = Place(0.05, 0.92, 0.2, 0.06)


def open_picture(path: Path) -> Image.Image:
    """
    Decode an input picture.

    :param path: A PNG, JPEG or WebP file.
    :raises ValueError: If it is anything else, or if the ratio is not between 1:4 and 4:1.
    """
    picture = _decoded(path, "png", "jpeg", "webp")
    if not 0.25 <= picture.width / picture.height <= 4:
        raise ValueError(f"the ratio must be between 1:4 and 4:1, got {picture.width}x{picture.height}")
    return picture


def open_photo(path: Path) -> Image.Image:
    """
    Decode the photo of lip-sync.

    Unlike other pictures it may be a BMP file and may have any ratio.

    :param path: A PNG, JPEG, WebP or BMP file.
    :raises ValueError: If it is anything else.
    """
    return _decoded(path, "png", "jpeg", "webp", "bmp")


def read_cues(path: Path) -> list[Cue]:
    """
    Read subtitles.

    :param path: An SRT file.
    :raises ValueError: If the file has no subtitles.
    """
    text = path.read_text("utf-8-sig", errors="replace").replace("\r\n", "\n")
    found = [
        Cue(match[9], _seconds(*match.groups()[:4]), _seconds(*match.groups()[4:8])) for match in _CUE.finditer(text)
    ]
    if not found:
        raise ValueError("not a readable srt file")
    return found


def cues_of(text: str, seconds: float, size: Size) -> list[Cue]:
    """
    Turn a text into subtitles of at most two lines, each shown equally long.

    :param text: Text of any length.
    :param seconds: Time for all subtitles together, in seconds.
    :param size: Size of the frames.
    """
    # Narrower than the place, so that a page never needs a third line there.
    texts = pages(text, round(size[0] * BELOW.width * 0.9), _letters(BELOW, size))
    share = seconds / max(1, len(texts))
    return [Cue(page, number * share, (number + 1) * share) for number, page in enumerate(texts)]


def backdrop(size: Size) -> Image.Image:
    """Draw the picture for a job without an input picture."""
    gradient = Image.linear_gradient("L")
    colours = (gradient.resize(size), gradient.rotate(90).resize(size), Image.radial_gradient("L").resize(size))
    return Image.merge("RGB", colours).point(lambda value: value // 2)


def fitted(picture: Image.Image, size: Size) -> Image.Image:
    """Scale a picture to a size, with dark bars if its ratio differs."""
    if abs(picture.width * size[1] / (picture.height * size[0]) - 1) < _SAME_RATIO:
        return picture.resize(size, Image.Resampling.LANCZOS)
    return ImageOps.pad(picture, size, Image.Resampling.LANCZOS, color=_DARK)


def still(picture: Image.Image, size: Size, count: int) -> Frames:
    """Show a picture ``count`` times."""
    shown = fitted(picture, size)
    for _ in range(count):
        yield shown.copy()


def zoom(picture: Image.Image, size: Size, count: int) -> Frames:
    """Zoom slowly into a picture, in ``count`` frames; the first shows all of it."""
    width, height = size
    # One high-quality scaling first; each frame is then a cheap crop with little scaling.
    wide, high = round(width * _ZOOM), round(height * _ZOOM)
    source = fitted(picture, (wide, high))
    for index in range(count):
        closer = 1 + (_ZOOM - 1) * index / max(1, count - 1)
        left, top = (wide - wide / closer) * 0.7, (high - high / closer) * 0.3
        box = (left, top, left + wide / closer, top + high / closer)
        yield source.resize(size, Image.Resampling.BILINEAR, box=box)


def fade(first: Image.Image, last: Image.Image, size: Size, count: int) -> Frames:
    """Fade the first picture into the last one, in ``count`` frames."""
    one, other = fitted(first, size), fitted(last, size)
    for index in range(count):
        yield Image.blend(one, other, index / max(1, count - 1))


def montage(pictures: Sequence[tuple[str, Path]], size: Size) -> Image.Image:
    """
    Put pictures side by side.

    :param pictures: Label and file of each picture.
    :param size: Size of the whole.
    """
    columns = min(len(pictures), math.ceil(math.sqrt(len(pictures) * size[0] / size[1])))
    tile = (size[0] // columns, size[1] // math.ceil(len(pictures) / columns))
    gap = max(2, min(tile) // 24)
    whole = Image.new("RGB", size, _DARK)
    for number, (label, path) in enumerate(pictures):
        left, top = number % columns * tile[0], number // columns * tile[1]
        inner = (max(1, tile[0] - 2 * gap), max(1, tile[1] - 2 * gap))
        whole.paste(fitted(open_picture(path), inner), (left + gap, top + gap))
        words = lettered(label, inner, max(12, min(tile) // 8))
        if words is not None:
            whole.paste(words, (left + gap, top + gap), words)
    return whole


def captioned(frames: Iterable[Image.Image], cues: Sequence[Cue], place: Place) -> Frames:
    """
    Write texts on frames.

    :param frames: Frames of a video from its start; the function draws on them.
    :param cues: Texts and their times.
    :param place: Position of the texts.
    """
    shown: Cue | None = None
    words: Image.Image | None = None
    for index, image in enumerate(frames):
        second = index / FRAMES_PER_SECOND
        cue = next((cue for cue in cues if cue.start <= second < cue.end), None)
        if cue is not shown:
            box = (round(image.width * place.width), round(image.height * place.height))
            shown, words = cue, lettered(cue.text, box, _letters(place, image.size)) if cue else None
        if words is not None:
            image.paste(
                words, ((image.width - words.width) // 2, round((image.height - words.height) * place.top)), words
            )
        yield image


def _letters(place: Place, size: Size) -> int:
    return max(8, round(min(size) * place.size))


def _seconds(hours: str, minutes: str, seconds: str, milliseconds: str) -> float:
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(milliseconds) / 1000


def _decoded(path: Path, *formats: str) -> Image.Image:
    try:
        with Image.open(path, formats=[name.upper() for name in formats]) as file:
            return ImageOps.exif_transpose(file).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # Pillow raises any of these for a damaged file.
        raise ValueError(f"not a readable {', '.join(formats[:-1])} or {formats[-1]} image") from error
