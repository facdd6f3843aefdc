# SPDX-License-Identifier: Apache-2.0
"""What opens a URL that an author passes is sent to the API and shows nowhere else."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from tests.quick import Store, asked, lines, tried

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once")

SECRETS = ("0a1b2c-signature", "session-4711", "user-pw")
URL = f"https://user:{SECRETS[2]}@h/a.png?X-Amz-Signature={SECRETS[0]}&X-Amz-Security-Token={SECRETS[1]}&v=1"
SHOWN = "https://***@h/a.png?X-Amz-Signature=***&X-Amz-Security-Token=***&v=1"
JOB = {"vidu_type": "reference2video", "model": "viduq2", "prompt": "a kite", "duration": 1, "resolution": "540p"}


def test_a_submit_sends_a_signature_and_keeps_it_out_of_state_xcoms_and_log(emulator, capfd):
    pushed, store = {}, Store()
    ti = SimpleNamespace(max_tries=1, xcom_push=lambda key, value: pushed.update({key: value}))
    operator = ViduSubmitOperator(task_id="submit", **JOB, images=[URL])
    operator.execute({"ti": ti, "task_state_store": store})
    (task,) = emulator.tasks
    assert task["body"]["input"]["images"] == [URL]
    assert pushed["vidu_request"]["input"]["images"] == [SHOWN]
    shown = json.dumps([pushed, store]) + "".join(capfd.readouterr())
    assert [secret for secret in SECRETS if secret in shown] == []


def test_a_batch_keeps_a_signature_out_of_state_manifest_and_log(emulator, videos, capfd):
    store, given = (
        Store(),
        [{**asked("a"), **JOB, "images": [URL]}, {**asked("b"), **JOB, "images": [URL], "seed": URL}],
    )
    with pytest.raises(AirflowFailException) as raised:
        tried(store, videos, json.dumps(given))
    # The emulator cannot fetch it, which is all the same here.
    with pytest.raises(AirflowFailException, match="1 failed"):
        tried(store, videos, given[:1])
    (task,) = emulator.tasks
    assert task["body"]["input"]["images"] == [URL]
    assert lines(videos)[0]["request"]["input"]["images"] == [SHOWN]
    shown = json.dumps([lines(videos), store, str(raised.value)]) + "".join(capfd.readouterr())
    assert [secret for secret in SECRETS if secret in shown] == []


@pytest.mark.parametrize("name", ["model", "vidu_type"])
def test_a_model_that_would_forge_a_log_line_is_refused_before_anything_is_sent(emulator, name):
    operator = ViduSubmitOperator(task_id="submit", **JOB, images=[URL])
    setattr(operator, name, "viduq9\n[ERROR] forged")
    with pytest.raises(AirflowFailException) as raised:
        operator.execute({"ti": SimpleNamespace(max_tries=1, xcom_push=lambda **_: None)})
    assert str(raised.value).isprintable()
    assert emulator.requests == []
