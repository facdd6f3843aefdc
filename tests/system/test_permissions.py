# SPDX-License-Identifier: Apache-2.0
"""Who sees stored videos on a real Airflow, and which: with a user who is denied the DAG, and with forged XComs."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from tests.system.support.guarded import DENIED_DAG
from tests.system.support.trouble import CarefulRun

pytestmark = pytest.mark.system

NOTHING = (404, {"detail": "No such stored file"})


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return tmp_path_factory.mktemp("permissions")


@pytest.fixture(scope="module")
def runs(bed, emulator_process, desk):
    """A run of each kind, ended: a transfer's list of files, mapped results, a batch's manifest."""
    emulator_process.control("POST", "reset")
    emulator_process.release()
    found = {}
    for dag_id, conf in (("careful", {}), (DENIED_DAG, {"count": 2})):
        (desk / dag_id).mkdir()
        found[dag_id] = CarefulRun(bed, emulator_process, desk / dag_id, dag_id, **conf)
    for run in found.values():
        assert run.ends() == "success"
    return found


def place(run, task_id, *more):
    return "/".join([run.dag_id, quote(run.run_id, safe=""), task_id, "-1", *more])


def told(answer):
    return answer.status_code, answer.json()


@pytest.fixture
def ask(guarded):
    """Ask the guarded server as somebody."""
    sessions = {name: guarded.session(name) for name in ("ann", "ed", "mallory")} | {"": requests.Session()}

    def ask(name, path, method="GET", **options):
        return sessions[name].request(method, guarded.url + path, timeout=60, **options)

    return ask


def paths_of(batch):
    """Every path that a page asks for, on the run that one user is denied."""
    core = f"/api/v2/dags/{DENIED_DAG}"
    run = f"{core}/dagRuns/{batch.run_id}"
    return [
        f"/vidu/videos/{DENIED_DAG}/{quote(batch.run_id, safe='')}",
        f"/vidu/manifest/{place(batch, 'batch')}",
        f"/vidu/media/{place(batch, 'batch', '0.0')}",
        f"/vidu/media/{place(batch, 'batch', '0')}",
        core,
        run,
        f"{run}/taskInstances",
        f"{run}/taskInstances/batch",
        f"{run}/taskInstances/batch/xcomEntries",
        f"{run}/taskInstances/batch/xcomEntries/return_value",
    ]


def test_without_a_login_nothing_is_served(runs, ask):
    for path in ["/vidu/task", "/vidu/run", "/vidu/assets/task.js", *paths_of(runs[DENIED_DAG])]:
        assert ask("", path).status_code == 401, path
    assert ask("ann", "/vidu/task").status_code == ask("ann", "/vidu/assets/task.js").status_code == 200


def test_who_may_not_see_the_dag_sees_no_video_of_it(runs, ask):
    for path in paths_of(runs[DENIED_DAG]):
        answers = [ask("mallory", path).status_code, ask("mallory", path, "HEAD").status_code]
        # Airflow's own routes know no HEAD.
        assert answers[0] == 403, path
        assert answers[1] in (403, 405), path
    careful = place(runs["careful"], "store", "0")
    assert ask("mallory", f"/vidu/media/{careful}").status_code == 200


def test_who_may_see_the_dag_sees_its_videos(runs, ask):
    batch = runs[DENIED_DAG]
    page = ask("ann", f"/vidu/manifest/{place(batch, 'batch')}").json()
    assert [line["custom_id"] for line in page["lines"]] == ["item-00000", "item-00001"]
    assert page["next"] is None
    for line in page["lines"]:
        (file,) = line["files"]
        played = ask("ann", f"/vidu/media/{place(batch, 'batch', '{item}.0'.format(**line))}")
        assert played.content == Path(file.removeprefix("file://")).read_bytes()


def test_parts_of_a_video_are_played_byte_for_byte(bed, runs, ask):
    careful = runs["careful"]
    (file,) = bed.xcom("careful", careful.run_id, "store")
    video = Path(file.removeprefix("file://")).read_bytes()
    path, size = f"/vidu/media/{place(careful, 'store', '0')}", len(video)
    for asked, (status, content_range, content) in {
        "bytes=0-": (206, f"bytes 0-{size - 1}/{size}", video),
        "bytes=1000-1999": (206, f"bytes 1000-1999/{size}", video[1000:2000]),
        "bytes=-100": (206, f"bytes {size - 100}-{size - 1}/{size}", video[-100:]),
        f"bytes={size}-": (416, f"bytes */{size}", b""),
        "": (200, None, video),
    }.items():
        answer = ask("ann", path, headers={"Range": asked})
        assert (answer.status_code, answer.headers.get("Content-Range")) == (status, content_range)
        assert answer.content == content
    head = ask("ann", path, "HEAD")
    wanted = {"content-type": "video/mp4", "content-length": str(size), "accept-ranges": "bytes"}
    assert wanted.items() <= dict(head.headers).items()
    assert "Content-Encoding" not in head.headers


@pytest.fixture
def forge(bed, runs, ask):
    """Write an XCom as somebody who may edit the DAG's runs, and give it back afterwards."""
    path = f"/api/v2/dags/careful/dagRuns/{runs['careful'].run_id}/taskInstances/store/xcomEntries/return_value"
    before = bed.xcom("careful", runs["careful"].run_id, "store")

    def forge(value):
        answer = ask("ed", path, "PATCH", json={"value": value, "map_index": -1})
        assert answer.status_code == 200, answer.text

    yield forge
    forge(before)


