# SPDX-License-Identifier: Apache-2.0
"""The rescue of paid videos that no task stored, before their links expire."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_vidu.batch.messages import without_video
from airflow_provider_vidu.batch.results import POLL_SECONDS, LastAnswer, poll_all, without_a_video
from airflow_provider_vidu.durable.each import each
from airflow_provider_vidu.durable.entries import GONE, Ending, Entry, EntryName, cny_of, day_of, days_before
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.durable.lines import ON_ITS_WAY_SECONDS, RESCUE_DAYS
from airflow_provider_vidu.durable.spending import note_accepted, note_end, note_failure
from airflow_provider_vidu.durable.stored_files import StoredFiles
from airflow_provider_vidu.exceptions import ViduDownloadError, ViduError, ViduTaskNotFoundError
from airflow_provider_vidu.protocol.batch import NOT_STORED, UNCERTAIN
from airflow_provider_vidu.protocol.errors import UNCERTAIN as UNKNOWN_OUTCOME
from airflow_provider_vidu.protocol.polling import LOST, SUCCESS
from airflow_provider_vidu.protocol.response import RESULT_LIFETIME_SECONDS, TaskState, TaskStatus
from airflow_provider_vidu.protocol.result_urls import no_urls
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.storage.manifest import Record
from airflow_provider_vidu.storage.sidecar import Origin
from airflow_provider_vidu.storage.video_store import VideoStore

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

_OVER = ("success", "failed")
FIRST_POLL_SECONDS = 10.0
"""Time in which a connection has to answer, so that its videos are stored before those of silent ones."""


class Candidate(NamedTuple):
    """
    A paid task whose end is not in the ledger.

    :param name: name of its entry.
    :param entry: its entry.
    """

    name: EntryName
    entry: Entry

    def record(self, outcome: str, reason: str = "") -> Record:
        """
        Make the line of the manifest.

        :param outcome: what became of the video.
        :param reason: why there is none.
        """
        cost = None if self.name.units is None else cny_of(self.name.units)
        of_batch = f"/{self.entry.custom_id}" if self.entry.custom_id else ""
        mapped = f"/{self.entry.map_index}" if self.entry.map_index >= 0 else ""
        custom_id = f"{self.entry.dag_id}/{self.entry.run_id}/{self.entry.task_id}{mapped}{of_batch}"
        return Record(
            custom_id, dict(self.entry.request), outcome, reason, self.entry.vidu_task_id, estimated_cost=cost
        )


class Rescue:
    """
    One run of the rescue.

    :param ledger: the ledger.
    :param destination: destination of the videos.
    :param patience: seconds after which a ready video counts as forgotten while its run still goes on.
    :param takes_sidecars: whether to write sidecars.
    :param context: Airflow's context of the task instance.
    :param log: the operator's logger.
    """

    def __init__(
        self, ledger: Ledger, destination: str, patience: float, takes_sidecars: bool, context: Context, log: Logger
    ) -> None:
        self._ledger = ledger
        self._destination = destination
        self._patience = patience
        self._takes_sidecars = takes_sidecars
        self._context = context
        self._log = log
        self._runs: dict[tuple[str, str], bool] = {}

    def run(self) -> dict[str, Any]:
        """
        Store what was forgotten, and list what cannot be stored any more.

        :return: the totals of a batch; ``manifest`` is ``None`` if there was nothing to do.
        :raises AirflowException: if a video could not be stored now; a retry is free until its link expires.
        :raises ViduStateError: if the ledger cannot be read; a retry can help.
        """
        found: list[Record] = []
        by_connection: dict[str, list[Candidate]] = {}
        for one in self._open():
            if one.entry.vidu_task_id:
                by_connection.setdefault(one.entry.vidu_conn_id, []).append(one)
            elif time.time() - one.name.begun_at / 1000 > ON_ITS_WAY_SECONDS:
                found.append(one.record(UNCERTAIN, f"The outcome of its submit is unknown. {UNKNOWN_OUTCOME}"))
        for vidu_conn_id, candidates in self._reachable_first(by_connection):
            found += self._rescued(vidu_conn_id, candidates)
        news = [record for record in found if record.outcome != UNCERTAIN]
        uri = self._written(found) if news else None
        totals = {**manifests.totals(uri or "", found), "manifest": uri}
        self._log.info("Rescued: %s", totals)
        if lost := [record for record in found if record.outcome == LOST]:
            self._log.error("Paid, but the links have expired: %s", without_video(lost))
        if left := [record for record in found if record.outcome == NOT_STORED]:
            raise AirflowException(
                f"{len(left)} paid videos could not be stored. A retry is free until their links expire. The first: "
                f"{without_video(left)}"
            )
        return totals

    def _written(self, found: list[Record]) -> str:
        path, names = manifests.default_name(self._destination, self._context), {record.custom_id for record in found}
        try:
            # An earlier try of this run may have listed losses, which have an end now.
            before = [record for record in manifests.read(path) if record.custom_id not in names]
        except ViduDownloadError as error:
            self._log.warning("Could not read the manifest of an earlier try, so a new one replaces it: %s", error)
            before = []
        return manifests.write(path, [*before, *found])

    def _open(self) -> list[Candidate]:
        """List the entries of the last days without an end."""
        today = day_of(time.time(), self._ledger.zone)
        days = [days_before(today, number) for number in range(RESCUE_DAYS)]
        groups = [group for day in days for group in self._ledger.groups(day)]
        candidates = [
            Candidate(name, entry)
            for group, entries in zip(groups, each(self._ledger.entries, groups), strict=True)
            for name, entry in zip(group, entries, strict=True)
        ]
        ends = each(
            lambda one: self._ledger.ending(one.entry.vidu_task_id) if one.entry.vidu_task_id else None, candidates
        )
        return [one for one, end in zip(candidates, ends, strict=True) if end is None]

    def _reachable_first(self, by_connection: dict[str, list[Candidate]]) -> list[tuple[str, list[Candidate]]]:
        """Put connections that do not answer last, so that the others need not wait for them."""
        if len(by_connection) == 1:
            return list(by_connection.items())

        def is_silent(one: tuple[str, list[Candidate]]) -> bool:
            vidu_conn_id, (first, *_) = one
            (answer,) = self._asked(vidu_conn_id, {first.entry.vidu_task_id: first}, FIRST_POLL_SECONDS).values()
            return not answer.believed and isinstance(answer.status, ViduError)

        return sorted(by_connection.items(), key=is_silent)

    def _rescued(self, vidu_conn_id: str, candidates: list[Candidate]) -> list[Record]:
        by_id = {one.entry.vidu_task_id: one for one in candidates}
        answers = self._asked(vidu_conn_id, by_id)
        found: list[Record] = []
        ready: list[tuple[dict[str, Any], str, int]] = []
        for vidu_task_id, answer in answers.items():
            one, status = by_id[vidu_task_id], answer.status
            if isinstance(status, TaskStatus) and status.state is TaskState.SUCCESS and status.urls:
                if self._is_forgotten(one.entry, status):
                    ready.append((status.result(), "", len(ready)))
            elif isinstance(status, TaskStatus) and status.state is TaskState.FAILURE:
                note_failure(vidu_task_id, status.reason, self._log)
            elif isinstance(status, ViduTaskNotFoundError) and answer.believed:
                found.append(self._unknown(one, str(status)))
            elif isinstance(status, TaskStatus) and status.state is TaskState.SUCCESS:
                found.append(one.record(NOT_STORED, no_urls(vidu_task_id, status.odd_urls)))
            elif isinstance(status, ViduError):
                found.append(without_a_video(one.record(NOT_STORED), status)._replace(outcome=NOT_STORED))
        return [*found, *self._stored(vidu_conn_id, ready, by_id)]

    def _asked(
        self, vidu_conn_id: str, by_id: Mapping[str, Candidate], patience: float = POLL_SECONDS
    ) -> dict[str, LastAnswer]:
        from airflow_provider_vidu.hooks.loop import HookLoop

        started_at = {vidu_task_id: one.name.begun_at / 1000 for vidu_task_id, one in by_id.items()}
        with HookLoop(vidu_conn_id) as loop:
            return loop.run(lambda hook: poll_all(hook, started_at, patience))

    def _stored(
        self, vidu_conn_id: str, ready: list[tuple[dict[str, Any], str, int]], by_id: Mapping[str, Candidate]
    ) -> Iterable[Record]:
        def origin_of(vidu_task_id: str) -> Origin:
            one = by_id[vidu_task_id]
            cost = None if one.name.units is None else cny_of(one.name.units)
            return Origin(one.entry.request, one.entry.fingerprint, vidu_conn_id, cost)

        if not ready:
            # A store reads the connection, which may be missing.
            return
        stored = StoredFiles(self._context, self._log)
        store = VideoStore(
            self._destination, vidu_conn_id, self._log, stored, origin_of if self._takes_sidecars else None
        )
        for index, files in store.store_all(ready):
            result = ready[index][0]
            one = by_id[result["task_id"]]
            if isinstance(files, list):
                note_accepted(one.name.accepted, one.entry, self._log)
                yield one.record(SUCCESS)._replace(files=tuple(files), video_seconds=result["video_seconds"])
            elif isinstance(files, ViduDownloadError) and _has_expired(result):
                yield self._gone(one, str(files))
            else:
                yield one.record(NOT_STORED, str(files))

    def _unknown(self, one: Candidate, reason: str) -> Record:
        if time.time() - one.name.begun_at / 1000 > RESULT_LIFETIME_SECONDS:
            return self._gone(one, reason)
        # Its links are alive where it exists, so a wrong host or key must not end the attempts to store it.
        return one.record(NOT_STORED, f"{reason} Check the connection {one.entry.vidu_conn_id}.")

    def _gone(self, one: Candidate, reason: str) -> Record:
        # Another task may have stored it while this one waited for answers.
        if self._ledger.ending(one.entry.vidu_task_id) is None:
            note_end(one.entry.vidu_task_id, Ending(GONE, reason=reason), self._log)
        return one.record(LOST, reason)

    def _is_forgotten(self, entry: Entry, status: TaskStatus) -> bool:
        """Check that no task will store a video: it has been ready for long, or its run is over or gone."""
        ready_at = status.finish_time
        if ready_at is not None and time.time() - ready_at >= self._patience:
            return True
        run = (entry.dag_id, entry.run_id)
        if run not in self._runs:
            try:
                # Airflow returns an enum that equals a string, but whose str() is its name.
                self._runs[run] = self._context["ti"].get_dagrun_state(*run) in _OVER
            except Exception as error:
                # The run is deleted, or of another deployment. A second copy does no harm.
                self._log.info(
                    "Could not read the state of run %s of DAG %s (%s)",
                    entry.run_id,
                    entry.dag_id,
                    type(error).__name__,
                )
                self._runs[run] = True
        return self._runs[run]


def _has_expired(result: Mapping[str, Any]) -> bool:
    return result["expires_at"] is not None and result["expires_at"] <= time.time()
