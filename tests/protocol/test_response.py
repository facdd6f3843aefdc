# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_vidu.exceptions import (
    ViduApiError,
    ViduAuthError,
    ViduConnectError,
    ViduModerationError,
    ViduRateLimitError,
    ViduRefusedError,
    ViduSubmissionUncertainError,
    ViduTaskNotFoundError,
    ViduUnavailableError,
)
from airflow_provider_vidu.protocol.response import (
    Submission,
    TaskState,
    TaskStatus,
    parse_submission,
    parse_task_status,
    transport_error,
)

# Made from the documentation: none can be recorded without a paid key.
SAMPLES = {path.name: path.read_bytes() for path in (Path(__file__).parent / "samples").iterdir()}
TASK = "8e1f5a0c-task"


def read(status, body, headers=None, task=TASK):
    return parse_task_status(status, headers or {}, body, task)


def submit(status, body, headers=None):
    return parse_submission(status, headers or {}, body)


def error_of(call, *arguments, **options):
    with pytest.raises(ViduApiError) as caught:
        call(*arguments, **options)
    return caught.value


def shape(error):
    return {"kind": type(error), "text": str(error), **vars(error)}


def fault(code, message="why not", param="req-9", **more):
    return json.dumps({"error": {"message": message, "type": "t", "param": param, "code": code}, **more}).encode()


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
        ({"urls": "https://h/a.mp4"}, {}, {}),
        ({"urls": {"a": 1}}, {}, {}),
        ({"urls": ["u", None, 5, "", ["v"], "w"]}, {}, {"urls": ("u", "w")}),
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


CHECK = "Check the usage page of the ModelVerse console before you resubmit it."
UNCERTAIN = f"The API may have accepted and billed it. {CHECK}"
KEY = "Check the API key, its quota, its address allow-list and the connection's auth_scheme, then retry."
NO_RIGHT = "This key may not use this model. Choose another model, or have this one enabled."
TOO_LARGE = "The request is too large. Pass files as URLs instead."
PAID, READ = "Nothing was paid.", "Polling costs nothing."
AGAIN = f"{PAID} Correct the request; the API refuses the same one again."
UNSURE, PASSING = ViduSubmissionUncertainError, ViduUnavailableError
# HTTP status, code, what a submit raises and advises, what a status request raises and advises
TABLE = [
    (400, "param_error", ViduRefusedError, AGAIN, ViduRefusedError, READ),
    (400, "invalid_messages", ViduModerationError, None, ViduRefusedError, READ),
    (400, "sensitive_check_error", ViduModerationError, None, ViduRefusedError, READ),
    (400, "model_error", ViduRefusedError, f"{PAID} {NO_RIGHT}", ViduRefusedError, READ),
    (400, "tokens_too_long", ViduRefusedError, f"{PAID} The prompt is too long. Shorten it.", ViduRefusedError, READ),
    (400, "websearch_error", ViduRefusedError, AGAIN, ViduRefusedError, READ),
    (400, "a_code_that_nobody_knows", ViduRefusedError, AGAIN, ViduRefusedError, READ),
    (400, None, ViduRefusedError, AGAIN, ViduRefusedError, READ),
    (401, "auth_error", ViduAuthError, f"{PAID} {KEY}", ViduAuthError, f"{READ} {KEY}"),
    (403, "forbidden", ViduAuthError, f"{PAID} {KEY}", ViduAuthError, f"{READ} {KEY}"),
    (404, None, ViduRefusedError, f"{PAID} Check the base URL in the connection's host.", ViduTaskNotFoundError, None),
    (413, None, ViduRefusedError, f"{PAID} {TOO_LARGE}", ViduRefusedError, READ),
    (422, "invalid_messages", ViduRefusedError, AGAIN, ViduRefusedError, READ),
    (499, None, ViduRefusedError, AGAIN, ViduRefusedError, READ),
    (408, "timeout", UNSURE, UNCERTAIN, PASSING, READ),
    (
        429,
        "rate_limit",
        ViduRateLimitError,
        f"{PAID} Retry later. The server requests a pause of 7 s.",
        ViduRateLimitError,
        f"{READ} Retry later. The server requests a pause of 7 s.",
    ),
    (500, "internal_error", UNSURE, UNCERTAIN, PASSING, READ),
    (500, "model_server_error", UNSURE, UNCERTAIN, PASSING, READ),
    (502, None, UNSURE, UNCERTAIN, PASSING, READ),
    (503, None, UNSURE, UNCERTAIN, PASSING, READ),
    (504, "gateway_timeout_error", UNSURE, UNCERTAIN, PASSING, READ),
    (599, None, UNSURE, UNCERTAIN, PASSING, READ),
    (200, "param_error", UNSURE, UNCERTAIN, PASSING, READ),
    (101, None, UNSURE, UNCERTAIN, PASSING, READ),
]
MODERATED = f"{PAID} Content moderation refused the text. Change it."
NOT_KNOWN = f"{READ} The server does not know this task: it is new, has expired or belongs to another key."
IDS = [f"{row[0]}-{row[1]}" for row in TABLE]


