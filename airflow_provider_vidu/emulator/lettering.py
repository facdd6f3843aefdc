# SPDX-License-Identifier: Apache-2.0
r"""
Text on pictures: lines that fit, in fonts that have the characters.

The module draws each character in the first font that has it. Pillow ships a font with little more than ASCII. For
other characters, mainly Chinese, the module uses the machine's fonts (on Debian, ``apt install fonts-noto-cjk``
installs one). It writes a character that no font has as Python escapes it, ``\u72d0``, and never as an empty box.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from itertools import groupby

from PIL import Image, ImageDraw, ImageFont

FONT_FILES = (
    *("NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "SourceHanSansSC-Regular.otf", "wqy-microhei.ttc"),
    *("wqy-zenhei.ttc", "DroidSansFallbackFull.ttf", "DroidSansFallback.ttf", "PingFang.ttc", "Hiragino Sans GB.ttc"),
    *("Arial Unicode.ttf", "msyh.ttc", "simsun.ttc", "DejaVuSans.ttf", "arial.ttf"),
)
"""Font files to search for in the system's font directories, Chinese ones first."""

_ELLIPSIS = "…"
_NOBODY_HAS = "\uffff"
_LINE_HEIGHT = 1.3
_SHADE = (0, 0, 0, 150)
# Han characters and their punctuation are written without spaces: a line may end after each of them.
_PIECES = re.compile(r"[\u2e80-\uffff\U00020000-\U0003ffff]|[^\s\u2e80-\uffff\U00020000-\U0003ffff]+|\s")


def wrapped(text: str, width: int, size: int) -> list[str]:
    """
    Break a text into lines.

    :param text: Text of any length.
    :param width: Width of a line, in pixels.
    :param size: Size of the letters, in pixels.
    """
    lines, line, used = [], "", 0.0
    for piece in _PIECES.findall(" ".join(_writable(text).split())):
        # Only a word wider than a line is broken itself.
        for part in (piece,) if _width(piece, size) <= width else piece:
            wide = _width(part, size)
            if line and used + wide > width:
                lines.append(line.strip())
                line, used = "", 0.0
            if line or part != " ":
                line, used = line + part, used + wide
    return [*lines, line.strip()] if line.strip() else lines


def pages(text: str, width: int, size: int, lines: int = 2) -> list[str]:
    """
    Break a text into pages of a few lines, like subtitles.

    :param text: Text of any length.
    :param width: Width of a line, in pixels.
    :param size: Size of the letters, in pixels.
    :param lines: Lines of a page.
    """
    broken = wrapped(text, width, size)
    return [" ".join(broken[at : at + lines]) for at in range(0, len(broken), lines)]


def fitting(text: str, box: tuple[int, int], size: int) -> tuple[int, list[str]]:
    """
    Break a text into lines that fit into a box.

    :param text: Text of any length. If it does not fit even in small letters, it is cut, with an ellipsis.
    :param box: Width and height of the box, in pixels.
    :param size: Size of the letters, in pixels; they shrink to a third of it before the text is cut.
    :return: Size of the letters, and the lines.
    """
    for share in (1, 0.8, 0.6, 0.45, 1 / 3):
        smaller = max(8, round(size * share))
        lines, room = wrapped(text, box[0], smaller), max(1, int(box[1] / (smaller * _LINE_HEIGHT)))
        if len(lines) <= room:
            return smaller, lines
    *lines, last = lines[:room]
    while last and _width(last + _ELLIPSIS, smaller) > box[0]:
        last = last[:-1]
    return smaller, [*lines, last + _ELLIPSIS]


def lettered(text: str, box: tuple[int, int], size: int) -> Image.Image | None:
    """
    Write a text on a half-transparent shade.

    :param text: Text, as in :func:`fitting`.
    :param box: Largest width and height, in pixels.
    :param size: Largest size of the letters, in pixels.
    :return: Picture with transparency, as small as possible; ``None`` if there is no text.
    """
    margin = min(size // 3, min(box) // 8)
    size, lines = fitting(text, (box[0] - 2 * margin, box[1] - 2 * margin), size)
    if not lines:
        return None
    step, widths = size * _LINE_HEIGHT, [_width(line, size) for line in lines]
    width, height = round(max(widths)) + 2 * margin, round(step * len(lines)) + 2 * margin
    label = Image.new("RGBA", (min(width, box[0]), min(height, box[1])), _SHADE)
    draw = ImageDraw.Draw(label)
    for number, (line, wide) in enumerate(zip(lines, widths, strict=True)):
        at = (label.width - wide) / 2
        for font, run in _runs(line, size):
            draw.text((at, margin + step * number + size), run, font=font, fill="white", anchor="ls")
            at += font.getlength(run)
    return label


@cache
def _fonts() -> tuple[ImageFont.FreeTypeFont, ...]:
    own = ImageFont.load_default(size=20)
    found = [own] if isinstance(own, ImageFont.FreeTypeFont) else []
    for name in FONT_FILES:
        try:
            found.append(ImageFont.truetype(name, 20))
        except OSError:
            continue
    return tuple(found)


@cache
def _sized(number: int, size: int) -> ImageFont.FreeTypeFont:
    return _fonts()[number].font_variant(size=size)


@lru_cache(maxsize=10_000)
def _font_of(character: str) -> int | None:
    """
    Find the first font that has a character.

    A font without it draws the same box as for a character that no font has.
    """
    return next(
        (
            number
            for number, font in enumerate(_fonts())
            if bytes(font.getmask(character)) != bytes(font.getmask(_NOBODY_HAS))
        ),
        None,
    )


def _writable(text: str) -> str:
    return "".join(
        character
        if character.isspace() or _font_of(character) is not None
        else character.encode("ascii", "backslashreplace").decode()
        for character in text
    )


def _runs(line: str, size: int) -> list[tuple[ImageFont.FreeTypeFont, str]]:
    return [(_sized(number or 0, size), "".join(run)) for number, run in groupby(line, _font_of)]


def _width(line: str, size: int) -> float:
    return sum(_advance(character, size) for character in line)


@lru_cache(maxsize=10_000)
def _advance(character: str, size: int) -> float:
    return _sized(_font_of(character) or 0, size).getlength(character)
