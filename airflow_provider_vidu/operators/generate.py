# SPDX-License-Identifier: Apache-2.0
"""Submit a task, wait for it and store its video: one image, one Airflow task."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowTaskTimeout

from airflow_provider_vidu.exceptions import ViduError, ViduEventError, ViduRequestError
from airflow_provider_vidu.operators.durable import Memory
from airflow_provider_vidu.operators.literals import is_literal, is_unmapped, seconds_of
from airflow_provider_vidu.operators.report import announce, count_failure, count_success
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.protocol import request
from airflow_provider_vidu.protocol.errors import Family, family_of
from airflow_provider_vidu.protocol.polling import FAILED, LOST, Outcome, Watch, how_to_resume
from airflow_provider_vidu.transfers.destination import Destination
from airflow_provider_vidu.transfers.store import VideoStore
from airflow_provider_vidu.triggers.vidu import DEFER_MARGIN, ViduTaskTrigger, gave_up

if TYPE_CHECKING:
    from airflow.sdk import Context

_TASK_ID_KEY = "vidu_task_id"


class ViduGenerateVideoOperator(ViduSubmitOperator):
    """
    Submit a task to Vidu, wait for it without a worker, and store its video. Returns the result.

    It takes every argument of :class:`~airflow_provider_vidu.operators.vidu.ViduSubmitOperator`, pushes the same XComs,
    and is as careful: on Airflow 3.3 and newer a retry takes up the wait for the task that was paid, or the storing of
    its video, and pays again only where the generation itself has failed for want of capacity or for an unknown reason.
    On older Airflow nothing outlives a try, so whatever goes wrong after the submit ends the task without retries, with
    the line that takes the wait up; there, keep submit, sensor and transfer three tasks.

    The result is what ``ViduTaskSensor`` returns (``{"task_id", "urls", "video_seconds", "submit_time", "finish_time",
    "expires_at", "request_id"}``) with ``files``, the URIs of what was stored. The asset events of its outlets hold
    ``files``, ``video_seconds`` and ``estimated_cost``.

    :param destination: where to store the video, as in ``ViduToObjectStorageOperator``; ``None`` (default) stores
        nothing, and the result's links live about 24 hours. (templated)
    :param deferrable: whether to wait in the triggerer (the default) instead of on the worker.
    :param poke_interval: seconds between two requests where no typical time is known, 5 by default.
    :param timeout: seconds until the wait is given up, 2 hours by default; ``execution_timeout`` bounds it as well. The
        task itself goes on and is billed; a retry waits again.
    """

    template_fields: Sequence[str] = (*ViduSubmitOperator.template_fields, "destination")

    def __init__(
        self,
        *,
        destination: str | None = None,
        deferrable: bool = True,
        poke_interval: timedelta | float = 5,
        timeout: timedelta | float = 2 * 3600,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.destination = destination
        self.deferrable = deferrable
        self.poke_interval = poke_interval
        self.timeout = timeout
        if not is_unmapped(self):
            self._check_wait()

    def _check_wait(self) -> None:
        found = [
            f"{name}: {value!r} given, allowed: seconds above 0"
            for name, value in (("poke_interval", self.poke_interval), ("timeout", self.timeout))
            if not seconds_of(value) > 0
        ]
        if self.destination is not None and is_literal(self.destination):
            found += Destination(self.destination).problems([""])
        if found:
            raise request.refusal(found)

    # It submits as the submit operator does, but returns more than an id.
    def execute(self, context: Context) -> dict[str, Any]:  # type: ignore[override]
        """
        Submit, or attach to the task of an earlier try, and wait.

        :param context: Airflow's context of the task instance.
        :return: the result.
        :raises AirflowFailException: as the submit operator; the generation has failed and cannot succeed without a
            person's help; or, where nothing outlives a try, the wait or the storing failed. Airflow does not retry it.
        :raises AirflowException: the generation has failed, and a retry, which is paid, may succeed.
        :raises ViduError: the wait ended without a video, or it could not be stored; a retry pays nothing.
        """
        try:
            self._check_wait()
        except ViduRequestError as error:
            raise AirflowFailException(str(error)) from error
        memory, attempt = self._accepted(context)
        vidu_task_id, cost = attempt.vidu_task_id, attempt.xcoms.get("estimated_cost")
        context["ti"].xcom_push(key=_TASK_ID_KEY, value=vidu_task_id)
        now, timeout = time.time(), seconds_of(self.timeout)
        if self.execution_timeout:
            # Airflow applies execution_timeout to each hop alone; the wait as a whole has to respect it.
            timeout = min(timeout, self.execution_timeout.total_seconds())
        watch = Watch(
            vidu_task_id,
            poll_interval=seconds_of(self.poke_interval),
            started_at=now,
            deadline=now + timeout,
            expected_seconds=attempt.xcoms.get("expected_seconds"),
            submitted_at=attempt.begun_at,
        )
        outcome = self._wait_here(watch)
        if outcome is None:
            self.defer(
                trigger=ViduTaskTrigger.going_on_with(watch, self.vidu_conn_id),
                method_name=self.execute_complete.__name__,
                kwargs={"vidu_task_id": vidu_task_id, "cost": cost, "remembered": memory.remembered is not None},
                timeout=timedelta(seconds=max(0.0, watch.deadline - time.time())) + DEFER_MARGIN,
            )
        return self._finish(context, memory, outcome, vidu_task_id, cost)

    def _wait_here(self, watch: Watch) -> Outcome | None:
        """Wait on the worker; look once, where the wait is the triggerer's."""
        from airflow_provider_vidu.hooks.look import look

        try:
            if not self.deferrable:
                time.sleep(watch.first_ask(time.time(), random.random()))  # noqa: S311 - a jitter
            while not isinstance(verdict := look(watch, self.vidu_conn_id, self.log), Outcome):
                if self.deferrable:
                    return None
                time.sleep(verdict.seconds)
        except AirflowTaskTimeout:
            return watch.timed_out()
        return verdict

    def execute_complete(
        self, context: Context, event: Any = None, *, vidu_task_id: str, cost: float | None, remembered: bool
    ) -> dict[str, Any]:
        """
        Go on after the trigger fired.

        :param context: Airflow's context of the task instance.
        :param event: the payload of its event.
        :param vidu_task_id: the task that the trigger waited for.
        :param cost: the estimate in CNY, ``None`` where no price is known.
        :param remembered: whether a retry will know of the task.
        :return: the result.
        """
        memory = Memory(context, durable=remembered, log=self.log)
        memory.read()
        try:
            outcome = Outcome.from_event(event)
        except ViduEventError as error:
            outcome = Outcome(LOST, f"{error}. {how_to_resume(vidu_task_id)}")
        return self._finish(context, memory, outcome, vidu_task_id, cost)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Name the task where Airflow itself gave the trigger up.

        :param next_method: as Airflow stored it.
        :param next_kwargs: as Airflow stored them.
        :param context: Airflow's context of the task instance.
        :return: the result.
        """
        if next_method == self.execute_complete.__name__:
            return super().resume_execution(next_method, next_kwargs, context)
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowException as error:
            ti, memory = context["ti"], Memory(context, durable=self.durable, log=self.log)
            vidu_task_id = ti.xcom_pull(task_ids=ti.task_id, key=_TASK_ID_KEY, map_indexes=ti.map_index)
            memory.read()
            return self._finish(context, memory, Outcome(LOST, gave_up(vidu_task_id, error)), vidu_task_id, None)

    def _finish(
        self, context: Context, memory: Memory, outcome: Outcome, vidu_task_id: str, cost: float | None
    ) -> dict[str, Any]:
        if outcome.status == FAILED:
            self._fail(outcome, vidu_task_id)
        try:
            if outcome.task is None:
                raise AirflowException(outcome.message)
            result = {**outcome.task, "files": self._store(outcome.task)}
        except (Exception, AirflowTaskTimeout) as error:
            if memory.remembered:
                self.log.warning("A retry of this task pays nothing: it goes on with Vidu task %s.", vidu_task_id)
                raise
            raise AirflowFailException(
                f"{error} Airflow does not retry this: nothing outlives a try here, so a retry would submit and pay "
                f"anew. {how_to_resume(vidu_task_id)}"
            ) from error
        count_success(result["video_seconds"])
        announce(context, files=result["files"], seconds=result["video_seconds"], cost=cost)
        if memory.remembered:
            memory.deliver(memory.remembered)
        return result

    def _store(self, result: dict[str, Any]) -> list[str]:
        if self.destination is None:
            return []
        return VideoStore(self.destination, self.vidu_conn_id, self.log).store(result)

    def _fail(self, outcome: Outcome, vidu_task_id: str) -> NoReturn:
        from airflow_provider_vidu.hooks.vidu import ViduHook

        count_failure()
        try:
            family = family_of(ViduHook(self.vidu_conn_id).get_task(vidu_task_id).error_message)
        except ViduError as error:
            # The next try asks again, before it pays.
            self.log.warning("Why Vidu task %s failed could not be asked for: %s", vidu_task_id, error)
            family = Family.UNKNOWN
        if family.retry_can_help:
            raise AirflowException(f"{outcome.message} A retry of this task is one.")
        raise AirflowFailException(outcome.message)