@pytest.mark.parametrize(("status", "code", "kind", "advice", "_kind", "_advice"), TABLE, ids=IDS)
def test_an_error_of_a_submit_tells_whether_it_was_paid(status, code, kind, advice, _kind, _advice):
    words = f"{code}: why not" if code else "why not"
    assert shape(error_of(submit, status, fault(code), {"retry-after": "7"})) == {
        "kind": kind,
        "text": f"Vidu submit: HTTP {status}, request id req-9: {words}. {advice or MODERATED}",
        "status": status,
        "code": code,
        "request_id": "req-9",
        "vidu_task_id": None,
        "retry_after": 7.0,
    }


@pytest.mark.parametrize(("status", "code", "_kind", "_advice", "kind", "advice"), TABLE, ids=IDS)
def test_an_error_of_a_status_request_names_the_task_and_is_never_uncertain(status, code, _kind, _advice, kind, advice):
    words = f"{code}: why not" if code else "why not"
    assert shape(error_of(read, status, fault(code), {"Retry-After": "7"})) == {
        "kind": kind,
        "text": f"Status of Vidu task {TASK}: HTTP {status}, request id req-9: {words}. {advice or NOT_KNOWN}",
        "status": status,
        "code": code,
        "request_id": "req-9",
        "vidu_task_id": TASK,
        "retry_after": 7.0,
    }


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 399])
@pytest.mark.parametrize(
    ("headers", "target"),
    [({"Location": "https://elsewhere.example.com/"}, "to https://elsewhere.example.com/"), ({}, "without a target")],
)
def test_a_redirect_is_refused_and_says_where_it_led(status, headers, target):
    advice = "Put the final base URL into the connection's host."
    of_submit, of_read = error_of(submit, status, b"", headers), error_of(read, status, b"", headers)
    assert (type(of_submit), type(of_read)) == (ViduRefusedError, ViduRefusedError)
    assert str(of_submit) == (
        f"Vidu submit: HTTP {status}: a redirect {target}. {PAID} The provider follows no redirects. {advice}"
    )
    assert str(of_read) == (
        f"Status of Vidu task {TASK}: HTTP {status}: a redirect {target}. {READ} The provider follows no redirects. "
        f"{advice}"
    )


def test_the_documented_refusal_is_read_whole():
    assert shape(error_of(submit, 400, SAMPLES["refused.json"])) == {
        "kind": ViduRefusedError,
        "text": f"Vidu submit: HTTP 400, request id req-error-1: param_error: duration is out of range. {AGAIN}",
        "status": 400,
        "code": "param_error",
        "request_id": "req-error-1",
        "vidu_task_id": None,
        "retry_after": None,
    }


