# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os.path

import pytest
from airflow.sdk import ObjectStoragePath
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.texts import brief
from airflow_provider_vidu.storage.destination import Destination, custom_id_problem
from airflow_provider_vidu.storage.places import located, uri_of

# A template, the custom id, the index and the number of the video, and the path.
PATHS = [
    ("videos", "", 0, 1, "videos/task-1.mp4"),
    ("videos/", "", 0, 2, "videos/task-1-2.mp4"),
    ("/", "", 0, 1, "/task-1.mp4"),
    ("file:///srv/videos", "", 0, 12, "file:///srv/videos/task-1-12.mp4"),
    ("s3://aws@bucket", "", 0, 1, "s3://aws@bucket/task-1.mp4"),
    ("s3://aws@bucket.mp4", "", 0, 1, "s3://aws@bucket.mp4/task-1.mp4"),
    ("s3://bucket/dir.mp4/", "", 0, 1, "s3://bucket/dir.mp4/task-1.mp4"),
    ("s3://bucket/video.mp4", "", 0, 1, "s3://bucket/video.mp4"),
    ("s3://bucket/video.mp4", "", 0, 2, "s3://bucket/video-2.mp4"),
    ("{custom_id}.mp4", "sku 7", 3, 1, "sku 7.mp4"),
    ("{custom_id}.mp4", "sku 7", 3, 3, "sku 7-task-1-3.mp4"),
    ("videos/{custom_id}", "sku.mp4", 0, 1, "videos/sku.mp4/task-1.mp4"),
    ("videos/{custom_id}", "视频-1", 0, 1, "videos/视频-1/task-1.mp4"),
    ("s3://b/{index}/{custom_id}_{task_id}.mp4", "a", 41, 1, "s3://b/41/a_task-1.mp4"),
    ("{index}-{index}.mp4", "", 5, 1, "5-5.mp4"),
    ("odd}name", "", 0, 1, "odd}name/task-1.mp4"),
    ("..hidden/a..b", "", 0, 1, "..hidden/a..b/task-1.mp4"),
    ("a {1} {b c} {d{index}}", "", 7, 1, "a {1} {b c} {d7}/task-1.mp4"),
    ("spring [draft]*?%41#~/{custom_id}.mp4", "{index}", 7, 1, "spring [draft]*?%41#~/{index}.mp4"),
]


@pytest.mark.parametrize(("template", "custom_id", "index", "number", "path"), PATHS)
def test_a_destination_names_a_file_or_a_directory(template, custom_id, index, number, path):
    assert Destination(template).path("task-1", custom_id, index, number) == path


@pytest.mark.parametrize("template", ["videos", "videos/{task_id}.mp4"])
def test_a_task_id_comes_from_outside_and_becomes_a_name(template):
    assert Destination(template).path("../../etc/pass wd{index}") == "videos/______etc_pass_wd_index_.mp4"


DIRECTORY = "be a directory or a name that ends in .mp4"
ALLOWED = "use only the placeholders {custom_id}, {task_id}, {index} (custom_id in batches only)"


