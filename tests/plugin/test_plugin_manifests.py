# SPDX-License-Identifier: Apache-2.0
"""What is told of a batch's manifest, to a user who may read the DAG."""

from __future__ import annotations

import json

import pytest

from airflow_provider_vidu.storage.manifest import Record, write
from tests.plugin.shown import NOTHING, VIDEO


def line(custom_id, **fields):
    return Record(custom_id, {"model": "viduq2", "input": {"prompt": custom_id}}, "success", **fields)


def test_a_manifest_is_told_page_by_page_and_its_videos_are_played(ask, videos, monkeypatch):
    from airflow_provider_vidu.plugin import media

    monkeypatch.setattr(media, "LINES_A_PAGE", 2)
    records = [
        line("ä ☂", task_id="1", files=(f"{videos}/none.mp4",), estimated_cost=1.25),
        line("b", task_id="2", files=(f"{videos}/none.mp4", f"{videos}/a.mp4"), video_seconds=4.0),
        line("c")._replace(outcome="failed", reason='"><script>alert(1)</script>', family="unknown"),
    ]
    returned = {"manifest": write(f"{videos}/manifest.jsonl", records)}
    first = ask(returned, "?").json()
    last = ask(returned, f"?start={first['next']}").json()
    assert last["next"] is None
    lines = first["lines"] + last["lines"]
    assert [len(first["lines"]), len(last["lines"])] == [2, 1]
    items = [line.pop("item") for line in lines]
    assert lines == json.loads(json.dumps([record._asdict() for record in records]))
    assert ask(returned, f"{items[1]}.1").content == VIDEO
    for number in ("0", "1", f"{items[0]}.0", f"{items[1]}.0", f"{items[1]}.2", f"{items[2]}.0", f"{items[1] + 1}.1"):
        assert ask(returned, number).json() == NOTHING


def test_a_line_is_found_only_where_it_begins(ask, videos):
    inner = json.dumps(line("forged", files=("/etc/passwd",))._asdict())
    returned = {"manifest": write(f"{videos}/manifest.jsonl", [line("a", reason=inner), line("b")])}
    size = (videos / "manifest.jsonl").stat().st_size
    (second,) = [start for start in range(1, size + 3) if ask(returned, f"?start={start}").status_code == 200]
    assert ask(returned, f"?start={second}").json()["lines"][0]["custom_id"] == "b"


@pytest.mark.parametrize("start", ["-1", "x", "1e3", "9" * 30])
def test_a_start_that_is_no_place_in_a_file_is_refused(ask, videos, start):
    returned = {"manifest": write(f"{videos}/manifest.jsonl", [line("a")])}
    assert ask(returned, f"?start={start}").status_code == 422


def test_what_a_later_version_adds_to_a_line_is_not_shown(ask, videos):
    (videos / "manifest.jsonl").write_text(GOOD[:-1] + ', "password": "secret"}\n')
    (shown,) = ask({"manifest": f"{videos}/manifest.jsonl"}, "?").json()["lines"]
    assert shown == {"item": 0, **json.loads(GOOD)}


def test_data_uris_in_a_manifest_are_cut(ask, videos):
    record = line("a")
    record.request["images"] = ["data:image/png;base64," + "A" * 1000]
    returned = {"manifest": write(f"{videos}/manifest.jsonl", [record])}
    (told,) = ask(returned, "?").json()["lines"]
    assert told["request"]["images"] == ["a data URI of 1,022 characters ('data:image/png;base64')"]


GOOD = json.dumps(line("a")._asdict())
NO_MANIFESTS = {
    "nothing": "",
    "no line's end": GOOD,
    "one field less": GOOD.replace('"reason": "", ', "").replace('"custom_id": "a", ', "") + "\n",
    "a list": "[1]\n",
    "an empty line": f"\n{GOOD}\n",
    "files that are none": GOOD.replace('"files": []', '"files": 1') + "\n",
    "what JSON cannot hold": GOOD.replace('"estimated_cost": null', '"estimated_cost": NaN') + "\n",
    "half a character": GOOD.replace('"reason": ""', '"reason": "\\ud800"') + "\n",
    "a number without end": GOOD.replace('"reason": ""', f'"reason": {"9" * 5000}') + "\n",
    "nested without end": GOOD.replace('"reason": ""', f'"reason": {"[" * 50_000}{"]" * 50_000}') + "\n",
    "a line without end": GOOD.replace('"reason": ""', f'"reason": "{"x" * (1 << 20)}"') + "\n",
    "no text": "\xff\xfe\n",
}


@pytest.mark.parametrize("case", NO_MANIFESTS)
def test_what_is_no_manifest_is_not_told(ask, videos, case):
    (videos / "manifest.jsonl").write_text(NO_MANIFESTS[case], "latin-1")
    answer = ask({"manifest": f"{videos}/manifest.jsonl"}, "?")
    assert (answer.status_code, answer.json()) == (404, NOTHING)
