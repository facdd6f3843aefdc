# SPDX-License-Identifier: Apache-2.0
"""How a batch is made, as its operator was given it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_vidu.arguments import as_text, is_literal, waiting_problems
from airflow_provider_vidu.costs import check_paying
from airflow_provider_vidu.protocol.request import refusal
from airflow_provider_vidu.protocol.texts import shown

if TYPE_CHECKING:
    from airflow_provider_vidu.protocol.prices import Key


class BatchOptions(NamedTuple):
    """
    The arguments of the batch operator by their own names, and Airflow's that a batch looks at.

    :param requests: as the operator's, rendered or not, as all that follow.
    :param destination: as the operator's.
    :param manifest: as the operator's.
    :param vidu_conn_id: as the operator's.
    :param fail_on: as the operator's.
    :param max_cost: as the operator's.
    :param prices: as the operator's.
    :param on_uncertain: as the operator's.
    :param on_missing: as the operator's.
    :param deferrable: as the operator's.
    :param poke_interval: as the operator's.
    :param timeout: as the operator's.
    :param execution_timeout: Airflow's, ``None`` for any.
    :param retries: Airflow's.
    :param do_xcom_push: Airflow's.
    """

    requests: Any
    destination: Any
    manifest: Any
    vidu_conn_id: str
    fail_on: str | float
    max_cost: float | None
    prices: str | Mapping[Key, float] | None
    on_uncertain: str
    on_missing: str
    deferrable: bool
    poke_interval: timedelta | float
    timeout: timedelta | float
    execution_timeout: timedelta | None
    retries: int | None
    do_xcom_push: bool

    def check(self) -> None:
        """
        Check what is not templated.

        :raises ViduRequestError: when it is wrong. Nothing was sent.
        """
        # Only here, since it brings all that is known of errors.
        from airflow_provider_vidu.protocol.batch import fail_on_problem

        found = [problem] if (problem := fail_on_problem(self.fail_on)) else []
        found += waiting_problems(poke_interval=self.poke_interval, timeout=self.timeout)
        if self.manifest is not None and not isinstance(as_text(self.manifest), str) and is_literal(self.manifest):
            found.append(f"manifest must be a path or URI, got {shown(self.manifest)}")
        if self.on_missing not in ("fail", "resubmit"):
            found.append(f"on_missing must be 'fail' or 'resubmit', got {self.on_missing!r}")
        if found:
            raise refusal(found)
        check_paying(self.on_uncertain, self.max_cost, self.prices)
