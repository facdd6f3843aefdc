# SPDX-License-Identifier: Apache-2.0
"""Submit a task, wait for it and store its video: one image, one Airflow task."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_vidu.arguments import as_text, is_literal, is_unmapped, waiting_problems
from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.operators.vidu import ViduSubmitOperator
from airflow_provider_vidu.protocol.request import refusal
from airflow_provider_vidu.storage.destination import Destination

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_vidu.operators._generation import GenerateOptions


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
        nothing, and the result's links live about 24 hours. All workers have to see it: storing may run on another one
        than the submit. (templated)
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
            if destination is not None and is_literal(destination):
                from airflow_provider_vidu.storage.checks import check_in_group

                check_in_group(self)

    def _check_wait(self) -> None:
        found = waiting_problems(poke_interval=self.poke_interval, timeout=self.timeout)
        if self.destination is not None and is_literal(self.destination):
            found += Destination(as_text(self.destination)).problems([""])
        if found:
            raise refusal(found)

    def _before_post(self, context: Context) -> None:
        """Refuse, right before something is submitted, a destination that cannot be written or is not its own."""
        if self.destination is not None:
            from airflow_provider_vidu.storage.checks import check_destination
            from airflow_provider_vidu.storage.places import located, probe
            from airflow_provider_vidu.storage.video_store import place_of

            check_destination(self, context)
            probe(located(Destination(self.destination).path("probe", index=place_of(context))))

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
        from airflow_provider_vidu.operators._generation import Generation
        from airflow_provider_vidu.reporting import failure_shown

        self.destination = as_text(self.destination)
        with failure_shown(context):
            try:
                self._check_wait()
            except ViduRequestError as error:
                from airflow_provider_vidu.durable.state_store import paid_before

                paid = paid_before(context, durable=self.durable, log=self.log)
                raise AirflowFailException(f"{error}{paid}") from error
            record, attempt = self._accepted(context)
            return Generation(self._options(), context, self.log, record).begin(attempt)

    def _options(self) -> GenerateOptions:
        from airflow_provider_vidu.operators._generation import GenerateOptions

        return GenerateOptions._make(getattr(self, name) for name in GenerateOptions._fields)

    def execute_complete(
        self,
        context: Context,
        event: Any = None,
        *,
        vidu_task_id: str | None = None,
        cost: float | None = None,
        remembered: bool | None = None,
    ) -> dict[str, Any]:
        """
        Go on after the trigger fired.

        :param context: Airflow's context of the task instance.
        :param event: the payload of its event.
        :param vidu_task_id: the task that the trigger waited for; ``dag.test()`` passes the event alone.
        :param cost: the estimate in CNY, ``None`` where no price is known.
        :param remembered: whether a retry will know of the task.
        :return: the result.
        """
        from airflow_provider_vidu.operators._generation import Generation

        is_durable = self.durable if remembered is None else remembered
        generation = Generation.resumed(self._options(), context, self.log, remembered=is_durable)
        return generation.complete(event, vidu_task_id, cost)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Name the task where Airflow itself gave the trigger up.

        :param next_method: as Airflow stored it.
        :param next_kwargs: as Airflow stored them.
        :param context: Airflow's context of the task instance.
        :return: the result.
        """
        from airflow_provider_vidu.reporting import failure_shown

        self.destination = as_text(self.destination)
        with failure_shown(context):
            return self._resume(next_method, next_kwargs, context)

    def _resume(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        from airflow_provider_vidu.operators._generation import Generation

        if next_method == self.execute_complete.__name__:
            return super().resume_execution(next_method, next_kwargs, context)
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowException as error:
            return Generation.resumed(self._options(), context, self.log, remembered=self.durable).given_up(error)
