# SPDX-License-Identifier: Apache-2.0
"""The application behind the tabs, asked by a user who may read the DAG."""

from __future__ import annotations

import pytest

from tests.plugin.shown import NOTHING, TASK, VIDEO


def paths(web, of_a_dag):
    """Every route of the application, those that tell of a DAG or the others."""
    values = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "file": "0", "name": "task.js"}
    values |= {"day": "2026-11-27", "stem": "s", "number": 0}
    paths = [route.path for route in web.app.routes]
    # Airflow 3.1.0 asks for the right to any DAG at all where the path does not name one.
    return [path.format(**values) for path in paths if ("{dag_id}" in path) == of_a_dag]


def test_every_route_demands_a_login(web, monkeypatch):
    monkeypatch.setattr(web.app, "dependency_overrides", {})
    found = [*paths(web, of_a_dag=True), *paths(web, of_a_dag=False)]
    assert len(found) >= 5
    assert {path: web.get(path).status_code for path in found} == dict.fromkeys(found, 401)


def test_only_the_pages_themselves_are_for_users_who_may_see_no_dag(web, monkeypatch):
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.security import get_user

    nobody = {get_user: lambda: SimpleAuthManagerUser(username="nobody", role=None)}
    monkeypatch.setattr(web.app, "dependency_overrides", nobody)
    pages = {"/task", "/run", "/library", "/assets/task.js"}
    # These show nothing of a DAG that the user may not read, see test_library_readers and test_library_chosen.
    library = {"/chosen", "/entries", "/entries.csv", "/spend", "/failures"}
    assert {*paths(web, of_a_dag=False)} == pages | library
    assert {web.get(path).status_code for path in paths(web, of_a_dag=True)} == {403}


