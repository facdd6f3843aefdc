# SPDX-License-Identifier: Apache-2.0
"""The operator that stores paid videos that no other task stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator

from airflow_provider_vidu.arguments import (
    FORGOTTEN_SECONDS,
    LiteralTexts,
    as_text,
    is_literal,
    is_unmapped,
    seconds_of,
)
from airflow_provider_vidu.protocol.request import refusal
from airflow_provider_vidu.storage.destination import Destination

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["ViduRescueOperator"]


class ViduRescueOperator(LiteralTexts, BaseOperator):
    """
    Store every paid video of the ledger that no task stored, before its link expires.

    The operator costs nothing: it polls and downloads. It reads the last three days of the ledger at ``[vidu] ledger``.
    A video counts as forgotten two hours after it was ready (``after``), or as soon as its run has ended or was
    deleted. Storing a video that another task stores too does no harm. Schedule it every hour.

    The operator writes a manifest if it found anything except submits of unknown outcome. An item's ``custom_id`` is
    ``<dag id>/<run id>/<task id>``, followed by ``/<map index>`` for a mapped task and by ``/<custom id>`` for an item
    of a batch. Outcomes are ``success``, ``lost`` (paid, its link has expired) and ``uncertain`` (the outcome of its
    submit is unknown). The operator returns ``{"manifest", "counts", "video_seconds", "estimated_cost"}``.

    :param destination: Directory or name of the videos, as in ``ViduToObjectStorageOperator``; it must contain
        ``{task_id}`` or be a directory. (templated)
    :param after: Time after which a ready video counts as forgotten while its run goes on, 2 hours by default.
    :param sidecar: Whether to write a file ``<name>.json`` beside each video, as in ``ViduGenerateVideoOperator``.
    """

    template_fields: Sequence[str] = ("destination",)

    def __init__(
        self,
        *,
        destination: str,
        after: timedelta | float = timedelta(seconds=FORGOTTEN_SECONDS),
        sidecar: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.destination = as_text(destination)
        self.after = after
        self.sidecar = sidecar
        if is_literal(destination) and not is_unmapped(self):
            self._check()

    def _check(self) -> None:
        destination = Destination(as_text(self.destination))
        if found := destination.problems([""]):
            raise refusal(found)
        if destination.path("a") == destination.path("b"):
            rule = "be a directory, or a name that holds {task_id}"
            raise refusal([f"destination must {rule}, got {destination.template!r}"])

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Store the forgotten videos.

        :param context: Airflow's context of the task instance.
        :return: The manifest's URI and totals.
        :raises AirflowFailException: If there is no ledger, or the destination is wrong.
        :raises AirflowException: If a video could not be stored now; a retry is free until its link expires.
        :raises ViduStateError: If the ledger cannot be read; a retry can help.
        """
        from airflow_provider_vidu.batch.rescue import Rescue
        from airflow_provider_vidu.durable.ledger import Ledger
        from airflow_provider_vidu.exceptions import ViduRequestError
        from airflow_provider_vidu.reporting import failure_shown

        with failure_shown(context):
            try:
                self._check()
                ledger = Ledger.configured()
            except ViduRequestError as error:
                raise AirflowFailException(str(error)) from error
            if ledger is None:
                raise AirflowFailException(
                    "[vidu] ledger must be set for a rescue, got none. Nothing was stored. Set it to a directory or "
                    "bucket that all workers share."
                )
            place, patience = as_text(self.destination), seconds_of(self.after)
            return Rescue(ledger, place, patience, self.sidecar, context, self.log).run()
