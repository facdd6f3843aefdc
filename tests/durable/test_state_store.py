# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging

import pytest

from airflow_provider_vidu.durable.attempt import Attempt
from airflow_provider_vidu.durable.state_store import SubmitRecord, paid_before
from airflow_provider_vidu.exceptions import ViduStateError
from tests.quick import Store, context_of

LOG = logging.getLogger(__name__)
ACCEPTED = Attempt("f", 1, 60.0, {"request_id": "r"}, "task-1")
INTENT = Attempt("g", 1, 120.0, {})


class Erasable(Store):
    """A task state store whose states can be deleted, too."""

    def delete(self, key):
        del self[key]


def record_in(store):
    return SubmitRecord(context_of(store), durable=True, log=LOG)


def test_a_submit_that_was_not_accepted_leaves_the_attempt_before_it():
    store = Erasable(vidu_submit=ACCEPTED.state())
    record = record_in(store)
    earlier = record.read()
    record.write(INTENT)
    assert (record.remembered, store) == (INTENT, {"vidu_submit": INTENT.state()})
    record.withdraw(earlier)
    assert (record.remembered, store) == (ACCEPTED, {"vidu_submit": ACCEPTED.state()})


def test_a_first_submit_that_was_not_accepted_leaves_nothing():
    store = Erasable()
    record = record_in(store)
    record.write(INTENT)
    record.withdraw(None)
    assert (store, record_in(store).read()) == ({}, None)


def test_an_intent_that_cannot_be_withdrawn_ends_nothing_and_is_logged(caplog):
    record = record_in(Store(fails_at=2))
    record.write(INTENT)
    record.withdraw(ACCEPTED)
    assert "Could not withdraw the intent" in caplog.text


@pytest.mark.parametrize(
    ("stored", "named"),
    [(None, ""), (INTENT, ""), (ACCEPTED, "task-1 at 1970-01-01 00:01:00 UTC")],
    ids=["nothing", "an intent", "an accepted task"],
)
def test_an_error_names_the_task_that_an_earlier_try_submitted(stored, named):
    store = Store() if stored is None else Store(vidu_submit=stored.state())
    told = paid_before(context_of(store), durable=True, log=LOG)
    assert named in told
    assert bool(told) == bool(named)
    assert not told or told.startswith(" ")
    assert paid_before(context_of(store), durable=False, log=LOG) == ""


def test_a_state_that_cannot_be_read_is_quoted_as_far_as_it_fits():
    with pytest.raises(ViduStateError) as raised:
        record_in(Store(vidu_submit="x" * 400)).read()
    assert f"got {repr('x' * 400)[:300]}." in str(raised.value)


def test_without_a_store_there_is_nothing_to_withdraw():
    record = record_in(None)
    record.write(INTENT)
    record.withdraw(None)
    assert (record.remembered, record.read()) == (None, None)