@pytest.mark.parametrize(
    ("template", "given", "allowed"),
    [
        ("", "''", "be a path or URI"),
        (" ", "' '", "be a path or URI"),
        (None, "None", "be a path or URI"),
        (5, "5", "be a path or URI"),
        ("a/{customid}.mp4", "'{customid}'", ALLOWED),
        ("{}", "'{}'", ALLOWED),
        ("{index:05}", "'{index:05}'", ALLOWED),
        ("{index.__class__}", "'{index.__class__}'", ALLOWED),
        ("{task_id!r}", "'{task_id!r}'", ALLOWED),
        ("{{ ds }}", "'{ ds }'", ALLOWED),
        ("a/{task_id", "'{task_id'", ALLOWED),
        ("s3://{custom_id}/videos", "'s3://{custom_id}/videos'", "have placeholders after the bucket's name only"),
        ("{index}://bucket/videos", "'{index}://bucket/videos'", "have placeholders after the bucket's name only"),
        *(
            (link, f"'{link}'", "be a path or a store's URI, as in s3://connection_id@bucket/videos")
            for link in ("https://bucket.s3.amazonaws.com/videos/", "HTTP://host/videos")
        ),
        ("../videos", "'../videos'", "be a path without '..'"),
        (
            "s3://bucket/./a.mp4",
            "'s3://bucket/./a.mp4'",
            "be a URI without '.' between two slashes, which HTTP clients leave out",
        ),
        ("/srv/a.mp4 ", "'/srv/a.mp4 '", "be a directory or a name that ends in .mp4, since Vidu makes MP4 files"),
        ("s3://bucket/a/../{index}.mp4", "'s3://bucket/a/../{index}.mp4'", "be a path without '..'"),
        *((name, f"'{name}'", f"{DIRECTORY}, since Vidu makes MP4 files") for name in ("{index}.mov", "x.MP4")),
    ],
)
def test_a_destination_that_is_none_is_refused_by_name(template, given, allowed):
    with pytest.raises(ViduRequestError) as caught:
        Destination(template)
    assert str(caught.value) == (
        f"destination must {allowed}, got {given}. Nothing was sent or paid. Correct the destination."
    )


@pytest.mark.parametrize("lost", ["a::b", "a?#b", "a\nb", "a\tb", "a\x7fb", "a?versionId=1", "a?versionid=1"])
def test_a_name_that_cannot_be_opened_again_is_refused(lost):
    problem = "destination or manifest must not contain control characters, '::', '?#' or '?versionId=', got "
    with pytest.raises(ViduRequestError) as caught:
        Destination(f"s3://bucket/{lost}")
    assert str(caught.value).startswith(problem)
    with pytest.raises(
        ViduRequestError, match=r"^(custom_id|destination or manifest must not contain control characters)"
    ):
        Destination("videos/{custom_id}.mp4").path("task-1", lost)


@pytest.mark.parametrize(
    "custom_id", ["", "a\0b", "a\nb", "a\x7fb", "a\u202eb", "\ud800", " a", "a ", "x" * 181, "视" * 61, 5, None, ["a"]]
)
def test_a_custom_id_is_a_short_text(custom_id):
    assert custom_id_problem(custom_id, names_a_file=False) == (
        "custom_id must be a string of 1 to 180 bytes of printable characters without spaces around it, got "
        f"{brief(custom_id)}"
    )


@pytest.mark.parametrize("custom_id", ["../x", "..", ".", ".hidden", "a/b", "/etc/passwd", "a\\b"])
def test_a_custom_id_that_is_no_name_is_refused_and_never_rewritten(custom_id):
    problem = custom_id_problem(custom_id, names_a_file=True)
    assert problem == (
        "custom_id must be 1 to 180 bytes of printable characters other than / \\ and not begin with a dot, since the "
        f"destination contains {{custom_id}}, got {custom_id!r}"
    )
    assert custom_id_problem(custom_id, names_a_file=False) is None
    with pytest.raises(ViduRequestError) as caught:
        Destination("videos/{custom_id}.mp4").path("task-1", custom_id)
    assert str(caught.value) == f"{problem}."
    # A custom id outside a file name may hold these characters.
    assert Destination("videos").problems([custom_id]) == []


@pytest.mark.parametrize(
    "custom_id",
    [
        *("C:a", "a*", "a?b", "a#b", "{task_id}", "%2e%2e", "[a]", "~a", "a|b"),
        "a",
        "a..b",
        "a b",
        "x" * 180,
        "视" * 60,
        "-x",
        "a@b+c=d,(e)",
        "é",
        "हिन्दी",
        "a.",
    ],
)
def test_a_custom_id_that_is_a_name_is_taken_as_it_is(custom_id):
    assert custom_id_problem(custom_id, names_a_file=True) is None
    assert Destination("{custom_id}.mp4").path("task-1", custom_id) == f"{custom_id}.mp4"


