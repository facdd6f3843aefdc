# SPDX-License-Identifier: Apache-2.0
"""The entries of one visit's submits in the ledger, within the budgets."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_vidu.durable.budget import Budget, budgets, fitting
from airflow_provider_vidu.durable.entries import (
    FAILED,
    Ending,
    Entry,
    EntryName,
    cny_of,
    day_of,
    names_in,
    total,
)
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.exceptions import ViduBudgetError, ViduError, ViduRequestError, ViduStateError

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

TRIES, PAUSE_SECONDS = 5, 0.4
"""
Number of checks of a refused submit, and the first pause between two checks.

Workers that submit at the same moment see each other's intents, and each may refuse although one of them would fit.
"""
SETTLED_SECONDS = 300.0
"""Age above which an intent is never withdrawn: its submit was accepted, or its outcome is unknown."""


class Planned(NamedTuple):
    """
    A submit that is about to be sent.

    :param request: fingerprint of the request, without the connection.
    :param price: the estimate in CNY, ``None`` if unknown.
    :param entry: its content in the ledger.
    """

    request: str
    price: float | None
    entry: Entry


def entry_of(ti: Any, vidu_conn_id: str, asked: Mapping[str, Any], custom_id: str = "") -> Entry:
    """
    Describe a submit for the ledger.

    :param ti: Airflow's task instance.
    :param vidu_conn_id: connection of the submit.
    :param asked: the request as its author passed it.
    :param custom_id: the author's name of a batch's item, empty for a single submit.
    """
    index = -1 if ti.map_index is None else ti.map_index
    return Entry(ti.dag_id, ti.run_id, ti.task_id, index, custom_id, vidu_conn_id, asked)


class Spending:
    """
    Writes submits into the ledger, and refuses those above a budget.

    Without a ledger it does nothing. The intent is written first and the period summed after it, so that workers that
    submit together never pass the budget. They may refuse a little early.

    :param log: the operator's logger.
    :raises ViduRequestError: if the configuration is wrong. Nothing was sent.
    """

    def __init__(self, log: Logger) -> None:
        self.ledger = Ledger.configured()
        self._log = log
        self._budgets = budgets()
        self._earlier_days: dict[str, int] = {}
        self._left: list[str] = []
        if self._budgets and self.ledger is None:
            raise ViduRequestError(
                f"[vidu] ledger must be set if {self._budgets[0].period}_budget is, got none. Nothing was sent or "
                "paid. Set it to a directory or bucket that all workers share."
            )

    def check_prices(self, prices: Mapping[str, str]) -> None:
        """
        Refuse submits without a price if there is a budget.

        :param prices: what is missing, by the name of the submit, for those without a price.
        :raises ViduRequestError: if there are any. Nothing was sent.
        """
        if prices and self._budgets:
            name, missing = next(iter(prices.items()))
            first = f" {name}:" if name else ""
            raise ViduRequestError(
                f"prices must contain a price for every submit under a budget, got {len(prices)} without one:{first} "
                f"{missing}. Nothing was sent or paid. Add the price to prices."
            )

    def intend(self, planned: Mapping[str, Planned]) -> tuple[dict[str, EntryName], ViduBudgetError | None]:
        """
        Write the intents of submits, as many as the budgets allow, in their order.

        :param planned: the submits by their names.
        :return: the entries of those that may be sent, by the same names, and the error of those that may not.
        :raises ViduStateError: if the ledger cannot be read or written. Nothing was sent; a retry can help.
        """
        if self.ledger is None:
            return {}, None
        fit: dict[str, EntryName] = {}
        names: dict[str, EntryName] = {}
        left, refused = dict(planned), None
        try:
            for number in range(TRIES):
                now = time.time()
                given = {name: self.ledger.name(now, one.price, one.request) for name, one in left.items()}
                written = self.ledger.intend(
                    {given[name]: one.entry._replace(fingerprint=one.request) for name, one in left.items()}
                )
                names = {name: written[entry] for name, entry in given.items()}
                count, refused, is_final = self._fitting(names, set(fit.values()))
                fit |= dict(list(names.items())[:count])
                left = {name: left[name] for name in list(names)[count:]}
                self.ledger.withdraw([names[name] for name in left])
                if not left or is_final:
                    break
                time.sleep(PAUSE_SECONDS * 2**number * random.uniform(0.5, 1.5))  # noqa: S311 - a jitter
        except BaseException as error:
            # Also where the task's time is over: what is never sent must not count as spent.
            self.ledger.withdraw({*names.values(), *fit.values()})
            if isinstance(error, ViduStateError):
                raise ViduStateError(f"{error} Nothing was sent or paid for these submits.") from error
            raise
        for line in self._left:
            self._log.info("%s", line)
        return fit, refused

    def _fitting(self, names: Mapping[str, EntryName], own: set[EntryName]) -> tuple[int, ViduBudgetError | None, bool]:
        """Return how many fit, the error of the others, and whether it can change before the period ends."""
        if not self._budgets or not names:
            return len(names), None, True
        assert self.ledger is not None  # noqa: S101 - for the type checker
        count, refused, is_final = len(names), None, False
        self._left = []
        day = next(iter(names.values())).day
        today = self.ledger.spent(day)
        others = [name for name in today if name not in set(names.values())]
        settled_before = (time.time() - SETTLED_SECONDS) * 1000
        settled = total(name for name in others if name.begun_at < settled_before or name in own)
        planned = [name.units or 0 for name in names.values()]
        for budget in self._budgets:
            before = 0 if budget.period == "daily" else self._before(day)
            spent = before + total(others)
            fits = fitting(planned, spent, budget.units)
            if fits < count or (fits < len(planned) and refused is None):
                count, refused = fits, self._error(budget, day, spent + sum(planned[:fits]), planned[fits])
                is_final = before + settled + sum(planned[: fits + 1]) > budget.units
            left = max(0, budget.units - spent - sum(planned[:fits]))
            self._left.append(
                f"{budget.period.capitalize()} budget: about ¥{cny_of(left):.2f} of ¥{cny_of(budget.units):.2f} left "
                f"until {budget.begins_again(day, self.ledger.zone):%Y-%m-%d %H:%M} {self.ledger.zone.key}"
            )
        return count, refused, is_final

    def _before(self, day: str) -> int:
        """Sum the other days of the month, once: they hardly change, except around midnight."""
        assert self.ledger is not None  # noqa: S101 - for the type checker
        now = time.time()
        is_quiet = all(day_of(one, self.ledger.zone) == day for one in (now, now - SETTLED_SECONDS))
        if day not in self._earlier_days or not is_quiet:
            names = self.ledger.spent(day[:7])
            self._earlier_days = {day: total(name for name in names if name.day != day)}
        return self._earlier_days[day]

    def _error(self, budget: Budget, day: str, spent: int, units: int) -> ViduBudgetError:
        assert self.ledger is not None  # noqa: S101 - for the type checker
        again = budget.begins_again(day, self.ledger.zone)
        step = f"The budget resets at {again:%Y-%m-%d %H:%M} {self.ledger.zone.key}: clear the task then, or raise it."
        if units > budget.units:
            step = "No reset helps, since this submit alone costs more: raise the budget, or make a cheaper request."
        return ViduBudgetError(
            f"[vidu] {budget.period}_budget must cover the submit, which costs about ¥{cny_of(units):.8g}, got "
            f"¥{cny_of(budget.units):.8g}, of which ¥{cny_of(spent):.8g} is spent or planned. Nothing was sent or paid "
            f"for it. {step}",
            resets_at=again.timestamp(),
        )

    def withdraw(self, *names: EntryName) -> None:
        """
        Remove the intents of submits that were certainly not accepted.

        :param names: their entries.
        """
        if self.ledger and names:
            self.ledger.withdraw(names)

    def accept(self, accepted: Mapping[EntryName, str]) -> None:
        """
        Write accepted tasks. A failure is logged with their ids, not raised.

        :param accepted: Vidu's ids by the entries of their submits.
        """
        if not self.ledger or not accepted:
            return
        try:
            self.ledger.accept(accepted)
        except ViduStateError as error:
            self._log.error(
                "Could not record the accepted Vidu tasks %s in the ledger: %s", list(accepted.values()), error
            )

    def mend(self, sent: Mapping[str, str]) -> None:
        """
        Correct the last object of a worker that was killed. A failure is logged, not raised.

        It may hold submits that were never sent, which must not count as spent, and lack tasks that were accepted.

        :param sent: Vidu's ids by the places in the ledger of all submits that were sent, empty where the outcome is
            unknown. An item may have several: all of them are billed.
        """
        ages = [found[0].age for place in sent if (found := names_in("", PurePosixPath(place).stem))]
        if self.ledger is None or not ages:
            return
        last = max(ages)
        try:
            groups = self.ledger.groups(day_of(last[0] / 1000, self.ledger.zone))
            # A kill may have left the object as it was before entries were removed.
            group = max((one for one in groups if one[0].age == last), key=len, default=())
            entries = self.ledger.take_over(group) if group else {}
        except ViduStateError as error:
            self._log.warning("Submits that a killed worker did not send count as spent: %s", error)
            return
        is_new = {name: entry for name, entry in entries.items() if not entry.vidu_task_id}
        self.accept({name: sent[name.accepted] for name in is_new if sent.get(name.accepted)})
        # An entry of an unreadable object has no custom id.
        self.withdraw(*(name for name, entry in is_new.items() if entry.custom_id and name.accepted not in sent))


def note_accepted(place: str, entry: Entry, log: Logger) -> None:
    """
    Let look-ups in the configured ledger find a task of a batch. A failure is logged, not raised.

    :param place: path of the accepted task below the ledger's root.
    :param entry: its entry, with Vidu's id.
    :param log: the operator's logger.
    """
    try:
        if ledger := Ledger.configured():
            ledger.put(place, entry.content())
    except ViduError as error:
        log.error("A later submit will not find Vidu task %s in the ledger: %s", entry.vidu_task_id, error)


def note_end(vidu_task_id: str, ending: Ending, log: Logger) -> None:
    """
    Write the end of a task into the configured ledger, if there is one. A failure is logged, not raised.

    :param vidu_task_id: Vidu's id of the task.
    :param ending: its end.
    :param log: the operator's logger.
    """
    try:
        if ledger := Ledger.configured():
            ledger.end(vidu_task_id, ending)
    except ViduError as error:
        log.error(
            "Could not record the end of Vidu task %s (%s) in the ledger: %s", vidu_task_id, ending.outcome, error
        )


def note_failure(vidu_task_id: str, reason: str, log: Logger) -> None:
    """
    Write the end of a failed generation, as :func:`note_end` does.

    :param vidu_task_id: Vidu's id of the task.
    :param reason: why it failed.
    :param log: the operator's logger.
    """
    note_end(vidu_task_id, Ending(FAILED, reason=reason), log)
