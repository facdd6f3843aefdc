# SPDX-License-Identifier: Apache-2.0
"""What may be opened below a root: files that are really there, whatever their names or an XCom say."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

import pytest

from airflow_provider_vidu.plugin.stored import NotServed, open_stored
from airflow_provider_vidu.storage.roots import read_root

SECRET = b"nobody may see this"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.mp4").write_bytes(SECRET)
    (tmp_path / "videos-secret").mkdir()
    (tmp_path / "videos-secret" / "secret.mp4").write_bytes(SECRET)
    root = tmp_path / "videos"
    (root / "day").mkdir(parents=True)
    (root / "day" / "a.mp4").write_bytes(b"video")
    return root


def read(name, *roots):
    stored = open_stored(name, [read_root(str(root)) for root in roots])
    return b"".join(stored.chunks(range(stored.size)))


def made_a_link(root, path, target):
    (root / path).symlink_to(target)
    return root / path


def test_a_file_below_the_root_is_read(root):
    assert read(f"file://{root}/day/a.mp4", root) == b"video"


def test_links_that_stay_below_the_root_are_followed(root):
    made_a_link(root, "latest", "day")
    made_a_link(root, "b.mp4", root / "day" / "a.mp4")
    assert read(f"{root}/latest/a.mp4", root) == read(f"{root}/b.mp4", root) == b"video"


def test_the_root_itself_may_be_a_link(root, tmp_path):
    link = made_a_link(tmp_path, "link", root)
    assert read(f"{link}/day/a.mp4", link) == b"video"


NOT_SERVED = {
    "a file that is not there": lambda root: root / "none.mp4",
    "a directory": lambda root: root / "day",
    "the root": lambda root: root,
    "the root with a slash": lambda root: f"{root}/",
    "a file as a directory": lambda root: root / "day" / "a.mp4" / "b.mp4",
    "a file outside": lambda root: root.parent / "outside" / "secret.mp4",
    "a neighbour whose name begins alike": lambda root: root.parent / "videos-secret" / "secret.mp4",
    "a way out": lambda root: f"{root}/../outside/secret.mp4",
    "a way out, encoded": lambda root: f"file://{root}/%2e%2e/outside/secret.mp4",
    "a link to a file outside": lambda root: made_a_link(root, "l.mp4", root.parent / "outside" / "secret.mp4"),
    "a relative link to a file outside": lambda root: made_a_link(root, "l.mp4", "../outside/secret.mp4"),
    "a link to a neighbour": lambda root: made_a_link(root, "l.mp4", "../videos-secret/secret.mp4"),
    "a file below a link that leads outside": lambda root: (
        made_a_link(root, "l", root.parent / "outside") / "secret.mp4"
    ),
    "a link to a link that leads outside": lambda root: made_a_link(
        root, "l.mp4", made_a_link(root, "m.mp4", "../outside/secret.mp4")
    ),
    "a link to itself": lambda root: made_a_link(root, "l.mp4", "l.mp4"),
    "a link to nothing": lambda root: made_a_link(root, "l.mp4", "none"),
    "a link to a device": lambda root: made_a_link(root, "l.mp4", "/dev/zero"),
    "a link to a process's memory": lambda root: made_a_link(root, "l.mp4", "/proc/self/environ"),
    "a huge name": lambda root: root / ("a" * 300 + ".mp4"),
    "a name that no file system can write": lambda root: f"{root}/\ud800.mp4",
}


@pytest.mark.parametrize("case", NOT_SERVED)
def test_nothing_else_is_opened(root, case):
    name = NOT_SERVED[case](root)
    with pytest.raises(NotServed):
        read(str(name), root)


def test_a_pipe_keeps_nobody_waiting(root):
    os.mkfifo(root / "p.mp4")
    with pytest.raises(NotServed):
        read(f"{root}/p.mp4", root)


def test_a_socket_is_no_file(root):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "s.mp4"))
        with pytest.raises(NotServed):
            read(f"{root}/s.mp4", root)


@pytest.mark.parametrize("swapped", ["day", "day/a.mp4"])
def test_what_becomes_a_link_after_it_was_looked_at_is_not_followed(root, swapped, monkeypatch):
    (root.parent / "outside" / "a.mp4").write_bytes(SECRET)
    resolve = os.path.realpath

    def resolve_and_swap(path, **options):
        resolved = resolve(path, **options)
        if resolved.endswith("a.mp4"):
            (root / swapped).rename(root / "moved")
            (root / swapped).symlink_to(root.parent / "outside" / swapped.removeprefix("day").strip("/"))
        return resolved

    monkeypatch.setattr(os.path, "realpath", resolve_and_swap)
    with pytest.raises(NotServed):
        read(f"{root}/day/a.mp4", root)
    assert (root / "day" / "a.mp4").read_bytes() == SECRET


def open_files():
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            yield os.readlink(f"/proc/self/fd/{descriptor}")


def test_no_descriptor_stays_open(root):
    read(f"{root}/day/a.mp4", root)
    for case in NOT_SERVED.values():
        for link in [path for path in root.iterdir() if path.is_symlink()]:
            link.unlink()
        with pytest.raises(NotServed):
            read(str(case(root)), root)
    # Only those of this test: other threads open and close theirs meanwhile.
    assert [path for path in open_files() if path.startswith(str(root.parent))] == []


@pytest.fixture
def bucket(s3):
    s3.put_object(Bucket="bucket", Key="shown/a.mp4", Body=b"video")
    s3.put_object(Bucket="bucket", Key="shown/é %2e::x?y#z.mp4", Body=b"odd")
    s3.put_object(Bucket="bucket", Key="hidden/a.mp4", Body=SECRET)
    s3.put_object(Bucket="bucket", Key="shown-not/a.mp4", Body=SECRET)
    return s3


@pytest.mark.parametrize("root", ["s3://store@bucket", "s3://store@bucket/shown/"])
def test_an_object_below_the_root_is_read(bucket, root):
    assert read("s3://store@bucket/shown/a.mp4", root) == b"video"
    assert read("s3://store@bucket/shown/é %2e::x?y#z.mp4", root) == b"odd"


@pytest.mark.parametrize(
    "name",
    [
        "s3://store@bucket/hidden/a.mp4",
        "s3://store@bucket/shown-not/a.mp4",
        "s3://store@bucket/shown/../hidden/a.mp4",
        "s3://store@bucket/shown/none.mp4",
        "s3://store@none/shown/a.mp4",
        "s3://bucket/shown/a.mp4",
        "s3://unknown@bucket/shown/a.mp4",
    ],
)
def test_no_other_object_is(bucket, name):
    with pytest.raises(NotServed):
        read(name, "s3://store@bucket/shown")


def test_a_root_that_is_not_there_shows_nothing(bucket, tmp_path):
    with pytest.raises(NotServed):
        read("s3://store@none/a.mp4", "s3://store@none")
    with pytest.raises(NotServed):
        read(f"{tmp_path}/none/a.mp4", tmp_path / "none")


def test_an_object_is_read_piece_by_piece(bucket, monkeypatch):
    from s3fs import S3File

    from airflow_provider_vidu.plugin import stored

    fetch, fetched = S3File._fetch_range, []
    monkeypatch.setattr(S3File, "_fetch_range", lambda *asked: fetched.append(asked[1:]) or fetch(*asked))
    body = bytes(range(256)) * 40
    bucket.put_object(Bucket="bucket", Key="shown/long.mp4", Body=body)
    monkeypatch.setattr(stored, "CHUNK_BYTES", 1000)
    found = open_stored("s3://store@bucket/shown/long.mp4", [read_root("s3://store@bucket/shown")])
    pieces = list(found.chunks(range(5, 3005)))
    assert fetched == [(5, 1005), (1005, 2005), (2005, 3005)]
    assert [len(piece) for piece in pieces] == [1000, 1000, 1000]
    assert b"".join(pieces) == body[5:3005]
