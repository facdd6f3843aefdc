# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_vidu.exceptions import (
    ViduApiError,
    ViduAuthError,
    ViduRefusedError,
    ViduTaskNotFoundError,
    ViduUnavailableError,
)
from airflow_provider_vidu.protocol.response import Submission, TaskState, TaskStatus
from tests.protocol.answers import DATE, SAMPLES, TASK, error_of, fault, read, submit


def test_an_accepted_submit_names_task_and_request():
    assert submit(200, SAMPLES["submitted.json"]) == Submission(TASK, "req-submit-1")


@pytest.mark.parametrize(
    ("body", "submission"),
    [
        ({"output": {"task_id": "t"}}, Submission("t", "")),
        ({"output": {"task_id": "t"}, "request_id": ""}, Submission("t", "")),
        ({"output": {"task_id": "t"}, "request_id": 7}, Submission("t", "7")),
        ({"output": {"task_id": 12345678901234567890}, "request_id": None}, Submission("12345678901234567890", "")),
        ({"output": {"task_id": " t\n"}, "error": None}, Submission("t", "")),
        ({"output": {"task_id": "t"}, "error": {}}, Submission("t", "")),
    ],
)
def test_an_accepted_submit_is_read_kindly(body, submission):
    assert submit(201, json.dumps(body).encode()) == submission


def test_a_running_task_has_nothing_but_its_word():
    assert read(200, SAMPLES["running.json"]) == TaskStatus(TASK, "Running")


def test_a_success_has_urls_times_and_the_length_of_the_video():
    status = read(200, SAMPLES["success.json"])
    assert status == TaskStatus(
        task_id=TASK,
        word="Success",
        urls=("https://video.example.com/8e1f5a0c.mp4?sign=x",),
        submit_time=1776240000,
        finish_time=1776240072,
        error_message="",
        video_seconds=5,
        request_id="req-status-1",
    )
    assert status.result() == {
        "task_id": TASK,
        "urls": ["https://video.example.com/8e1f5a0c.mp4?sign=x"],
        "video_seconds": 5,
        "submit_time": 1776240000,
        "finish_time": 1776240072,
        "expires_at": 1776240072 + 24 * 3600,
        "request_id": "req-status-1",
    }


def test_a_failure_has_the_server_s_reason():
    assert read(200, SAMPLES["failure.json"]) == TaskStatus(
        task_id=TASK,
        word="Failure",
        submit_time=1776240000,
        finish_time=1776240003,
        error_message="code=AuditSubmitIllegal, message=内容审核未通过",
        request_id="req-status-2",
    )


def test_what_is_not_told_is_none_in_the_result():
    assert TaskStatus(TASK, "Success", ("u",)).result() == {
        "task_id": TASK,
        "urls": ["u"],
        "video_seconds": None,
        "submit_time": None,
        "finish_time": None,
        "expires_at": None,
        "request_id": "",
    }


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("Pending", TaskState.PENDING),
        ("Running", TaskState.RUNNING),
        ("Success", TaskState.SUCCESS),
        ("Failure", TaskState.FAILURE),
        ("Failed", TaskState.FAILURE),
        ("Expired", TaskState.FAILURE),
        ("Cancelled", TaskState.FAILURE),
        ("Canceled", TaskState.FAILURE),
        ("SUCCESS", TaskState.SUCCESS),
        ("running", TaskState.RUNNING),
        ("Queueing", TaskState.UNKNOWN),
        ("succeeded", TaskState.UNKNOWN),
        ("成功", TaskState.UNKNOWN),
    ],
)
def test_a_status_word_is_compared_without_case_and_kept_as_it_is(word, state):
    status = read(200, json.dumps({"output": {"task_status": word}}).encode())
    assert (status.word, status.state) == (word, state)


@pytest.mark.parametrize(
    ("output", "more", "expected"),
    [
        ({"task_status": " Success\n"}, {}, {"word": "Success"}),
        ({"task_status": "x" * 400}, {}, {"word": "x" * 300 + "…"}),
        ({"urls": None}, {}, {}),
        ({"urls": "https://h/a.mp4"}, {}, {"odd_urls": "'https://h/a.mp4'"}),
        ({"urls": {"a": 1}}, {}, {"odd_urls": "{'a': 1}"}),
        ({"urls": ["u", None, 5, "", ["v"], "w"]}, {}, {"urls": ("u", "w"), "odd_urls": "[None, 5, '', ['v']]"}),
        ({"submit_time": "1776240000", "finish_time": True}, {}, {"submit_time": 1776240000}),
        ({"submit_time": 0, "finish_time": -1}, {}, {}),
        ({"submit_time": "0", "finish_time": "soon"}, {}, {}),
        ({"submit_time": 1776240000.5, "finish_time": 10**400}, {}, {"submit_time": 1776240000.5}),
        ({"submit_time": float("nan"), "finish_time": float("inf")}, {}, {}),
        ({"submit_time": 10**15 - 1, "finish_time": 10**15}, {}, {"submit_time": 10**15 - 1}),
        ({"error_message": {"code": 1}}, {}, {"error_message": '{"code": 1}'}),
        ({"error_message": "a\n\tb\x00\x1b[31m"}, {}, {"error_message": "a b[31m"}),
        ({"error_message": "x" * 301}, {}, {"error_message": "x" * 300 + "…"}),
        ({"task_id": None}, {}, {}),
        ({}, {"usage": [1]}, {}),
        ({}, {"usage": {"duration": "5"}}, {}),
        ({}, {"usage": {"duration": 4.5}}, {"video_seconds": 4.5}),
        ({}, {"request_id": 5}, {"request_id": "5"}),
        ({}, {"request_id": ["x"]}, {}),
        ({}, {"request_id": 10**30}, {}),
        ({}, {"request_id": True}, {}),
        ({}, {"error": []}, {}),
    ],
    ids=range(24),
)
def test_a_status_of_odd_shape_is_read_as_far_as_it_goes(output, more, expected):
    body = json.dumps({"output": {"task_status": "Running", **output}, **more}).encode()
    assert read(200, body) == TaskStatus(**{"task_id": TASK, "word": "Running", **expected})


