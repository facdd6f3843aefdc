# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration of the documentation site; ``make docs`` builds it in each language."""

import re
import sys
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the extension below

from myst_parser.slugs import github_slugify

import airflow_provider_vidu

project = "airflow-provider-vidu"
release = version = airflow_provider_vidu.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "dev.public_names"]
exclude_patterns = ["_build"]

myst_heading_anchors = 4  # the anchors that GitHub gives to headings, so that one link serves both

nitpicky = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the fields of the docstrings have the units and defaults
toc_object_entries_show_parents = "hide"

language = "en"  # make passes -D language=zh_CN
locale_dirs = ["locale"]
gettext_compact = False  # one catalogue for each page
gettext_location = False  # no line numbers, which change with every edit

html_theme = "furo"
html_title = f"{project} {release}"
html_show_sourcelink = html_copy_source = html_show_copyright = False
templates_path = ["_templates"]
html_static_path = ["_static"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/languages.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}

# Links lead to the same place on GitHub and here. GitHub's own pages are beside the files of the repository.
_ROOT = Path(__file__).parents[1]
_GITHUB = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Source"]


def _on_the_site(text):
    """Turn links to the pages in the root of the repository, such as ``../README.md``, into links to those here."""
    text = re.sub(r"\]\(\.\./([A-Z_]+)\.md", lambda found: f"]({found[1].lower()}.md", text)
    return text.replace("](../../../", f"]({_GITHUB}/")


# README.zh-CN.md is the translation of the README, and the texts of the reference are English.
_NOT_IN_CATALOGUES = re.compile(
    r"^```\{(?:include\} \.\./README\.md|public-names\})\n.*?^```$", re.DOTALL | re.MULTILINE
)


def _read(app, _page, text):
    text[0] = _on_the_site(text[0])
    if app.builder.name == "gettext":
        text[0] = _NOT_IN_CATALOGUES.sub("", text[0])
    elif app.config.language == "zh_CN":
        text[0] = text[0].replace("{include} ../README.md", "{include} ../README.zh-CN.md")


def _include(_app, path, page, text):
    """Read a page of the root as if it were beside the others."""
    beside = re.sub(r"\]\((?!https?:|#)(docs/)?", lambda found: "](" if found[1] else "](../", text[0])
    text[0] = _on_the_site(beside)
    if page == "readme" and path.name == "README.zh-CN.md":
        # Other pages link to the headings of README.md.
        headings = iter(re.findall(r"^## (.+)$", (_ROOT / "README.md").read_text("utf-8"), re.MULTILINE))
        text[0] = re.sub("^## ", lambda _: f"({github_slugify(next(headings))})=\n## ", text[0], flags=re.MULTILINE)


def _scripts(app):
    if app.config.language == "zh_CN":
        app.add_js_file("chinese_search.js")


def setup(app):
    """Register what changes the links, and the script of the Chinese search."""
    app.connect("builder-inited", _scripts)
    app.connect("source-read", _read)
    app.connect("include-read", _include)
