# SPDX-License-Identifier: Apache-2.0
"""Results of generations in Airflow's metrics, asset events and XComs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from socket import gethostname
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException, AirflowTaskTimeout, AssetAlias

from airflow_provider_vidu.exceptions import ViduError
from airflow_provider_vidu.protocol.polling import PROGRESS_KEY, Watch

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


def count_submission(cost: float | None) -> None:
    """
    Add the cost of an accepted submit to the metric ``vidu.estimated_cost_fen``.

    A fen is a hundredth of a CNY.

    :param cost: the estimate in CNY; ``None``, for an unknown price, adds nothing.
    """
    if cost:
        _count("estimated_cost_fen", cost * 100)


def count_success(video_seconds: float | None) -> None:
    """
    Count a video in the metrics ``vidu.videos`` and ``vidu.video_seconds``.

    :param video_seconds: length of the video in seconds, ``None`` if the API did not return it.
    """
    _count("videos", 1)
    _count("video_seconds", video_seconds or 0)


def count_reuse() -> None:
    """Count a video of an earlier submit in Airflow's metric ``vidu.reused``."""
    _count("reused", 1)


def count_failure() -> None:
    """Count a failed generation in Airflow's metric ``vidu.failures``."""
    _count("failures", 1)


def _count(name: str, value: float) -> None:
    from airflow.providers.common.compat.sdk import Stats

    try:
        # Counters take whole numbers.
        Stats.incr(f"vidu.{name}", round(value))
    except Exception:
        # A paid and stored video must not fail its task, on every retry, because of a metric.
        log.exception("Could not count the metric vidu.%s", name)


def report_waits(waiting: int, polls: int, rate_limited: int) -> None:
    """
    Report what a triggerer waits for in the metrics ``vidu.waiting``, ``vidu.polls`` and ``vidu.rate_limited``.

    :param waiting: number of videos that it waits for now.
    :param polls: number of polls since the last report.
    :param rate_limited: number of answers 429 among them.
    """
    from airflow.providers.common.compat.sdk import Stats

    try:
        # Each triggerer has its own number, and the last one would stand for all.
        Stats.gauge("vidu.waiting", waiting, tags={"hostname": gethostname()})
    except Exception:
        log.exception("Could not report the metric vidu.waiting")
    for name, value in (("polls", polls), ("rate_limited", rate_limited)):
        if value:
            _count(name, value)


def announce(context: Context, *, seconds: float | None, cost: float | None, **more: Any) -> None:
    """
    Add the result of the task to the ``extra`` of each outlet's asset event.

    :param context: Airflow's context of the task instance that succeeds.
    :param seconds: seconds of video.
    :param cost: the estimate in CNY, ``None`` if a price is unknown.
    :param more: further keys of the event: ``files``, or a batch's ``manifest`` and ``counts``.
    """
    extra = {"video_seconds": seconds, "estimated_cost": cost, **more}
    for outlet in context["outlets"]:
        if isinstance(outlet, AssetAlias):
            log.warning("The asset alias %s gets no event: name an Asset in outlets too", outlet.name)
            continue
        try:
            context["outlet_events"][outlet].extra.update(extra)
        except Exception:
            log.exception("Could not add to the asset event of %s: %s", outlet, extra)


def show_news(context: Context, watch: Watch) -> None:
    """
    Push the XCom ``vidu_progress`` if a wait on the worker has news.

    :param context: Airflow's context of the task instance.
    :param watch: the wait.
    """
    if news := watch.news():
        show(context, PROGRESS_KEY, news)


def show_failure(context: Context, error: Exception, vidu_task_id: str = "") -> None:
    """
    Push the XCom ``vidu_failure`` of a failure: its ``reason``, the class of its ``error`` and its ``task_id``.

    :param context: Airflow's context of the task instance.
    :param error: the error that the task fails with.
    :param vidu_task_id: Vidu's id of the task, empty if it is unknown or another XCom holds it.
    """
    # Airflow's own exception types stand in for errors of this provider.
    cause = error if isinstance(error, ViduError) else error.__cause__
    kind = type(cause).__name__ if isinstance(cause, ViduError) else ""
    try:
        show(context, "vidu_failure", {"task_id": vidu_task_id, "reason": str(error), "error": kind})
    except AirflowTaskTimeout:
        # Airflow would retry the task for this error instead of the failure, and a retry may pay again.
        log.exception("Could not push the reason for the failure")


@contextmanager
def failure_shown(context: Context, vidu_task_id: str = "") -> Iterator[None]:
    """
    Push the XCom of :func:`show_failure` if a ``with`` block fails.

    :param context: Airflow's context of the task instance.
    :param vidu_task_id: Vidu's id of the task, as for :func:`show_failure`.
    """
    try:
        yield
    except AirflowSkipException:
        raise
    except (AirflowException, ViduError) as error:
        show_failure(context, error, vidu_task_id)
        raise


def show(context: Context, key: str, value: Any) -> None:
    """
    Push an XCom that only the UI reads; a fault of the push is logged, not raised.

    :param context: Airflow's context of the task instance.
    :param key: key of the XCom.
    :param value: JSON types only.
    """
    try:
        context["ti"].xcom_push(key=key, value=value)
    except Exception:
        log.exception("Could not push the XCom %s", key)
