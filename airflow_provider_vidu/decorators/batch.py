# SPDX-License-Identifier: Apache-2.0
"""The decorator ``@task.vidu_batch``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    DecoratedOperator,
    TaskDeferred,
    determine_kwargs,
    task_decorator_factory,
)

from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import TaskDecorator
    from airflow.sdk import Context

    from airflow_provider_vidu.batch.run import BatchRun

__all__ = ["vidu_batch_task"]


class ViduBatchDecoratedOperator(DecoratedOperator, ViduGenerateBatchOperator):
    """
    Call a function for the requests of a batch, and make the batch.

    The operator calls the function once for all automatic tries of a task instance: the function may return other
    requests each time, and its first requests may be paid. Clearing the task calls the function again.

    :param python_callable: Function that returns the requests.
    :param batch: Arguments of :class:`~airflow_provider_vidu.operators.batch.ViduGenerateBatchOperator`, and the
        function's own.
    """

    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *(name for name in ViduGenerateBatchOperator.template_fields if name != "requests"),
    )
    custom_operator_name = "@task.vidu_batch"

    def __init__(self, *, python_callable: Callable[..., Any], **batch: Any) -> None:
        # An empty batch stands in for the requests, so that the other arguments are checked when the DAG is parsed.
        super().__init__(python_callable=python_callable, requests=(), **batch)
        self._requests_of_first_visit: Any = None

    def execute(self, context: Context) -> Any:
        """
        Call the function unless an earlier try did, submit and wait.

        :param context: Airflow's context of the task instance.
        :return: The manifest's URI and totals.
        """
        try:
            return super().execute(context)
        except TaskDeferred as deferral:
            if not self._is_recorded:
                deferral.kwargs = {**(deferral.kwargs or {}), "requests": self.requests}
            raise

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Resume with the requests of the first visit.

        :param next_method: Name of the method, as Airflow stored it.
        :param next_kwargs: Arguments of the method, and the requests if nothing records them.
        :param context: Airflow's context of the task instance.
        :return: The manifest's URI and totals.
        """
        left = dict(next_kwargs or {})
        self._requests_of_first_visit = left.pop("requests", None)
        return super().resume_execution(next_method, left, context)

    def _new_run(self, context: Context) -> BatchRun:
        from airflow_provider_vidu.durable.requests import RequestsRecord

        def call() -> Any:
            if self._requests_of_first_visit is not None:
                return self._requests_of_first_visit
            known = {**context, **self.op_kwargs}
            return self.python_callable(*self.op_args, **determine_kwargs(self.python_callable, self.op_args, known))

        record = RequestsRecord(context, log=self.log)
        self._is_recorded = record.remembers
        self.requests = record.read_or(call)
        return super()._new_run(context)


def vidu_batch_task(python_callable: Callable[..., Any] | None = None, **arguments: Any) -> TaskDecorator:
    """
    Make a batch of the requests that a function returns.

    :param python_callable: Function that returns a list of requests, as
        :class:`~airflow_provider_vidu.operators.batch.ViduGenerateBatchOperator` takes them. Jinja in them is not
        rendered.
    :param arguments: The operator's other arguments.
    :return: The decorator.
    """
    return task_decorator_factory(
        python_callable=python_callable, decorated_operator_class=ViduBatchDecoratedOperator, **arguments
    )
