# SPDX-License-Identifier: Apache-2.0
"""
The generate operator's work after the submit.

It has its own module, because every DAG file imports the operator's module.
"""

from __future__ import annotations

import random
import time
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowTaskTimeout, TaskDeferred

from airflow_provider_vidu.arguments import seconds_of, seconds_of_wait
from airflow_provider_vidu.durable.attempt import Attempt
from airflow_provider_vidu.durable.reuse import Reusable
from airflow_provider_vidu.durable.spending import note_failure
from airflow_provider_vidu.durable.state_store import SubmitRecord, no_blind_retry
from airflow_provider_vidu.durable.stored_files import StoredFiles
from airflow_provider_vidu.exceptions import ViduError, ViduEventError
from airflow_provider_vidu.protocol.errors import Family
from airflow_provider_vidu.protocol.polling import FAILED, LOST, Outcome, Watch, how_to_resume
from airflow_provider_vidu.protocol.response import TaskStatus
from airflow_provider_vidu.protocol.texts import first_few
from airflow_provider_vidu.reporting import announce, count_failure, count_reuse, count_success, show_news
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.storage.copies import copied
from airflow_provider_vidu.storage.sidecar import Origin, origin_of
from airflow_provider_vidu.storage.video_store import VideoStore, index_of
from airflow_provider_vidu.triggers.vidu import ViduTaskTrigger, defer_timeout, gave_up

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

_TASK_ID_KEY = "vidu_task_id"
_NO_RETRY = (
    "Airflow does not retry the task: no record of the submit survives this try, so a retry would submit and pay again."
)


class GenerateOptions(NamedTuple):
    """
    Hold the generate operator's options for waiting and storing.

    :param vidu_conn_id: Same as the operator's argument.
    :param destination: Same as the operator's argument.
    :param sidecar: Same as the operator's argument.
    :param deferrable: Same as the operator's argument.
    :param poke_interval: Same as the operator's argument.
    :param timeout: Same as the operator's argument.
    :param execution_timeout: Airflow's argument, ``None`` for no limit.
    """

    vidu_conn_id: str
    destination: str | None
    sidecar: bool
    deferrable: bool
    poke_interval: timedelta | float
    timeout: timedelta | float
    execution_timeout: timedelta | None


