# SPDX-License-Identifier: Apache-2.0
"""The Chinese README is compared with the English one, so that neither changes alone."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENGLISH = (ROOT / "README.md").read_text("utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text("utf-8")
# They differ by design.
LANGUAGES = ("English | [简体中文](README.zh-CN.md)", "[English](README.md) | 简体中文")


def blocks(page: str) -> list[str]:
    """The headings, paragraphs, items, rows and snippets of a page, in order."""
    found = []
    for part in re.split(r"^(```.*?^```)$", page, flags=re.DOTALL | re.MULTILINE):
        found += [part] if part.startswith("```") else re.split(r"\n\n|\n(?=- |\|)", part.strip())
    return found


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return "#" + re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def facts(page: str) -> list[object]:
    """What a translation keeps of each block: all of a snippet but the words of its comments."""
    anchors = [anchor(block.lstrip("# ")) for block in blocks(page) if block.startswith("#")]
    found: list[object] = []
    for block in blocks(page):
        if block.startswith("```"):
            found.append(re.sub(r" # .*", " #", block))
            continue
        targets = re.findall(r"\]\((.+?)\)", block)
        words = re.sub(r"`.+?`|\]\(.+?\)", "", block, flags=re.DOTALL)
        found.append(
            {
                "kind": re.match(r"(#* |- |\||!|<!)?", block)[0],
                "cells": block.count("|") if block.startswith("|") else 0,
                # The same place in the page has another anchor in another language.
                "links": sorted(str(anchors.index(target)) if target[0] == "#" else target for target in targets),
                "code": {" ".join(code.split()) for code in re.findall(r"`(.+?)`", block, re.DOTALL)},
                "numbers": set(re.findall(r"\d+(?:[.,]\d+)*", words)),
            }
        )
    return found


def test_the_chinese_readme_has_each_heading_snippet_row_link_code_and_number_of_the_english_one():
    assert facts(CHINESE.replace(LANGUAGES[1], "")) == facts(ENGLISH.replace(LANGUAGES[0], ""))


def test_each_readme_begins_with_a_link_to_the_other():
    assert (ENGLISH.splitlines()[2], CHINESE.splitlines()[2]) == LANGUAGES
