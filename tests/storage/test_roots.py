# SPDX-License-Identifier: Apache-2.0
"""Which names begin with a root, read as they are written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider_vidu.get_provider_info import get_provider_info
from airflow_provider_vidu.storage.roots import MAX_CHARACTERS, Found, Root, find, read_root, split_roots

LOCAL = Root("", ("data", "videos"))
BUCKET = Root("s3://aws_default@videos", ())
FOLDER = Root("s3://aws_default@many", ("night", "shown"))
ROOTS = [LOCAL, BUCKET, FOLDER]

INSIDE = {
    "/data/videos/a.mp4": Found(LOCAL, ("a.mp4",)),
    "file:///data/videos/a.mp4": Found(LOCAL, ("a.mp4",)),
    "/data/videos/2026-01-01/ä b.mp4": Found(LOCAL, ("2026-01-01", "ä b.mp4")),
    "/data/videos/%2e%2e/a.mp4": Found(LOCAL, ("%2e%2e", "a.mp4")),
    "/data/videos/..a": Found(LOCAL, ("..a",)),
    "/data/videos//etc/passwd": Found(LOCAL, ("", "etc", "passwd")),
    "/data/videos/c:\\x": Found(LOCAL, ("c:\\x",)),
    "s3://aws_default@videos/a.mp4": Found(BUCKET, ("a.mp4",)),
    "s3://aws_default@videos/a::file:///etc/passwd": Found(BUCKET, ("a::file:", "", "", "etc", "passwd")),
    "s3://aws_default@many/night/shown/a.mp4": Found(FOLDER, ("a.mp4",)),
    "s3://aws_default@many/night/shown/a.mp4?x=1#x": Found(FOLDER, ("a.mp4?x=1#x",)),
}
OUTSIDE = [
    "s3://aws_default@many/night/shown/private.heic?versionId=.mp4",
    "/etc/passwd",
    "/data/videos",
    "/data/videos-secret/a.mp4",
    "/data/video",
    "/data",
    "/",
    "/data/videos/../secret.mp4",
    "/data/videos/sub/../a.mp4",
    "/data/videos/./a.mp4",
    "/data/videos/..",
    "/data//videos/a.mp4",
    "/DATA/videos/a.mp4",
    "data/videos/a.mp4",
    "./data/videos/a.mp4",
    "~/videos/a.mp4",
    " /data/videos/a.mp4",
    "file://data/videos/a.mp4",
    "file://localhost/data/videos/a.mp4",
    "file:/data/videos/a.mp4",
    "FILE:///data/videos/a.mp4",
    "file:///%2fdata/videos/a.mp4",
    "file:////data/videos/a.mp4",
    "local:///data/videos/a.mp4",
    "/data/videos/a.mp4\0.txt",
    "/data/videos/" + "a" * MAX_CHARACTERS,
    "s3://aws_default@videos",
    "s3://aws_default@videos-secret/a.mp4",
    "s3://videos/a.mp4",
    "s3://other@videos/a.mp4",
    "s3://aws_default@x@videos/a.mp4",
    "s3://aws_default@videos@evil/a.mp4",
    "s3a://aws_default@videos/a.mp4",
    "S3://aws_default@videos/a.mp4",
    "gs://aws_default@videos/a.mp4",
    "s3://aws_default@many/a.mp4",
    "s3://aws_default@many/night/shown-not/a.mp4",
    "s3://aws_default@many/night/shown/../a.mp4",
    "s3://aws_default@many//night/shown/a.mp4",
    "simplecache::s3://aws_default@videos/a.mp4",
    "http://169.254.169.254/latest/meta-data",
    "https://videos/a.mp4",
    "sftp://aws_default@videos/a.mp4",
    "memory://a.mp4",
    "data:video/mp4;base64,AAAA",
    "javascript:alert(1)",
    "",
    None,
    True,
    7,
    1.5,
    ["/data/videos/a.mp4"],
    {"path": "/data/videos/a.mp4"},
    b"/data/videos/a.mp4",
]


@pytest.mark.parametrize("name", INSIDE)
def test_a_name_that_begins_with_a_root_is_found_below_it_as_it_is_written(name):
    assert find(name, ROOTS) == INSIDE[name]


@pytest.mark.parametrize("name", OUTSIDE, ids=lambda name: str(name)[:60])
def test_nothing_else_is_below_a_root(name):
    assert find(name, ROOTS) is None


def test_without_roots_nothing_is_found():
    assert find("/data/videos/a.mp4", []) is None


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("/data/videos", LOCAL),
        ("/data/videos/", LOCAL),
        ("file:///data/videos//", LOCAL),
        ("/", Root("", ())),
        ("s3://aws_default@videos", BUCKET),
        ("s3://aws_default@videos/", BUCKET),
        ("s3://aws_default@many/night/shown/", FOLDER),
        ("gs://videos", Root("gs://videos", ())),
    ],
)
def test_a_root_is_a_directory_or_a_place_in_a_bucket(text, root):
    assert read_root(text) == root


@pytest.mark.parametrize(
    "text",
    ["", "videos", "~/videos", "/data/../videos", "s3://", "s3:///", "sftp://files@host/videos", "http://host/videos"],
)
def test_what_is_no_root_is_refused_by_name(text):
    with pytest.raises(ValueError, match="must be an absolute path") as refused:
        read_root(text)
    assert str(refused.value).endswith(f", got {text!r}.")


def test_the_documented_roots_are_roots():
    page = (Path(__file__).parents[2] / "docs" / "ui.md").read_text("utf-8")
    (documented,) = re.findall(r"^media_roots = (.+)$", page, re.MULTILINE)
    option = get_provider_info()["config"]["vidu"]["options"]["media_roots"]
    assert option["example"] == documented
    assert [str(read_root(text.strip())) for text in documented.split(",")] == documented.split(", ")
    (schemes,) = re.findall(r"an object store \(([^)]+)\)", page)
    with pytest.raises(ValueError, match=f"one of {schemes.replace('`', '')}, such as"):
        read_root("sftp://host")


@pytest.mark.parametrize(
    ("text", "roots"), [("", []), ("/a", ["/a"]), ("/a , s3://b", ["/a", "s3://b"]), (",", ["", ""]), (" ", [""])]
)
def test_only_an_empty_option_lists_no_root(text, roots):
    assert split_roots(text) == roots
