# SPDX-License-Identifier: Apache-2.0
"""The operator that makes many videos in one Airflow task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_vidu.arguments import (
    LiteralTexts,
    as_text,
    is_lazy_list,
    is_literal,
    is_unmapped,
)
from airflow_provider_vidu.batch.options import BatchOptions
from airflow_provider_vidu.costs import check_cost, prices_of
from airflow_provider_vidu.links import ViduVideoLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_vidu.batch.run import BatchRun
    from airflow_provider_vidu.protocol.prices import GivenPrices

__all__ = ["ViduGenerateBatchOperator"]


class ViduGenerateBatchOperator(LiteralTexts, BaseOperator):
    """
    Submit many tasks, wait for all, store all videos and write a manifest.

    The operator uses a worker slot twice in total, or once for each wave with ``max_in_flight``. Submit, sensor and
    transfer as mapped tasks use worker slots several times for each video. Every accepted submit is billed. The
    operator checks all requests before it sends the first: literals when the DAG is parsed, everything again when the
    task runs. It submits eight requests at a time, and applies the hook's pauses after HTTP 429 and its
    ``max_requests_per_minute``.

    A refused item, or one with an unreadable image, does not stop the others. A wrong key, an exhausted quota, or a
    rate limit or network failure that persists stops the submits. The operator then still waits for the accepted tasks
    and stores their videos. After that the task fails, and Airflow's retry submits the rest.

    On Airflow 3.3 and newer, or with a ledger, the operator records every item before its submit. A retry works on
    missing items only, even after the worker was killed. It submits unsent items, re-attaches to accepted tasks and
    keeps stored files. It pays again only for generations that failed for lack of capacity or for an unknown reason. An
    item whose outcome is unknown is ``uncertain``; a retry resubmits it only if ``on_uncertain`` is ``resubmit``. A
    killed worker leaves at most eight such items.

    Clearing a succeeded batch submits and pays for every stored video again; for items without a video it does the same
    as after a failed batch. Clearing a failed batch pays again only for items that are neither stored nor still
    available from their tasks. An item is no longer available, for example, once its links have expired. On older
    Airflow without a ledger, no record survives a try, so any error after the first submit fails the task without
    retries.

    The manifest is a JSON Lines file with one line for each request, in the same order. The keys ``custom_id``,
    ``request`` (files by name), ``outcome``, ``reason``, ``family`` (of a failure) and ``error`` (class of the error
    for which the item was refused or not submitted) describe the item. The keys ``task_id``, ``files``,
    ``video_seconds`` and ``reused_from`` (Vidu's id of another submit's task) describe the video. The keys
    ``estimated_cost`` and ``earlier_task_ids`` cover all submits for the item, including uncertain ones. ``version`` is
    the version of this format.

    Outcomes are ``success``, ``reused`` (another submit's video), ``failed`` (the generation), ``refused`` (certainly
    not paid) and ``uncertain`` (perhaps paid). Further outcomes are ``unsubmitted`` (never sent), ``timeout`` (paid,
    the Vidu task keeps running) and ``not_stored`` (paid and ready). ``lost`` is paid, but its links expired, the
    server does not know its id, or the operator lost contact; ``reason`` says which.

    The operator writes the manifest even if the task fails. If the request of a custom id has changed at a retry, the
    item keeps the video of the earlier request, and ``reason`` states it. The operator returns ``{"manifest", "counts",
    "video_seconds", "estimated_cost"}``. If the task fails, it pushes the same as ``return_value``, and the reason as
    ``vidu_failure``.

    :param requests: List of ``{"custom_id", "model", "vidu_type" (img2video by default), …}``. A request takes every
        API field of ``ViduSubmitOperator`` by its own name, and ``extra_input`` and ``extra_parameters``. You choose
        the custom ids: unique in the batch and stable each time the DAG is parsed. A retry that finds new ids in place
        of paid ones (a ``uuid4()`` in the DAG file) fails without further retries and sends nothing. (templated)
    :param destination: Destination of the videos, as in ``ViduToObjectStorageOperator``, e.g.
        ``s3://aws_default@bucket/{{ ds }}/{custom_id}.mp4``. All workers must have access to it, because submitting,
        storing and a retry may run on different ones. (templated)
    :param manifest: Path or URI of the manifest. The default is ``manifest-<dag id>-<run id>-<task id>-<mark>.jsonl``
        in the destination's directory; the mark is eight digits unique to the task instance. Batches with the same
        manifest path overwrite each other's manifest, so a custom path needs ``{{ run_id }}``, and for a mapped task
        ``{{ ti.map_index }}``. (templated)
    :param vidu_conn_id: Connection of type ``vidu``. (templated)
    :param fail_on: When the task fails: if ``any`` item has no video (default), if ``all`` have none, or if more than
        a share such as ``0.05`` has none. The task always fails if the submits were stopped.
    :param max_cost: Highest total of the estimates in CNY, ``None`` (default) for no limit. If the total is above it,
        or a price is unknown, the operator sends nothing. The limit applies to each try.
    :param prices: Your own prices in place of the dated table, as in ``ViduSubmitOperator``.
    :param on_uncertain: Action for an item whose outcome is unknown. With ``fail`` (default) no retry resubmits it;
        only a clear does. ``resubmit`` lets Airflow's retries resubmit it, and each may pay again.
    :param on_missing: Action after a failed batch is cleared, if this worker has no access to a stored video's file and
        the link has expired. ``fail`` (default) pays nothing and names the file; ``resubmit`` submits and pays again.
    :param on_budget: Action if ``[vidu] daily_budget`` or ``monthly_budget`` covers only the first items: the batch
        submits those, and the others stay ``unsubmitted``. ``fail`` (default) then ends the task without retries;
        ``retry`` leaves it to Airflow's retries, which send nothing before the budget resets.
    :param max_in_flight: Highest number of this batch's generations at once, such as your account allows. ``None``
        (default) submits all items at once. With a number, the operator submits in waves: when a quarter of the number
        has ended, it stores the ready videos and submits as many items. After a failure for lack of capacity or HTTP
        429, it halves the number for 10 minutes. A failed item waits for a retry. Needs Airflow 3.3, or a ledger.
    :param reuse: Whether an item reuses the video of an earlier submit of the same request instead of paying again;
        ``False`` by default. Two requests are the same as in ``ViduSubmitOperator``. The operator copies a stored
        video, and waits for a running task. The outcome is ``reused`` and the cost 0. Needs ``[vidu] ledger``.
    :param sidecar: Whether to write a file ``<name>.json`` beside each video, as in ``ViduGenerateVideoOperator``.
    :param deferrable: Whether to wait in the triggerer (the default) instead of on the worker.
    :param poke_interval: Seconds between two polls of a task if no typical time is known, 5 by default.
    :param timeout: Seconds from the start of the try until the wait for all items times out, 2 hours by default;
        ``execution_timeout`` limits it as well. The Vidu tasks keep running and are billed, and items of later waves
        stay ``unsubmitted``; a retry waits again.
    """

    template_fields: Sequence[str] = ("requests", "destination", "manifest", "vidu_conn_id")
    operator_extra_links = (ViduVideoLink(),)

    def __init__(
        self,
        *,
        requests: Sequence[Mapping[str, Any]] | str,
        destination: str,
        manifest: str | None = None,
        vidu_conn_id: str = "vidu_default",
        fail_on: Literal["any", "all"] | float = "any",
        max_cost: float | None = None,
        prices: str | GivenPrices | None = None,
        on_uncertain: Literal["fail", "resubmit"] = "fail",
        on_missing: Literal["fail", "resubmit"] = "fail",
        on_budget: Literal["fail", "retry"] = "fail",
        max_in_flight: int | None = None,
        reuse: bool = False,
        sidecar: bool = False,
        deferrable: bool = True,
        poke_interval: timedelta | float = 5,
        timeout: timedelta | float = 2 * 3600,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.requests = requests
        self.destination = as_text(destination)
        self.manifest = as_text(manifest)
        self.vidu_conn_id = vidu_conn_id
        self.fail_on = fail_on
        self.max_cost = max_cost
        self.prices = prices
        self.on_uncertain = on_uncertain
        self.on_missing = on_missing
        self.on_budget = on_budget
        self.max_in_flight = max_in_flight
        self.reuse = reuse
        self.sidecar = sidecar
        self.deferrable = deferrable
        self.poke_interval = poke_interval
        self.timeout = timeout
        self._run: BatchRun | None = None
        if not is_unmapped(self):
            self._options().check()
            # A template or an XCom for the whole list is checked when the task runs.
            if is_lazy_list(requests) or isinstance(requests, list):
                self._check_literals()

    def _options(self) -> BatchOptions:
        return BatchOptions._make(getattr(self, name) for name in BatchOptions._fields)

    def _check_literals(self) -> None:
        from airflow_provider_vidu.batch.items import read_items

        if any(not isinstance(one, Mapping) and not is_literal(one) for one in self.requests):
            # Some are outputs of other Airflow tasks.
            return
        items = read_items(self.requests, as_text(self.destination), rendered=False)
        if is_literal(self.requests) and self.max_cost is not None and not isinstance(self.prices, str):
            prices = prices_of(self.prices)
            check_cost({item.custom_id: item.estimate(prices) for item in items}, self.max_cost, prices)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Submit the items that no earlier try submitted, and wait.

        :param context: Airflow's context of the task instance.
        :return: The manifest's URI and totals.
        :raises AirflowFailException: If the batch is wrong (nothing was sent), or failed and no retry can help.
        :raises AirflowException: If the batch failed and a retry can help; the text names what a retry would pay for.
        :raises ViduStateError: If Airflow's task state store or the file of ``prices`` is temporarily unavailable.
            Nothing was sent; a retry can help.
        :raises ViduDownloadError: If the destination is temporarily unavailable; a retry can help.
        """
        from airflow_provider_vidu.reporting import failure_shown

        self._read_paths()
        with failure_shown(context):
            self._run = self._new_run(context)
            return self._run.begin()

    def _new_run(self, context: Context) -> BatchRun:
        from airflow_provider_vidu.batch.run import BatchRun
        from airflow_provider_vidu.storage.checks import check_destination

        return BatchRun(self._options(), context, self.log, lambda: check_destination(self, context, is_batch=True))

    def _read_paths(self) -> None:
        self.destination, self.manifest = as_text(self.destination), as_text(self.manifest)

    def execute_complete(
        self,
        context: Context,
        event: Any = None,
        path: str | None = None,
        destination: str | None = None,
        mark: str | None = None,
        tasks: Mapping[str, str] | None = None,
        budget_resets_at: float | None = None,
        wave: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """
        Store the videos after the trigger fired, and submit the next items or write the manifest.

        :param context: Airflow's context of the task instance.
        :param event: Payload of the trigger's event.
        :param path: Path or URI of the manifest.
        :param destination: Destination of the videos.
        :param mark: Mark of the records that the operator wrote before it deferred.
        :param tasks: Vidu's task ids by custom id, if there is no task state store to hold them.
        :param budget_resets_at: Epoch seconds at which the budget that stopped the submits resets, if one did.
        :param wave: What the next wave needs, if items wait for their turn or have a copy of an earlier video.
        :return: The manifest's URI and totals.
        :raises AirflowFailException: If the batch failed and no retry can help.
        :raises AirflowException: If the batch failed and a retry can help; the text names what a retry would pay for.
        :raises ViduDownloadError: If the destination is temporarily unavailable; a retry can help and pays nothing.
        """
        self._run = self._new_run(context)
        return self._run.complete(event, path, destination, mark, tasks, budget_resets_at, wave)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Resume, and store the ready videos even if Airflow itself ended the trigger.

        :param next_method: Name of the method, as Airflow stored it.
        :param next_kwargs: Arguments of the method, as Airflow stored them.
        :param context: Airflow's context of the task instance.
        :return: The manifest's URI and totals.
        """
        from airflow_provider_vidu.reporting import failure_shown

        self._read_paths()
        with failure_shown(context):
            if next_method == self.execute_complete.__name__:
                return super().resume_execution(next_method, next_kwargs, context)
            self.log.error("The trigger did not end its wait (%s). Check that a triggerer is running.", next_kwargs)
            return self.execute_complete(context)

    def on_kill(self) -> None:
        """Stop the submits. Accepted tasks cannot be cancelled."""
        if self._run:
            self._run.stop("the task was killed")
        self.log.warning("The Airflow task was killed. Accepted Vidu tasks keep running and are billed.")
