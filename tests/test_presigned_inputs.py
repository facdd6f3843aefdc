# SPDX-License-Identifier: Apache-2.0
"""Inputs in a store that the API takes as URLs only: signed by the worker, sent, and shown nowhere."""

from __future__ import annotations

import json
import logging
import time
from types import SimpleNamespace
from urllib.parse import quote, unquote, urlsplit

import pytest
import requests
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.exceptions import ViduRequestError, ViduStateError
from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.protocol.capabilities import fields_of
from airflow_provider_vidu.protocol.reach import ends_at
from airflow_provider_vidu.storage.presigned import SIGNED_SECONDS
from dev.emulator_client import set_connection
from tests.served import clip

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")

WEB = "https://example.com/a"
EXTEND = {"vidu_type": "extend", "model": "viduq2-turbo", "duration": 1, "resolution": "540p"}
LIP_SYNC = {"vidu_type": "lip-sync", "model": "vidu-lip-sync"}
MV = {"vidu_type": "one-click/mv", "model": "vidu-mv", "images": [f"{WEB}.png"], "audio_url": f"{WEB}.wav"}
VIDEO = "s3://store@bucket/in/a b#1-一.mp4"
KEY = "in/a b#1-一.mp4"


@pytest.fixture
def submit(run_dag):
    def run(params: dict | None = None, **arguments: object):
        return run_dag(lambda: ViduSubmitOperator(task_id="submit", **arguments), params=params)

    return run


# A request and its field that takes a URL and no data.
FIELDS = {
    "the video to extend": (EXTEND, "video_url"),
    "the video of a speaker": (LIP_SYNC | {"text": "good morning"}, "video_url"),
    "the speech": (LIP_SYNC | {"video_url": f"{WEB}.mp4"}, "audio_url"),
    "the face": (LIP_SYNC | {"video_url": f"{WEB}.mp4", "text": "good morning"}, "ref_photo_url"),
    "the subtitles": (MV, "srt_url"),
    "the video for a model that nobody knows": (EXTEND | {"model": "viduq9"}, "video_url"),
}


@pytest.mark.parametrize("value", [VIDEO, "{{ params.name }}"])
@pytest.mark.parametrize(("request_", "field"), FIELDS.values(), ids=list(FIELDS))
def test_a_file_of_a_store_is_sent_as_a_url_that_is_valid_for_a_day(submit, emulator, s3, request_, field, value):
    s3.put_object(Bucket="bucket", Key=KEY, Body=b"content")
    ran = submit({"name": VIDEO}, **request_, **{field: value})
    assert ran.states == {"submit": "success"}
    url = fields_of(emulator.tasks[0]["body"])[field]
    assert unquote(urlsplit(url).path) == f"/bucket/{KEY}"
    assert ends_at(url) == pytest.approx(time.time() + SIGNED_SECONDS, abs=60)
    assert requests.get(url, timeout=10).content == b"content"
    assert fields_of(ran.xcom("submit", "vidu_request"))[field] == VIDEO


def test_the_service_fetches_it_and_extends_the_video(run_dag, emulator, s3, videos):
    s3.put_object(Bucket="bucket", Key=KEY, Body=clip(4, "green"))
    more = {"video_url": VIDEO, "destination": str(videos)}
    ran = run_dag(lambda: ViduGenerateVideoOperator(task_id="generate", **EXTEND, **more))
    assert ran.states == {"generate": "success"}
    assert ran.xcom("generate")["video_seconds"] == 5


def test_a_path_object_of_a_store_is_taken(submit, emulator, s3):
    from airflow.sdk import ObjectStoragePath

    s3.put_object(Bucket="bucket", Key="a.mp4", Body=b"content")
    ran = submit(**EXTEND, video_url=ObjectStoragePath("s3://store@bucket/a.mp4"))
    assert ran.states == {"submit": "success"}
    assert requests.get(emulator.tasks[0]["body"]["input"]["video_url"], timeout=10).content == b"content"