PAGE = "an HTML page, probably from a proxy or gateway"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize(
    ("body", "words"), [(SAMPLES["bad_gateway.html"], PAGE), (b"", "an empty body")], ids=["html", "empty"]
)
def test_a_gateway_s_own_page_leaves_a_submit_uncertain_and_a_read_to_be_done_again(status, body, words):
    of_submit, of_read = error_of(submit, status, body), error_of(read, status, body)
    assert (type(of_submit), str(of_submit)) == (UNSURE, f"Vidu submit: HTTP {status}: {words}. {UNCERTAIN}")
    assert (type(of_read), str(of_read)) == (PASSING, f"Status of Vidu task {TASK}: HTTP {status}: {words}. {READ}")


def nested(depth):
    return b"[" * depth + b"]" * depth


ODD_BODIES = [
    b"",
    b"not json",
    b"null",
    b"5",
    b'"text"',
    b"[]",
    b'[{"output": {"task_id": "t", "task_status": "Success"}}]',
    b"{}",
    b'{"output": null}',
    b'{"output": []}',
    b'{"output": "t"}',
    b'{"output": {}}',
    b'{"output": {"task_id": null, "task_status": null}}',
    b'{"output": {"task_id": "", "task_status": " "}}',
    b'{"output": {"task_id": true, "task_status": true}}',
    b'{"output": {"task_id": 1.5, "task_status": 1}}',
    b'{"output": {"task_id": {}, "task_status": []}}',
    b'{"output": {"task_id": 1' + b"0" * 30 + b"}}",
    b'{"output": {"task_id": 1' + b"0" * 5000 + b"}}",
    b'{"output": {"task_id": NaN}}',
    b'{"output": {"task_id": "t", "task_status": "Success"}, "error": {"message": "but"}}',
    b'{"output": {"task_id": "t", "task_status": "Success"}, "error": "but"}',
    b'{"error": {"message": {"a": 1}, "code": [], "param": {}}}',
    b'{"output": {"task_id": "\xff"}}',
    b"\x80\x81",
    nested(100_000),
    b'{"output": ' + nested(100_000) + b"}",
    SAMPLES["bad_gateway.html"],
    SAMPLES["submitted.json"][:-6],
]


@pytest.mark.parametrize("body", ODD_BODIES, ids=range(len(ODD_BODIES)))
def test_a_success_that_cannot_be_read_leaves_a_submit_uncertain_and_a_read_to_be_done_again(body):
    assert type(error_of(submit, 200, body)) is UNSURE
    assert type(error_of(read, 200, body)) is PASSING


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("body", ODD_BODIES, ids=range(len(ODD_BODIES)))
def test_a_refusal_that_cannot_be_read_is_still_one(status, body):
    assert type(error_of(submit, status, body)) is ViduRefusedError
    assert type(error_of(read, status, body)) in (ViduRefusedError, ViduTaskNotFoundError)


@pytest.mark.parametrize(("status", "is_taken"), [(199, False), (200, True), (299, True), (300, False)])
def test_a_task_is_read_only_from_an_answer_with_a_status_of_success(status, is_taken):
    if is_taken:
        assert submit(status, SAMPLES["submitted.json"]) == Submission(TASK, "req-submit-1")
        assert read(status, SAMPLES["running.json"]) == TaskStatus(TASK, "Running")
    else:
        assert error_of(submit, status, SAMPLES["submitted.json"]).status == status
        assert error_of(read, status, SAMPLES["running.json"]).status == status


def test_an_answer_of_a_mebibyte_is_read_and_one_byte_more_is_not():
    accepted, running = (SAMPLES[name].ljust(1 << 20) for name in ("submitted.json", "running.json"))
    assert submit(200, accepted) == Submission(TASK, "req-submit-1")
    assert read(200, running) == TaskStatus(TASK, "Running")
    assert type(error_of(submit, 200, accepted + b" ")) is UNSURE
    assert type(error_of(read, 200, running + b" ")) is PASSING


def test_a_status_beside_an_error_is_not_taken():
    assert type(error_of(read, 200, fault("c", output={"task_status": "Success", "urls": ["u"]}))) is PASSING


def test_another_task_s_status_is_not_taken():
    body = b'{"output": {"task_id": "another", "task_status": "Success", "urls": ["u"]}}'
    assert type(error_of(read, 200, body)) is PASSING


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


