# SPDX-License-Identifier: Apache-2.0
"""
The Chinese texts of the site: ``python -m dev.translations [PAGE …]``, or ``--check``.

A page is translated if it has a catalogue in ``docs/locale``. The command adds the new messages of each translated
page to its catalogue, and marks those whose original has changed as fuzzy. A named page gets a catalogue. ``--check``
changes nothing, and fails if a message of a translated page is missing or fuzzy: the site would show it in English.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

DOCS = Path(__file__).resolve().parents[1] / "docs"
LOCALE = "zh_CN"
CATALOGUES = DOCS / "locale" / LOCALE / "LC_MESSAGES"
TEMPLATES = DOCS / "_build" / "gettext"
# Wide enough for most paragraphs of the pages on few lines.
_WIDTH = 120


class Page(NamedTuple):
    """
    The state of a page's translation.

    :param name: The page, such as ``jobs``.
    :param messages: Number of its messages.
    :param untranslated: Those without a translation.
    :param fuzzy: Those that have changed since they were translated.
    :param has_catalogue: Whether the page is translated at all.
    """

    name: str
    messages: int
    untranslated: tuple[str, ...]
    fuzzy: tuple[str, ...]
    has_catalogue: bool

    @property
    def is_complete(self) -> bool:
        """Whether the site shows all of the page in Chinese, or the page is not translated yet."""
        return not self.has_catalogue or not (self.untranslated or self.fuzzy)


def extract() -> None:
    """Write the messages of all pages to ``docs/_build/gettext``."""
    shutil.rmtree(TEMPLATES, ignore_errors=True)  # else those of removed pages stay
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "gettext", "-d", f"{DOCS}/_build/doctrees/gettext"]
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
        messages = {message.id: known.get(str(message.id)) for message in _messages(_read(template))}
        yield Page(
            template.stem,
            len(messages),
            tuple(str(text) for text, message in messages.items() if message is None or not message.string),
            tuple(str(text) for text, message in messages.items() if message and message.string and message.fuzzy),
            path.exists(),
        )


def update(templates: Path, catalogues: Path, named: Collection[str] = ()) -> None:
    """
    Bring the catalogues up to date with the originals.

    :param templates: Directory of the ``.pot`` files.
    :param catalogues: Directory of the ``.po`` files.
    :param named: Pages that get a catalogue, none by default.
    """
    for name in sorted({path.stem for path in catalogues.glob("*.po")} | set(named)):
        path = catalogues / f"{name}.po"
        catalogue = _read(path) if path.exists() else _empty()
        # Without the new date a catalogue changes only if its page does.
        catalogue.update(_read(templates / f"{name}.pot"), update_creation_date=not path.exists())
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(file, catalogue, width=_WIDTH, ignore_obsolete=True, include_previous=True)


def _empty() -> Catalog:
    return Catalog(LOCALE, project="airflow-provider-vidu", header_comment="# Chinese texts of the site.", fuzzy=False)


def _read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, LOCALE)


def _messages(catalogue: Catalog) -> list[Message]:
    # The first one, without a text, is the header.
    return [message for message in catalogue if message.id]


def main(arguments: list[str] | None = None) -> int:
    """
    Update or check the catalogues, and print how complete they are.

    :param arguments: Arguments of the command line, ``None`` (default) for those of the process.
    :return: 1 if a translated page is not complete.
    """
    parser = ArgumentParser("python -m dev.translations", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="page that gets a catalogue, such as jobs")
    options = parser.parse_args(arguments)
    extract()
    if not options.check:
        update(TEMPLATES, CATALOGUES, options.pages)
    found = list(pages(TEMPLATES, CATALOGUES))
    print(f"{'page':<16}{'messages':>10}{'translated':>12}{'fuzzy':>8}{'missing':>9}")
    for page in found:
        missing, fuzzy = len(page.untranslated), len(page.fuzzy)
        state = f"{page.messages - missing - fuzzy:>12}{fuzzy:>8}{missing:>9}" if page.has_catalogue else f"{'–':>12}"
        print(f"{page.name:<16}{page.messages:>10}{state}")
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
