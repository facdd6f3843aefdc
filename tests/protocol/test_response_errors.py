# SPDX-License-Identifier: Apache-2.0
"""What an answer that is an error means, for a submit and for a status request, and what is said of it."""

from __future__ import annotations

import pytest

from airflow_provider_vidu.exceptions import (
    ViduAuthError,
    ViduConnectError,
    ViduModerationError,
    ViduRateLimitError,
    ViduRefusedError,
    ViduSubmissionUncertainError,
    ViduTaskNotFoundError,
    ViduUnavailableError,
)
from airflow_provider_vidu.protocol.response import transport_error
from tests.protocol.answers import DATE, PASSING, SAMPLES, TASK, UNSURE, error_of, fault, read, shape, submit

CHECK = "Check the usage page of the ModelVerse console before you resubmit it."
UNCERTAIN = f"The API may have accepted and billed it. {CHECK}"
KEY = "Check the API key, its quota, its address allow-list and the connection's auth_scheme, then retry."
NO_RIGHT = "This key may not use this model. Choose another model, or have this one enabled."
TOO_LARGE = "The request is too large. Pass files as URLs instead."
PAID, READ = "Nothing was paid.", "Polling costs nothing."
AGAIN = f"{PAID} Correct the request; the API refuses the same one again."
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
