# SPDX-License-Identifier: Apache-2.0
"""Every fault of the emulator on every route through both transports, and what the server accepted meanwhile."""

from __future__ import annotations

import io
import json
import socket
import time
from functools import partial

import pytest

from airflow_provider_vidu.emulator.faults import KINDS
from airflow_provider_vidu.exceptions import ViduError
from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.protocol.response import TaskStatus
from airflow_provider_vidu.triggers.vidu import ViduTaskTrigger
from dev.emulator_client import set_connection
from tests.records import result_of
from tests.transports import BODY

UNCERTAIN, REFUSED, AUTH = "ViduSubmissionUncertainError", "ViduRefusedError", "ViduAuthError"
SLOW, UNAVAILABLE, NOT_FOUND = "ViduRateLimitError", "ViduUnavailableError", "ViduTaskNotFoundError"
MODERATION = "ViduModerationError"


def order(name: str, **parameters: object) -> str:
    """Name a fault with its parameters; a text, so that tables have readable keys."""
    return json.dumps({"fault": name, **parameters})


# How many submits the server accepted, and what a submit and what a status request raise.
ERRORS = {
    order("error", status=400, code="param_error"): (0, REFUSED, REFUSED),
    order("error", status=400, code="invalid_messages"): (0, MODERATION, REFUSED),
    order("error", status=400, code="sensitive_check_error"): (0, MODERATION, REFUSED),
    order("error", status=400, code="model_error"): (0, REFUSED, REFUSED),
    order("error", status=400, code="tokens_too_long"): (0, REFUSED, REFUSED),
    order("error", status=400, code="websearch_error"): (0, REFUSED, REFUSED),
    order("error", status=401): (0, AUTH, AUTH),
    order("error", status=403): (0, AUTH, AUTH),
    order("error", status=404): (0, REFUSED, NOT_FOUND),
    order("error", status=408): (0, UNCERTAIN, UNAVAILABLE),
    order("error", status=413): (0, REFUSED, REFUSED),
    order("error", status=422): (0, REFUSED, REFUSED),
    order("error", status=429): (0, SLOW, SLOW),
    order("error", status=500, code="internal_error"): (0, UNCERTAIN, UNAVAILABLE),
    order("error", status=500, code="model_server_error"): (0, UNCERTAIN, UNAVAILABLE),
    order("error", status=502): (0, UNCERTAIN, UNAVAILABLE),
    order("error", status=503): (0, UNCERTAIN, UNAVAILABLE),
    order("error", status=504): (0, UNCERTAIN, UNAVAILABLE),
    order("rate_limit"): (0, SLOW, SLOW),
    order("rate_limit", retry_after=7): (0, SLOW, SLOW),
    order("redirect", location="/v1/tasks/submit"): (0, REFUSED, REFUSED),
    order("html", status=404): (0, REFUSED, REFUSED),
    order("html", status=502): (0, UNCERTAIN, UNAVAILABLE),
    order("html", status=503): (0, UNCERTAIN, UNAVAILABLE),
    order("html", status=200): (0, UNCERTAIN, UNAVAILABLE),
    order("error_200"): (0, UNCERTAIN, UNAVAILABLE),
    order("no_task_id"): (0, UNCERTAIN, UNAVAILABLE),
    order("garbage"): (0, UNCERTAIN, UNAVAILABLE),
    order("empty"): (0, UNCERTAIN, UNAVAILABLE),
    order("drop"): (0, UNCERTAIN, UNAVAILABLE),
    order("reset"): (0, UNCERTAIN, UNAVAILABLE),
    order("hang"): (0, UNCERTAIN, UNAVAILABLE),
    order("outage"): (0, UNCERTAIN, UNAVAILABLE),
    order("accept_then_drop"): (1, UNCERTAIN, UNAVAILABLE),
    order("accept_then_hang"): (1, UNCERTAIN, UNAVAILABLE),
    order("accept_then_error", status=408): (1, UNCERTAIN, UNAVAILABLE),
    order("accept_then_error", status=500): (1, UNCERTAIN, UNAVAILABLE),
    order("accept_then_error", status=502): (1, UNCERTAIN, UNAVAILABLE),
    order("accept_then_error", status=504): (1, UNCERTAIN, UNAVAILABLE),
}
# What is no error of a status request, but no end of a wait either.
ODD_STATUSES = {
    order("unknown_word", word="Queueing"): ("Queueing", ()),
    order("no_urls"): ("Success", ()),
}
# What a download raises.
DOWNLOADS = {
    **{fault: "ViduDownloadError" for fault in ERRORS},
    order("truncate"): "ViduDownloadError",
    order("expired"): "ViduDownloadError",
    order("not_a_video"): "ViduDownloadError",
}


@pytest.fixture
def emulator(emulator, monkeypatch):
    """The emulator behind a connection that does not wait long for an answer."""
    set_connection(monkeypatch, host=emulator.url, extra={"timeout": 0.5})
    return emulator