@pytest.mark.parametrize("name", ["/data/a.mp4", "file:///data/a.mp4", "a.mp4", "www.example.com/a.mp4"])
def test_a_file_of_this_machine_is_refused_when_the_dag_is_parsed_and_by_the_worker(submit, emulator, name):
    rule = "video_url must be an http(s) URL or the URI of a file in an object store, got "
    with pytest.raises(ViduRequestError) as raised:
        ViduSubmitOperator(task_id="submit", **EXTEND, video_url=name)
    ran = submit({"name": name}, **EXTEND, video_url="{{ params.name }}")
    assert type(ran.error) is AirflowFailException
    assert [str(error).startswith(f"{rule}{name!r}") for error in (raised.value, ran.error)] == [True, True]
    assert emulator.requests == []


REFUSED = {
    "no such file": ("s3://store@bucket/none.mp4", "there is no such file"),
    "a directory": ("s3://store@bucket/in", "it is not a regular file"),
    "no such store": ("s4://store@bucket/a.mp4", "s4'"),
    "an empty file": ("s3://store@bucket/empty.mp4", "it is empty"),
    "an archived file": ("s3://store@bucket/archived.mp4", "The operation is not valid for the object's storage class"),
    "a name that no HTTP client asks for": ("s3://store@bucket/a/../b.mp4", "HTTP clients leave '.' and '..' out"),
    "other letters": ("s3://store@bucket/in/a%20b.mp4", "write a space as a space, not as %20"),
}


def refused(emulator, error: BaseException) -> str:
    """The text of an error that leaves nothing to a retry and has sent nothing."""
    assert type(error) is AirflowFailException
    assert "Nothing was sent or paid. " in str(error)
    assert emulator.requests == []
    return str(error)


