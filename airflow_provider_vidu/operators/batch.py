# SPDX-License-Identifier: Apache-2.0
"""Many videos in one task: submit, wait and store."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowTaskTimeout, BaseOperator

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduEventError, ViduRequestError
from airflow_provider_vidu.operators import manifest as manifests
from airflow_provider_vidu.operators.collect import Answer, ask_all, collect
from airflow_provider_vidu.operators.first_hop import FirstHop
from airflow_provider_vidu.operators.items import Item, check_cost, read_items
from airflow_provider_vidu.operators.ledger import Ledger
from airflow_provider_vidu.operators.literals import is_lazy_list, is_literal, is_unmapped, seconds_of
from airflow_provider_vidu.operators.manifest import Record
from airflow_provider_vidu.operators.report import announce, count_failure, count_success, prices_of
from airflow_provider_vidu.protocol import batch, request
from airflow_provider_vidu.protocol.capabilities import notes
from airflow_provider_vidu.protocol.polling import FAILED, SUCCESS
from airflow_provider_vidu.transfers.store import VideoStore
from airflow_provider_vidu.triggers.batch import ViduBatchTrigger
from airflow_provider_vidu.triggers.vidu import DEFER_MARGIN

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_vidu.hooks.loop import HookLoop
    from airflow_provider_vidu.protocol.prices import Estimate, Key, Prices

_WAITING = ".waiting"
"""What is added to the manifest's name while the batch is on its way."""
_SHOWN_ITEMS = 5


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
    that has failed, only what has no video. On older Airflow nothing outlives a try, so once anything was submitted
    whatever goes wrong ends the task without retries.

    The manifest is JSON Lines, one for each request, in their order: ``custom_id``, ``request`` (files by their names),
    ``outcome``, ``reason``, ``task_id``, ``files``, ``video_seconds`` and ``estimated_cost``. Outcomes are ``success``;
    ``failed`` (the generation), ``refused`` (surely not paid), ``uncertain`` (perhaps paid), ``unsubmitted`` (never
    sent), ``timeout`` and ``lost`` (paid, the task goes on), ``not_stored`` (paid and ready). It is written even where
    the task fails. Returns ``{"manifest", "counts", "video_seconds", "estimated_cost"}``.

    :param requests: a list of ``{"custom_id", "model", "vidu_type" (img2video by default), …}`` with every field of the
        API by its own name, as ``ViduSubmitOperator`` takes them, and its ``extra_input`` and ``extra_parameters``. A
        custom id is yours, and unlike any other of the batch. (templated)
    :param destination: where to store the videos, as in ``ViduToObjectStorageOperator``, e.g.
        ``s3://aws_default@bucket/{{ ds }}/{custom_id}.mp4``. (templated)
    :param manifest: path or URI of the manifest; by default ``manifest-<dag id>-<run id>-<task id>.jsonl`` in the
        destination's directory. (templated)
    :param vidu_conn_id: connection of type ``vidu``. (templated)
    :param fail_on: when the task fails: ``any`` item without a video (default), ``all`` of them, or more than a share
        such as ``0.05``. A batch whose submits were stopped fails in any case.
    :param max_cost: CNY that the estimates of all that is to be submitted may come to, ``None`` (default) for any.
        Above it, and where a price is unknown, nothing is sent. It bounds one try.
    :param prices: your own prices in place of the dated table, as in ``ViduSubmitOperator``.
    :param on_uncertain: ``fail`` (default) never sends an item again whose outcome is unknown; ``resubmit`` lets
        Airflow's retries do so, each of which may pay once more.
    :param deferrable: whether to wait in the triggerer (the default) instead of on the worker.
    :param poke_interval: seconds between two requests for a task where no typical time is known, 5 by default.
    :param timeout: seconds until the wait is given up, 2 hours by default; ``execution_timeout`` bounds it as well. The
        tasks themselves go on and are billed; a retry waits again.
    """

    template_fields: Sequence[str] = ("requests", "destination", "manifest", "vidu_conn_id")

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
        self.deferrable = deferrable
        self.poke_interval = poke_interval
        self.timeout = timeout
        self._hop: FirstHop | None = None
        self._is_submitted = False
        if not is_unmapped(self):
            self._check_options()
            # A template or an XCom for the whole list is known when the task runs.
            if is_lazy_list(requests) or isinstance(requests, list):
                self._check_literals()

    def _check_options(self) -> None:
        found = [problem] if (problem := batch.fail_on_problem(self.fail_on)) else []
        if self.on_uncertain not in ("fail", "resubmit"):
            found.append(f"on_uncertain: {self.on_uncertain!r} given, allowed: 'fail' or 'resubmit'")
        cost = self.max_cost
        if cost is not None and not (isinstance(cost, (int, float)) and not isinstance(cost, bool) and cost > 0):
            found.append(f"max_cost: {cost!r} given, allowed: CNY above 0, or None for any")
        for name in ("poke_interval", "timeout"):
            if not seconds_of(getattr(self, name)) > 0:
                found.append(f"{name}: {getattr(self, name)!r} given, allowed: seconds above 0")
        if found:
            raise request.refusal(found)

    def _check_literals(self) -> None:
        items = read_items(self.requests, self.destination)
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
        :raises ViduStateError: Airflow's task state store cannot be read or written; a retry can help.
        """
        began = time.time()
        items, estimates, prices, store = self._checked()
        path = self._manifest_path(context)
        with self._hop_of(context) as (ledger, loop):
            ledger.read()
            self._hop = hop = FirstHop(items, estimates, ledger, loop, self.vidu_conn_id, self.log)
            hop.take_up(path, resubmit=self.on_uncertain == "resubmit")
            new = hop.new
            try:
                check_cost({item.custom_id: estimates[item.custom_id] for item in new}, self.max_cost, prices)
            except ViduRequestError as error:
                raise AirflowFailException(str(error)) from error
            for note in sorted({note for item in new for note in notes(item.asked())}):
                self.log.warning("%s", note)
            # Where nothing can be written, nothing shall be paid.
            manifests.write(path + _WAITING, hop.records.values())
            if new:
                self._is_submitted = True
                hop.submit(new)
                manifests.write(path + _WAITING, hop.records.values())
            if hop.running:
                self._wait(hop, loop, path, began)
                hop.answers.clear()
            return self._finish(context, ledger, loop, list(hop.records.values()), hop.answers, store, path)

    def _checked(self) -> tuple[list[Item], dict[str, Estimate], Prices, VideoStore]:
        try:
            self._check_options()
            items = read_items(self.requests, self.destination)
            prices = prices_of(self.prices)
            estimates = {item.custom_id: item.estimate(prices) for item in items}
            return items, estimates, prices, VideoStore(self.destination, self.vidu_conn_id, self.log)
        except ViduRequestError as error:
            raise AirflowFailException(str(error)) from error

    def _manifest_path(self, context: Context) -> str:
        return self.manifest or manifests.default_name(self.destination, context)

    @contextmanager
    def _hop_of(self, context: Context) -> Iterator[tuple[Ledger, HookLoop]]:
        """Give a hop what it needs; where nothing is remembered, let no error of it be retried once all is paid."""
        from airflow_provider_vidu.hooks.loop import HookLoop

        ledger = Ledger(context, log=self.log)
        try:
            with HookLoop(self.vidu_conn_id) as loop:
                yield ledger, loop
        except AirflowFailException:
            raise
        except (Exception, AirflowTaskTimeout) as error:
            if ledger.remembers or not self._is_submitted:
                raise
            raise AirflowFailException(
                f"{error} This Airflow remembers nothing of a try, so a retry would pay again: it is not retried. What "
                "was accepted stands in the manifest, or in the file beside it, or in the log."
            ) from error

    def _wait(self, hop: FirstHop, loop: HookLoop, path: str, began: float) -> None:
        timeout = seconds_of(self.timeout)
        if self.execution_timeout:
            # Airflow applies execution_timeout to each hop alone; the wait as a whole has to respect it.
            timeout = min(timeout, self.execution_timeout.total_seconds())
        trigger = ViduBatchTrigger(
            groups=hop.groups(),
            vidu_conn_id=self.vidu_conn_id,
            poll_interval=seconds_of(self.poke_interval),
            submitted_at=min(began, hop.first_submit),
            deadline=began + timeout,
        )
        if self.deferrable:
            self.defer(
                trigger=trigger,
                method_name=self.execute_complete.__name__,
                kwargs={"path": path, "destination": self.destination},
                timeout=timedelta(seconds=max(0.0, trigger.deadline - time.time())) + DEFER_MARGIN,
            )
        ended = loop.run(lambda hook: trigger.wait(hook, self.log))
        self.log.info("%s", ended.message)

    def execute_complete(
        self, context: Context, event: Any = None, path: str | None = None, destination: str | None = None
    ) -> dict[str, Any]:
        """
        Store the videos and write the manifest after the trigger fired.

        :param context: Airflow's context of the task instance.
        :param event: the payload of its event.
        :param path: where the manifest is written.
        :param destination: where the videos are stored.
        :return: the manifest's URI and totals.
        """
        try:
            self.log.info("%s", batch.BatchEvent.from_event(event).message)
        except ViduEventError as error:
            # Each task is asked for in any case.
            self.log.warning("%s", error)
        path = path or self._manifest_path(context)
        self._is_submitted = True
        with self._hop_of(context) as (ledger, loop):
            records = manifests.read(path + _WAITING)
            if not records:
                raise ViduDownloadError(f"What was submitted stood in {path + _WAITING}, which has gone.")
            store = VideoStore(destination or self.destination, self.vidu_conn_id, self.log)
            return self._finish(context, ledger, loop, records, {}, store, path)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Go on where Airflow itself gave the trigger up, too: what is ready is stored.

        :param next_method: as Airflow stored it.
        :param next_kwargs: as Airflow stored them.
        :param context: Airflow's context of the task instance.
        :return: the manifest's URI and totals.
        """
        if next_method == self.execute_complete.__name__:
            return super().resume_execution(next_method, next_kwargs, context)
        self.log.error("The trigger did not end its wait (%s); is a triggerer running?", next_kwargs)
        return self.execute_complete(context)

    def on_kill(self) -> None:
        """Submit nothing more. What was accepted cannot be cancelled."""
        if self._hop:
            self._hop.stop("the task was killed")
        self.log.warning("The task is killed. What was accepted keeps running and will be billed.")

    def _finish(
        self,
        context: Context,
        ledger: Ledger,
        loop: HookLoop,
        records: list[Record],
        answers: dict[str, Answer],
        store: VideoStore,
        path: str,
    ) -> dict[str, Any]:
        asked_for = {
            record.task_id: 0.0
            for record in records
            if record.outcome == batch.SUBMITTED and record.task_id not in answers
        }
        answers = answers | loop.run(lambda hook: ask_all(hook, asked_for))
        found = collect(records, answers, store, self.log.info)
        uri = manifests.write(path, found)
        manifests.remove(path + _WAITING)
        for before, after in zip(records, found, strict=True):
            if before.outcome == batch.SUBMITTED and after.outcome == SUCCESS:
                count_success(after.video_seconds)
            elif before.outcome == batch.SUBMITTED and after.outcome == FAILED:
                count_failure()
        counts = Counter(record.outcome for record in found)
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no items"
        self.log.info("%s. The manifest is %s", told, uri)
        if batch.is_failure(counts, self.fail_on):
            raise self._failure(found, told, uri)
        seconds = sum(record.video_seconds or 0.0 for record in found if record.outcome == SUCCESS)
        cost = round(sum(record.estimated_cost or 0.0 for record in found), 5)
        announce(context, files=[], seconds=seconds, cost=cost, manifest=uri, counts=dict(counts))
        ledger.deliver([record.custom_id for record in found if record.outcome != SUCCESS])
        return {"manifest": uri, "counts": dict(counts), "video_seconds": seconds, "estimated_cost": cost}

    def _failure(self, found: Sequence[Record], told: str, uri: str) -> AirflowException:
        missed = [record for record in found if record.outcome != SUCCESS]
        helped = Counter(
            record.outcome
            for record in missed
            if batch.retry_can_help(record.outcome, record.reason, resubmit=self.on_uncertain == "resubmit")
        )
        paid = sum(count for outcome, count in helped.items() if outcome in batch.PAID_ANEW)
        first = "; ".join(f"{record.custom_id}: {record.outcome}: {record.reason}" for record in missed[:_SHOWN_ITEMS])
        retry = (
            f"A retry can help {helped.total()} of them, and submits and pays {paid} anew."
            if helped
            else "No retry can help any of them, so Airflow does not make one."
        )
        kind = AirflowException if helped else AirflowFailException
        return kind(f"{len(missed)} of {len(found)} items have no video ({told}). {retry} {uri} tells of all: {first}")
