# SPDX-License-Identifier: Apache-2.0
"""The submits of a batch: a few at a time, each with its intent stored first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from airflow_provider_vidu.batch.paying import Paying, Reused
from airflow_provider_vidu.batch.reading import read_some
from airflow_provider_vidu.durable.batch_chunk import Mark
from airflow_provider_vidu.durable.resends import Resends
from airflow_provider_vidu.exceptions import (
    ViduBudgetError,
    ViduError,
    ViduRateLimitError,
    ViduRefusedError,
    ViduRequestError,
    ViduSubmissionUncertainError,
)
from airflow_provider_vidu.protocol.batch import BUDGET, PENDING, REFUSED, REUSED, SUBMITTED, UNCERTAIN, UNSUBMITTED
from airflow_provider_vidu.protocol.errors import UNCERTAIN as UNKNOWN_OUTCOME
from airflow_provider_vidu.protocol.request import Body, Prepared, fingerprint
from airflow_provider_vidu.protocol.response import Submission
from airflow_provider_vidu.protocol.texts import named
from airflow_provider_vidu.reporting import count_submission

if TYPE_CHECKING:
    from airflow_provider_vidu.batch.items import Item
    from airflow_provider_vidu.batch.records import Records
    from airflow_provider_vidu.hooks.loop import HookLoop
    from airflow_provider_vidu.hooks.vidu_async import ViduAsyncHook
    from airflow_provider_vidu.protocol.prices import Estimate

CONCURRENT_SUBMITS = 8
"""Number of items that are submitted together, and the most that a crash may leave uncertain."""
LAST_ANSWERS_SECONDS = 10.0
"""Time that a task waits after its timeout for the answers to sent requests."""
PROGRESS_SECONDS = 10.0

_OF_ONE_ITEM = (ViduRequestError, ViduRefusedError, ViduSubmissionUncertainError)
"""Errors that concern one item only. Any other error (key, quota, rate, network) stops the submits."""

_ALL_UNKNOWN = (
    "It is unknown whether any of the last submits was accepted{}. Nothing was sent or paid for this item. Read the "
    "reasons of the uncertain items, then retry the task."
)


class Submits:
    """
    Submits items in chunks, and sets the outcome of each.

    :param records: the batch's records.
    :param loop: the loop that sends the requests.
    :param paying: the entries of the submits in the ledger.
    :param show: shows the records' outcomes to the UI; called now and then.
    :param in_waves: whether a rate limit leaves the rest to a later wave instead of stopping the submits.
    """

    def __init__(
        self, records: Records, loop: HookLoop, paying: Paying, show: Callable[[], None], *, in_waves: bool
    ) -> None:
        self._records = records
        self.show = show
        self._paying = paying
        self._memory = records.memory
        self._vidu_conn_id = records.vidu_conn_id
        self._log = records.log
        self._loop = loop
        self._in_waves = in_waves
        self.results: dict[str, Submission | Reused | ViduError] = {}
        """Result of each item that was submitted or refused, by custom id; an item without one was not submitted."""
        self.stopped_by = ""
        """Reason why the submits stopped, empty if they did not."""
        self.rate_limit = ""
        """The answer 429 that ended a wave, empty if none did."""
        self.budget_resets_at: float | None = None
        """Epoch seconds at which the budget that stopped the submits resets, ``None`` if none did."""
        self._family = self._error = ""
        self._held: list[Item] = []
        self._begun: Sequence[Item] = ()
        self._logged_at = 0.0

    def stop(self, reason: object) -> None:
        """
        Stop the submits.

        :param reason: the reason to log.
        """
        if not self.stopped_by:
            self.stopped_by = str(reason)
            self._error = type(reason).__name__ if isinstance(reason, ViduError) else ""
            if isinstance(reason, ViduBudgetError):
                self._family, self.budget_resets_at = BUDGET, reason.resets_at

    def submit(self, items: Sequence[Item], estimates: Mapping[str, Estimate]) -> None:
        """
        Submit all items, unless an error, :meth:`stop` or a wave's rate limit ends the submits.

        :param items: the items.
        :param estimates: the estimate of each item, by custom id, and perhaps of others.
        """
        estimates = {item.custom_id: estimates[item.custom_id] for item in items}
        for item in items:
            # A rate limit may have left it to this wave.
            self.results.pop(item.custom_id, None)
        known = [cost.price_cny for cost in estimates.values() if cost.price_cny is not None]
        price = f"about ¥{sum(known):.8g}" if known else "an unknown price"
        if 0 < len(known) < len(items):
            price += f" for the {len(known)} items with a known price"
        self._log.info("Submitting %d of %d items: %s", len(items), len(self._records.by_id), price)
        try:
            self._submit(items, estimates)
        finally:
            if self.stopped_by:
                self._log.error("Stopped the submits: %s", self.stopped_by)
            self._set_outcomes(items)
            self._memory.catch_up(self._records)

    def _set_outcomes(self, items: Sequence[Item]) -> None:
        for item in items:
            self.set_outcome(item.custom_id)

    def set_outcome(self, custom_id: str) -> None:
        """
        Set the outcome of an item by the result of its submit, or as left behind if it has none.

        :param custom_id: the item.
        """
        match self.results.get(custom_id):
            case Submission(task_id=vidu_task_id):
                self._records.note(custom_id, SUBMITTED, "", vidu_task_id)
            case Reused(found=found, files=files) if files:
                more = {"files": files, "video_seconds": found.video_seconds, "reused_from": found.vidu_task_id}
                self._records.note(custom_id, REUSED, "", found.vidu_task_id, **more)
            case Reused(found=found):
                self._records.note(custom_id, SUBMITTED, "", found.vidu_task_id)
            case ViduSubmissionUncertainError() as error:
                self._records.note(custom_id, UNCERTAIN, str(error))
            case (ViduRequestError() | ViduRefusedError()) as error:
                self._records.note(custom_id, REFUSED, str(error), error=type(error).__name__)
            case ViduRateLimitError() | None if self.rate_limit and not self.stopped_by:
                self._records.note(custom_id, PENDING, self.rate_limit)
            case error:
                kind = type(error).__name__ if error else self._error
                text = str(error or self.stopped_by)
                self._records.note(custom_id, UNSUBMITTED, text, family=self._family, error=kind)

    def _submit(self, items: Sequence[Item], estimates: Mapping[str, Estimate]) -> None:
        self._begun, self._logged_at = items, time.monotonic()
        left = list(items)
        while left and not self.stopped_by and not self.rate_limit:
            try:
                most = max(CONCURRENT_SUBMITS, self._paying.together)
                block, asked, failed = read_some(self._loop, left, CONCURRENT_SUBMITS, most, self._log)
                self.results |= failed
                left = left[len(block) :]
                self._submit_block(block, asked, estimates)
                left, self._held = [*self._held, *left], []
            except Exception as error:
                # The batch still waits for the tasks that were accepted before.
                self._log.exception("The submits stopped with an error")
                self.stop(named(error))

    def _submit_block(
        self, items: Sequence[Item], asked: Mapping[str, Prepared], estimates: Mapping[str, Estimate]
    ) -> None:
        # The task may have been killed while its files were read.
        if not asked or self.stopped_by:
            return
        # An equal request has to wait for the outcome of the first.
        ready, self._held = self._paying.apart([item for item in items if item.custom_id in asked], asked)
        reused = self._paying.reused(ready, asked)
        self._note_copies(reused)
        plan = self._paying.intend([item for item in ready if item.custom_id not in reused], asked, estimates)
        self._note_copies(plan.reused)
        awaited = {name: one for name, one in (reused | plan.reused).items() if not one.files}
        marks = {
            item.custom_id: Mark(
                asked[item.custom_id].fingerprint(self._vidu_conn_id),
                fingerprint(item.request.as_asked(), self._vidu_conn_id),
                0.0 if item.custom_id in awaited else estimates[item.custom_id].price_cny,
                estimates[item.custom_id].typical_seconds,
                item.custom_id in awaited,
                *self._paying.place_of(item.custom_id),
            )
            for item in items
            if item.custom_id in plan.sent or item.custom_id in awaited
        }
        bodies = {name: asked[name].body for name in plan.sent}
        try:
            self._submit_chunks(marks, bodies, awaited)
        finally:
            billed = (Submission, ViduSubmissionUncertainError)
            self._paying.withdraw(name for name in plan.sent if not isinstance(self.results.get(name), billed))
        if plan.refused:
            self.results |= dict.fromkeys(plan.left_out, plan.refused)
            self.stop(plan.refused)

    def _note_copies(self, reused: Mapping[str, Reused]) -> None:
        # A task that the batch waits for has a result once the record holds it.
        self.results |= {name: one for name, one in reused.items() if one.files}

    def _submit_chunks(
        self, marks: Mapping[str, Mark], bodies: Mapping[str, Body], awaited: Mapping[str, Reused]
    ) -> None:
        names = list(marks)
        for start in range(0, len(names), CONCURRENT_SUBMITS):
            if self.stopped_by or self.rate_limit:
                return
            self._show_progress()
            chunk = names[start : start + CONCURRENT_SUBMITS]
            self._submit_chunk(
                {name: marks[name] for name in chunk},
                {name: bodies[name] for name in chunk if name in bodies},
                {name: awaited[name] for name in chunk if name in awaited},
            )

    def _show_progress(self) -> None:
        if time.monotonic() - self._logged_at >= PROGRESS_SECONDS:
            self._logged_at = time.monotonic()
            known = [item for item in self._begun if item.custom_id in self.results]
            self._log.info("Submitted %d of %d", len(known), len(self._begun))
            self._set_outcomes(known)
            self.show()

    def _submit_chunk(self, marks: dict[str, Mark], bodies: dict[str, Body], awaited: dict[str, Reused]) -> None:
        self._memory.intend(marks)
        self.results |= awaited
        try:
            self._loop.run(lambda hook: self._post_all(hook, bodies))
        except BaseException as error:
            # Usually the task's timeout: Airflow raises it here, while the requests are in flight.
            self.stop(named(error))
            self._loop.finish(LAST_ANSWERS_SECONDS)
            raise
        finally:
            self._settle(marks)

    def _settle(self, marks: dict[str, Mark]) -> None:
        found = {custom_id: self.results.get(custom_id) for custom_id in marks}
        taken = {name: result.found.vidu_task_id for name, result in found.items() if isinstance(result, Reused)}
        paid = {name: result.task_id for name, result in found.items() if isinstance(result, Submission)}
        accepted = taken | paid
        unknown = [
            name for name, result in found.items() if result is None or isinstance(result, ViduSubmissionUncertainError)
        ]
        for name in unknown:
            if found[name] is None:
                self.results[name] = ViduSubmissionUncertainError(
                    f"Its POST ended without an answer ({self.stopped_by}). {UNKNOWN_OUTCOME}"
                )
        # The outcome is stored before anything else can fail.
        if not self._memory.settle(marks, accepted, unknown):
            self.stop("could not write Airflow's task state store")
        if paid:
            self._log.info("Accepted, by custom id: %s", ", ".join(f"{name}: {id_}" for name, id_ in paid.items()))
        # Now, so that the rescue finds the tasks of a worker that is killed in the next chunk.
        self._paying.accept(paid)
        for name in paid:
            count_submission(marks[name].price)
        for name, result in found.items():
            if isinstance(result, ViduError):
                self._log.warning("%s: %s", name, result)
                is_left = self._in_waves and isinstance(result, ViduRateLimitError)
                if not is_left and not isinstance(result, _OF_ONE_ITEM):
                    self.stop(result)
        # A wave may have one item; others in flight show that the API accepted submits not long ago.
        is_one_of_many = self._in_waves and len(marks) == 1 and bool(self._records.running)
        if len(unknown) == len(marks) and not is_one_of_many:
            self.stop(_ALL_UNKNOWN.format(", so they may hold all slots of max_in_flight" if self._in_waves else ""))

    async def _post_all(self, hook: ViduAsyncHook, bodies: dict[str, Body]) -> None:
        posts = (self._post(hook, custom_id, body) for custom_id, body in bodies.items())
        # An error of one POST must not cancel the others, because their outcomes would be unknown.
        for error in await asyncio.gather(*posts, return_exceptions=True):
            if error is not None:
                raise error

    async def _post(self, hook: ViduAsyncHook, custom_id: str, body: Body) -> None:
        resends = Resends(self._log, custom_id)
        while True:
            # If the submit ends during the POST, it has no result. During a pause, it was certainly not accepted.
            self.results.pop(custom_id, None)
            try:
                self.results[custom_id] = await hook.submit(body)
                return
            except ViduError as error:
                self.results[custom_id] = error
                if self._in_waves and isinstance(error, ViduRateLimitError):
                    self.rate_limit = str(error)
                if self.stopped_by or (pause := resends.pause_after(error)) is None:
                    return
            await asyncio.sleep(pause)
            if self.stopped_by:
                return