def arm(emulator, fault: str, route: str, times: int | None = None) -> None:
    emulator.arm({**json.loads(fault), "on": route, "times": times})


def posts(emulator) -> int:
    return sum(request["method"] == "POST" for request in emulator.requests)


def raised_by(call) -> tuple[object, str | None]:
    try:
        return call(), None
    except ViduError as error:
        return None, type(error).__name__


@pytest.mark.parametrize(
    ("route", "tables"), [("submit", [ERRORS]), ("status", [ERRORS, ODD_STATUSES]), ("download", [DOWNLOADS])]
)
def test_the_matrix_knows_every_fault_of_the_emulator(route, tables):
    named = {json.loads(fault)["fault"] for table in tables for fault in table}
    assert named == {name for name, kind in KINDS.items() if kind.only_on in (None, route)}


@pytest.mark.parametrize("fault", ERRORS)
def test_a_submit_is_one_post_whose_outcome_is_told_as_far_as_it_is_known(hook, emulator, fault):
    arm(emulator, fault, "submit")
    submission, error = raised_by(hook.submit)
    accepted, expected_error, _ = ERRORS[fault]
    id_known = submission is not None
    assert (len(emulator.tasks), id_known, error) == (accepted, False, expected_error)
    assert posts(emulator) == 1


def test_a_submit_without_a_fault_is_accepted_once_and_its_id_is_known(hook, emulator):
    submission, error = raised_by(hook.submit)
    assert (len(emulator.tasks), submission.task_id, error) == (1, emulator.tasks[0]["task_id"], None)
    assert posts(emulator) == 1


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("place", ["refused", "no such host", "TLS"])
@pytest.mark.parametrize("call", ["submit", "get_task"])
def test_what_never_left_was_surely_not_accepted(hook, emulator, monkeypatch, place, call):
    hosts = {
        "refused": closed_port(),
        "no such host": "http://no-such-host.invalid",
        "TLS": emulator.url.replace("http:", "https:"),
    }
    set_connection(monkeypatch, host=hosts[place])
    _, error = raised_by(hook.submit if call == "submit" else lambda: hook.get_task("task-1"))
    assert (error, emulator.tasks) == ("ViduConnectError" if call == "submit" else "ViduUnavailableError", [])


@pytest.mark.parametrize("fault", ERRORS)
def test_a_status_request_that_fails_leaves_the_task_as_it_was(hook, emulator, fault):
    task_id = ViduHook().submit(BODY).task_id
    arm(emulator, fault, "status")
    assert raised_by(lambda: hook.get_task(task_id)) == (None, ERRORS[fault][2])
    emulator.control("DELETE", "faults")
    assert hook.get_task(task_id).word == "Success"
    assert (len(emulator.tasks), posts(emulator)) == (1, 1)


@pytest.mark.parametrize("fault", ODD_STATUSES)
def test_an_odd_status_is_told_as_it_is(hook, emulator, fault):
    task_id = ViduHook().submit(BODY).task_id
    arm(emulator, fault, "status")
    status = hook.get_task(task_id)
    assert isinstance(status, TaskStatus)
    assert (status.word, status.urls) == ODD_STATUSES[fault]


@pytest.mark.parametrize("fault", [*ERRORS, *ODD_STATUSES])
async def test_a_wait_outlives_every_fault_that_passes(emulator, soon, fault):
    task_id = ViduHook().submit(BODY).task_id
    # A retry_after is the server's wish and would be honoured for seconds.
    arm(emulator, fault.replace('"retry_after": 7', '"retry_after": 1'), "status", times=3)
    waiting = ViduTaskTrigger(task_id, "vidu_default", 0.05, None, None, time.time() + 60)
    events = [event.payload async for event in waiting.run()]
    (record,) = emulator.tasks
    message = f"Vidu task {task_id} is ready."
    assert events == [{"status": "success", "task": result_of(record, seconds=1), "message": message}]
    assert posts(emulator) == 1


def downloaded(url: str) -> bytes:
    target = io.BytesIO()
    ViduHook().download(url, target)
    return target.getvalue()


def test_a_download_that_fails_can_be_had_again_without_a_new_generation(emulator, soon, monkeypatch):
    hook = ViduHook()
    task_id = hook.submit(BODY).task_id
    (url,) = hook.get_task(task_id).urls
    # Rendered at the first download, which takes the emulator longer than this connection waits.
    set_connection(monkeypatch, host=emulator.url)
    video = downloaded(url)
    set_connection(monkeypatch, host=emulator.url, extra={"timeout": 0.5})
    seen = {}
    for fault in DOWNLOADS:
        arm(emulator, fault, "download")
        seen[fault] = raised_by(partial(downloaded, url))
        emulator.control("DELETE", "faults")
        (url,) = hook.get_task(task_id).urls
        assert downloaded(url) == video
    assert seen == {fault: (None, error) for fault, error in DOWNLOADS.items()}
    assert (len(emulator.tasks), posts(emulator)) == (1, 1)
