# SPDX-License-Identifier: Apache-2.0
"""Many videos in one task: submit, wait and store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_vidu.arguments import (
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
    from airflow_provider_vidu.protocol.prices import Key


class ViduGenerateBatchOperator(BaseOperator):
    """
    Make many videos in one task: submit all, wait for all without a worker, store all, write a manifest.

    Two worker hops all told, where mapped tasks take three for each video. Every accepted submit is billed. All of it
    is checked before the first is sent: what is given as literals when the DAG is parsed, everything again when the
    task runs. Then eight are submitted at a time, with the 429 pauses and ``max_requests_per_minute`` of the hook.
    A refused item or one whose picture cannot be read does not hold up the others. A bad key, a spent quota, a rate
    limit or a network that does not pass stops the submits: what was accepted is still waited for and stored, then the
    task fails and Airflow's retry submits the rest.

    On Airflow 3.3 and newer every item is remembered from before its submit on. A retry, even after the worker was
    killed, works on what is missing only: it submits what was never sent, takes up what was accepted, keeps what is
    stored, and pays again only for generations that failed for want of capacity or for an unknown reason. Items whose
    outcome is unknown are ``uncertain`` and not sent again, unless ``on_uncertain`` says so; a worker that is killed
    leaves eight of them at most. Clearing a batch that has succeeded asks for, and pays, all of it anew; clearing one
    that has failed, only what is not stored and cannot be had from its task any more, as when its links have expired.
    On older Airflow nothing outlives a try, so once anything was submitted whatever goes wrong ends the task without
    retries.

    The manifest is JSON Lines, one for each request, in their order: ``custom_id``, ``request`` (files by their names),
    ``outcome``, ``reason``, ``family`` (of a failure), ``task_id``, ``files``, ``video_seconds``,
    ``earlier_task_ids``, ``version`` (of this format) and ``estimated_cost`` (of
    all that was submitted for it, or perhaps was). Outcomes are ``success``;
    ``failed`` (the generation), ``refused`` (surely not paid), ``uncertain`` (perhaps paid), ``unsubmitted`` (never
    sent), ``timeout`` and ``lost`` (paid, the task goes on), ``not_stored`` (paid and ready). It is written even where
    the task fails. Where a retry asks for something else under a custom id, its video stays that of the earlier
    request, and ``reason`` says so. Returns ``{"manifest", "counts", "video_seconds", "estimated_cost"}``, and pushes
    the same as ``return_value`` where it fails, with the reason as ``vidu_failure``.

    :param requests: a list of ``{"custom_id", "model", "vidu_type" (img2video by default), …}`` with every field of the
        API by its own name, as ``ViduSubmitOperator`` takes them, and its ``extra_input`` and ``extra_parameters``. A
        custom id is yours, unlike any other of the batch, and the same whenever the DAG is parsed: a retry that finds
        new ones in place of those it has paid for (a ``uuid4()`` in the DAG file) fails for good and sends nothing.
        (templated)
    :param destination: where to store the videos, as in ``ViduToObjectStorageOperator``, e.g.
        ``s3://aws_default@bucket/{{ ds }}/{custom_id}.mp4``. All workers have to see it: the two visits and a retry may
        run on different ones. (templated)
    :param manifest: path or URI of the manifest; by default ``manifest-<dag id>-<run id>-<task id>-<mark>.jsonl`` in
        the destination's directory, the mark being eight digits that no other task instance has. One of your own needs
        ``{{ run_id }}`` in its name, and ``{{ ti.map_index }}`` where the task is mapped: batches that share a manifest
        replace each other's. (templated)
    :param vidu_conn_id: connection of type ``vidu``. (templated)
    :param fail_on: when the task fails: ``any`` item without a video (default), ``all`` of them, or more than a share
        such as ``0.05``. A batch whose submits were stopped fails in any case.
    :param max_cost: CNY that the estimates of all that is to be submitted may come to, ``None`` (default) for any.
        Above it, and where a price is unknown, nothing is sent. It bounds one try.
    :param prices: your own prices in place of the dated table, as in ``ViduSubmitOperator``.
    :param on_uncertain: ``fail`` (default) never sends an item again whose outcome is unknown; ``resubmit`` lets
        Airflow's retries do so, each of which may pay once more.
    :param on_missing: what a clear of a failed batch does about a video that was stored, if this worker does not see
        its file and its link has expired: ``fail`` (default) pays nothing again and names the file, ``resubmit``
        submits and pays it again.
    :param deferrable: whether to wait in the triggerer (the default) instead of on the worker.
    :param poke_interval: seconds between two requests for a task where no typical time is known, 5 by default.
    :param timeout: seconds until the wait is given up, 2 hours by default; ``execution_timeout`` bounds it as well. The
        tasks themselves go on and are billed; a retry waits again.
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
        fail_on: str | float = "any",
        max_cost: float | None = None,
        prices: str | Mapping[Key, float] | None = None,
        on_uncertain: str = "fail",
        on_missing: str = "fail",
        deferrable: bool = True,
        poke_interval: timedelta | float = 5,
        timeout: timedelta | float = 2 * 3600,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.requests = requests
        self.destination = destination
        self.manifest = manifest
        self.vidu_conn_id = vidu_conn_id
        self.fail_on = fail_on
        self.max_cost = max_cost
        self.prices = prices
        self.on_uncertain = on_uncertain
        self.on_missing = on_missing
        self.deferrable = deferrable
        self.poke_interval = poke_interval
        self.timeout = timeout
        self._run: BatchRun | None = None
        if not is_unmapped(self):
            self._options().check()
            # A template or an XCom for the whole list is known when the task runs.
            if is_lazy_list(requests) or isinstance(requests, list):
                self._check_literals()

    def _options(self) -> BatchOptions:
        return BatchOptions._make(getattr(self, name) for name in BatchOptions._fields)

    def _check_literals(self) -> None:
        from airflow_provider_vidu.batch.items import read_items

        if any(not isinstance(one, Mapping) and not is_literal(one) for one in self.requests):
            # Some are other tasks' outputs.
            return
        items = read_items(self.requests, as_text(self.destination), rendered=False)
        if is_literal(self.requests) and self.max_cost is not None and not isinstance(self.prices, str):
            prices = prices_of(self.prices)
            check_cost({item.custom_id: item.estimate(prices) for item in items}, self.max_cost, prices)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Submit what no earlier try has submitted, and wait.

        :param context: Airflow's context of the task instance.
        :return: the manifest's URI and totals.
        :raises AirflowFailException: the batch is wrong (nothing was sent) or has failed in a way that no retry mends.
        :raises AirflowException: the batch has failed, and a retry can help; the text says what it would pay for.
        :raises ViduStateError: Airflow's task state store, or the file of ``prices``, cannot be used for the moment;
            nothing was sent, a retry can help.
        :raises ViduDownloadError: the destination cannot be used for the moment; a retry can help.
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
    ) -> dict[str, Any]:
        """
        Store the videos and write the manifest after the trigger fired.

        :param context: Airflow's context of the task instance.
        :param event: the payload of its event.
        :param path: where the manifest is written.
        :param destination: where the videos are stored.
        :param mark: mark of what the first visit noted.
        :param tasks: the tasks that were waited for by custom id, where no task state store knows them.
        :return: the manifest's URI and totals.
        :raises AirflowFailException: the batch has failed in a way that no retry mends.
        :raises AirflowException: the batch has failed, and a retry can help; the text says what it would pay for.
        :raises ViduDownloadError: the destination cannot be used for the moment; a retry can help and pays nothing.
        """
        return self._new_run(context).complete(event, path, destination, mark, tasks)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Go on where Airflow itself gave the trigger up, too: what is ready is stored.

        :param next_method: as Airflow stored it.
        :param next_kwargs: as Airflow stored them.
        :param context: Airflow's context of the task instance.
        :return: the manifest's URI and totals.
        """
        from airflow_provider_vidu.reporting import failure_shown

        self._read_paths()
        with failure_shown(context):
            if next_method == self.execute_complete.__name__:
                return super().resume_execution(next_method, next_kwargs, context)
            self.log.error("The trigger did not end its wait (%s); is a triggerer running?", next_kwargs)
            return self.execute_complete(context)

    def on_kill(self) -> None:
        """Submit nothing more. What was accepted cannot be cancelled."""
        if self._run:
            self._run.stop("the task was killed")
        self.log.warning("The task is killed. What was accepted keeps running and will be billed.")