@given(
    name=st.text(st.sampled_from("*?[]{}%#~ :;&=@+|$!'\\()視a.") | st.characters(codec="utf-8"), min_size=1),
    start=st.sampled_from(["s3://bucket/", "s3://conn@bucket/", "/srv/", "file:///srv/", ""]),
)
def test_whatever_a_destination_takes_is_opened_again_under_the_same_name(name, start):
    try:
        path = Destination(start + name.replace("/", "_")).path("task-1")
    except ViduRequestError:
        return
    place = located(path)
    # A directory named "." is the one before it.
    assert place.path.endswith("/" + os.path.normpath(path.removeprefix(start)))
    assert ObjectStoragePath(uri_of(place)).path == place.path


@given(
    custom_id=st.text(st.sampled_from("./\\:{}\0 a*~é")) | st.text(),
    task_id=st.text(min_size=1),
    template=st.sampled_from(["{custom_id}", "{custom_id}.mp4", ".{custom_id}/{index}.mp4", "a/{custom_id}{task_id}"]),
    number=st.integers(1, 3),
)
def test_no_id_leads_out_of_the_destination(custom_id, task_id, template, number):
    depth = f"/root/{template}".count("/") + (not template.endswith(".mp4"))
    try:
        path = Destination(f"/root/{template}").path(task_id, custom_id, 7, number)
    except ViduRequestError:
        return
    assert os.path.normpath(path) == path
    assert path.startswith("/root/")
    assert path.count("/") == depth
    assert path.isprintable()


def test_without_a_custom_id_its_placeholder_is_refused():
    with pytest.raises(ViduRequestError, match=r"must use \{task_id\} or \{index\}, since this .* got '\{custom_id\}'"):
        Destination("videos/{custom_id}.mp4").path("task-1")


@pytest.mark.parametrize(
    ("template", "custom_ids", "problems"),
    [
        ("videos", ["", "", ""], []),
        ("videos", ["a", "a"], []),
        ("videos/{custom_id}", ["a", "a"], []),
        ("{custom_id}-{task_id}.mp4", ["a", "a"], []),
        ("{custom_id}.mp4", ["a", "b"], []),
        ("{index}.mp4", [""] * 1000, []),
        ("{custom_id}.mp4", ["a", "b", "a"], ["2 items (0, 2) to one file 'a.mp4'"]),
        # "1" and 11 make the same name as "11" and 1.
        ("{custom_id}{index}.mp4", ["a", "11", *"bcdefghij", "1"], ["2 items (1, 11) to one file '111.mp4'"]),
        ("video.mp4", [""] * 1000, ["1000 items (0, 1, 2, 3, 4, …) to one file 'video.mp4'"]),
        (
            "{custom_id}.mp4",
            ["a", "../a", "", "a"],
            ["item 1: custom_id must be", "destination must use {task_id} or {index}", "(0, 3)"],
        ),
    ],
)
def test_a_batch_is_checked_before_it_is_submitted(template, custom_ids, problems):
    found = Destination(template).problems(custom_ids)
    assert len(found) == len(problems)
    assert all(part in text for part, text in zip(problems, found, strict=True))


def test_a_second_video_of_an_item_is_not_called_as_another_item():
    destination = Destination("{custom_id}.mp4")
    assert destination.path("task-1", "shot", 0, 2) == "shot-task-1-2.mp4"
    assert destination.path("task-2", "shot-2", 1) == "shot-2.mp4"


def test_names_that_are_too_long_for_a_file_system_are_refused():
    assert Destination("{custom_id}-{custom_id}.mp4").path("t", "x" * 125) == f"{'x' * 125}-{'x' * 125}.mp4"
    # A second video's name, which nobody foresees, is the longer one.
    assert Destination("{custom_id}-{custom_id}.mp4").problems(["x" * 91]) == []
    (problem,) = Destination("{custom_id}-{custom_id}.mp4").problems(["x" * 92])
    assert "destination must have names of at most 255 bytes, got " in problem
    assert "(256 bytes)'" in problem
