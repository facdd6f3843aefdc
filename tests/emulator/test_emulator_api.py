# SPDX-License-Identifier: Apache-2.0
"""The emulator answers as the API's documentation says."""

from __future__ import annotations

import hashlib
import http.server
import threading
import time

import aiohttp
import pytest
import requests

from airflow_provider_vidu.emulator.generation import Generation
from airflow_provider_vidu.emulator.server import Settings, running
from airflow_provider_vidu.emulator.state import Emulator
from airflow_provider_vidu.protocol.prices import estimate


@pytest.fixture
def picture_server(picture):
    """Serve one picture, wait for ``release`` first, and answer 404 elsewhere."""
    release = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            release.wait(10)
            data = picture(120, 60, "JPEG")
            self.send_response(200 if self.path == "/frame.jpg" else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", release
    release.set()
    server.shutdown()
    server.server_close()


def test_a_submit_is_answered_with_a_task_id_and_a_request_id(api, img2video):
    answer = api.submit(img2video()).json()
    assert answer.keys() == {"output", "request_id"}
    assert answer["output"].keys() == {"task_id"}


def test_a_finished_task_has_urls_times_and_the_length_of_the_video(api, img2video):
    before = int(time.time())
    task_id = api.accepted(img2video(duration=3))
    answer = api.ended(task_id)
    (url,) = answer["output"].pop("urls")
    assert url.startswith(f"{api.url}/files/{task_id}.mp4?token=")
    output = answer["output"]
    assert before <= output.pop("submit_time") <= output.pop("finish_time") <= time.time()
    assert output == {"task_id": task_id, "task_status": "Success"}
    assert answer["usage"] == {"duration": 3}
    assert answer["request_id"]


def test_an_unfinished_task_has_neither_urls_nor_a_finish_time(slow_api, img2video):
    output = slow_api.status(slow_api.accepted(img2video())).json()["output"]
    assert output.keys() == {"task_id", "task_status", "submit_time"}
    assert output["task_status"] == "Pending"


@pytest.mark.parametrize(
    ("age", "word"), [(0, "Pending"), (9.9, "Pending"), (10, "Running"), (99.9, "Running"), (100, "Success")]
)
def test_the_status_follows_the_clock(age, word):
    generation = Generation(body={}, submitted=1000, seconds=100, video_seconds=5)
    generation.files_are_ready(now=1001)
    assert generation.status(1000 + age) == word


def test_a_task_runs_on_while_its_first_frame_is_missing():
    generation = Generation(body={}, submitted=1000, seconds=100, video_seconds=5)
    assert generation.status(5000) == "Running"
    generation.files_are_ready(now=5001)
    assert generation.status(5001) == "Success"
    assert generation.finish == 5001


@pytest.mark.parametrize(("model", "seconds"), [("viduq2-turbo", None), ("viduq9", 30)])
async def test_a_task_takes_its_typical_time_divided_by_the_speed(tmp_path, img2video, model, seconds):
    body = {**img2video(duration=5, resolution="720p"), "model": model}
    async with aiohttp.ClientSession() as client:
        emulator = Emulator(Settings(speed=8), tmp_path, client)
        generation = await emulator.accept(body)
        emulator.close()
    assert generation.seconds == (seconds or estimate(body).typical_seconds) / 8


@pytest.mark.parametrize(
    ("scheme", "good", "bad"),
    [
        ("either", ["emulator-key", "Bearer emulator-key"], ["", "Bearer", "wrong", "bearer emulator-key"]),
        ("key", ["emulator-key"], ["Bearer emulator-key", "wrong"]),
        ("bearer", ["Bearer emulator-key"], ["emulator-key", "Bearer wrong"]),
    ],
)
def test_only_the_key_in_an_accepted_form_opens_submit_and_status(scheme, good, bad, img2video):
    with running(Settings(auth_scheme=scheme)) as url:

        def statuses(headers):
            return (
                requests.post(f"{url}/v1/tasks/submit", json=img2video(), headers=headers, timeout=10).status_code,
                requests.get(f"{url}/v1/tasks/status?task_id=x", headers=headers, timeout=10).status_code,
            )

        # 400: the key was fine and the task id was not.
        assert {statuses({"Authorization": value}) for value in good} == {(200, 400)}
        assert {statuses({"Authorization": value}) for value in bad} | {statuses({})} == {(401, 401)}


def test_a_bad_key_is_an_auth_error_with_a_request_id(api, img2video):
    response = api.submit(img2video(), headers={"Authorization": "wrong"})
    error = response.json()["error"]
    assert error.pop("param")
    assert error == {
        "message": "Validate Certification failed",
        "type": "invalid_request_error",
        "code": "auth_error",
    }


def test_the_list_of_models_needs_no_key(api):
    answer = requests.get(f"{api.url}/v1/models", timeout=10).json()
    assert "viduq2-pro" in [model["id"] for model in answer["data"]]


def test_an_unknown_task_id_is_not_found(api):
    response = api.status("made-up")
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "task not found: made-up"
    assert response.json()["error"]["code"] is None


def test_a_body_with_problems_is_a_param_error_that_names_all_of_them(api, img2video):
    response = api.submit(img2video(duration=99, resolution="8K"))
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] == "param_error"
    assert "duration must be a whole number from 1 to 10 (default 5), got 99" in error["message"]
    assert "resolution must be one of 360p, 540p, 720p, 1080p (default 720p), got '8K'" in error["message"]
    assert api.control("GET", "tasks") == []


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"model": ["x"], "input": {}, "parameters": {"vidu_type": "img2video"}},
        {"model": "viduq2-pro", "input": [], "parameters": {"vidu_type": "img2video"}},
        {"model": "viduq2-pro", "input": {}, "parameters": {}},
    ],
)
def test_a_body_of_the_wrong_shape_is_a_param_error(api, body):
    response = api.submit(body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "param_error")


