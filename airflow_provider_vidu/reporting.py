# SPDX-License-Identifier: Apache-2.0
"""What became of videos, for Airflow's metrics and for the assets that a task produces."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException, AirflowTaskTimeout

from airflow_provider_vidu.exceptions import ViduError
from airflow_provider_vidu.protocol.polling import PROGRESS_KEY, Watch

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


def count_submission(cost: float | None) -> None:
    """
    Count an accepted submit in Airflow's metric ``vidu.estimated_cost_fen``, the hundredth of a CNY.

    :param cost: its estimate in CNY, ``None`` where no price is known, which counts nothing.
    """
    if cost:
        _count("estimated_cost_fen", cost * 100)


def count_success(video_seconds: float | None) -> None:
    """
    Count a finished video in Airflow's metrics ``vidu.videos`` and ``vidu.video_seconds``.

    :param video_seconds: its length, ``None`` where the API did not tell.
    """
    _count("videos", 1)
    _count("video_seconds", video_seconds or 0)


def count_failure() -> None:
    """Count a failed generation in Airflow's metric ``vidu.failures``."""
    _count("failures", 1)


def _count(name: str, value: float) -> None:
    from airflow.providers.common.compat.sdk import Stats

    try:
        # Counters take whole numbers.
        Stats.incr(f"vidu.{name}", round(value))
    except Exception:
        # What is paid and stored does not fail because of it, again and again.
        log.exception("The metric vidu.%s could not be counted", name)


def announce(context: Context, *, seconds: float | None, cost: float | None, **more: Any) -> None:
    """
    Tell every asset among the task's outlets what became of it, as ``extra`` of the asset event.

    :param context: Airflow's context of the hop that succeeds.
    :param seconds: seconds of video.
    :param cost: the estimate in CNY, ``None`` where no price is known.
    :param more: what else the event holds: ``files``, or a batch's ``manifest`` and ``counts``.
    """
    told = {"video_seconds": seconds, "estimated_cost": cost, **more}
    for outlet in context["outlets"]:
        try:
            context["outlet_events"][outlet].extra.update(told)
        except Exception:
            log.exception("The asset event of %s could not be told: %s", outlet, told)


def show_news(context: Context, watch: Watch) -> None:
    """
    Push the XCom ``vidu_progress`` where a wait on the worker has news.

    :param context: Airflow's context of the task instance.
    :param watch: the wait.
    """
    if news := watch.news():
        show(context, PROGRESS_KEY, news)


def show_failure(context: Context, error: Exception, vidu_task_id: str = "") -> None:
    """
    Push the XCom ``vidu_failure``: ``reason``, and ``task_id``, whose failure it is.

    :param context: Airflow's context of the task instance.
    :param error: what the task fails with.
    :param vidu_task_id: Vidu's id of the task, empty where there is none or another XCom tells it.
    """
    try:
        show(context, "vidu_failure", {"task_id": vidu_task_id, "reason": str(error)})
    except AirflowTaskTimeout:
        # In place of the failure it would be retried, which may pay anew.
        log.exception("The reason of the failure could not be pushed")


@contextmanager
def failure_shown(context: Context, vidu_task_id: str = "") -> Iterator[None]:
    """
    Push the XCom of :func:`show_failure` where a ``with`` block fails.

    :param context: Airflow's context of the task instance.
    :param vidu_task_id: as there.
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
    Push an XCom that nothing but the UI reads, so that no task fails because of it.

    :param context: Airflow's context of the task instance.
    :param key: its name.
    :param value: JSON types only.
    """
    try:
        context["ti"].xcom_push(key=key, value=value)
    except Exception:
        log.exception("The XCom %s could not be pushed", key)
