# SPDX-License-Identifier: Apache-2.0
"""Answers that cannot be read or are not to be believed, and how long one may be."""

from __future__ import annotations

import json

import pytest

from airflow_provider_vidu.exceptions import ViduRefusedError, ViduTaskNotFoundError
from airflow_provider_vidu.protocol.response import Submission, TaskStatus
from tests.protocol.answers import PASSING, SAMPLES, TASK, UNSURE, error_of, fault, read, submit


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


SIGNED = "https://h/a.mp4?X-Amz-Credential=a-secret-id&X-Amz-Expires=60&X-Amz-Signature=a-secret"
QUOTING = {
    "in its message": {"error": {"message": f"invalid url: {SIGNED}", "code": "param_error"}},
    "in its code": {"error": {"code": SIGNED}},
    "elsewhere": {"detail": {"url": SIGNED}},
    "after a long text": {"error": {"message": f"{'x ' * 110}{SIGNED}"}},
    "after a longer text": {"error": {"message": f"{'x ' * 1480}{SIGNED}"}},
}


@pytest.mark.parametrize("document", QUOTING.values(), ids=list(QUOTING))
@pytest.mark.parametrize("call", [submit, read])
def test_an_error_that_quotes_a_url_does_not_show_its_signature(call, document):
    for body in (json.dumps(document), json.dumps(document).replace("&", r"\u0026")):
        shown = repr(vars(error := error_of(call, 400, body.encode()))) + str(error)
        assert "a-secret" not in shown


def test_a_reason_that_quotes_a_url_does_not_show_its_signature():
    output = {"task_status": "Failure", "error_message": f"could not fetch {SIGNED}"}
    status = read(200, json.dumps({"output": output}).encode())
    shown = "could not fetch https://h/a.mp4?X-Amz-Credential=***&X-Amz-Expires=60&X-Amz-Signature=***"
    assert status.error_message == shown