@pytest.mark.parametrize(
    ("body", "words", "code", "request_id"),
    [
        (fault("c", "", ""), "c", "c", ""),
        (fault(None, "m", None), "m", None, ""),
        (fault(4001, "m", 77), "4001: m", "4001", "77"),
        (fault(["c"], "m"), "m", None, "req-9"),
        (fault("c", ["m"], request_id="outer"), "c", "c", "outer"),
        (fault("c", "ends with a stop."), "c: ends with a stop", "c", "req-9"),
        (fault("c", "m" * 301, "p" * 301), f"c: {'m' * 300}…", "c", "p" * 300 + "…"),
        (fault("c\n" * 200, "a\r\nb\x07", "r\ns"), f"{('c ' * 150)}…: a b", "c " * 150 + "…", "r s"),
        (b'{"detail": "why"}', '{"detail": "why"}', None, ""),
        (b"plain\n words", "plain words", None, ""),
        (b"\xff\xfe" + b"x" * 400, "\ufffd\ufffd" + "x" * 298 + "…", None, ""),
        (b" " * 5 + b"<html>", PAGE, None, ""),
        (b" " * 995 + b"<html>", PAGE, None, ""),
        (b" " * 996 + b"<html>", "<html>", None, ""),
        (fault("c", "larger than 2X."), "c: larger than 2X", "c", "req-9"),
    ],
    ids=range(15),
)
def test_the_server_s_own_words_are_quoted_on_one_line_and_cut(body, words, code, request_id):
    error = error_of(submit, 400, body)
    request = f", request id {request_id}" if request_id else ""
    assert (str(error), error.code, error.request_id) == (
        f"Vidu submit: HTTP 400{request}: {words}. {AGAIN}",
        code,
        request_id,
    )


DATE = "Wed, 15 Apr 2026 08:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "0"}, 0.0),
        ({"RETRY-AFTER": " 30 "}, 30.0),
        ({"retry-after": "999999999"}, 999999999.0),
        ({"Retry-After": "9999999999"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "٣"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "Wed, 15 Apr 2026 08:00:09 GMT", "Date": DATE}, 9.0),
        ({"Retry-After": "Wed, 15 Apr 2026 07:00:00 GMT", "Date": DATE}, 0.0),
        ({"Retry-After": "Wed, 15 Apr 2026 10:00:09 +0200", "date": DATE}, 9.0),
        ({"Retry-After": "Wed, 15 Apr 2026 08:00:09 GMT"}, None),
        ({"Retry-After": "Wed, 15 Apr 2026 08:00:09 -0000", "Date": DATE}, None),
        ({"Retry-After": "Wed, 99 Apr 2026 08:00:09 GMT", "Date": DATE}, None),
    ],
)
def test_retry_after_counts_seconds_or_from_the_server_s_own_clock(headers, seconds):
    assert error_of(read, 429, b"", headers).retry_after == seconds


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


def test_a_request_that_was_never_sent_costs_nothing():
    assert shape(transport_error("DNS", sent=False, vidu_task_id=None)) == {
        "kind": ViduConnectError,
        "text": "Could not connect to the Vidu API: DNS. Nothing was sent or paid. A retry can help.",
        "status": None,
        "code": None,
        "request_id": "",
        "vidu_task_id": None,
        "retry_after": None,
    }
    assert transport_error("DNS", sent=False, vidu_task_id=TASK).vidu_task_id == TASK


@pytest.mark.parametrize(
    ("task", "kind", "text"),
    [
        (None, ViduSubmissionUncertainError, f"The API did not answer the Vidu submit: read time-out. {UNCERTAIN}"),
        (
            TASK,
            ViduUnavailableError,
            f"The API did not answer the poll of Vidu task {TASK}: read time-out. Polling costs nothing.",
        ),
    ],
)
def test_a_request_without_an_answer_is_uncertain_only_for_a_submit(task, kind, text):
    error = transport_error("read time-out", sent=True, vidu_task_id=task)
    assert (type(error), str(error), error.vidu_task_id) == (kind, text, task)


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
