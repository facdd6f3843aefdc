# SPDX-License-Identifier: Apache-2.0
"""What the pages are told of XComs that ``XComObjectStorageBackend`` keeps in an object store."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.io.xcom import backend
from airflow.providers.common.io.xcom.backend import XComObjectStorageBackend
from airflow.sdk import task

from airflow_provider_vidu.plugin import xcom_store
from airflow_provider_vidu.storage.manifest import Record, write
from tests.plugin.shown import VIDEO

REQUEST = {"model": "viduq2", "input": {"prompt": "a kite, 风筝"}, "estimated_cost": 0.31}


@pytest.fixture(params=["", "gzip"])
def base(request, tmp_path, monkeypatch):
    """Where the backend keeps each value of ten bytes and more."""
    base = tmp_path / "xcom"
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH", f"file://{base}")
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD", "10")
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION", request.param)
    forget()
    yield base
    forget()


def objects(base):
    return [path for path in base.rglob("*") if path.is_file()]


def forget():
    for cached in (backend._get_base_path, backend._get_compression, backend._get_threshold):
        cached.cache_clear()
    xcom_store._VALUES.__init__()


@task
def told(xcoms, returned, of="", ti=None):
    """Push values as with the backend, as the task ``of`` if one is named; a URI is returned as it is."""

    def kept(value, key):
        names = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": of or ti.task_id, "map_index": ti.map_index}
        return json.loads(json.dumps(XComObjectStorageBackend.serialize_value(value, key=key, **names)))

    for key, value in xcoms.items():
        ti.xcom_push(key=key, value=kept(value, key))
    return returned if "://" in returned else kept(returned, "return_value")


@pytest.fixture
def ask(web):
    def ask(ran):
        answer = web.get(f"/videos/{ran.dag_id}/{ran.run_id}").json()
        xcoms = {
            one["task_id"]: {key: json.loads(text) for key, text in one["xcoms"].items()} for one in answer["instances"]
        }
        return xcoms, answer["late"], answer["away"]

    return ask


def test_values_are_read_from_where_the_backend_keeps_them(base, run_dag, ask, web, videos):
    files = [f"file://{videos}/a.mp4"]
    manifest = write(f"{videos}/m.jsonl", [Record("kite", REQUEST, "success", files=tuple(files))])

    def make():
        told.override(task_id="single")({"vidu_request": REQUEST}, "0123456789-vidu-1")
        counts = {"counts": {"success": 6}, "manifest": manifest, "estimated_cost": 1.86}
        told.override(task_id="batch")({"vidu_submits": {"counts": {"submitted": 6}}}, counts)
        told.override(task_id="storer")({"vidu_task_id": "v1"}, files)

    ran = run_dag(make)
    assert len(objects(base)) == 5
    xcoms, late, away = ask(ran)
    assert xcoms["single"] == {"vidu_request": REQUEST, "return_value": "0123456789-vidu-1"}
    assert xcoms["batch"]["return_value"]["counts"] == {"success": 6}
    assert (late, away) == (0, 0)
    assert web.get(f"/media/{ran.dag_id}/{ran.run_id}/storer/-1/0").content == VIDEO
    (line,) = web.get(f"/manifest/{ran.dag_id}/{ran.run_id}/batch/-1").json()["lines"]
    assert line["custom_id"] == "kite"


def test_no_other_object_is_read_and_none_is_taken_for_an_id(base, run_dag, ask, web, tmp_path):
    (tmp_path / "secret.json").write_text('"a secret"')

    def make():
        told.override(task_id="of_another")({"vidu_request": REQUEST}, "0123456789", of="first")
        told.override(task_id="gone")({"vidu_request": REQUEST}, "short")
        for name, uri in (("outside", f"file://{tmp_path}/secret.json"), ("above", f"file://{base}/../secret.json")):
            told.override(task_id=name)({"vidu_task_id": "v"}, uri)

    ran = run_dag(make)
    for kept in base.rglob("gone/*"):
        kept.unlink()
    xcoms, late, away = ask(ran)
    # The short ones are in the database.
    assert xcoms == {"of_another": {}, "gone": {"return_value": "short"}, "outside": {"vidu_task_id": "v"}} | {
        "above": {"vidu_task_id": "v"}
    }
    assert (late, away) == (0, 5)
    assert web.get(f"/manifest/{ran.dag_id}/{ran.run_id}/of_another/-1").status_code == 404


def test_an_answer_does_not_wait_for_a_slow_store(base, run_dag, ask, monkeypatch):
    ran = run_dag(lambda: told.override(task_id="single")({"vidu_request": REQUEST}, "0123456789"))
    monkeypatch.setattr(xcom_store, "PATIENCE_SECONDS", 0.0)
    assert ask(ran) == ({"single": {}}, 2, 0)
    monkeypatch.setattr(xcom_store, "PATIENCE_SECONDS", 30.0)
    assert ask(ran) == ({"single": {"vidu_request": REQUEST, "return_value": "0123456789"}}, 0, 0)
    for kept in objects(base):
        kept.unlink()
    # The backend never changes an object.
    assert ask(ran)[1:] == (0, 0)


def test_without_the_backends_configuration_the_values_are_missing(base, run_dag, ask, monkeypatch):
    ran = run_dag(lambda: told.override(task_id="single")({"vidu_request": REQUEST}, "0123456789"))
    for path in ("", "relative", "memory://xcom"):
        monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH", path)
        assert ask(ran) == ({"single": {}}, 0, 2)


def test_an_object_that_is_no_value_is_missing(base, run_dag, ask):
    ran = run_dag(lambda: told.override(task_id="single")({"vidu_request": REQUEST}, "short"))
    (kept,) = objects(base)
    kept.write_bytes(b"\xff" * (xcom_store.LONGEST_BYTES + 1))
    assert ask(ran) == ({"single": {"return_value": "short"}}, 0, 1)
