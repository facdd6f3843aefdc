# SPDX-License-Identifier: Apache-2.0
"""A month's budget at the moment when one day follows another."""

from __future__ import annotations

import logging
from datetime import datetime
from types import SimpleNamespace

import pytest

from airflow_provider_vidu.durable import spending
from airflow_provider_vidu.durable.entries import Entry
from airflow_provider_vidu.durable.spending import Planned, Spending

ENTRY = Entry("dag", "run", "task", -1, "", "vidu_default", {})


@pytest.mark.parametrize(
    ("clock", "is_covered"),
    [("12:00:00", True), ("00:04:00", False), ("23:59:59", True)],
    ids=["noon", "after midnight", "before midnight"],
)
def test_earlier_days_are_summed_again_while_another_worker_may_still_write_to_them(
    ledger, monkeypatch, clock, is_covered
):
    monkeypatch.setenv("AIRFLOW__VIDU__MONTHLY_BUDGET", "1")
    now = datetime.fromisoformat(f"2026-06-27T{clock}").replace(tzinfo=ledger.zone).timestamp()
    monkeypatch.setattr(spending, "time", SimpleNamespace(time=lambda: now, sleep=lambda _: None))
    ours = Spending(logging.getLogger("test"))

    def planned(number):
        names, refused = ours.intend({"": Planned(f"{number:x}" * 64, 0.31, ENTRY)})
        return bool(names), refused is None

    assert planned(1) == (True, True)
    ledger.intend({ledger.name(now - 600, 0.5, "f" * 64)._replace(day="2026-06-26"): ENTRY})
    assert planned(2) == (is_covered, is_covered)
