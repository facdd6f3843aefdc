# SPDX-License-Identifier: Apache-2.0
"""Budgets of a day or a month."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from airflow_provider_vidu.durable.entries import units_of
from airflow_provider_vidu.durable.objects import SECTION
from airflow_provider_vidu.exceptions import ViduRequestError


class Budget(NamedTuple):
    """
    A budget of one period.

    :param period: ``daily`` or ``monthly``.
    :param units: the budget in units.
    """

    period: str
    units: int

    def begins_again(self, day: str, zone: ZoneInfo) -> datetime:
        """
        Return the end of the period.

        :param day: a day of the period.
        :param zone: time zone of the budget.
        :return: the local midnight with which the next period begins.
        """
        date = datetime.fromisoformat(day).date()
        if self.period == "monthly":
            date = date.replace(day=28) + timedelta(days=4)
            date = date.replace(day=1)
        else:
            date += timedelta(days=1)
        return datetime.combine(date, time.min, zone)


def fitting(planned: Sequence[int], spent: int, budget: int) -> int:
    """
    Count how many submits fit into a budget, in their order.

    :param planned: units of each submit.
    :param spent: units of all other entries in the period.
    :param budget: units of the budget.
    :return: the number of submits before the first that does not fit.
    """
    for count, units in enumerate(planned):
        spent += units
        if spent > budget:
            return count
    return len(planned)


def budgets() -> list[Budget]:
    """
    Read the budgets of Airflow's configuration.

    :return: those that are set.
    :raises ViduRequestError: if one is not an amount. Nothing was sent.
    """
    from airflow.providers.common.compat.sdk import conf

    found = []
    for period in ("daily", "monthly"):
        text = conf.get(SECTION, f"{period}_budget", fallback="").strip()
        if not text:
            continue
        try:
            amount = float(text)
        except ValueError:
            amount = -1.0
        if not 0 <= amount < 1e9:
            raise ViduRequestError(
                f"[vidu] {period}_budget must be an amount in CNY of 0 or more, got {text!r}. Nothing was sent or "
                "paid. Correct Airflow's configuration."
            )
        found.append(Budget(period, units_of(amount)))
    return found
