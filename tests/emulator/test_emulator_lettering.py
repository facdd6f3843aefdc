# SPDX-License-Identifier: Apache-2.0
"""Texts of any length and script can be read on the pictures."""

from __future__ import annotations

import pytest

from airflow_provider_vidu.emulator import lettering
from airflow_provider_vidu.emulator.lettering import fitting, lettered, pages, wrapped


@pytest.fixture
def only_pillows_font(monkeypatch):
    monkeypatch.setattr(lettering, "FONT_FILES", ())
    caches = (lettering._fonts, lettering._sized, lettering._font_of, lettering._advance)
    for cached in caches:
        cached.cache_clear()
    yield
    monkeypatch.undo()
    for cached in caches:
        cached.cache_clear()


def test_lines_end_between_words_and_only_a_word_wider_than_a_line_is_broken():
    assert wrapped("one two three", 100, 20) == ["one two", "three"]
    assert wrapped("a " + "m" * 12, 100, 20) == ["a mmmmm", "mmmmm", "mm"]
    assert wrapped("  a\n\n b  ", 100, 20) == ["a b"]
    assert wrapped(" ", 100, 20) == []


def test_chinese_is_broken_anywhere():
    lines = wrapped("狐狸跳过了懒狗", 60, 20)
    assert len(lines) > 1
    assert "".join(lines) == lettering._writable("狐狸跳过了懒狗")


def test_a_character_that_no_font_has_is_written_as_an_escape(only_pillows_font):
    assert wrapped("a 狐 é\ud800", 400, 20) == ["a \\u72d0 \\xe9\\ud800"]


class ChineseFont:
    def getmask(self, character):
        return b"a box" if character == lettering._NOBODY_HAS else character.encode()


def test_a_character_is_written_in_the_first_font_that_has_it(only_pillows_font, monkeypatch):
    own = lettering._fonts()
    monkeypatch.setattr(lettering, "_fonts", lambda: (*own, ChineseFont()))
    assert [lettering._font_of(character) for character in "a狐"] == [0, 1]


@pytest.mark.parametrize("count", [1, 40, 400])
def test_a_text_that_fits_is_written_whole_in_letters_as_large_as_can_be(count):
    text = " ".join(["kite"] * count)
    size, lines = fitting(text, (1100, 600), 60)
    assert " ".join(lines) == text
    assert size == {1: 60, 40: 60, 400: 20}[count]


def test_what_does_not_fit_in_the_smallest_letters_is_cut_with_an_ellipsis():
    text = " ".join(["kite"] * 400)
    size, lines = fitting(text, (300, 200), 30)
    assert size == 10
    assert len(lines) == 15
    assert text.startswith(" ".join(lines).removesuffix("…"))
    assert lines[-1].endswith("…")


@pytest.mark.parametrize("text", ["kite", "kite " * 400, "k" * 2000, "狐" * 2000])
@pytest.mark.parametrize("box", [(1100, 600), (300, 200), (60, 20)])
def test_the_written_text_is_no_larger_than_its_box(text, box):
    label = lettered(text, box, 60)
    assert label.width <= box[0]
    assert label.height <= box[1]
    assert label.getextrema()[0] == (0, 255)


def test_nothing_is_written_where_there_is_nothing_to_write():
    assert lettered("  ", (100, 100), 20) is None


def test_pages_have_two_lines_each():
    assert pages("one two three four five", 100, 20) == ["one two three four", "five"]
