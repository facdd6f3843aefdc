# SPDX-License-Identifier: Apache-2.0
"""Recovery of a batch's items from the records of earlier tries."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.batch.items import Item
from airflow_provider_vidu.batch.results import NOT_POLLED, poll_all
from airflow_provider_vidu.batch.resume import NO_RECORD
from airflow_provider_vidu.durable.attempt import plan
from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.batch import PENDING, SUBMITTED, UNCERTAIN, UNSUBMITTED, WITH_VIDEO
from airflow_provider_vidu.protocol.errors import UNCERTAIN as UNKNOWN_OUTCOME
from airflow_provider_vidu.protocol.polling import FAILED, SUCCESS
from airflow_provider_vidu.protocol.response import TaskState, TaskStatus
from airflow_provider_vidu.protocol.texts import first_few
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.storage.manifest import Record
from airflow_provider_vidu.storage.places import located, real_name, uri_of
from airflow_provider_vidu.storage.probe import refuse_below_file, refuse_taken
from airflow_provider_vidu.storage.sidecar import sidecar_of

if TYPE_CHECKING:
    from airflow_provider_vidu.batch.records import Records
    from airflow_provider_vidu.durable.attempt import Attempt
    from airflow_provider_vidu.durable.stored_files import StoredFiles
    from airflow_provider_vidu.hooks.loop import HookLoop
    from airflow_provider_vidu.storage.video_store import VideoStore


class Recovery:
    """
    Recovers the items that an earlier try started, without a submit.

    :param records: the batch's records.
    :param loop: the loop that sends the requests.
    :param store: the store of the videos.
    :param stored: the record of the files that earlier tries stored.
    """

    def __init__(self, records: Records, loop: HookLoop, store: VideoStore, stored: StoredFiles) -> None:
        self._records = records
        self._memory = records.memory
        self._log = records.log
        self._loop = loop
        self._store = store
        self._stored = stored

    def take_up(self, path: str, *, resubmit: bool, resubmit_missing: bool) -> None:
        """
        Decide about every item that an earlier try started.

        :param path: path or URI of that try's manifest.
        :param resubmit: whether to resubmit items of unknown outcome.
        :param resubmit_missing: whether a clear resubmits items whose stored files are missing and whose links have
            expired.
        :raises ViduStateError: if Airflow's task state store cannot be read. Nothing was sent.
        :raises AirflowFailException: if the custom ids or the files of the items changed since the previous try.
            Nothing was sent.
        :raises ViduDownloadError: if it is unknown which videos are stored already. Nothing was sent.
        """
        attempts = self._memory.attempts
        if left := {name: attempt for name, attempt in attempts.items() if name not in self._records.by_id}:
            ids = {name: attempt.vidu_task_id for name, attempt in left.items()}
            self._log.warning(
                "Items that the batch no longer requests, by custom id: %s. Those with a task id are billed, the "
                "others may be.",
                ids,
            )
            self._refuse_new_names(left)
        begun = {name: attempt for name, attempt in attempts.items() if name in self._records.by_id}
        kept = self._kept(attempts, path)
        self._refuse_to_store_over(kept)
        self._records.keep(kept)
        begun = {name: attempt for name, attempt in begun.items() if name not in kept}
        asked_for = {attempt.vidu_task_id: attempt.begun_at for attempt in begun.values() if attempt.vidu_task_id}
        if asked_for:
            self._records.answers = self._loop.run(lambda hook: poll_all(hook, asked_for))
        for item in self._records.items:
            if item.custom_id in begun:
                self._take_up(item, begun[item.custom_id], resubmit=resubmit, resubmit_missing=resubmit_missing)

    def recovered(self, path: str, planned: Collection[str]) -> list[Record]:
        """
        Rebuild the records of this try from the task state store, after its submits.

        :param path: path or URI of an earlier try's manifest.
        :param planned: the marks of the items that waited for their turn before this visit, see ``Records.planned``.
        :return: one record for each item.
        :raises ViduDownloadError: if it is unknown which videos are stored already.
        """
        attempts = self._memory.attempts
        self._records.keep(self._kept(attempts, path))
        # The videos that this try submitted are stored even if the requests no longer contain their items.
        of_this_try = [name for name, attempt in attempts.items() if not self._is_cleared(attempt)]
        for name in [*self._records.by_id, *(name for name in of_this_try if name not in self._records.by_id)]:
            record, attempt = self._records.by_id.setdefault(name, Record(name, {}, UNSUBMITTED)), attempts.get(name)
            if record.outcome in WITH_VIDEO:
                continue
            if (attempt is None or self._is_cleared(attempt)) and self._records.mark_of(record) in planned:
                self._records.note(name, PENDING, NO_RECORD)
            elif attempt is None:
                self._records.note(name, UNSUBMITTED, NO_RECORD)
            elif attempt.vidu_task_id:
                self._records.note(name, SUBMITTED, "", attempt.vidu_task_id)
            else:
                self._records.note(
                    name, UNCERTAIN, f"The outcome of its submit at {attempt.when} is unknown. {UNKNOWN_OUTCOME}"
                )
        return list(self._records)

    def _refuse_new_names(self, left: Mapping[str, Attempt]) -> None:
        """
        Refuse a retry whose new custom ids would make paid items seem new.

        A DAG file may create new custom ids at each parse.
        """
        paid = {name: one.vidu_task_id for name, one in left.items() if not self._is_cleared(one)}
        new = [name for name in self._records.by_id if name not in self._memory.attempts]
        if paid and new:
            gone = first_few([f"{name}: Vidu task {vidu_task_id or 'unknown'}" for name, vidu_task_id in paid.items()])
            raise AirflowFailException(
                f"custom_id must stay the same between tries, got {len(new)} new ones ({first_few(new)}), while "
                f"{len(paid)} of an earlier try are missing ({gone}). This try sent nothing; the Vidu tasks of the "
                "missing ones are or may be billed. Restore the custom ids, or clear the task to pay for the new ones."
            )

    def _refuse_to_store_over(self, kept: Mapping[str, Record]) -> None:
        """Refuse items whose videos would replace paid videos of other items."""
        owners = {real_name(located(file)): name for name, record in kept.items() for file in record.files}
        clashes = []
        for item in self._records.items if owners else ():
            attempt = self._memory.attempts.get(item.custom_id)
            vidu_task_id = attempt.vidu_task_id if attempt else ""
            # The task id of a new item is unknown but unique: 64 digits stand in for it.
            uri = self._store.uri(vidu_task_id or f"{item.index:064}", item.custom_id, item.index)
            owner = owners.get(real_name(located(uri)), item.custom_id)
            if item.custom_id not in kept and owner != item.custom_id:
                clashes.append(f"{item.custom_id} would replace {owner} at {uri}")
        if clashes:
            raise AirflowFailException(
                "The file of an item must stay the same between tries, got videos that would replace others: "
                f"{first_few(clashes)}. Nothing was sent or paid. Restore the order of the requests, or use a "
                "destination with {custom_id}."
            )

    def refuse_taken_places(self, manifest: str, *, sidecars: bool) -> None:
        """
        Refuse new items whose file could not be written, or is that of another item or of the manifest.

        Two paths can lead to one file if a directory is a symbolic link to another one.

        :param manifest: Path or URI of the manifest.
        :param sidecars: Whether each video has a sidecar.
        :raises ViduRequestError: If something else has a video's name. Nothing was sent.
        :raises ViduDownloadError: If a directory could not be made. Nothing was sent; a retry can help.
        """
        owners = {real_name(located(manifest)): "the manifest"}
        for item in self._records.new:
            # The task id of a new item is unknown: 64 digits stand in for it, which no other file has as its name.
            place = located(self._store.destination.path(f"{item.index:064}", item.custom_id, item.index))
            refuse_taken(place)
            refuse_below_file(place)
            files = [uri_of(place), *([sidecar_of(uri_of(place))] if sidecars else [])]
            for file in files:
                owner = owners.setdefault(real_name(located(file)), item.custom_id)
                if owner != item.custom_id:
                    raise ViduRequestError(
                        f"destination and manifest must give each item a file of its own, got {file} for "
                        f"{item.custom_id}, which is the file of {owner}. Nothing was sent or paid. Choose another "
                        "name."
                    )

    def attach(self) -> None:
        """
        Store the re-attached items of a cleared task.

        A later retry then counts as a retry for them, not as another clear.

        :raises ViduStateError: if the store cannot write it. Nothing was sent.
        """
        self._memory.attach([name for name, record in self._records.by_id.items() if record.outcome != UNSUBMITTED])

    def _take_up(self, item: Item, attempt: Attempt, **choices: bool) -> None:
        answer = self._records.answers.get(attempt.vidu_task_id, NOT_POLLED)
        running = isinstance(answer.status, TaskStatus) and answer.status.state is not TaskState.SUCCESS
        files = self._stored.files_of(attempt.vidu_task_id) if attempt.vidu_task_id else []
        outcome, why = plan(
            attempt,
            max_tries=self._memory.max_tries,
            # The fingerprint needs the image's content and matters only if a person may have changed the request.
            fingerprint=self._fingerprint(item) if running and self._is_cleared(attempt) else None,
            now=time.time(),
            answer=answer.status,
            believed=answer.believed,
            files=files,
            **choices,
        )
        if files and outcome != SUBMITTED and not self._is_given_up(attempt) and manifests.are_there(files):
            # The manifest is missing, and so is the task or its links. The video is still stored.
            changed = self._records.change_of(item)
            self._records.note(item.custom_id, SUCCESS, changed, attempt.vidu_task_id, files=tuple(files))
            return
        # A resubmit is paid again, so it is a warning.
        (self._log.warning if outcome is None else self._log.info)("%s: %s", item.custom_id, why)
        if outcome is not None:
            reason = self._records.change_of(item) if outcome == SUBMITTED else why
            family = answer.status.family.value if outcome == FAILED and isinstance(answer.status, TaskStatus) else ""
            self._records.note(item.custom_id, outcome, reason, attempt.vidu_task_id, family=family)

    def _is_cleared(self, attempt: Attempt) -> bool:
        return attempt.max_tries != self._memory.max_tries

    def _is_given_up(self, attempt: Attempt) -> bool:
        """Whether a person's clear requests a new video in place of a delivered one."""
        return attempt.delivered and self._is_cleared(attempt)

    def _fingerprint(self, item: Item) -> str | None:
        try:
            return item.prepared(self._log.warning).fingerprint(self._records.vidu_conn_id)
        except Exception as error:
            # A missing image or an unavailable store must not lose a paid task.
            self._log.warning("Could not rebuild the request of %s: %s", item.custom_id, error)
            return None

    def _kept(self, attempts: Mapping[str, Attempt], path: str) -> dict[str, Record]:
        """
        Find the videos that an earlier try stored and that still exist.

        :raises ViduDownloadError: if a store cannot be read. Nothing was sent: a video is paid again only if its file
            is known to be missing.
        """

        def is_its_video(record: Record) -> bool:
            attempt = attempts.get(record.custom_id)
            return bool(attempt and attempt.vidu_task_id == record.task_id and not self._is_given_up(attempt))

        kept = manifests.kept(path, is_its_video, self._stored.is_replaced)
        return {record.custom_id: record for record in kept}
