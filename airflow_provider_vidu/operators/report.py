# SPDX-License-Identifier: Apache-2.0
"""What became of videos, for Airflow's metrics and for the assets that a task produces."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

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