@pytest.mark.parametrize("path", ["/task", "/run", "/assets/task.js", "/assets/none", f"/media/{TASK}/0", "/none"])
def test_every_answer_tells_the_browser_to_trust_nothing_but_the_package_itself(web, path):
    told = web.get(path).headers
    policy = dict(rule.split(" ", 1) for rule in told["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "media-src": "'self' https: http:",
        "img-src": "'self' https: http:",
        "frame-ancestors": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert told["x-content-type-options"] == "nosniff"
    assert told["referrer-policy"] == "no-referrer"
    assert told["cross-origin-resource-policy"] == "same-origin"
    assert told["cache-control"] == "private, no-cache"


def test_the_pages_are_packaged_files_and_nothing_else_is(web):
    assert {web.get(f"/{name}").headers["content-type"] for name in ("task", "run")} == {"text/html; charset=utf-8"}
    etag = web.get("/task").headers["etag"]
    assert web.get("/task", headers={"If-None-Match": etag}).status_code == 304
    for name in ("app.py", "../app.py", "..%2fapp.py", "%2e%2e/app.py", "/etc/passwd", "%2fetc%2fpasswd", ".", "a%00"):
        assert web.get(f"/assets/{name}").status_code == 404
    assert [web.get(f"/{name}").status_code for name in ("docs", "redoc", "openapi.json")] == [404] * 3


@pytest.mark.parametrize("path", ["0", "?"])
def test_nothing_stored_is_shown_unless_a_root_is_configured(ask, videos, monkeypatch, path):
    monkeypatch.delenv("AIRFLOW__VIDU__MEDIA_ROOTS")
    answer = ask({"files": [f"file://{videos}/a.mp4"]}, path)
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith("Stored videos are not shown because [vidu] media_roots is empty.")


def test_a_wrong_root_shows_nothing_at_all(ask, videos, monkeypatch):
    monkeypatch.setenv("AIRFLOW__VIDU__MEDIA_ROOTS", f"{videos}, videos")
    assert ask({"files": [f"{videos}/a.mp4"]}).status_code == 500


def test_a_video_is_played_inline_as_a_video(ask, videos):
    answer = ask({"files": [f"file://{videos}/a.mp4"]}, **{"Accept-Encoding": "gzip"})
    assert (answer.status_code, answer.content) == (200, VIDEO)
    told = {name: answer.headers.get(name) for name in ("content-type", "content-disposition", "accept-ranges")}
    assert told == {"content-type": "video/mp4", "content-disposition": "inline", "accept-ranges": "bytes"}
    assert answer.headers["content-length"] == str(len(VIDEO))


SIZE = len(VIDEO)
PARTS = {
    "bytes=0-": (206, f"bytes 0-{SIZE - 1}/{SIZE}", VIDEO),
    "bytes=0-0": (206, f"bytes 0-0/{SIZE}", VIDEO[:1]),
    "bytes=100-199": (206, f"bytes 100-199/{SIZE}", VIDEO[100:200]),
    f"bytes=100-{SIZE + 7}": (206, f"bytes 100-{SIZE - 1}/{SIZE}", VIDEO[100:]),
    "bytes=-5": (206, f"bytes {SIZE - 5}-{SIZE - 1}/{SIZE}", VIDEO[-5:]),
    f"bytes={SIZE}-": (416, f"bytes */{SIZE}", b""),
    "bytes=-0": (416, f"bytes */{SIZE}", b""),
    "bytes=0-1,5-6": (200, None, VIDEO),
    "nonsense": (200, None, VIDEO),
}


@pytest.mark.parametrize("stored", ["on this machine", "in a bucket"])
@pytest.mark.parametrize("header", PARTS)
def test_a_part_is_played_byte_for_byte_and_head_tells_the_same(ask, videos, s3, monkeypatch, stored, header):
    name = f"{videos}/a.mp4"
    if stored == "in a bucket":
        s3.put_object(Bucket="bucket", Key="shown/a.mp4", Body=VIDEO)
        monkeypatch.setenv("AIRFLOW__VIDU__MEDIA_ROOTS", "s3://store@bucket/shown")
        name = "s3://store@bucket/shown/a.mp4"
    answer = ask([name], Range=header)
    assert (answer.status_code, answer.headers.get("content-range"), answer.content) == PARTS[header]
    head = ask([name], method="HEAD", Range=header)
    assert head.content == b""
    assert (head.status_code, dict(head.headers)) == (answer.status_code, dict(answer.headers))


def test_a_part_of_what_may_have_changed_is_not_played(ask, videos):
    answer = ask([f"{videos}/a.mp4"], Range="bytes=1-2", **{"If-Range": '"some-etag"'})
    assert (answer.status_code, answer.content) == (200, VIDEO)


def test_the_files_of_a_result_and_of_a_transfer_are_numbered(ask, videos):
    (videos / "b.mp4").write_bytes(VIDEO[:100])
    names = [f"{videos}/a.mp4", f"{videos}/b.mp4"]
    for returned in (names, {"files": names}):
        assert [len(ask(returned, number).content) for number in "01"] == [SIZE, 100]


HOSTILE = [
    None,
    True,
    0,
    "",
    "/etc/passwd",
    [],
    {},
    {"files": None},
    {"files": "{videos}/a.mp4"},
    {"files": {"0": "{videos}/a.mp4"}},
    {"files": [["{videos}/a.mp4"]]},
    {"files": [None]},
    {"files": [7]},
    {"files": ["{videos}"]},
    {"files": ["{videos}/none.mp4"]},
    {"files": ["{videos}/directory.mp4"]},
    {"files": ["{videos}/page.mp4"]},
    {"files": ["{videos}/short.mp4"]},
    {"files": ["{videos}/empty.mp4"]},
    {"files": ["{videos}/video.txt"]},
    {"files": ["{videos}/secret.json"]},
    {"files": ["{videos}/out.mp4"]},
    {"files": ["{videos}/a.mp4\0"]},
    {"files": ["{videos}/a.mp4/"]},
    {"files": ["{videos}/../videos/a.mp4"]},
    {"files": ["{videos}/%2e%2e/a.mp4"]},
    {"files": ["{videos}/" + "a" * 5000 + ".mp4"]},
    {"files": ["/etc/passwd"]},
    {"files": ["file:///etc/passwd"]},
    {"files": ["/etc/passwd.mp4"]},
    {"files": ["/dev/zero"]},
    {"files": ["http://127.0.0.1/a.mp4"]},
    {"files": ['"><script>alert(1)</script>.mp4']},
    {"files": ["javascript:alert(1)//.mp4"]},
    {"files": ["\ud800.mp4"]},
    {"manifest": "{videos}/a.mp4"},
    {"manifest": "{videos}/secret.json"},
    {"manifest": "{videos}/empty.mp4"},
    {"manifest": "{videos}/out.mp4"},
    {"manifest": "{videos}"},
    {"manifest": "/etc/passwd"},
    {"manifest": ["{videos}/a.mp4"]},
]


def filled(value, videos):
    if isinstance(value, str):
        return value.replace("{videos}", str(videos))
    if isinstance(value, list):
        return [filled(item, videos) for item in value]
    return {key: filled(item, videos) for key, item in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("returned", HOSTILE, ids=lambda value: str(value)[:60].replace("\0", "0"))
@pytest.mark.parametrize("path", ["0", "0.0", "?"])
def test_whatever_is_no_stored_video_is_absent_in_one_and_the_same_way(ask, videos, returned, path):
    answer = ask(filled(returned, videos), path)
    assert (answer.status_code, answer.json()) == (404, NOTHING)


@pytest.mark.parametrize(
    "number", ["1", "-1", "00x", "0.", ".0", "0.0.0", "1e0", "٠", "%00", "9" * 50, "0%2f..", "0.5"]
)
def test_a_number_that_no_file_has_is_absent_too(ask, videos, number):
    answer = ask([f"{videos}/a.mp4"], number)
    assert answer.status_code == 404
    assert answer.json() in (NOTHING, {"detail": "Not Found"})


def test_what_a_mapped_task_returned_is_looked_up_as_it_is_stored(web, run_dag, videos):
    (videos / "b.mp4").write_bytes(VIDEO[:100])

    def make():
        from airflow.sdk import task

        @task
        def store(name):
            return {"files": [f"file://{videos}/{name}"]}

        store.expand(name=["a.mp4", "b.mp4", "secret.json"])

    ran = run_dag(make)
    dag_id, run_id = ran._key["dag_ids"], ran._key["run_id"]
    lengths = [
        len(answer.content) if answer.status_code == 200 else answer.status_code
        for index in (0, 1, 2, 3, -1)
        for answer in [web.get(f"/media/{dag_id}/{run_id}/store/{index}/0")]
    ]
    assert lengths == [SIZE, 100, 404, 404, 404]
    others = [
        f"/media/{dag_id}/{run_id}/other/0/0",
        f"/media/{dag_id}/other/store/0/0",
        f"/media/other/{run_id}/store/0/0",
        f"/media/~/{run_id}/store/0/0",
        f"/media/{dag_id}/~/store/0/0",
    ]
    assert [web.get(other).json() for other in others] == [NOTHING] * 5
    assert web.get(f"/media/{dag_id}/{run_id}/store/{1 << 31}/0").status_code == 422
