# SPDX-License-Identifier: Apache-2.0
"""A Sphinx extension: the directive ``public-names`` documents every name that ``docs/api.md`` lists."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

LIST = Path(__file__).resolve().parents[1] / "docs" / "api.md"


class PublicName(NamedTuple):
    """
    A name that keeps working across releases.

    :param path: Its import path.
    :param members: Its public methods and attributes.
    """

    path: str
    members: tuple[str, ...]

    @property
    def directive(self) -> str:
        """The lines that make Sphinx document it."""
        found = imported(self.path)
        if isinstance(found, ModuleType):
            return f".. automodule:: {self.path}\n   :members:\n   :show-inheritance:\n"
        kind, options = ("class", f"   :members: {', '.join(self.members)}\n") if self.members else ("class", "")
        if not isinstance(found, type):
            kind = "function"
        return f".. auto{kind}:: {self.path}\n{options}"


def imported(path: str) -> Any:
    """
    Import what a path names.

    :param path: Import path of a module, or of a name in one.
    """
    try:
        return import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(import_module(module), name)


def public_names(page: str) -> list[PublicName]:
    """
    Read the table of public names.

    :param page: Text of the page: its rows have import paths in the first column, and in the second the contract.
    """
    found = []
    for paths, contract in re.findall(r"^\| ([^|]*) \| (.*) \|$", page, re.MULTILINE):
        for path in re.findall(r"`(airflow_provider_vidu[\w.]+)`", paths):
            called = re.findall(r"`(\w+)[`(]", contract)
            owner = imported(path)
            members = [name for name in called if isinstance(owner, type) and hasattr(owner, name)]
            found.append(PublicName(path, tuple(members)))
    return found


class PublicNames(SphinxDirective):
    """Document every public name from its docstring."""

    def run(self) -> list[nodes.Node]:
        """
        Return the documentation.

        :return: The nodes of all names, in the order of the table.
        """
        self.env.note_dependency(str(LIST))
        directives = "\n".join(name.directive for name in public_names(LIST.read_text("utf-8")))
        return self.parse_text_to_nodes(f"```{{eval-rst}}\n{directives}\n```")


def setup(app: Sphinx) -> ExtensionMetadata:
    """
    Register the directive.

    :param app: The running Sphinx.
    :return: What Sphinx asks to know.
    """
    app.add_directive("public-names", PublicNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
