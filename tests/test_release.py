# SPDX-License-Identifier: Apache-2.0
"""What a release needs besides the code: one address, a changelog, workflows and pages whose links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import airflow_provider_vidu
from dev.matrix import VERSIONS

ROOT = Path(__file__).resolve().parents[1]
FILES = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
PAGES = [name for name in FILES if name.endswith(".md")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
WORKFLOWS = {path.name: path.read_text("utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")}


def jobs(workflow):
    return yaml.safe_load(WORKFLOWS[workflow])["jobs"]


def test_the_address_of_the_repository_stands_in_the_project_file_alone():
    source = PROJECT["project"]["urls"]["Source"]
    replacements = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]
    addresses = [
        *PROJECT["project"]["urls"].values(),
        *(one["replacement"].removeprefix("\\1") for one in replacements),
    ]
    assert all(address.startswith(source) for address in addresses)
    # A catalogue quotes its page as the site shows it, with links to the repository.
    files = [name for name in FILES if not name.endswith(".po")]
    assert [name for name in files if source.encode() in (ROOT / name).read_bytes()] == ["pyproject.toml"]


def test_the_changelog_has_the_sections_of_keep_a_changelog_and_begins_with_this_version():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    versions = re.findall(r"^## (.*)", text, re.M)
    is_released = ".dev" not in airflow_provider_vidu.__version__
    assert versions[0].partition(" ")[0] == (airflow_provider_vidu.__version__ if is_released else "Unreleased")
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", one) for one in versions if one != "Unreleased")
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)", text, re.M)) <= kinds


@pytest.mark.parametrize("extra", sorted(set(re.findall(r"\w+", " ".join(re.findall(r"\.\[([\w,]+)\]", MAKEFILE))))))
def test_the_extras_that_make_installs_exist(extra):
    assert extra in PROJECT["project"]["optional-dependencies"]


def test_github_runs_the_targets_of_ci():
    of_ci = re.findall(r"^make ([\w-]+)$", (ROOT / ".ci" / "run").read_text("utf-8"), re.M)
    assert jobs("checks.yml")["make"]["strategy"]["matrix"]["target"] == of_ci
    assert f"make {' '.join(of_ci)}" in [step.get("run") for step in jobs("release.yml")["build"]["steps"]]
    assert all(re.search(rf"^{target}:", MAKEFILE, re.M) for target in of_ci)


def test_github_tests_every_version_of_the_matrix():
    assert jobs("matrix.yml")["matrix"]["strategy"]["matrix"]["version"] == VERSIONS


def anchors(page):
    """The ids that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_each_link_of_a_page_leads_to_a_file_and_a_heading(page):
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)]*)\)", text):
        # GitHub's own pages are beside the files.
        if link.startswith(("https://", "http://", "../../security/")):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
