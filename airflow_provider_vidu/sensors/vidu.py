# SPDX-License-Identifier: Apache-2.0
"""The sensor that waits for a Vidu task and returns its result."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_vidu.arguments import (
    LONGEST_WAIT,
    LiteralTexts,
    refuse_mapped_outputs,
    seconds_of,
    seconds_of_wait,
    waiting_problems,
)
from airflow_provider_vidu.exceptions import ViduEventError, ViduRequestError
from airflow_provider_vidu.links import ViduVideoLink
from airflow_provider_vidu.protocol.polling import FAILED, SUCCESS, TIMEOUT, Outcome, Watch, how_to_resume
from airflow_provider_vidu.protocol.request import refusal
from airflow_provider_vidu.protocol.texts import brief
from airflow_provider_vidu.protocol.values import identifier
from airflow_provider_vidu.reporting import count_failure, count_success, failure_shown, show_failure, show_news
from airflow_provider_vidu.triggers.vidu import ViduTaskTrigger, defer_timeout, gave_up

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["ViduTaskSensor"]


class ViduTaskSensor(LiteralTexts, BaseSensorOperator):
    """
    Wait for a Vidu task and return its result.

    Waiting is free, and a retry never submits anything. A deferred sensor holds no worker slot. The sensor keeps
    polling through temporary API faults until the timeout. A timeout raises ``AirflowSensorTimeout``. A failed or lost
    task raises ``AirflowFailException``, because polling again cannot help. ``soft_fail`` and ``never_fail`` skip
    instead, in every mode.

    During the wait the XCom ``vidu_progress`` holds the last status word. If the sensor fails, ``vidu_failure`` holds
    the reason. Both are for Airflow's UI.

    The result is ``{"task_id", "urls", "video_seconds", "submit_time", "finish_time", "expires_at",
    "request_id"}``; times are epoch seconds. ``urls`` are bearer links: anyone who can read the XCom can fetch the
    video.

    :param vidu_task_id: Vidu's id of the task, as ``ViduSubmitOperator`` returns it. (templated)
    :param vidu_conn_id: Connection of type ``vidu``. (templated)
    :param deferrable: Whether to wait in the triggerer (the default); takes precedence over ``mode``.
    :param expected_seconds: Typical seconds of the generation, as ``ViduSubmitOperator`` pushes them. After one poll
        on the worker, the triggerer does not poll before the video can be ready. ``None`` polls every
        ``poke_interval``. (templated)
    :param poke_interval: Seconds between two polls on a worker, or in the triggerer without ``expected_seconds``; 5 by
        default.
    :param timeout: Seconds until the wait times out, 2 hours by default; ``execution_timeout`` limits it as well.
    """

    template_fields: Sequence[str] = ("vidu_task_id", "vidu_conn_id", "expected_seconds")
    operator_extra_links = (ViduVideoLink(),)

    def __init__(
        self,
        *,
        vidu_task_id: str,
        vidu_conn_id: str = "vidu_default",
        deferrable: bool = True,
        expected_seconds: float | str | None = None,
        poke_interval: timedelta | float = 5,
        timeout: timedelta | float = 2 * 3600,
        **kwargs: Any,
    ) -> None:
        if found := waiting_problems(poke_interval=poke_interval, timeout=timeout):
            raise refusal(found)
        # Airflow adds the timeout to a date, which overflows for a longer one.
        super().__init__(poke_interval=poke_interval, timeout=min(seconds_of(timeout), LONGEST_WAIT), **kwargs)
        refuse_mapped_outputs(self, "vidu_task_id", vidu_task_id)
        self.vidu_task_id = vidu_task_id
        self.vidu_conn_id = vidu_conn_id
        self.deferrable = deferrable
        self.expected_seconds = expected_seconds

    def execute(self, context: Context) -> Any:
        """
        Wait for the task.

        :param context: Airflow's context of the task instance.
        :return: The result.
        :raises AirflowSensorTimeout: If the task is not ready in time. It keeps running and is billed.
        :raises AirflowFailException: If the task failed or the sensor lost contact with it. Airflow does not retry.
        """
        self.timeout = seconds_of_wait(self.timeout, self.execution_timeout)
        try:
            self._watch = self._new_watch(self._began(context))
            if self.deferrable:
                return self._defer_unless_ended(context)
            return super().execute(context)
        except (AirflowSensorTimeout, AirflowTaskTimeout):
            self._raise(context, AirflowSensorTimeout(self._watch.timed_out().message))
        except AirflowFailException as error:
            self._raise(context, error)
        except AirflowSkipException as skip:
            # Airflow's own message names neither the Vidu task nor the reason.
            reason = skip.__cause__ or self._watch.timed_out().message
            self.log.warning("Skipped the wait for Vidu task %s: %s", self.vidu_task_id, reason)
            raise

    def _began(self, context: Context) -> float:
        first = context["ti"].get_first_reschedule_date(context) if self.reschedule and not self.deferrable else None
        return first.timestamp() if first else time.time()

    def _new_watch(self, began: float) -> Watch:
        given = self.vidu_task_id
        try:
            refuse_mapped_outputs(self, "vidu_task_id", given)
        except ViduRequestError as error:
            raise AirflowFailException(str(error)) from error
        self.vidu_task_id = identifier(given)
        if not self.vidu_task_id:
            raise AirflowFailException(
                f"vidu_task_id must be the task id that ViduSubmitOperator returned, got {brief(given)}. The sensor "
                "sent and paid nothing. Pass submit.output, or the task_id of a result, then clear this task alone."
            )
        return Watch(
            self.vidu_task_id,
            poll_interval=self.poke_interval,
            started_at=began,
            deadline=began + self.timeout,
            expected_seconds=self._expected(),
        )

    def _expected(self) -> float | None:
        if self.expected_seconds in (None, "", "None"):
            return None
        try:
            seconds = float(self.expected_seconds)
        except (TypeError, ValueError, OverflowError):
            seconds = -1.0
        if 0 <= seconds < float("inf"):
            return seconds
        # Only a hint: the wait for a paid task must not fail because of it.
        self.log.warning(
            "expected_seconds must be a number of seconds or None, got %s. Polling every %g s instead.",
            brief(self.expected_seconds),
            self.poke_interval,
        )
        return None

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """
        Poll once, and confirm a bad answer within seconds before it ends the wait.

        :param context: Airflow's context of the task instance.
        :return: Whether the task is ready, with the result.
        """
        outcome = self._poll(context)
        return PokeReturnValue(True, self._finish(outcome)) if outcome else False

    def _poll(self, context: Context) -> Outcome | None:
        from airflow_provider_vidu.hooks.poll import poll

        verdict = poll(self._watch, self.vidu_conn_id, self.log)
        if isinstance(verdict, Outcome):
            return verdict
        self.log.info("Vidu task %s is %s", self.vidu_task_id, self._watch.word or "not readable yet")
        show_news(context, self._watch)
        return None

    def _defer_unless_ended(self, context: Context) -> dict[str, Any]:
        outcome = self._poll(context)
        if outcome:
            return self._finish(outcome)
        watch = self._watch
        self.defer(
            trigger=ViduTaskTrigger.going_on_with(watch, self.vidu_conn_id),
            method_name="execute_complete",
            kwargs={"waited_for": self.vidu_task_id},
            timeout=defer_timeout(watch.deadline),
        )

    def execute_complete(self, context: Context, event: Any = None, waited_for: str | None = None) -> Any:
        """
        Resume after the trigger fired.

        :param context: Airflow's context of the task instance.
        :param event: Payload of the trigger's event.
        :param waited_for: Vidu's id of the task that the trigger waited for.
        :return: The result.
        """
        if waited_for and identifier(self.vidu_task_id) not in ("", waited_for):
            self.log.warning(
                "vidu_task_id changed from %s to %s during the wait; waiting for the new task.",
                waited_for,
                self.vidu_task_id,
            )
            return self.execute(context)
        try:
            outcome = Outcome.from_event(event)
        except ViduEventError as error:
            raise AirflowFailException(f"{error}. {how_to_resume(self.vidu_task_id)}") from error
        return self._finish(outcome)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Resume, and name the Vidu task if Airflow itself ended the trigger.

        :param next_method: Name of the method, as Airflow stored it.
        :param next_kwargs: Arguments of the method, as Airflow stored them.
        :param context: Airflow's context of the task instance.
        :return: The result.
        """
        with failure_shown(context, str(self.vidu_task_id)):
            return self._resume(next_method, next_kwargs, context)

    def _resume(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSkipException as skip:
            self.log.warning("Skipped the wait for Vidu task %s: %s", self.vidu_task_id, self._named(skip.__cause__))
            raise
        except AirflowException as error:
            kind = AirflowSensorTimeout if isinstance(error, AirflowSensorTimeout) else AirflowFailException
            failure = error if type(error) is kind and self._named(error) == str(error) else kind(self._named(error))
            if self.soft_fail or self.never_fail:
                # Not every Airflow version skips a resumed sensor that fails.
                self.log.warning("Skipped the wait for Vidu task %s: %s", self.vidu_task_id, failure)
                raise AirflowSkipException(f"Skipped instead of failed: {failure}") from error
            raise failure from (None if failure is error else error)

    def _named(self, error: BaseException | None) -> str:
        if str(self.vidu_task_id) in str(error):
            return str(error)
        return gave_up(str(self.vidu_task_id), error)

    def _finish(self, outcome: Outcome) -> dict[str, Any]:
        if outcome.status == SUCCESS and outcome.task is not None:
            count_success(outcome.task["video_seconds"])
            self.log.info("%s Its links expire after about 24 hours: store the video before then.", outcome.message)
            return outcome.task
        if outcome.status == TIMEOUT:
            raise AirflowSensorTimeout(outcome.message)
        if outcome.status == FAILED:
            # Imported here because waits on a worker rarely fail, and a DAG file needs none of it.
            from airflow_provider_vidu.durable.spending import note_failure

            count_failure()
            note_failure(str(self.vidu_task_id), outcome.message, self.log)
        raise AirflowFailException(outcome.message)

    def _raise(self, context: Context, error: AirflowSensorTimeout | AirflowFailException) -> NoReturn:
        if self.soft_fail or self.never_fail:
            raise AirflowSkipException(f"Skipped instead of failed: {error}") from error
        show_failure(context, error, str(self.vidu_task_id))
        raise error
