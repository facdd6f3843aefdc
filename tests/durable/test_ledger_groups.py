# SPDX-License-Identifier: Apache-2.0
"""Submits that share an object of the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_vidu.durable.entries import GROUP, Entry
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.exceptions import ViduStateError
from tests.ledgers import entry_in

NOW, DAY = 1_795_803_330.045, "2026-11-28"


def of(number: int) -> Entry:
    return Entry("dag", "run", "task", -1, f"kite-{number}", "vidu_default", {}, "", f"{number:02}" * 32)


def intended(ledger: Ledger, numbers) -> list:
    given = {ledger.name(NOW, 0.31, of(number).fingerprint): of(number) for number in numbers}
    return list(ledger.intend(given).values())


def files(ledger: Ledger) -> list[str]:
    return sorted(str(path.relative_to(ledger.root)) for path in Path(ledger.root).rglob("*.json"))


def test_a_chunk_is_one_object_written_twice(lesser_store):
    lesser_store.forget()
    ledger = Ledger("s3://lesser@bucket/ledger")
    names = intended(ledger, range(GROUP))
    ledger.accept({name: f"task-{number}" for number, name in enumerate(names)})
    assert lesser_store.names() == ["PutObject", "PutObject"]
    assert Ledger(ledger.root).groups(DAY) == [tuple(names)]
    assert [entry.vidu_task_id for entry in ledger.entries(names)] == [f"task-{number}" for number in range(GROUP)]


@pytest.mark.parametrize(("numbers", "sizes"), [(range(GROUP + 1), [GROUP, 1]), ([1, 2, 1, 1], [2, 1, 1])])
def test_more_than_a_name_can_hold_and_equal_requests_are_objects_of_their_own(ledger, numbers, sizes):
    names = intended(ledger, numbers)
    assert sorted(map(len, ledger.groups(DAY)), reverse=True) == sizes
    assert sorted(names) == sorted(ledger.spent(DAY))


def test_what_was_not_accepted_is_taken_out_of_its_object(any_ledger):
    first, second, third = intended(any_ledger, range(3))
    any_ledger.accept({first: "task-1", third: "task-3"})
    any_ledger.withdraw([second])
    assert any_ledger.groups(DAY) == [(first, third)]
    any_ledger.withdraw([first])
    assert any_ledger.groups(DAY) == [(third,)]
    assert entry_in(any_ledger, third) == of(2)._replace(vidu_task_id="task-3")
    any_ledger.withdraw([third])
    assert any_ledger.groups(DAY) == []


def test_what_another_worker_wrote_is_neither_withdrawn_nor_accepted(ledger):
    names = intended(ledger, range(2))
    other = Ledger(ledger.root)
    other.withdraw(names)
    other.accept(dict.fromkeys(names, "task-1"))
    assert ledger.spent(DAY) == names
    assert [entry.vidu_task_id for entry in other.entries(names)] == ["", ""]


def test_an_intent_that_cannot_be_taken_out_stays_and_counts(lesser_store, caplog):
    lesser_store.forget()
    ledger = Ledger("s3://lesser@bucket/ledger")
    names = intended(ledger, range(2))
    lesser_store.refuse = {"PutObject"}
    ledger.withdraw(names[:1])
    lesser_store.refuse = set()
    assert "Some intents could not be removed and count as spent: Could not write the ledger" in caplog.text
    assert ledger.spent(DAY) == names


def test_intents_of_which_one_cannot_be_written_leave_nothing(ledger, monkeypatch):
    put = Ledger.put

    def once(self, relative, content):
        if len(content["entries"]) == 1:
            raise ViduStateError("The disk is full.")
        put(self, relative, content)

    monkeypatch.setattr(Ledger, "put", once)
    with pytest.raises(ViduStateError, match="The disk is full"):
        intended(ledger, range(GROUP + 1))
    assert files(ledger) == []
