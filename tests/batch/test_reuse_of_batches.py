# SPDX-License-Identifier: Apache-2.0
"""Videos of a batch that serve again: while the batch goes on, and when it has ended."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_vidu.durable import reuse
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.exceptions import ViduStateError
from tests.batch.nights import night, submitted
from tests.quick import Store, asked, deferred, outcomes, posts, tried

pytestmark = pytest.mark.usefixtures("soon", "asked_at_once", "ledger")

GIVEN = [asked(f"kite-{number}", prompt=f"kite {number}") for number in range(3)]


def index(ledger) -> list[str]:
    return [path.name for path in Path(ledger.root).glob("requests/*/*.json")]


def test_a_task_of_a_batch_that_goes_on_is_taken_by_its_requests_next_submit(emulator, ledger, videos, monkeypatch):
    # Not as of one that submits at the same moment.
    monkeypatch.setattr(reuse, "RIVAL_SECONDS", 0.0)
    deferred(videos, GIVEN)
    assert index(ledger) == []
    vidu_task_id, _ = submitted(reuse=True, prompt="kite 1")
    assert vidu_task_id in {task["task_id"] for task in emulator.tasks}
    assert len(posts(emulator)) == 3


def test_a_batch_that_has_ended_is_found_by_each_of_its_requests(emulator, ledger, tmp_path, monkeypatch):
    night(tmp_path / "first", GIVEN)
    assert len(index(ledger)) == 3
    # As on a later day, when the names of two days do not show it.
    monkeypatch.setattr(Ledger, "groups", lambda self, day: [])
    assert night(tmp_path / "second", GIVEN[:1])["counts"] == {"reused": 1}
    assert len(posts(emulator)) == 3


def test_a_ledger_that_fails_when_the_batch_ends_loses_nothing_of_it(emulator, ledger, tmp_path, monkeypatch, capfd):
    put = Ledger.put

    def fails(self, relative, content):
        if relative.startswith("requests/"):
            raise ViduStateError("The ledger is away.")
        put(self, relative, content)

    monkeypatch.setattr(Ledger, "put", fails)
    assert night(tmp_path, GIVEN)["counts"] == {"success": 3}
    assert set(outcomes(tmp_path).values()) == {"success"}
    assert "A later submit will not find Vidu task" in capfd.readouterr().out


@pytest.mark.parametrize(("cause", "sent"), [("the key", 8), ("the ledger", 0), ("the state store", 0)])
def test_a_running_task_that_a_stopped_batch_never_noted_is_left_to_a_retry(
    emulator, ledger, videos, monkeypatch, cause, sent
):
    submitted(prompt="kite 11")
    store, given = Store(), [asked(f"kite-{number}", prompt=f"kite {number}") for number in range(12)]
    with monkeypatch.context() as patched:
        match cause:
            case "the key":
                emulator.arm({"on": "submit", "fault": "error", "status": 401, "times": 1})
            case "the ledger":
                patched.setattr(Ledger, "_put_group", lambda *_: (_ for _ in ()).throw(ViduStateError("away")))
            case _:
                store.fails_at = 1
        with pytest.raises(AirflowException, match="unsubmitted"):
            tried(store, videos, given, reuse=True)
    assert outcomes(videos)["kite-11"] == "unsubmitted"
    assert len(posts(emulator)) == 1 + sent
    assert tried(store, videos, given, reuse=True, try_number=2)["counts"] == {"success": 11, "reused": 1}
    assert len(emulator.tasks) == 12
