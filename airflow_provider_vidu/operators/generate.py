# SPDX-License-Identifier: Apache-2.0
"""The operator that submits, waits and stores in one Airflow task."""

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

    from airflow_provider_vidu.generation import GenerateOptions

__all__ = ["ViduGenerateVideoOperator"]


class ViduGenerateVideoOperator(ViduSubmitOperator):
    """
    Submit a task to Vidu, wait for it, store its video and return the result.

    The operator waits in the triggerer by default, without a worker slot. It takes every argument of
    :class:`~airflow_provider_vidu.operators.vidu.ViduSubmitOperator` and pushes the same XComs.

    On Airflow 3.3 and newer, or with a ledger, a retry re-attaches to the paid task: it resumes the wait, or stores the
    video. A retry submits and pays again only if the generation itself failed for lack of capacity or for an unknown
    reason. On older Airflow without a ledger, no record of the submit survives a try, so an error after the submit
    fails the task without retries. That error's text contains the line that resumes the wait. On older Airflow, set
    ``[vidu] ledger``, or use three tasks instead: submit, sensor and transfer.

    The result is the one of ``ViduTaskSensor`` (``{"task_id", "urls", "video_seconds", "submit_time", "finish_time",
    "expires_at", "request_id"}``) plus ``files``, the URIs of the stored files. The asset events of the operator's
    outlets hold ``files``, ``video_seconds`` and ``estimated_cost``.

    :param destination: Destination of the video, as in ``ViduToObjectStorageOperator``. ``None`` (default) stores
        nothing; the result's links expire after about 24 hours. All workers must have access to it, because the
        operator may store on a different worker from the one it submitted on. (templated)
    :param sidecar: Whether to write a file ``<name>.json`` beside each video; ``False`` by default. It contains the
        model, the request, the cost and ``"ai_generated": true``.
    :param deferrable: Whether to wait in the triggerer (the default) instead of on the worker.
    :param poke_interval: Seconds between two polls if no typical time is known, 5 by default.
    :param timeout: Seconds until the wait times out, 2 hours by default; ``execution_timeout`` limits it as well. The
        Vidu task keeps running and is billed; a retry waits again.
    """

    template_fields: Sequence[str] = (*ViduSubmitOperator.template_fields, "destination")

    def __init__(
        self,
        *,
        destination: str | None = None,
        sidecar: bool = False,
        deferrable: bool = True,
        poke_interval: timedelta | float = 5,
        timeout: timedelta | float = 2 * 3600,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.destination = as_text(destination)
        self.sidecar = sidecar
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

    def _check_outputs(self) -> None:
        """
        Allow ``multiple_outputs`` and ``do_xcom_push=False``.

        The result is a dictionary, and a destination has the video even without an XCom.
        """

    def _before_post(self, context: Context) -> None:
        """Refuse, right before the submit, an unwritable or shared destination."""
        if self.destination is not None:
            from airflow_provider_vidu.storage.checks import check_destination
            from airflow_provider_vidu.storage.places import located
            from airflow_provider_vidu.storage.probe import probe
            from airflow_provider_vidu.storage.video_store import index_of

            check_destination(self, context)
            probe(located(Destination(self.destination).path("probe", index=index_of(context))))

    # The submit operator returns an id; this one returns the result.
    def execute(self, context: Context) -> dict[str, Any]:  # type: ignore[override]
        """
        Submit, or re-attach to the task of an earlier try, then wait and store.

        :param context: Airflow's context of the task instance.
        :return: The result.
        :raises AirflowFailException: In the same cases as the submit operator. Also if the generation failed and cannot
            succeed without a person's help. Also if waiting or storing failed and no record of the submit survives the
            try. Airflow does not retry.
        :raises AirflowException: If the generation failed and a retry, which pays again, may succeed; or if the wait
            ended without a video. In the second case a retry pays nothing.
        :raises ViduError: If the video could not be stored; a retry pays nothing.
        """
        from airflow_provider_vidu.generation import Generation
        from airflow_provider_vidu.reporting import failure_shown

        self.destination = as_text(self.destination)
        with failure_shown(context):
            try:
                self._check_wait()
            except ViduRequestError as error:
                from airflow_provider_vidu.durable.state_store import paid_before

                paid = paid_before(context, durable=self.durable, log=self.log)
                raise AirflowFailException(f"{error}{paid}") from error
            submitted = self._accepted(context, takes_files=True)
            generation = Generation(self._options(), context, self.log, submitted.record)
            if submitted.reused:
                return generation.reuse(submitted.attempt, submitted.reused)
            return generation.begin(submitted.attempt)

    def _options(self) -> GenerateOptions:
        from airflow_provider_vidu.generation import GenerateOptions

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
        Resume after the trigger fired.

        :param context: Airflow's context of the task instance.
        :param event: Payload of the trigger's event.
        :param vidu_task_id: Vidu's id of the task that the trigger waited for; ``dag.test()`` passes the event alone.
        :param cost: Estimate in CNY, ``None`` if no price is known.
        :param remembered: Whether a retry can re-attach to the task.
        :return: The result.
        """
        from airflow_provider_vidu.generation import Generation

        is_durable = self.durable if remembered is None else remembered
        generation = Generation.resumed(self._options(), context, self.log, remembered=is_durable)
        return generation.complete(event, vidu_task_id, cost)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Resume, and name the Vidu task if Airflow itself ended the trigger.

        :param next_method: Name of the method, as Airflow stored it.
        :param next_kwargs: Arguments of the method, as Airflow stored them.
        :param context: Airflow's context of the task instance.
        :return: The result.
        """
        from airflow_provider_vidu.reporting import failure_shown

        self.destination = as_text(self.destination)
        with failure_shown(context):
            return self._resume(next_method, next_kwargs, context)

    def _resume(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        from airflow_provider_vidu.generation import Generation

        if next_method == self.execute_complete.__name__:
            return super().resume_execution(next_method, next_kwargs, context)
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowException as error:
            return Generation.resumed(self._options(), context, self.log, remembered=self.durable).given_up(error)