def test_ids_may_be_numbers():
    body = b'{"output": {"task_id": 42, "task_status": "Running"}}'
    assert read(200, body, task="42") == TaskStatus("42", "Running")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, fault("param_error", "task not found: x"), ViduTaskNotFoundError),
        (400, fault(None, "Task does not exist"), ViduTaskNotFoundError),
        (400, fault(None, "task doesn't exist"), ViduTaskNotFoundError),
        (400, fault("task_not_exist", ""), ViduTaskNotFoundError),
        (400, fault(None, "no such task"), ViduTaskNotFoundError),
        (410, fault(None, "the task has expired"), ViduTaskNotFoundError),
        (400, fault(None, "任务不存在"), ViduTaskNotFoundError),
        (400, fault(None, "未找到任务"), ViduTaskNotFoundError),
        (400, fault(None, "任务已过期"), ViduTaskNotFoundError),
        (400, fault(None, "unknown task"), ViduTaskNotFoundError),
        (400, b'{"message": "task not found"}', ViduTaskNotFoundError),
        (404, fault(None, "x"), ViduTaskNotFoundError),
        (404, b'{"detail": "Not Found"}', ViduTaskNotFoundError),
        (404, SAMPLES["bad_gateway.html"], ViduRefusedError),
        (404, b"", ViduRefusedError),
        (404, b"404 page not found", ViduRefusedError),
        (400, b"task not found", ViduRefusedError),
        (400, fault("param_error", "the task is notable"), ViduRefusedError),
        (401, fault(None, "key not found"), ViduAuthError),
        (500, fault(None, "task not found"), ViduUnavailableError),
        (400, fault(None, "not found"), ViduTaskNotFoundError),
        (400, fault("not_found", "record not found."), ViduTaskNotFoundError),
        (400, fault("auth_error", "the API key has expired"), ViduRefusedError),
        (400, fault(None, "account not found"), ViduRefusedError),
        (402, fault(None, "your plan has expired"), ViduRefusedError),
        (400, fault(None, "model does not exist"), ViduRefusedError),
    ],
    ids=range(26),
)
def test_an_unknown_task_is_told_by_the_api_itself_and_not_by_a_proxy(status, body, kind):
    assert type(error_of(read, status, body)) is kind


def test_a_submit_is_never_told_that_a_task_is_unknown():
    assert type(error_of(submit, 404, fault(None, "task not found"))) is ViduRefusedError


NOISE = "".join(map(chr, range(32, 127))) + "\x00\n字ſİ\ud800"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(NOISE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(NOISE, max_size=3), inner, max_size=3),
    max_leaves=6,
)
PART = JSON | st.fixed_dictionaries(
    {}, optional={name: JSON for name in ("task_id", "task_status", "urls", "finish_time", "code", "message", "param")}
)
BODIES = st.binary(max_size=40) | st.fixed_dictionaries(
    {}, optional={name: PART for name in ("output", "error", "usage", "request_id")}
).map(lambda document: json.dumps(document).encode())


@settings(deadline=None, database=None, derandomize=True)
@given(
    st.sampled_from([200, 204, 301, 400, 401, 404, 408, 429, 500]),
    st.fixed_dictionaries(
        {}, optional={"Retry-After": st.text(NOISE), "Date": st.just(DATE), "Location": st.text(NOISE)}
    ),
    BODIES,
)
def test_every_answer_is_a_value_or_an_api_error(status, headers, body):
    for call, kind in ((submit, Submission), (read, TaskStatus)):
        try:
            answer = call(status, body, headers)
        except ViduApiError as error:
            answer = error
        if isinstance(answer, ViduApiError):
            assert str(answer).isprintable()
            assert len(str(answer)) < 2000
        else:
            assert (type(answer), 200 <= status < 300) == (kind, True)


def test_samples_hold_no_key():
    assert not re.search(rb"Bearer|Authorization|sk-", b"".join(SAMPLES.values()))


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("x " * 160 + "code=CreditInsufficient", ("x " * 160)[:300] + "…"),
        ({"code": "CreditInsufficient"}, '{"code": "CreditInsufficient"}'),
        (["积分不足"], '["积分不足"]'),
    ],
)
def test_the_family_is_that_of_the_whole_reason(reason, shown):
    body = {"output": {"task_id": TASK, "task_status": "Failure", "error_message": reason}}
    found = read(200, json.dumps(body).encode())
    assert (found.error_message, found.family.value) == (shown, "account")


@pytest.mark.parametrize(
    ("message", "words"),
    [("The size is 4X.", "The size is 4X"), ("...not a picture", "...not a picture"), ("审核未通过...", "审核未通过")],
)
def test_the_reason_of_a_failure_is_one_sentence_before_the_advice(message, words):
    failed = TaskStatus(TASK, "Failure", error_message=message)
    assert failed.reason == f"{words}. {failed.family.advice}"