FORGED = [
    ["/etc/passwd"],
    ["file:///etc/passwd"],
    ["/etc/passwd.mp4"],
    ["{desk}/../../../../etc/passwd"],
    ["{desk}/../../../../etc/passwd.mp4"],
    ["file://{desk}/%2e%2e/%2e%2e/etc/passwd.mp4"],
    ["{desk}/passwd.mp4"],
    ["{desk}/outside/secret.mp4"],
    ["{desk}/page.mp4"],
    ["{desk}"],
    ["{bed}/secret.mp4"],
    ["{root}-secret/secret.mp4"],
    ["http://127.0.0.1:9/a.mp4"],
    ["s3://shop@bucket/hidden/a.mp4"],
    ["s3://shop@bucket/shown/../hidden/a.mp4"],
    ["s3://other@bucket/shown/a.mp4"],
    {"files": ["/etc/passwd"]},
    {"files": "/etc/passwd"},
    {"manifest": "/etc/passwd"},
    {"manifest": "{desk}/passwd.mp4"},
    {"manifest": "{bed}/passwords.json"},
    {"manifest": "{desk}/page.mp4"},
    ['"><script>alert(1)</script>'],
    ["x" * 100_000 + ".mp4"],
    [None],
    [["{desk}/careful/a.mp4"]],
    "/etc/passwd",
    7,
    None,
]


@pytest.fixture
def shop(bed, s3):
    """A bucket behind a connection of Airflow's database; what may be shown lies below ``shown``."""
    s3.put_object(Bucket="bucket", Key="shown/a.mp4", Body=b"\0\0\0\x18ftypmp42" + b"shown" * 100)
    s3.put_object(Bucket="bucket", Key="hidden/a.mp4", Body=b"\0\0\0\x18ftypmp42hidden")
    extra = {
        "aws_access_key_id": "id",
        "aws_secret_access_key": "secret",
        "endpoint_url": s3.meta.endpoint_url,
        "region_name": "us-east-1",
    }
    stored = {"connection_id": "shop", "conn_type": "aws", "extra": json.dumps(extra)}
    bed.request("POST", "/api/v2/connections", stored)
    yield
    bed.request("DELETE", "/api/v2/connections/shop")


def test_a_forged_xcom_opens_nothing_but_videos_below_the_roots(
    bed, runs, ask, forge, desk, shop, tmp_path_factory, tmp_path
):
    (desk / "passwd.mp4").symlink_to("/etc/passwd")
    (desk / "page.mp4").write_text("<script>alert(1)</script>\n")
    (desk / "outside").symlink_to(bed.home)
    (bed.home / "secret.mp4").write_bytes(b"\0\0\0\x18ftypmp42secret")
    names = {"desk": desk, "bed": bed.home, "root": tmp_path_factory.getbasetemp()}
    careful = runs["careful"]
    for value in FORGED:
        text = json.dumps(value)
        for name, path in names.items():
            text = text.replace(f"{{{name}}}", str(path))
        forge(json.loads(text))
        for number in ("0", "1", "0.0"):
            assert told(ask("ann", f"/vidu/media/{place(careful, 'store', number)}")) == NOTHING, value
        assert told(ask("ann", f"/vidu/manifest/{place(careful, 'store')}")) == NOTHING, value
    # So that it was the names that were refused.
    forge(["s3://shop@bucket/shown/a.mp4"])
    answer = ask("ann", f"/vidu/media/{place(careful, 'store', '0')}", headers={"Range": "bytes=12-16"})
    assert (answer.status_code, answer.content) == (206, b"shown")


@pytest.mark.parametrize("path", ["media/%00/x/y/-1/0", "media/careful/%00/store/-1/0", "manifest/careful/x/%00/-1"])
def test_a_name_that_no_database_can_look_up_is_no_fault_of_the_server(runs, ask, path):
    assert ask("ann", f"/vidu/{path}").status_code == 404