def test_a_body_that_is_not_json_is_a_param_error(api):
    response = api.submit(None, data=b"{")
    assert (response.status_code, response.json()["error"]["code"]) == (400, "param_error")


def test_a_model_that_nobody_knows_is_accepted(api):
    body = {"model": "viduq9", "input": {"prompt": "x"}, "parameters": {"vidu_type": "text2video", "duration": 2}}
    assert api.ended(api.accepted(body))["usage"] == {"duration": 2}


def test_moderation_refuses_a_prompt_at_submit(api, img2video):
    response = api.submit(img2video(prompt="something forbidden-by-moderation"))
    assert (response.status_code, response.json()["error"]["code"]) == (400, "sensitive_check_error")
    assert api.control("GET", "tasks") == []


@pytest.mark.parametrize(
    ("word", "code"), [("fail-by-moderation", "CreationPolicyViolation"), ("fail-by-capacity", "SystemThrottling")]
)
def test_a_prompt_can_ask_for_a_failure(api, img2video, word, code):
    answer = api.ended(api.accepted(img2video(prompt=f"please {word}")))
    output = answer["output"]
    assert output["task_status"] == "Failure"
    assert output["error_message"].startswith(f"code={code}, message=")
    assert output["finish_time"] >= output["submit_time"]
    assert "urls" not in output


def test_a_first_frame_is_fetched_while_the_task_runs(api, img2video, picture_server):
    server, release = picture_server
    task_id = api.accepted(img2video(f"{server}/frame.jpg"))
    assert api.status(task_id).json()["output"]["task_status"] == "Running"
    release.set()
    assert api.ended(task_id)["output"]["task_status"] == "Success"


def test_a_first_frame_that_cannot_be_fetched_ends_in_failure(api, img2video, picture_server):
    server, release = picture_server
    release.set()
    output = api.ended(api.accepted(img2video(f"{server}/missing.jpg")))["output"]
    assert output["task_status"] == "Failure"
    assert output["error_message"].startswith("code=ImageDownloadFailure, message=first_frame_url: 404")


def test_a_first_frame_that_is_no_picture_ends_in_failure(api, img2video):
    output = api.ended(api.accepted(img2video(b"GIF89a, or so")))["output"]
    assert (
        output["error_message"]
        == "code=ImageFormatInvalid, message=first_frame_url: not a readable png, jpeg or webp image"
    )


def test_a_first_frame_cut_short_ends_in_failure(api, img2video, picture):
    output = api.ended(api.accepted(img2video(picture()[:200])))["output"]
    assert output["error_message"].startswith("code=ImageFormatInvalid")


def test_a_first_frame_that_is_too_long_and_thin_ends_in_failure(api, img2video, picture):
    output = api.ended(api.accepted(img2video(picture(500, 100))))["output"]
    assert output["error_message"].startswith(
        "code=ImageFormatInvalid, message=first_frame_url: the ratio must be between 1:4 and 4:1, got 500x100"
    )


def test_the_control_routes_tell_what_was_accepted_without_its_pictures(api, img2video, picture):
    data = picture()
    task_id = api.accepted(img2video(data))
    api.ended(task_id)
    refused = api.submit({})
    assert refused.status_code == 400
    (task,) = api.control("GET", "tasks")
    shortened = f"data:image/png;base64,sha256={hashlib.sha256(data).hexdigest()},length={len(data)}"
    assert task["body"] == {
        **img2video(),
        "input": {"first_frame_url": shortened, "prompt": "make it dance"},
    }
    assert (task["task_id"], task["status"], task["downloads"]) == (task_id, "Success", 0)
    assert task["polls"] >= 1


def test_the_control_routes_tell_which_requests_came(api, img2video):
    api.accepted(img2video())
    api.status("made-up")
    requests.get(f"{api.url}/nowhere?a=b", timeout=10)
    seen = api.control("GET", "requests")
    assert seen["counts"] == {"submit": 1, "status": 1, "other": 1}
    submit, status, other = seen["requests"]
    assert (submit["method"], submit["path_qs"], submit["status"]) == ("POST", "/v1/tasks/submit", 200)
    assert submit["headers"]["Authorization"] == "emulator-key"
    assert submit["body_size"] > 100
    assert (status["path_qs"], status["status"]) == ("/v1/tasks/status?task_id=made-up", 400)
    assert (other["path_qs"], other["status"]) == ("/nowhere?a=b", 404)


def test_a_rotated_key_replaces_the_old_one_until_the_reset(api, img2video):
    api.control("POST", "key", {"key": "new"})
    assert api.submit(img2video()).status_code == 401
    assert api.submit(img2video(), headers={"Authorization": "new"}).status_code == 200
    api.control("POST", "reset")
    assert api.submit(img2video()).status_code == 200


def test_a_reset_forgets_tasks_requests_and_faults(api, img2video):
    task_id = api.accepted(img2video())
    api.arm({"on": "submit", "fault": "drop", "times": None})
    api.control("POST", "reset")
    assert api.control("GET", "tasks") == []
    assert api.control("GET", "requests") == {"counts": {}, "requests": []}
    assert api.control("GET", "faults") == []
    assert api.status(task_id).status_code == 400
