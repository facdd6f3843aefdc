# SPDX-License-Identifier: Apache-2.0
"""The Chinese form of a failure: the texts that the pages choose for the provider's errors and messages."""

from __future__ import annotations

import inspect
import re

import pytest

from airflow_provider_vidu import exceptions, generation
from airflow_provider_vidu.batch import rescue
from airflow_provider_vidu.batch.messages import NO_RETRY, failure
from airflow_provider_vidu.batch.results import without_a_video
from airflow_provider_vidu.durable.attempt import Attempt, decide
from airflow_provider_vidu.exceptions import (
    ViduApiError,
    ViduAuthError,
    ViduError,
    ViduTaskNotFoundError,
)
from airflow_provider_vidu.protocol.batch import OUTCOMES, WITH_VIDEO
from airflow_provider_vidu.protocol.errors import UNCERTAIN
from airflow_provider_vidu.protocol.polling import FAILED, TIMES_BELIEVED, Outcome, Watch
from airflow_provider_vidu.protocol.response import TaskStatus
from airflow_provider_vidu.storage.manifest import Record
from airflow_provider_vidu.triggers.vidu import gave_up
from tests.plugin.test_pages import SCRIPTS, TEXTS

REASONS = SCRIPTS["reasons.js"]
RAISED = [
    kind
    for kind in vars(exceptions).values()
    # The two that only group others are never raised.
    if inspect.isclass(kind) and issubclass(kind, ViduError) and kind not in (ViduError, ViduApiError)
]
RECORD = Record("kite", {}, "submitted", task_id="task-7")


def watch():
    return Watch("task-7", poll_interval=1, started_at=0, deadline=1e9)


def ended(error_message):
    """Say why a generation failed, as every wait does."""
    outcome = watch().observe(0, TaskStatus("task-7", "Failure", error_message=error_message))
    assert isinstance(outcome, Outcome)
    return outcome.message


def lost_contact():
    waits = watch()
    answers = [waits.observe(99, ViduAuthError("The key is wrong.")) for _ in range(TIMES_BELIEVED)]
    return answers[-1].message


def left_by_earlier_try(answer=None, files=(), vidu_task_id="task-7"):
    attempt = Attempt("", 0, 0.0, {}, vidu_task_id)
    return decide(attempt, max_tries=0, fingerprint="", now=1e9, answer=answer, believed=True, files=files)[1]


def failed_batch(text):
    records = [RECORD._replace(outcome=FAILED, reason=text, family="moderation")]
    choices = {"resubmit": False, "awaits_budget": False, "budget_resets_at": None}
    return str(failure(records, "1 failed", "/m.jsonl", **choices))


MODERATED = ended("CreationPolicyViolation")
EXPIRED = TaskStatus("task-7", "Success", ("http://h/a.mp4",), finish_time=0.0)
MESSAGES = {
    "moderation": (MODERATED, "adviceModeration"),
    "input": (ended("ImageFormatInvalid"), "adviceInput"),
    "capacity": (ended("SystemThrottling"), "adviceCapacity"),
    "account": (ended("CreditInsufficient"), "adviceAccount"),
    "unknown": (ended(""), "adviceUnknown"),
    "uncertain": (f"The API did not answer. {UNCERTAIN}", "adviceUncertain"),
    "uncertain try": (left_by_earlier_try(vidu_task_id=""), "adviceUncertain"),
    "time-out": (watch().timed_out().message, "error_timeout"),
    "time-out of an item": (without_a_video(RECORD, TaskStatus("task-7", "Running")).reason, "error_timeout"),
    "lost contact": (lost_contact(), "error_contact"),
    "lost item": (without_a_video(RECORD, ViduAuthError("The key is wrong.")).reason, "error_contact"),
    "broken trigger": (gave_up("task-7", "Trigger timeout"), "error_contact"),
    "expired": (left_by_earlier_try(EXPIRED), "adviceLost"),
    "unknown task": (left_by_earlier_try(ViduTaskNotFoundError("Unknown.")), "adviceLost"),
    "stored elsewhere": (left_by_earlier_try(EXPIRED, files=["/a.mp4"]), "error_elsewhere"),
    # A retry would pay for these again, whatever the error says of retries.
    "paid, without a record": (f"Full. Retry; storing is free. {generation._NO_RETRY}", "error_unrecorded"),
    "batch without a record": (f"{failed_batch(MODERATED)} {NO_RETRY}", "error_unrecorded"),
    # It quotes the first items, which have cards of their own.
    "batch": (failed_batch(MODERATED), "error_batch"),
}


def parts():
    """Read the parts of messages and the texts for them, in the order in which the pages try them."""
    listed = re.findall(r'^  (?:\["(.*)", "(\w+)"\]|\.\.\.(Object)\.values\(FAMILIES\).*),$', REASONS, re.MULTILINE)
    families = re.findall(r'^  \w+: \["\w+", "(\w+)"\],$', REASONS, re.MULTILINE)
    for part, key, is_families in listed:
        yield from ((TEXTS[advice][0], advice) for advice in families) if is_families else [(part, key)]


@pytest.mark.parametrize("kind", RAISED, ids=lambda kind: kind.__name__)
def test_every_class_has_a_chinese_form_of_what_its_docstring_says(kind):
    meant, step, *_ = inspect.cleandoc(kind.__doc__).split("\n\n")
    english, chinese = TEXTS[f"error_{kind.__name__}"]
    # If the meaning of a class changes, so must its Chinese form.
    assert english == " ".join(f"{meant} {step}".split())
    assert re.search("[\u4e00-\u9fff]", chinese)


def test_no_chinese_form_is_left_of_a_class_that_is_gone():
    assert {key for key in TEXTS if key.startswith("error_Vidu")} == {f"error_{kind.__name__}" for kind in RAISED}


def test_every_outcome_without_a_video_has_a_chinese_form():
    (table,) = re.findall(r"^const OF_OUTCOME = \{$(.*?)^\};$", REASONS, re.MULTILINE | re.DOTALL)
    known = dict(re.findall(r'^  (\w+): "(\w+)",$', table, re.MULTILINE))
    # A failed generation has its family.
    assert {*known, *WITH_VIDEO, FAILED} == {*OUTCOMES}
    assert {*known.values()} <= {*TEXTS}


@pytest.mark.parametrize("name", MESSAGES)
def test_the_pages_know_the_messages_whose_class_does_not_say_enough(name):
    message, expected = MESSAGES[name]
    assert next(key for part, key in parts() if part in message) == expected


def test_the_pages_know_the_message_of_a_rescue_that_left_videos():
    assert dict(parts())["paid videos could not be stored"] == "error_ViduDownloadError"
    assert "paid videos could not be stored" in inspect.getsource(rescue.Rescue)
