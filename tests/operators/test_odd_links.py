# SPDX-License-Identifier: Apache-2.0
"""Successes whose links the API does not document: what is a link gets stored, and the rest is named."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.operators.rescue import ViduRescueOperator
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from dev.emulator_client import set_connection
from tests.quick import asked, lines
from tests.served import clip

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")

VIDEO = clip(1, "red")
SECRET = "once-and-for-all"


class Api(http.server.ThreadingHTTPServer):
    """An API that accepts every submit as task ``t1``, and whose success holds any ``urls``."""

    daemon_threads = True
    urls: object = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(json.dumps({"output": {"task_id": "t1"}, "request_id": "r"}).encode())

    def do_GET(self) -> None:
        if not self.path.startswith("/v1/"):
            return self.answer(VIDEO) if self.path.startswith("/v") else self.send_error(404)
        urls = json.loads(json.dumps(self.server.urls).replace("HOST", self.server.url))
        output = {"task_id": "t1", "task_status": "Success", "urls": urls, "finish_time": int(time.time())}
        self.answer(json.dumps({"output": output, "usage": {"duration": 1}, "request_id": "r"}).encode())

    def answer(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    server = Api(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    set_connection(monkeypatch, host=server.url)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def kinds(generate, make, run_dag, tmp_path):
    """Each operator that gets the links from the API itself."""

    def batch(videos):
        return make([asked("a")], destination=f"{videos}/{{task_id}}.mp4")

    def store(videos):
        return run_dag(lambda: ViduToObjectStorageOperator(task_id="s", vidu_task_id="t1", destination=str(videos)))

    return {"generate": lambda videos: generate(destination=str(videos)), "batch": batch, "transfer": store}


OPERATORS = ("generate", "batch", "transfer")
UNUSABLE = ["/cover.png", f"ftp://h/v?token={SECRET}", "http:///y", "http://a..b/v"]


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_good_link_is_stored_whatever_stands_beside_it(kinds, api, tmp_path, capfd, caplog, kind, is_first):
    others = ["", None, *UNUSABLE, {"url": f"https://h/v?token={SECRET}"}]
    api.urls = [*others, "HOST/v"] if is_first else ["HOST/v", *others]
    ran = kinds[kind](tmp_path / "videos")
    assert set(ran.states.values()) == {"success"}
    assert (tmp_path / "videos" / "t1.mp4").read_bytes() == VIDEO
    told = "\n".join([*capfd.readouterr(), *caplog.messages])
    head = "Vidu task t1: left out what is not a link: "
    assert f"{head}'/cover.png', 'ftp://h/v?token=***', 'http:///y', 'http://a..b/v' " in told
    assert f"{head}['', None, {{'url': 'https://h/v?token=***'}}]" in told
    assert SECRET not in told


def test_a_link_that_fails_does_not_keep_the_next_one_from_being_stored(generate, api, tmp_path):
    api.urls = ["HOST/gone", "HOST/v"]
    ran = generate()
    assert type(ran.error) is ViduDownloadError
    assert f"HTTP 404 instead of the video at {api.url}/gone." in str(ran.error)
    assert (tmp_path / "videos" / "t1-2.mp4").read_bytes() == VIDEO


NO_LINK = (
    "The links of Vidu task t1 must be http(s) URLs, got '/cover.png', 'ftp://h/v?token=***'. Its video is paid, and "
    'nothing was stored. Poll it again at no cost with ViduToObjectStorageOperator(vidu_task_id="t1", destination=…), '
    "or ask the API's support for the video."
)


@pytest.mark.parametrize("kind", OPERATORS)
def test_without_any_usable_link_the_error_names_the_paid_task_and_what_came(kinds, api, tmp_path, kind):
    api.urls = ["/cover.png", f"ftp://h/v?token={SECRET}"]
    ran = kinds[kind](tmp_path / "videos")
    told = lines(tmp_path / "videos")[0]["reason"] if kind == "batch" else str(ran.error)
    assert told == NO_LINK
    # The links may be there when a retry polls again.
    api.urls = ["HOST/v"]
    assert set(kinds[kind](tmp_path / "later").states.values()) == {"success"}


def test_the_rescue_stores_the_usable_links_and_names_a_task_without_any(generate, run_dag, api, ledger, tmp_path):
    def rescue():
        operator = {"task_id": "r", "destination": str(tmp_path / "rescued"), "after": timedelta(0)}
        return run_dag(lambda: ViduRescueOperator(**operator))

    api.urls = ["/cover.png", f"ftp://h/v?token={SECRET}"]
    generate(retries=0)
    assert type(error := rescue().error) is AirflowException
    assert NO_LINK in str(error)
    api.urls = ["/cover.png", "HOST/v"]
    assert rescue().states == {"r": "success"}
    assert (tmp_path / "rescued" / "t1.mp4").read_bytes() == VIDEO


OTHER_FORMS = {
    "a text": f"https://h/v.mp4?token={SECRET}",
    "JSON text": json.dumps([f"https://h/v.mp4?token={SECRET}"]),
    "a list of mappings": [{"url": f"https://h/v.mp4?token={SECRET}"}],
    "a mapping": {"url": f"https://h/v.mp4?token={SECRET}"},
    "very long": "x" * 100_000,
    "blanks": ["", None],
}


@pytest.mark.parametrize("form", OTHER_FORMS)
@pytest.mark.parametrize("kind", [*OPERATORS, "sensor"])
def test_links_in_another_form_are_quoted_without_their_secrets(kinds, run_dag, api, tmp_path, kind, form):
    api.urls = OTHER_FORMS[form]
    sensor = {"sensor": lambda _: run_dag(lambda: ViduTaskSensor(task_id="w", vidu_task_id="t1"))}
    ran = (kinds | sensor)[kind](tmp_path / "videos")
    told = lines(tmp_path / "videos")[0]["reason"] if kind == "batch" else str(ran.error)
    assert "urls in the API's answer must be a list of links, got " in told
    assert repr(api.urls).partition("https")[0][:300] in told
    assert "Its video is paid. Read the answer of GET /v1/tasks/status?task_id=t1, and store the video by hand." in told
    assert SECRET not in told
    assert "no URLs" not in told
    assert len(told) < 1000


@pytest.mark.parametrize("urls", [None, [], ""], ids=repr)
def test_without_anything_the_error_says_that_there_are_no_urls(run_dag, api, urls):
    api.urls = urls
    ran = run_dag(lambda: ViduTaskSensor(task_id="w", vidu_task_id="t1"))
    assert "It succeeded, but the API returned no URLs." in str(ran.error)


def test_the_sensor_returns_what_it_always_did(run_dag, api):
    api.urls = ["/cover.png", None, "HOST/v"]
    ran = run_dag(lambda: ViduTaskSensor(task_id="w", vidu_task_id="t1"))
    assert ran.xcom("w")["urls"] == ["/cover.png", f"{api.url}/v"]
