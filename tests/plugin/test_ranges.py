# SPDX-License-Identifier: Apache-2.0
"""Which bytes a Range header asks for, of a file of ten."""

from __future__ import annotations

import pytest

from airflow_provider_vidu.plugin.ranges import Unsatisfiable, asked_range


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-", range(10)),
        ("bytes=0-0", range(1)),
        ("bytes=2-4", range(2, 5)),
        ("bytes=9-", range(9, 10)),
        ("bytes=9-9", range(9, 10)),
        ("bytes=0-9", range(10)),
        ("bytes=0-10", range(10)),
        ("bytes=5-99999999999999999999999999", range(5, 10)),
        ("bytes=-1", range(9, 10)),
        ("bytes=-10", range(10)),
        ("bytes=-11", range(10)),
        ("Bytes = 2-4 ", range(2, 5)),
    ],
)
def test_a_part_of_the_file(header, part):
    assert asked_range(header, 10) == part


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=4-2",
        "bytes=0-1,3-4",
        "bytes=--1",
        "bytes=-1-2",
        "bytes=a-b",
        "bytes=0x1-2",
        "bytes=1.0-2",
        "bytes=+1-2",
        "bytes=١-٢",
        "items=0-1",
        "bytes=" + "9" * 5000 + "-",
    ],
)
def test_what_asks_for_no_single_part_is_answered_with_the_whole_file(header):
    assert asked_range(header, 10) is None


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=99999999999999999999999-", "bytes=-0"])
def test_a_part_that_the_file_does_not_have_is_refused(header):
    with pytest.raises(Unsatisfiable):
        asked_range(header, 10)
