# SPDX-License-Identifier: Apache-2.0
"""The arguments of the batch operator."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_vidu.arguments import as_text, is_literal, waiting_problems
from airflow_provider_vidu.costs import check_paying
from airflow_provider_vidu.protocol.request import refusal
from airflow_provider_vidu.protocol.texts import brief

if TYPE_CHECKING:
    from airflow_provider_vidu.protocol.prices import GivenPrices


class BatchOptions(NamedTuple):
    """
    The arguments of the batch operator, and Airflow's arguments that a batch uses.

    :param requests: the operator's argument of the same name; this one and the others may be rendered or not.
    :param destination: the operator's argument of the same name.
    :param manifest: the operator's argument of the same name.
    :param vidu_conn_id: the operator's argument of the same name.
    :param fail_on: the operator's argument of the same name.
    :param max_cost: the operator's argument of the same name.
    :param prices: the operator's argument of the same name.
    :param on_uncertain: the operator's argument of the same name.
    :param on_missing: the operator's argument of the same name.
    :param on_budget: the operator's argument of the same name.
    :param max_in_flight: the operator's argument of the same name.
    :param reuse: the operator's argument of the same name.
    :param sidecar: the operator's argument of the same name.
    :param deferrable: the operator's argument of the same name.
    :param poke_interval: the operator's argument of the same name.
    :param timeout: the operator's argument of the same name.
    :param execution_timeout: Airflow's argument of the same name, ``None`` for no limit.
    :param retries: Airflow's argument of the same name.
    :param do_xcom_push: Airflow's argument of the same name.
    """

    requests: Any
    destination: Any
    manifest: Any
    vidu_conn_id: str
    fail_on: str | float
    max_cost: float | None
    prices: str | GivenPrices | None
    on_uncertain: str
    on_missing: str
    on_budget: str
    max_in_flight: int | None
    reuse: bool
    sidecar: bool
    deferrable: bool
    poke_interval: timedelta | float
    timeout: timedelta | float
    execution_timeout: timedelta | None
    retries: int | None
    do_xcom_push: bool

    def check(self) -> None:
        """
        Check the arguments that are not templated.

        :raises ViduRequestError: if one of them is wrong. Nothing was sent.
        """
        # Imported here because it imports the tables of the API's errors.
        from airflow_provider_vidu.protocol.batch import fail_on_problem

        found = [problem] if (problem := fail_on_problem(self.fail_on)) else []
        found += waiting_problems(poke_interval=self.poke_interval, timeout=self.timeout)
        if self.manifest is not None and not isinstance(as_text(self.manifest), str) and is_literal(self.manifest):
            found.append(f"manifest must be a path or URI, got {brief(self.manifest)}")
        if self.on_missing not in ("fail", "resubmit"):
            found.append(f"on_missing must be 'fail' or 'resubmit', got {self.on_missing!r}")
        most = self.max_in_flight
        if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
            found.append(f"max_in_flight must be a whole number of 1 or more, or None for no limit, got {brief(most)}")
        if found:
            raise refusal(found)
        check_paying(self.on_uncertain, self.on_budget, self.max_cost, self.prices)
