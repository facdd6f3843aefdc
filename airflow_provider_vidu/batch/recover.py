# SPDX-License-Identifier: Apache-2.0
"""What a batch's first hop does: take up what earlier tries began, and submit the rest."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.batch.items import Item
from airflow_provider_vidu.batch.results import Answer, ask_all
from airflow_provider_vidu.batch.resume import NO_RECORD
from airflow_provider_vidu.batch.submits import Submits
from airflow_provider_vidu.durable.attempt import plan
from airflow_provider_vidu.durable.batch_record import Ledger
from airflow_provider_vidu.exceptions import (
    ViduRefusedError,
    ViduRequestError,
    ViduSubmissionUncertainError,
)
from airflow_provider_vidu.protocol.batch import REFUSED, SUBMITTED, UNCERTAIN, UNSUBMITTED
from airflow_provider_vidu.protocol.errors import UNCERTAIN as UNKNOWN_OUTCOME
from airflow_provider_vidu.protocol.polling import FAILED, SUCCESS
from airflow_provider_vidu.protocol.request import fingerprint
from airflow_provider_vidu.protocol.response import Submission, TaskState, TaskStatus
from airflow_provider_vidu.protocol.texts import few
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.storage.manifest import Record
from airflow_provider_vidu.storage.places import located, refuse_directory
from airflow_provider_vidu.storage.video_store import VideoStore
from airflow_provider_vidu.triggers.batch import Group

if TYPE_CHECKING:
    from airflow_provider_vidu.durable.attempt import Attempt
    from airflow_provider_vidu.durable.stored_files import StoredFiles
    from airflow_provider_vidu.hooks.loop import HookLoop
    from airflow_provider_vidu.protocol.prices import Estimate

_UNASKED = Answer(None, False)
_OF_ANOTHER_REQUEST = "It was submitted by an earlier try for another request than this one."


class FirstHop:
    """
    Brings every item as far as it can be brought without waiting.

    :param items: the batch.
    :param ledger: what earlier tries left.
    :param loop: where requests are sent from.
    :param store: where its videos are stored.
    :param stored: which of them earlier tries stored.
    """

    def __init__(
        self, items: Sequence[Item], ledger: Ledger, loop: HookLoop, store: VideoStore, stored: StoredFiles
    ) -> None:
        self._items = items
        self._ledger = ledger
        self._loop = loop
        self._store = store
        self._stored = stored
        self._vidu_conn_id = store.vidu_conn_id
        self._log = store.log
        self._submits = Submits(loop, ledger, store.vidu_conn_id, store.log)
        self.records = {
            item.custom_id: Record(item.custom_id, item.asked(), UNSUBMITTED, "It was not reached.") for item in items
        }
        self.answers: dict[str, Answer] = {}
        """What the API said of the tasks of earlier tries, by Vidu's id."""

    @property
    def new(self) -> list[Item]:
        """What is to be submitted."""
        return [item for item in self._items if self.records[item.custom_id].outcome == UNSUBMITTED]

    @property
    def running(self) -> list[Record]:
        """What is to be waited for."""
        return [
            record
            for record in self.records.values()
            if record.outcome == SUBMITTED and not self.answers.get(record.task_id, _UNASKED).believed
        ]

    @property
    def first_submit(self) -> float:
        """When the first of those that an earlier try submitted and that still run was, in epoch seconds."""
        attempts = self._ledger.attempts
        known = ((record, attempts.get(record.custom_id)) for record in self.running)
        # One that is submitted again keeps its earlier attempt here.
        begun = (attempt.begun_at for record, attempt in known if attempt and attempt.vidu_task_id == record.task_id)
        return min(begun, default=float("inf"))

    def groups(self) -> list[Group]:
        """Group what is to be waited for by what its tasks have in common."""
        groups: dict[tuple[float | None, float | None], list[str]] = {}
        for record in self.running:
            mark = self._ledger.marks[record.custom_id]
            groups.setdefault((mark.seconds, mark.price), []).append(record.task_id)
        return [[*key, vidu_task_ids] for key, vidu_task_ids in groups.items()]

    def take_up(self, path: str, *, resubmit: bool, resubmit_missing: bool) -> None:
        """
        Decide about every item that an earlier try began.

        :param path: where that try would have written its manifest.
        :param resubmit: whether what is uncertain is submitted again.
        :param resubmit_missing: whether a clear submits again what was stored and is out of reach.
        :raises ViduStateError: when Airflow's task state store cannot be read. Nothing was sent.
        :raises AirflowFailException: when the custom ids, or the places of the items, are not those of the try before.
            Nothing was sent.
        :raises ViduDownloadError: when nobody knows what is stored already. Nothing was sent.
        """
        attempts = self._ledger.attempts
        if left := {name: attempt for name, attempt in attempts.items() if name not in self.records}:
            told = {name: attempt.vidu_task_id for name, attempt in left.items()}
            self._log.warning("Not asked for any more, but billed where it has an id: %s", told)
            self._refuse_new_names(left)
        begun = {name: attempt for name, attempt in attempts.items() if name in self.records}
        kept = self._kept(attempts, path)
        self._refuse_to_store_over(kept)
        self._keep(kept)
        begun = {name: attempt for name, attempt in begun.items() if name not in kept}
        asked_for = {attempt.vidu_task_id: attempt.begun_at for attempt in begun.values() if attempt.vidu_task_id}
        if asked_for:
            self.answers = self._loop.run(lambda hook: ask_all(hook, asked_for))
        for item in self._items:
            if item.custom_id in begun:
                self._take_up(item, begun[item.custom_id], resubmit=resubmit, resubmit_missing=resubmit_missing)

    def _keep(self, kept: Mapping[str, Record]) -> None:
        for item in self._items:
            if item.custom_id in kept:
                # A manifest's line tells of the request that its video was made for.
                changed = self._changed(item)
                record = kept[item.custom_id]._replace(reason=changed)
                self.records[item.custom_id] = record if changed else record._replace(request=item.asked())

    def recovered(self, path: str) -> list[Record]:
        """
        Rebuild the records of this try from the task state store, after its submits.

        :param path: where an earlier try would have written its manifest.
        :return: one record for each item.
        :raises ViduDownloadError: if a store does not say what is stored already.
        """
        attempts = self._ledger.attempts
        self._keep(self._kept(attempts, path))
        # What this try submitted is stored even where the requests hold it no more.
        of_this_try = [name for name, attempt in attempts.items() if not self._is_cleared(attempt)]
        for name in [*self.records, *(name for name in of_this_try if name not in self.records)]:
            record, attempt = self.records.setdefault(name, Record(name, {}, UNSUBMITTED)), attempts.get(name)
            if record.outcome == SUCCESS:
                continue
            if attempt is None:
                self._tell(name, UNSUBMITTED, NO_RECORD)
            elif attempt.vidu_task_id:
                self._tell(name, SUBMITTED, "", attempt.vidu_task_id)
            else:
                self._tell(name, UNCERTAIN, f"Its submit of {attempt.when} left no outcome. {UNKNOWN_OUTCOME}")
        return list(self.records.values())

    def _refuse_new_names(self, left: Mapping[str, Attempt]) -> None:
        """Pay for nothing on a retry where custom ids that are made anew at each parse make all items look new."""
        paid = {name: one.vidu_task_id for name, one in left.items() if not self._is_cleared(one)}
        new = [name for name in self.records if name not in self._ledger.attempts]
        if paid and new:
            gone = few([f"{name}: Vidu task {vidu_task_id or 'unknown'}" for name, vidu_task_id in paid.items()])
            raise AirflowFailException(
                f"The custom ids changed between tries: {len(paid)} that were submitted, or perhaps were, are not "
                f"asked for any more ({gone}), {len(new)} are new ({few(new)}). Nothing was sent, and what was "
                "submitted runs on and is billed. Give each item the same custom id whenever the DAG is parsed; clear "
                "the task to pay for the new ones."
            )

    def _refuse_to_store_over(self, kept: Mapping[str, Record]) -> None:
        """Pay for nothing that would be stored over a video of another item, which is paid as well."""
        owners = {file: name for name, record in kept.items() for file in record.files}
        clashes = []
        for item in self._items if owners else ():
            attempt = self._ledger.attempts.get(item.custom_id)
            vidu_task_id = attempt.vidu_task_id if attempt else ""
            # Of a task that is not there yet only the name is unknown, and no other has it.
            uri = self._store.uri(vidu_task_id or f"{item.place:064}", item.custom_id, item.place)
            if item.custom_id not in kept and owners.get(uri, item.custom_id) != item.custom_id:
                clashes.append(f"{item.custom_id} over {owners[uri]} at {uri}")
        if clashes:
            raise AirflowFailException(
                "The places of items changed between tries, so that videos would be stored over others: "
                f"{few(clashes)}. Nothing was sent. Give the requests their former order, or a destination with "
                "{custom_id}."
            )

    def refuse_directories(self) -> None:
        """
        Pay for nothing whose place is taken by a directory.

        :raises ViduRequestError: naming the first. Nothing was sent.
        """
        for item in self.new:
            # Of a task that is not there yet only the name is unknown, and no directory has it.
            refuse_directory(located(self._store.destination.path(f"{item.place:064}", item.custom_id, item.place)))

    def attach(self) -> None:
        """
        Make a later retry of what was taken up a retry again, after a person has cleared the task.

        :raises ViduStateError: when it cannot be stored. Nothing was sent.
        """
        self._ledger.attach([name for name, record in self.records.items() if record.outcome != UNSUBMITTED])

    def _take_up(self, item: Item, attempt: Attempt, **choices: bool) -> None:
        answer = self.answers.get(attempt.vidu_task_id, _UNASKED)
        running = isinstance(answer.status, TaskStatus) and answer.status.state is not TaskState.SUCCESS
        files = self._stored.files_of(attempt.vidu_task_id) if attempt.vidu_task_id else []
        outcome, why = plan(
            attempt,
            max_tries=self._ledger.max_tries,
            # Its picture has to be read for it, which counts only where a person may have changed it.
            fingerprint=self._fingerprint(item) if running and self._is_cleared(attempt) else None,
            now=time.time(),
            answer=answer.status,
            believed=answer.believed,
            files=files,
            **choices,
        )
        if files and outcome != SUBMITTED and not self._is_given_up(attempt) and manifests.are_there(files):
            # Its manifest has gone, and so has its task or its links. The video has not.
            self._tell(item.custom_id, SUCCESS, self._changed(item), attempt.vidu_task_id, files=tuple(files))
            return
        # What is submitted anew is paid anew.
        (self._log.warning if outcome is None else self._log.info)("%s: %s", item.custom_id, why)
        if outcome is not None:
            reason = self._changed(item) if outcome == SUBMITTED else why
            family = answer.status.family.value if outcome == FAILED and isinstance(answer.status, TaskStatus) else ""
            self._tell(item.custom_id, outcome, reason, attempt.vidu_task_id, family=family)

    def _tell(self, custom_id: str, outcome: str, reason: str, vidu_task_id: str = "", **more: Any) -> None:
        self.records[custom_id] = self.records[custom_id]._replace(
            outcome=outcome,
            reason=reason,
            **more,
            task_id=vidu_task_id,
            earlier_task_ids=self._ledger.earlier_than(custom_id, vidu_task_id),
            estimated_cost=self._ledger.cost(custom_id),
        )

    def _changed(self, item: Item) -> str:
        """Say where a video was asked for by another request than its item's now."""
        if self._ledger.marks[item.custom_id].asked == fingerprint(item.asked(), self._vidu_conn_id):
            return ""
        self._log.warning("%s: %s Are the custom ids those of the try before?", item.custom_id, _OF_ANOTHER_REQUEST)
        return _OF_ANOTHER_REQUEST

    def _is_cleared(self, attempt: Attempt) -> bool:
        return attempt.max_tries != self._ledger.max_tries

    def _is_given_up(self, attempt: Attempt) -> bool:
        """Whether a person asks for a new video in place of a delivered one."""
        return attempt.delivered and self._is_cleared(attempt)

    def _fingerprint(self, item: Item) -> str | None:
        try:
            return fingerprint(item.body(self._log.warning), self._vidu_conn_id)
        except Exception as error:
            # What was paid is not lost because its picture has gone or its store is away.
            self._log.warning("The request of %s cannot be made again: %s", item.custom_id, error)
            return None

    def _kept(self, attempts: Mapping[str, Attempt], path: str) -> dict[str, Record]:
        """
        Find what an earlier try has stored, and its file is there still.

        :raises ViduDownloadError: when a store does not tell. Nothing was sent: what is not known to have gone is not
            paid for again.
        """

        def is_its_video(record: Record) -> bool:
            attempt = attempts.get(record.custom_id)
            return bool(attempt and attempt.vidu_task_id == record.task_id and not self._is_given_up(attempt))

        kept = manifests.kept(path, is_its_video, self._stored.is_replaced)
        return {record.custom_id: record for record in kept}

    def stop(self, reason: str) -> None:
        """
        Submit nothing more.

        :param reason: why.
        """
        self._submits.stop(reason)

    def submit(self, items: Sequence[Item], estimates: Mapping[str, Estimate]) -> None:
        """
        Submit items, and note what came of it.

        :param items: the items.
        :param estimates: of each, by custom id.
        """
        known = [cost.price_cny for cost in estimates.values() if cost.price_cny is not None]
        price = f"about ¥{sum(known):.8g}" if known else "an unknown price"
        if 0 < len(known) < len(items):
            price += f" for the {len(known)} of known price"
        self._log.info("Submitting %d of %d items: %s", len(items), len(self._items), price)
        try:
            self._submits.submit(items, estimates)
        finally:
            if self._submits.stopped_by:
                self._log.error("Not all was submitted: %s", self._submits.stopped_by)
            for item in items:
                self._tell_of_submit(item.custom_id)
            self._ledger.catch_up(self.records.values())

    def _tell_of_submit(self, custom_id: str) -> None:
        match self._submits.results.get(custom_id):
            case Submission(task_id=vidu_task_id):
                self._tell(custom_id, SUBMITTED, "", vidu_task_id)
            case ViduSubmissionUncertainError() as error:
                self._tell(custom_id, UNCERTAIN, str(error))
            case (ViduRequestError() | ViduRefusedError()) as error:
                self._tell(custom_id, REFUSED, str(error))
            case error:
                self._tell(custom_id, UNSUBMITTED, str(error or self._submits.stopped_by))
