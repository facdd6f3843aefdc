# SPDX-License-Identifier: Apache-2.0
"""Every fault does to a client what its name says, and for as long as it was armed."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_vidu.emulator import faults
from airflow_provider_vidu.emulator.errors import ERRORS


def accepted(api):
    return len(api.control("GET", "tasks"))


def recorded(api):
    return [entry["status"] for entry in api.control("GET", "requests")["requests"]]


@pytest.mark.parametrize("name", ["drop", "reset", "outage"])
def test_a_dropped_submit_gets_no_answer_and_is_not_accepted(api, img2video, name):
    api.arm({"on": "submit", "fault": name})
    with pytest.raises(requests.ConnectionError):
        api.submit(img2video())
    assert accepted(api) == 0
    assert recorded(api) == ["dropped"]


def test_a_reset_reaches_the_client_as_a_reset(api):
    api.arm({"on": "status", "fault": "reset"})
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        api.status("x")


def test_a_submit_dropped_after_it_was_accepted_gets_no_answer_but_exists(api, img2video):
    api.arm({"on": "submit", "fault": "accept_then_drop"})
    with pytest.raises(requests.ConnectionError):
        api.submit(img2video())
    assert accepted(api) == 1
    assert recorded(api) == ["dropped"]


@pytest.mark.parametrize(("name", "count"), [("hang", 0), ("accept_then_hang", 1)])
def test_a_hanging_submit_runs_into_the_clients_timeout(api, img2video, name, count):
    api.arm({"on": "submit", "fault": name})
    with pytest.raises(requests.ReadTimeout):
        api.submit(img2video(), timeout=0.5)
    assert accepted(api) == count
    assert recorded(api) == [None]


def test_a_hang_with_an_end_closes_the_connection(api):
    api.arm({"on": "status", "fault": "hang", "seconds": 0.05})
    with pytest.raises(requests.ConnectionError):
        api.status("x")


@pytest.mark.parametrize(("retry_after", "header"), [({}, None), ({"retry_after": 7}, "7")])
def test_a_rate_limit_may_say_when_to_come_back(api, img2video, retry_after, header):
    api.arm({"on": "submit", "fault": "rate_limit", **retry_after})
    response = api.submit(img2video())
    assert (response.status_code, response.json()["error"]["code"]) == (429, "rate_limit")
    assert response.headers.get("Retry-After") == header


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "param_error"),
        (401, "auth_error"),
        (403, "forbidden"),
        (404, None),
        (408, "timeout"),
        (500, "internal_error"),
        (502, None),
        (503, None),
        (504, "gateway_timeout_error"),
    ],
)
def test_an_error_has_the_documented_code_of_its_status(api, img2video, status, code):
    api.arm({"on": "submit", "fault": "error", "status": status})
    response = api.submit(img2video())
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert error.keys() == {"message", "type", "param", "code"}
    assert accepted(api) == 0


@pytest.mark.parametrize("code", ERRORS)
def test_an_error_can_have_any_documented_code(api, code):
    status, kind, message = ERRORS[code]
    api.arm({"on": "status", "fault": "error", "status": status, "code": code})
    response = api.status("x")
    error = response.json()["error"]
    del error["param"]
    assert (response.status_code, error) == (status, {"message": message, "type": kind, "code": code})


def test_an_error_after_acceptance_leaves_a_task_behind(api, img2video):
    api.arm({"on": "submit", "fault": "accept_then_error"})
    assert api.submit(img2video()).status_code == 504
    assert accepted(api) == 1


def test_a_refused_submit_is_told_so_even_by_a_fault_after_acceptance(api):
    api.arm({"on": "submit", "fault": "accept_then_drop"})
    assert api.submit({}).status_code == 400


@pytest.mark.parametrize(("status", "expected"), [({}, 502), ({"status": 503}, 503)])
def test_a_proxy_answers_with_a_page(api, img2video, status, expected):
    api.arm({"on": "submit", "fault": "html", **status})
    response = api.submit(img2video())
    assert (response.status_code, response.headers["Content-Type"]) == (expected, "text/html; charset=utf-8")
    assert response.text.startswith("<html>")


def test_garbage_is_not_json(api, img2video):
    api.arm({"on": "submit", "fault": "garbage"})
    response = api.submit(img2video())
    assert response.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        response.json()


def test_an_empty_answer_is_empty(api, img2video):
    api.arm({"on": "submit", "fault": "empty"})
    response = api.submit(img2video())
    assert (response.status_code, response.content) == (200, b"")


def test_an_error_can_come_with_status_200(api, img2video):
    api.arm({"on": "submit", "fault": "error_200"})
    response = api.submit(img2video())
    assert response.status_code == 200
    assert response.json()["error"]["code"] == "internal_error"


def test_an_answer_can_lack_its_task_id(api, img2video):
    api.arm({"on": "submit", "fault": "no_task_id"})
    assert api.submit(img2video()).json() == {"output": {}, "request_id": ""}


def test_a_redirect_keeps_the_method(api, img2video):
    api.arm({"on": "submit", "fault": "redirect", "location": "/v1/tasks/submit"})
    response = api.submit(img2video())
    assert (response.status_code, response.headers["Location"]) == (307, "/v1/tasks/submit")
    assert accepted(api) == 0


def test_a_status_word_can_be_one_that_nobody_knows(api, img2video):
    task_id = api.accepted(img2video())
    api.arm({"on": "status", "fault": "unknown_word", "word": "Verifying"})
    output = api.status(task_id).json()["output"]
    assert output["task_status"] == "Verifying"
    assert "urls" not in output
    assert api.ended(task_id)["output"]["task_status"] == "Success"


def test_success_can_come_without_urls(slow_api, img2video):
    task_id = slow_api.accepted(img2video())
    slow_api.arm({"on": "status", "fault": "no_urls"})
    output = slow_api.status(task_id).json()["output"]
    assert output["task_status"] == "Success"
    assert "urls" not in output
    assert slow_api.status(task_id).json()["output"]["task_status"] == "Pending"


def test_faults_on_the_answer_leave_a_refusal_alone(api):
    api.arm({"on": "status", "fault": "no_urls"})
    assert api.status("made-up").status_code == 400


def test_a_truncated_download_promises_more_than_it_sends(api, img2video):
    url = api.video_url(img2video())
    whole = requests.get(url, timeout=30)
    api.arm({"on": "download", "fault": "truncate"})
    with requests.get(url, stream=True, timeout=30) as response:
        assert response.headers["Content-Length"] == str(len(whole.content))
        received = b""
        with pytest.raises(requests.exceptions.ChunkedEncodingError):  # noqa: PT012 - what came before counts
            for chunk in response.iter_content(1024):
                received += chunk
    assert whole.content.startswith(received)
    assert len(received) <= len(whole.content) // 2
    assert requests.get(url, timeout=30).content == whole.content


def test_a_truncated_download_with_a_bad_link_is_refused(api):
    api.arm({"on": "download", "fault": "truncate"})
    assert requests.get(f"{api.url}/files/x.mp4", timeout=10).status_code == 403


def test_a_link_can_expire_and_the_status_then_names_another(api, img2video):
    task_id = api.accepted(img2video())
    (url,) = api.ended(task_id)["output"]["urls"]
    api.arm({"on": "download", "fault": "expired"})
    assert [requests.get(url, timeout=30).status_code for _ in range(2)] == [403, 403]
    (fresh,) = api.ended(task_id)["output"]["urls"]
    assert requests.get(fresh, timeout=30).status_code == 200


def test_a_download_can_be_a_page_instead_of_a_video(api, img2video):
    url = api.video_url(img2video())
    api.arm({"on": "download", "fault": "not_a_video"})
    response = requests.get(url, timeout=10)
    assert response.status_code == 200
    assert response.text.startswith("<html>")


def test_an_outage_drops_everything_until_it_is_cleared(api, img2video):
    url = api.video_url(img2video())
    api.arm({"fault": "outage"})
    for address in (f"{api.url}/v1/models", f"{api.url}/v1/tasks/status", url, url):
        with pytest.raises(requests.ConnectionError):
            requests.get(address, timeout=10)
    api.control("DELETE", "faults")
    assert requests.get(url, timeout=30).status_code == 200


def test_an_outage_ends_by_itself_when_its_time_is_over():
    armed = [faults.arm({"fault": "outage", "seconds": 5}, now=100)]
    assert faults.take(armed, "status", now=104.9).name == "outage"
    assert faults.take(armed, "status", now=105) is None
    assert armed == []


def test_faults_are_met_in_the_order_they_were_armed_and_as_often_as_asked(api):
    api.arm(
        {"on": "status", "fault": "error", "status": 503, "times": 2},
        {"on": "any", "fault": "rate_limit"},
        {"on": "submit", "fault": "empty"},
    )
    assert [api.status("x").status_code for _ in range(4)] == [503, 503, 429, 400]
    (left,) = api.control("GET", "faults")
    assert (left["name"], left["on"], left["times"]) == ("empty", "submit", 1)


def test_a_fault_may_meet_every_so_many_requests_of_its_route(api):
    api.arm({"on": "status", "fault": "rate_limit", "every": 3, "times": 2})
    assert [api.status("x").status_code for _ in range(9)] == [400, 400, 429, 400, 400, 429, 400, 400, 400]


def test_a_fault_without_a_count_lasts_until_it_is_cleared(api):
    api.arm({"on": "status", "fault": "html", "times": None})
    assert [api.status("x").status_code for _ in range(3)] == [502, 502, 502]
    api.control("DELETE", "faults")
    assert api.status("x").status_code == 400


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ("drop", "a fault must be an object, got 'drop'"),
        ({"fault": "explode"}, "not_a_video, got 'explode'"),
        ({"fault": "drop", "on": "upload"}, "on must be one of submit, status, download, any for drop, got 'upload'"),
        ({"fault": "no_urls", "on": "any"}, "on must be one of status for no_urls, got 'any'"),
        ({"fault": "html", "stauts": 503}, "parameters of html must be among ['status'], got ['stauts']"),
        ({"fault": "error", "code": "oops"}, "code must be one of param_error, "),
        ({"fault": "error", "status": 200}, "status must be that of an error (400 or above), got 200"),
        ({"fault": "drop", "times": 0}, "times must be null or a whole number of 1 or more, got 0"),
        ({"fault": "drop", "every": 0}, "every must be a whole number of 1 or more, got 0"),
    ],
)
def test_an_order_that_makes_no_sense_arms_nothing(api, order, text):
    response = requests.post(f"{api.url}/_emulator/faults", json=[{"fault": "drop"}, order], timeout=10)
    assert response.status_code == 400
    assert text in response.text
    assert api.control("GET", "faults") == []
