# SPDX-License-Identifier: Apache-2.0
"""Videos that serve again where several ask for them at once, or the ledger cannot be asked."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from airflow_provider_vidu.durable import reuse
from airflow_provider_vidu.durable.entries import DIGITS, Entry, day_of
from airflow_provider_vidu.durable.reuse import Reuse
from airflow_provider_vidu.exceptions import ViduStateError
from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.protocol.request import build, fingerprint
from tests.batch.nights import night, submitted
from tests.quick import QUICK, asked, many, posts

pytestmark = pytest.mark.usefixtures("ledger", "soon", "asked_at_once")


def test_a_ledger_that_cannot_be_read_lets_nothing_be_paid(emulator, ledger, videos):
    request = fingerprint(build(**_body()), "")
    (Path(ledger.root) / "requests").mkdir(parents=True)
    (Path(ledger.root) / "requests" / request[:DIGITS]).symlink_to(request[:DIGITS])
    with pytest.raises(ViduStateError, match="the ledger"):
        submitted(reuse=True)
    with pytest.raises(Exception, match="1 unsubmitted"):
        night(videos, many(1))
    assert posts(emulator) == []


def _body():
    given = dict(QUICK)
    return {"vidu_type": given.pop("vidu_type"), "model": given.pop("model"), "values": given}


def intent_of_another(ledger, seconds_ago=1.0):
    """The intent of another worker that asks for the same at the same moment."""
    body = build(**_body())
    name = ledger.name(time.time() - seconds_ago, 0.31, fingerprint(body, ""))
    entry = Entry("other", "run", "task", -1, "", "vidu_default", {}, fingerprint=fingerprint(body, ""))
    ledger.intend({name: entry})
    return name, body


def test_what_a_killed_batch_left_without_an_outcome_is_paid(emulator, ledger):
    begun_at = time.time() - 60
    requests = [fingerprint(build(**_body()), ""), "0" * 64]
    entry = Entry("other", "run", "task", -1, "", "vidu_default", {})
    ledger.intend({ledger.name(begun_at, 0.31, request): entry._replace(fingerprint=request) for request in requests})
    assert len(ledger.groups(day_of(begun_at, ledger.zone))) == 1
    submitted(reuse=True)
    assert len(posts(emulator)) == 1


@pytest.mark.parametrize("operator", ["submit", "batch"])
def test_who_comes_second_takes_the_task_of_who_came_first(emulator, ledger, videos, operator):
    name, body = intent_of_another(ledger)

    def accepted():
        time.sleep(0.3)
        ledger.accept({name: ViduHook().submit(body).task_id})

    first = threading.Thread(target=accepted)
    first.start()
    if operator == "submit":
        assert submitted(reuse=True)[0] == emulator.tasks[0]["task_id"]
    else:
        assert night(videos, many(1))["counts"] == {"reused": 1}
    first.join()
    assert len(posts(emulator)) == 1
    assert [one for one in ledger.spent(name.day) if one.request == name.request] == [name]


def test_an_intent_that_never_gets_a_task_does_not_hold_up_the_next_for_long(emulator, ledger, monkeypatch):
    monkeypatch.setattr(reuse, "RIVAL_SECONDS", 1.5)
    intent_of_another(ledger)
    submitted(reuse=True)
    assert len(posts(emulator)) == 1


def test_a_request_whose_name_begins_with_the_same_digits_is_no_rival(emulator, ledger):
    request = fingerprint(build(**_body()), "")
    other = f"{request[:DIGITS]}{'0' * (64 - DIGITS)}"
    entry = Entry("other", "run", "task", -1, "", "vidu_default", {}, "task-of-another", other)
    ledger.intend({ledger.name(time.time() - 1, 0.31, other): entry})
    submitted(reuse=True)
    assert len(posts(emulator)) == 1


def test_a_task_of_a_request_whose_name_begins_with_the_same_digits_is_not_reused(emulator, ledger):
    body = build(**_body())
    other = f"{fingerprint(body, '')[:DIGITS]}{'0' * (64 - DIGITS)}"
    name = ledger.name(time.time() - 60, 0.31, other)
    ledger.intend({name: Entry("other", "run", "task", -1, "", "vidu_default", {}, fingerprint=other)})
    ledger.accept({name: ViduHook().submit(body).task_id})
    assert ledger.accepted(fingerprint(body, "")) == [name]
    submitted(reuse=True)
    assert len(posts(emulator)) == 2


def test_an_intent_that_is_withdrawn_holds_up_nobody(emulator, ledger):
    name, *_ = intent_of_another(ledger)
    threading.Timer(0.3, ledger.withdraw, [[name]]).start()
    submitted(reuse=True)
    assert len(posts(emulator)) == 1


def test_a_ledger_that_fails_while_rivals_are_looked_for_leaves_no_intent(emulator, ledger, videos, monkeypatch):
    class Failing(Reuse):
        def of_rivals(self, mine):
            raise ViduStateError("The ledger is away.")

    monkeypatch.setattr("airflow_provider_vidu.durable.submit.Reuse", Failing)
    monkeypatch.setattr("airflow_provider_vidu.batch.paying.Reuse", Failing)
    with pytest.raises(ViduStateError):
        submitted(reuse=True)
    with pytest.raises(Exception, match="2 unsubmitted"):
        night(videos, [asked("a"), asked("b", prompt="another")])
    assert [name for month in ledger.months() for name in ledger.spent(month)] == []
    assert posts(emulator) == []
