# SPDX-License-Identifier: Apache-2.0
"""Reuse of videos that were paid before: the look-up of a request in the ledger."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_vidu.durable.each import each
from airflow_provider_vidu.durable.entries import DIGITS, STORED, Entry, EntryName, day_of, days_before
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.polling import Outcome, Watch
from airflow_provider_vidu.protocol.response import TaskState, TaskStatus
from airflow_provider_vidu.protocol.texts import first_few
from airflow_provider_vidu.storage.manifest import are_there

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

RIVAL_SECONDS, RIVAL_STEP = 20.0, 0.5
"""
Time to wait for the task of another submit of the same request that was just sent, and the pause between two reads of
the ledger.

A POST takes seconds. An older intent without a task belongs to a submit whose outcome is unknown.
"""
_CANDIDATES = 5

Group = tuple[EntryName, ...]
"""The names of all entries of an object."""
Place = tuple[EntryName, Group]
"""An entry and its object."""


class Reusable(NamedTuple):
    """
    A task whose video serves another submit of the same request.

    :param vidu_task_id: Vidu's id of the task.
    :param files: URIs of its stored videos; empty if it still runs or its links have not expired.
    :param video_seconds: length of the stored video, ``None`` if unknown.
    """

    vidu_task_id: str
    files: tuple[str, ...] = ()
    video_seconds: float | None = None

    @property
    def where(self) -> str:
        """The state of its video, for a log."""
        return f"its video is stored at {first_few(self.files)}" if self.files else "it is running or ready"

    def result(self) -> dict[str, Any]:
        """Return the result of the task, as far as the ledger knows it."""
        return TaskStatus(self.vidu_task_id, "", video_seconds=self.video_seconds).result()


class Reuse:
    """
    Look-ups of requests in the ledger.

    :param ledger: the ledger.
    :param vidu_conn_id: connection that polls the tasks; polling is free.
    :param log: the operator's logger.
    :param takes_files: whether the caller can use stored files, or only a task that it can wait for.
    :raises ViduRequestError: if there is no ledger. Nothing was sent.
    """

    def __init__(self, ledger: Ledger | None, vidu_conn_id: str, log: Logger, *, takes_files: bool = True) -> None:
        if ledger is None:
            raise ViduRequestError(
                "reuse must be False without a ledger, got True. Nothing was sent or paid. Set [vidu] ledger to a "
                "directory or bucket that all workers share."
            )
        self._ledger = ledger
        self._vidu_conn_id = vidu_conn_id
        self._log = log
        self._takes_files = takes_files
        self._seen: set[EntryName] = set()
        self._yesterday: dict[str, list[Group]] = {}

    def find(self, requests: Sequence[str]) -> list[Reusable | None]:
        """
        Find tasks of the same requests whose videos exist or will.

        :param requests: fingerprints of the requests.
        :return: the newest such task of each, ``None`` if the request has to be paid.
        :raises ViduStateError: if the ledger cannot be read. Nothing was sent; a retry can help.
        :raises ViduDownloadError: if it is unknown whether a stored video still exists. Nothing was sent.
        """
        recent: dict[str, list[Place]] = {}
        for group in self._groups_of_two_days():
            # A look-up by the request finds a single submit, but a batch only when it has ended.
            for name in group if len(group) > 1 else ():
                recent.setdefault(name.request, []).append((name, group))
        return each(lambda request: self._find(request, recent.get(request[:DIGITS], ())), requests)

    def _groups_of_two_days(self) -> list[Group]:
        today = day_of(time.time(), self._ledger.zone)
        yesterday = days_before(today, 1)
        if yesterday not in self._yesterday:
            self._yesterday = {yesterday: self._ledger.groups(yesterday)}
        return [*self._yesterday[yesterday], *self._ledger.groups(today)]

    def _find(self, request: str, recent: Sequence[Place]) -> Reusable | None:
        accepted = self._ledger.accepted(request)
        self._seen.update(accepted)
        places = [*((name, (name,)) for name in accepted), *(one for one in recent if one[0] not in accepted)]
        for place in sorted(places, key=lambda one: one[0].begun_at, reverse=True)[:_CANDIDATES]:
            entry = self._entry(place)
            # Names hold a few digits of the fingerprint only.
            if entry.vidu_task_id and entry.fingerprint == request:
                self._seen.add(place[0])
                if found := self._usable(entry.vidu_task_id, place[0].begun_at / 1000):
                    return found
        return None

    def _entry(self, place: Place) -> Entry:
        name, group = place
        return self._ledger.entries(group)[group.index(name)]

    def _usable(self, vidu_task_id: str, begun_at: float) -> Reusable | None:
        ending = self._ledger.ending(vidu_task_id)
        is_stored = ending is not None and ending.outcome == STORED and bool(ending.files)
        if ending and is_stored and self._takes_files and are_there(ending.files, ending.sizes):
            return Reusable(vidu_task_id, ending.files, ending.video_seconds)
        if ending and ending.outcome != STORED:
            return None
        return Reusable(vidu_task_id) if self._can_be_awaited(vidu_task_id, begun_at) else None

    def _can_be_awaited(self, vidu_task_id: str, begun_at: float) -> bool:
        from airflow_provider_vidu.hooks.poll import poll

        now = time.time()
        watch = Watch(vidu_task_id, poll_interval=1, started_at=begun_at, deadline=float("inf"))
        verdict = poll(watch, self._vidu_conn_id, self._log)
        status = watch.last_answer
        if not isinstance(status, TaskStatus):
            # An answer that is no answer says nothing about a paid task; only one that was confirmed does.
            return not isinstance(verdict, Outcome)
        if status.state is TaskState.SUCCESS:
            expires_at = status.result()["expires_at"]
            return bool(status.urls) and (expires_at is None or expires_at > now)
        return status.state is not TaskState.FAILURE

    def of_rivals(self, mine: Mapping[EntryName, str]) -> dict[EntryName, Reusable]:
        """
        Wait for the tasks of other submits of the same requests that began shortly before these.

        :param mine: fingerprints of the requests by the intents of these submits, which are written already.
        :return: the other submit's task by our intent; an intent has none without a rival, or if its rival got no task.
        :raises ViduStateError: if the ledger cannot be read. Nothing was sent; a retry can help.
        """
        found: dict[EntryName, Reusable] = {}
        day, until, waiting = next(iter(mine)).day, time.time() + RIVAL_SECONDS, dict(mine)
        while True:
            tasks = self._tasks_of_rivals(waiting, self._ledger.groups(day))
            found |= {own: Reusable(vidu_task_id) for own, vidu_task_id in tasks.items() if vidu_task_id}
            waiting = {own: mine[own] for own in tasks if own not in found}
            if not waiting:
                return found
            if time.time() >= until:
                self._log.warning(
                    "The outcome of %d other submits of the same requests is unknown. Submitting this task's requests "
                    "too.",
                    len(waiting),
                )
                return found
            time.sleep(RIVAL_STEP)

    def _tasks_of_rivals(self, mine: Mapping[EntryName, str], groups: Sequence[Group]) -> dict[EntryName, str]:
        """Find the tasks, or empty texts, of others' intents that began shortly before one's own."""
        tasks: dict[EntryName, str] = {}
        # Many rivals may lie in one object.
        read = cache(self._ledger.entries)
        by_request: dict[str, list[EntryName]] = {}
        for own in mine:
            by_request.setdefault(own.request, []).append(own)
        for name, group in ((name, one) for one in groups for name in one):
            for own in by_request.get(name.request, ()) if name not in self._seen else ():
                is_recent = own.begun_at - RIVAL_SECONDS * 1000 <= name.begun_at
                if not is_recent or name.age >= own.age:
                    continue
                entry = read(group)[group.index(name)]
                if entry.fingerprint == mine[own]:
                    tasks[own] = tasks.get(own) or entry.vidu_task_id
        return tasks
