# SPDX-License-Identifier: Apache-2.0
"""The retry policy for tasks that call Vidu, on Airflow 3.3 and newer."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_vidu.exceptions import ViduBudgetError, ViduError, ViduSubmissionUncertainError

try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError:
    raise ImportError(
        "ViduRetryPolicy needs Airflow 3.3 or newer, because older versions have no retry policies. Remove "
        "retry_policy from the DAG, or upgrade Airflow."
    ) from None

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["ViduRetryPolicy"]


class ViduRetryPolicy(RetryPolicy):
    """
    Retry a task only if a retry can help, and not before.

    Pass it as ``retry_policy`` to any task that calls Vidu: an operator of this provider, or a function that uses
    ``ViduHook``. ``retries`` still limits the number of retries.

    - A wrong request, a refusal, a wrong key or connection and an uncertain submit fail the task at once. An uncertain
      submit of an operator with ``on_uncertain="resubmit"`` is left to Airflow.
    - A rate limit, a network failure or an unavailable store is retried after the task's own ``retry_delay``, or later
      if the API's Retry-After says so.
    - A spent budget is retried when it resets. A batch waits for that only if a retry can help no other item before.
    - Airflow's own rule applies to every other error. If no retry can help, the operators raise
      ``AirflowFailException``, for which Airflow asks no policy.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """
        Decide whether and when Airflow retries a failed task.

        :param exception: Error of the task, or one that an error of this provider caused.
        :param try_number: Number of the failed try; not used.
        :param max_tries: Number of allowed tries; not used, because Airflow applies it.
        :param context: Airflow's context of the task instance, ``None`` (default) if unknown.
        :return: The decision.
        """
        error = exception if isinstance(exception, ViduError) else exception.__cause__
        task = context.get("task") if context else None
        is_resubmitted = getattr(task, "on_uncertain", "fail") == "resubmit"
        if not isinstance(error, ViduError) or (isinstance(error, ViduSubmissionUncertainError) and is_resubmitted):
            return RetryDecision.default()
        name = type(error).__name__
        if not error.retry_can_help:
            return RetryDecision.fail(f"{name}: a retry cannot help before a person acts.")
        if isinstance(error, ViduBudgetError):
            pause = (error.resets_at or 0.0) - time.time()
        else:
            pause = getattr(error, "retry_after", None) or 0.0
        delay = timedelta(seconds=max(0.0, pause))
        # The task's own delay may grow with each try; a decision without a delay keeps that.
        if delay <= getattr(task, "retry_delay", timedelta(0)):
            return RetryDecision.retry(reason=f"{name}: a retry can help.")
        return RetryDecision.retry(delay, f"{name}: a retry can help in {delay.total_seconds():.0f} s.")

    def serialize(self) -> dict[str, Any]:
        """Return the arguments that recreate this policy: none."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> ViduRetryPolicy:
        """
        Recreate a policy.

        :param data: What :meth:`serialize` returned.
        """
        return cls(**data)