class Generation:
    """
    Wait for a submitted generation and store its video, in one run on a worker.

    :param options: How to wait and where to store.
    :param context: Airflow's context of the task instance.
    :param log: The operator's logger.
    :param record: Record of the submit across tries.
    """

    def __init__(self, options: GenerateOptions, context: Context, log: Logger, record: SubmitRecord) -> None:
        self._options = options
        self._context = context
        self._record = record
        self._log = log

    @classmethod
    def resumed(cls, options: GenerateOptions, context: Context, log: Logger, *, remembered: bool) -> Generation:
        """
        Resume after a deferral.

        :param options: How to store.
        :param context: Airflow's context of the task instance.
        :param log: The operator's logger.
        :param remembered: Whether Airflow's task state store holds the submit.
        """
        record = SubmitRecord(context, durable=remembered, log=log)
        record.read()
        return cls(options, context, log, record)

    def begin(self, attempt: Attempt) -> dict[str, Any]:
        """
        Wait on the worker, or defer to the triggerer by raising ``TaskDeferred``.

        :param attempt: The submit.
        :return: The result.
        """
        vidu_task_id, cost = attempt.vidu_task_id, attempt.xcoms.get("estimated_cost")
        with self._paid(vidu_task_id):
            outcome = self._wait(attempt, cost)
        return self.finish(outcome, vidu_task_id, cost)

    def reuse(self, attempt: Attempt, found: Reusable) -> dict[str, Any]:
        """
        Take the stored videos of an earlier submit of the same request.

        :param attempt: What the submit would have been.
        :param found: The task of that submit.
        :return: The result.
        """
        files, result = list(found.files), found.result()
        if self._options.destination is not None:
            origin = self._origin(attempt) if self._options.sidecar else None
            files = copied(files, self._options.destination, result, index=index_of(self._context), origin=origin)
        count_reuse()
        announce(self._context, seconds=found.video_seconds, cost=0.0, files=files, reused_from=found.vidu_task_id)
        return {**result, "files": files, "reused_from": found.vidu_task_id}

    def _origin(self, attempt: Attempt | None) -> Origin:
        if attempt:
            return origin_of(attempt.xcoms.get("vidu_request"), attempt.fingerprint, self._options.vidu_conn_id)
        ti = self._context["ti"]
        asked = ti.xcom_pull(task_ids=ti.task_id, key="vidu_request", map_indexes=ti.map_index)
        return origin_of(asked, "", self._options.vidu_conn_id)

    def _wait(self, attempt: Attempt, cost: float | None) -> Outcome:
        options, vidu_task_id = self._options, attempt.vidu_task_id
        self._context["ti"].xcom_push(key=_TASK_ID_KEY, value=vidu_task_id)
        now = time.time()
        watch = Watch(
            vidu_task_id,
            poll_interval=seconds_of(options.poke_interval),
            started_at=now,
            deadline=now + seconds_of_wait(options.timeout, options.execution_timeout),
            expected_seconds=attempt.xcoms.get("expected_seconds"),
            submitted_at=attempt.begun_at,
        )
        outcome = self._wait_here(watch)
        if outcome is None:
            raise TaskDeferred(
                trigger=ViduTaskTrigger.going_on_with(watch, options.vidu_conn_id),
                method_name="execute_complete",
                kwargs={"vidu_task_id": vidu_task_id, "cost": cost, "remembered": self._record.remembered is not None},
                timeout=defer_timeout(watch.deadline),
            )
        return outcome

    def _paid(self, vidu_task_id: str) -> AbstractContextManager[None]:
        def is_free() -> bool:
            if self._record.remembered:
                self._log.warning("A retry pays nothing: it resumes Vidu task %s.", vidu_task_id)
            return self._record.remembered is not None

        return no_blind_retry(is_free, f"{_NO_RETRY} {how_to_resume(vidu_task_id)}")

    def _wait_here(self, watch: Watch) -> Outcome | None:
        """Poll on the worker until the wait ends, or only once before a deferral."""
        from airflow_provider_vidu.hooks.poll import poll

        try:
            if not self._options.deferrable:
                time.sleep(watch.first_ask(time.time(), random.random()))  # noqa: S311 - a jitter
            while not isinstance(verdict := poll(watch, self._options.vidu_conn_id, self._log), Outcome):
                show_news(self._context, watch)
                if self._options.deferrable:
                    return None
                time.sleep(verdict.seconds)
        except AirflowTaskTimeout:
            return watch.timed_out()
        return verdict

    def complete(self, event: Any, vidu_task_id: str | None, cost: float | None) -> dict[str, Any]:
        """
        Resume after the trigger fired.

        :param event: Payload of the trigger's event.
        :param vidu_task_id: Vidu's id of the task that the trigger waited for, ``None`` if Airflow passed none.
        :param cost: Estimate in CNY, ``None`` if no price is known.
        :return: The result.
        """
        if vidu_task_id is None:
            vidu_task_id, cost = self._submitted()
        try:
            outcome = Outcome.from_event(event)
        except ViduEventError as error:
            outcome = Outcome(LOST, f"{error}. {how_to_resume(vidu_task_id)}")
        return self.finish(outcome, vidu_task_id, cost)

    def given_up(self, error: Exception) -> dict[str, Any]:
        """
        Fail with the id of the Vidu task if Airflow itself ended the trigger.

        :param error: Airflow's error.
        """
        vidu_task_id, cost = self._submitted()
        return self.finish(Outcome(LOST, gave_up(vidu_task_id, error)), vidu_task_id, cost)

    def _submitted(self) -> tuple[str, float | None]:
        """Find the task and its estimate by what this try left."""
        ti, remembered = self._context["ti"], self._record.remembered
        if remembered:
            return remembered.vidu_task_id, remembered.xcoms.get("estimated_cost")
        resume = f"Read the XCom {_TASK_ID_KEY} of this task, then resume the wait at no cost with ViduTaskSensor."
        with no_blind_retry(lambda: False, f"{_NO_RETRY} {resume}"):
            return ti.xcom_pull(task_ids=ti.task_id, key=_TASK_ID_KEY, map_indexes=ti.map_index), None

    def finish(self, outcome: Outcome, vidu_task_id: str, cost: float | None) -> dict[str, Any]:
        """
        Store the video, or fail with the reason.

        :param outcome: How the wait ended.
        :param vidu_task_id: Vidu's id of the task.
        :param cost: Estimate in CNY, ``None`` if no price is known.
        :return: The result.
        """
        if outcome.status == FAILED:
            self._fail(outcome, vidu_task_id)
        with self._paid(vidu_task_id):
            if outcome.task is not None:
                result = {**outcome.task, "files": self._store(outcome.task)}
            elif files := self._stored_before(vidu_task_id):
                self._log.warning("%s Its video is stored at %s already.", outcome.message, first_few(files))
                result = {**TaskStatus(vidu_task_id, "").result(), "files": files}
            else:
                raise AirflowException(outcome.message)
        remembered = self._record.remembered
        if reused_from := remembered.xcoms.get("reused_from") if remembered else None:
            more, result = {"reused_from": reused_from}, {**result, "reused_from": reused_from}
            count_reuse()
        else:
            more = {}
            count_success(result["video_seconds"])
        announce(self._context, seconds=result["video_seconds"], cost=cost, files=result["files"], **more)
        if self._record.remembered:
            self._record.deliver(self._record.remembered)
        return result

    def _store(self, result: dict[str, Any]) -> list[str]:
        if self._options.destination is None:
            return []
        stored = StoredFiles(self._context, self._log)
        origin_of = (lambda _: self._origin(self._record.remembered)) if self._options.sidecar else None
        store = VideoStore(self._options.destination, self._options.vidu_conn_id, self._log, stored, origin_of)
        return store.store(result, index=index_of(self._context))

    def _stored_before(self, vidu_task_id: str) -> list[str]:
        try:
            files = StoredFiles(self._context, self._log).files_of(vidu_task_id)
            return files if files and manifests.are_there(files) else []
        except ViduError as error:
            # The reader needs the reason why the wait ended.
            self._log.warning("Could not check whether the video is stored already: %s", error)
            return []

    def _fail(self, outcome: Outcome, vidu_task_id: str) -> NoReturn:
        from airflow_provider_vidu.hooks.vidu import ViduHook

        count_failure()
        note_failure(vidu_task_id, outcome.message, self._log)
        try:
            family = ViduHook(self._options.vidu_conn_id).get_task(vidu_task_id).family
        except ViduError as error:
            # The next try polls the task again before it pays.
            self._log.warning("Could not read why Vidu task %s failed: %s", vidu_task_id, error)
            family = Family.UNKNOWN
        if family.retry_can_help:
            raise AirflowException(f"{outcome.message} A retry of this Airflow task submits and pays again.")
        raise AirflowFailException(outcome.message)
