# SPDX-License-Identifier: Apache-2.0
"""
The Chinese texts of the site: ``python -m dev.translations``, or ``--check``.

Every page has a catalogue in ``docs/locale``. The command adds the new messages of each page to its catalogue, and
marks those whose original has changed as fuzzy. ``--check`` changes nothing, and fails if a message of a page is
missing or fuzzy: the site would show it in English. ``docs/conf.py`` names the texts that no catalogue has.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

DOCS = Path(__file__).resolve().parents[1] / "docs"
LOCALE = "zh_CN"
CATALOGUES = DOCS / "locale" / LOCALE / "LC_MESSAGES"
TEMPLATES = DOCS / "_build" / "gettext"
# Wide enough for most paragraphs of the pages on few lines.
_WIDTH = 120
# Numbers, with or without a unit, are the same in Chinese. The benchmarks rewrite hundreds of them.
_VALUE = re.compile(r"(?:[^A-Za-z]|\b(?:ms|s|[kM]i?B)\b)+")


class Page(NamedTuple):
    """
    The state of a page's translation.

    :param name: The page, such as ``jobs``.
    :param messages: Number of its messages.
    :param untranslated: Those without a translation.
    :param fuzzy: Those that have changed since they were translated.
    """

    name: str
    messages: int
    untranslated: tuple[str, ...]
    fuzzy: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether the site shows all of the page in Chinese."""
        return not (self.untranslated or self.fuzzy)


def extract() -> None:
    """Write the messages of all pages to ``docs/_build/gettext``."""
    shutil.rmtree(TEMPLATES, ignore_errors=True)  # else those of removed pages stay
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "gettext", "-d", f"{DOCS}/_build/doctrees/gettext"]
    # Links may lead into the texts that are left out here. The build of the site checks all links.
    command += ["-D", "suppress_warnings=myst.xref_missing"]
    subprocess.run([*command, DOCS, TEMPLATES], check=True)


def pages(templates: Path, catalogues: Path) -> Iterator[Page]:
    """
    Compare the catalogues with the originals.

    :param templates: Directory of the ``.pot`` files.
    :param catalogues: Directory of the ``.po`` files.
    :return: All pages, by name.
    """
    for template in sorted(templates.glob("*.pot")):
        path = catalogues / f"{template.stem}.po"
        known = _read(path) if path.exists() else Catalog(LOCALE)
        # The first message, without a text, is the header.
        messages = {message.id: known.get(str(message.id)) for message in _originals(template) if message.id}
        yield Page(
            template.stem,
            len(messages),
            tuple(str(text) for text, message in messages.items() if message is None or not message.string),
            tuple(str(text) for text, message in messages.items() if message and message.string and message.fuzzy),
        )


def update(templates: Path, catalogues: Path) -> None:
    """
    Bring the catalogues up to date with the originals.

    :param templates: Directory of the ``.pot`` files.
    :param catalogues: Directory of the ``.po`` files.
    """
    for template in templates.glob("*.pot"):
        path = catalogues / f"{template.stem}.po"
        catalogue = _read(path) if path.exists() else _empty()
        # Without the new date a catalogue changes only if its page does.
        catalogue.update(_originals(template), update_creation_date=not path.exists())
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(file, catalogue, width=_WIDTH, ignore_obsolete=True, include_previous=True)


def _empty() -> Catalog:
    return Catalog(LOCALE, project="airflow-provider-vidu", header_comment="# Chinese texts of the site.", fuzzy=False)


def _read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, LOCALE)


def _originals(template: Path) -> Catalog:
    catalogue = _read(template)
    for message in list(catalogue):
        if _VALUE.fullmatch(str(message.id)):
            catalogue.delete(message.id)
    return catalogue


def main(arguments: list[str] | None = None) -> int:
    """
    Update or check the catalogues, and print how complete they are.

    :param arguments: Arguments of the command line, ``None`` (default) for those of the process.
    :return: 1 if a page is not complete.
    """
    parser = ArgumentParser("python -m dev.translations", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    options = parser.parse_args(arguments)
    extract()
    if not options.check:
        update(TEMPLATES, CATALOGUES)
    found = list(pages(TEMPLATES, CATALOGUES))
    print(f"{'page':<16}{'messages':>10}{'translated':>12}{'fuzzy':>8}{'missing':>9}")
    for page in found:
        missing, fuzzy = len(page.untranslated), len(page.fuzzy)
        print(f"{page.name:<16}{page.messages:>10}{page.messages - missing - fuzzy:>12}{fuzzy:>8}{missing:>9}")
    incomplete = [page for page in found if not page.is_complete]
    for page in incomplete:
        for state, texts in (("untranslated", page.untranslated), ("fuzzy", page.fuzzy)):
            for text in texts:
                print(f"{page.name}: {state}: {text[:100]}")
    if incomplete:
        print("Run make translations, then translate these messages in docs/locale.")
    return bool(incomplete)


if __name__ == "__main__":
    sys.exit(main())