@pytest.mark.parametrize(("name", "reason"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_signed_is_not_paid_for(submit, emulator, s3, name, reason):
    s3.put_object(Bucket="bucket", Key="in/a b.mp4", Body=b"content")
    s3.put_object(Bucket="bucket", Key="empty.mp4", Body=b"")
    s3.put_object(Bucket="bucket", Key="archived.mp4", Body=b"content", StorageClass="GLACIER")
    s3.put_object(Bucket="bucket", Key="a/../b.mp4", Body=b"content")
    text = refused(emulator, submit(**EXTEND, video_url=name).error)
    assert text.startswith("video_url must be an http(s) URL, or the URI of a file in an object store that can sign")
    assert repr(name) in text
    assert reason in text


def test_a_store_that_signs_no_urls_is_refused(submit, emulator, unsigning, frame):
    ran = submit(**EXTEND, video_url=f"{unsigning}{frame}")
    assert "('its store signs no URLs')" in refused(emulator, ran.error)


def test_a_file_that_the_store_does_not_show_is_refused(submit, emulator, lesser_store):
    lesser_store.forget()
    lesser_store.refuse = {"HeadObject", "ListObjectsV2"}
    assert "('Forbidden')" in refused(emulator, submit(**EXTEND, video_url="s3://lesser@bucket/a.mp4").error)


def test_a_store_that_is_broken_is_left_to_a_retry(submit, emulator, lesser_store):
    lesser_store.forget()
    lesser_store.broken = {"HeadObject", "ListObjectsV2"}
    ran = submit(**EXTEND, video_url="s3://lesser@bucket/a.mp4")
    assert type(ran.error) is ViduStateError
    assert "Retry the task, or check the connection" in str(ran.error)
    assert emulator.requests == []


@pytest.mark.parametrize(
    ("name", "is_allowed"),
    [
        ("s3://store@bucket/in/a.mp4", True),
        ("s3://store@bucket/other/a.mp4", False),
        ("s3://store@bucket/in/../other/a.mp4", False),
        ("s3://other@bucket/in/a.mp4", False),
    ],
)
def test_only_files_below_the_configured_sources_are_signed(submit, emulator, s3, monkeypatch, name, is_allowed):
    monkeypatch.setenv("AIRFLOW__VIDU__MEDIA_SOURCES", "/data, s3://store@bucket/in")
    for key in ("in/a.mp4", "other/a.mp4"):
        s3.put_object(Bucket="bucket", Key=key, Body=b"content")
    ran = submit({"name": name}, **EXTEND, video_url="{{ params.name }}")
    assert len(emulator.tasks) == is_allowed
    if not is_allowed:
        assert "video_url must lie below one of [vidu] media_sources (/data, " in refused(emulator, ran.error)


def test_a_store_with_a_private_address_is_refused_unless_the_api_has_one_as_well(submit, emulator, s3, monkeypatch):
    s3.put_object(Bucket="bucket", Key="a.mp4", Body=b"content")
    set_connection(monkeypatch, host="https://api.modelverse.cn")
    text = refused(emulator, submit(**EXTEND, video_url="s3://store@bucket/a.mp4").error)
    assert text.startswith(
        "video_url must be a URL that the service can reach, got a host of a private network: 'http://127.0.0.1:"
    )
    assert "Pass a public URL or the URI of a file in a public store. Where" in text
    assert "Signature=***" in text


class AfterTheFirst:
    """The calls that a store refuses: the worker may read the file, the service may not."""

    def __init__(self) -> None:
        self.seen = 0

    def __contains__(self, name: object) -> bool:
        self.seen += name == "GetObject"
        return name == "GetObject" and self.seen > 1


def test_a_signature_shows_nowhere(emulator, lesser_store, ledger, tmp_path, capfd):
    lesser_store.forget()
    lesser_store.put("a.mp4", b"content")
    # The service fails to fetch it, and names the URL in its reason.
    lesser_store.refuse = AfterTheFirst()
    pushed, states = {}, {}
    store = SimpleNamespace(
        get=states.get, set=lambda key, value, **_: states.update({key: value}), delete=lambda key: states.pop(key)
    )
    names = {"dag_id": "dag", "run_id": "run", "task_id": "batch", "map_index": -1, "try_number": 1}
    ti = SimpleNamespace(max_tries=0, xcom_push=lambda key, value: pushed.update({key: value}), **names)
    more = {"destination": str(tmp_path / "videos"), "deferrable": False, "video_url": "s3://lesser@bucket/a.mp4"}
    operator = ViduGenerateVideoOperator(task_id="batch", **EXTEND, **more)
    with pytest.raises(AirflowFailException, match="403") as raised:
        operator.execute({"ti": ti, "task_state_store": store, "outlets": []})
    (task,) = emulator.tasks
    query = dict(pair.split("=") for pair in urlsplit(task["body"]["input"]["video_url"]).query.split("&"))
    whole = unquote(query["Signature"])
    # A library that quotes a URL again leaves "/" as it is.
    secrets = [query["Signature"], whole, quote(whole)]
    assert any(secret in task["error_message"] for secret in secrets)
    shown = json.dumps([pushed, states, vars(operator)], default=str) + str(raised.value) + "".join(capfd.readouterr())
    shown += "".join(f"{path} {path.read_text()}" for path in tmp_path.rglob("*") if path.is_file())
    assert "s3://lesser@bucket/a.mp4" in shown
    assert "Signature=***" in shown
    assert [secret for secret in secrets if secret in shown] == []


def test_a_signature_is_not_in_the_most_detailed_log(submit, emulator, lesser_store, caplog):
    lesser_store.forget()
    lesser_store.put("a.mp4", b"content")
    with caplog.at_level(logging.DEBUG):
        ran = submit(**EXTEND, video_url="s3://public@bucket/a.mp4")
    assert ran.states == {"submit": "success"}
    url = emulator.tasks[0]["body"]["input"]["video_url"]
    assert url.startswith("http://store.example.com/bucket/a.mp4?X-Amz-Algorithm=")
    assert "Calculating signature using v4 auth." in caplog.text
    assert url.partition("X-Amz-Signature=")[2] not in caplog.text
