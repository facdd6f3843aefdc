# SPDX-License-Identifier: Apache-2.0
"""What ``make dist`` has built: the files, the page on PyPI, and an example in an environment of its own."""

from __future__ import annotations

import email
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from readme_renderer import markdown

from dev.video import VideoFacts, read_video

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "airflow_provider_vidu"
# It runs apart from the repository, as what a user writes by the README: an emulator, a connection, one DAG.
PROGRAM = """
import json, os, subprocess, sys
import airflow_provider_vidu
from airflow_provider_vidu.emulator.server import Settings, running

print(json.dumps(airflow_provider_vidu.__file__), flush=True)
with running(Settings(speed=1e6, key="a-key")) as url:
    connection = {"conn_type": "vidu", "host": url, "password": "a-key"}
    env = {**os.environ, "AIRFLOW_CONN_VIDU_DEFAULT": json.dumps(connection)}
    for arguments in (["db", "migrate"], ["dags", "test", "example_vidu_img2video", "--conf", sys.argv[1]]):
        subprocess.run([sys.executable, "-I", "-m", "airflow", *arguments], env=env, check=True)
"""


@pytest.fixture(scope="module")
def wheel():
    (wheel,) = (ROOT / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def page(wheel):
    """The metadata of the wheel, and the page that PyPI makes of its README."""
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    return metadata, markdown.render(metadata.get_payload(decode=True).decode())


def test_the_wheel_contains_every_file_of_the_package_and_no_other(wheel):
    done = subprocess.run(["git", "ls-files", PACKAGE], cwd=ROOT, capture_output=True, text=True, check=True)
    with ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert sorted(names) == sorted(done.stdout.splitlines())


def test_every_link_and_picture_of_the_page_on_pypi_leads_to_a_file_of_the_release(page):
    metadata, html = page
    source = dict(line.split(", ") for line in metadata.get_all("Project-URL"))["Source"]
    at_tag = re.compile(rf"{re.escape(source)}/(blob|raw)/v{re.escape(metadata['Version'])}/([^#]*)(?:#.*)?")
    links = re.findall(r'(?:href|src)="([^"]*)"', html)
    ids = {f"#{name}" for name in re.findall(r'id="([^"]*)"', html)}
    ours = [at_tag.fullmatch(link) for link in links if link.startswith(source)]
    assert len(ours) > 20
    assert all(link and (ROOT / link[2]).exists() for link in ours)
    assert {link[1] for link in ours if link[2].endswith(".png")} == {"raw"}
    others = {link for link in links if not link.startswith(source)} - ids
    assert all(link.startswith("https://") for link in others), others


def test_an_example_makes_a_video_where_only_the_wheel_is_installed(wheel, tmp_path):
    uv, python = Path(sys.prefix) / "bin" / "uv", tmp_path / "env" / "bin" / "python"
    # Nothing of a developer's Airflow, and nothing that would lead Python to the repository.
    strange = ("AIRFLOW", "_AIRFLOW", "PYTHON", "VIRTUAL_ENV")
    env = {name: value for name, value in os.environ.items() if not name.startswith(strange)} | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    installed = tmp_path / "env" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages" / PACKAGE
    env["AIRFLOW__CORE__DAGS_FOLDER"] = str(installed / "example_dags")
    where = ("--python", python, "--constraints", ROOT / "constraints.txt")
    videos = tmp_path / "videos"
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, python.parents[1]],
        [uv, "pip", "install", "--quiet", *where, f"{wheel}[emulator]"],
        [python, "-I", "-c", PROGRAM, json.dumps({"destination": videos.as_uri()})],
    ):
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[0]) == str(installed / "__init__.py")
    (video,) = videos.iterdir()
    assert read_video(video) == VideoFacts("h264", 1280, 720, 4.0)
