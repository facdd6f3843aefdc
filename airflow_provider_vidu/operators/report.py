# SPDX-License-Identifier: Apache-2.0
"""What a video costs and came to, for Airflow's metrics and for the assets that a task produces."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_vidu.exceptions import ViduRequestError, ViduStateError
from airflow_provider_vidu.protocol.texts import shown

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_vidu.protocol.prices import Key, Prices

log = logging.getLogger(__name__)


def prices_of(given: str | Mapping[Key, float] | None) -> Prices:
    """
    Read the price table that an author gave.

    :param given: as ``prices`` of the operators.
    :return: the table; the shipped one where none was given.
    :raises ViduRequestError: when it is absent or none. Nothing was sent.
    :raises ViduStateError: when it cannot be read for the moment. Nothing was sent; a retry can help.
    """
    # Sensors and transfers only count and announce, which needs no table.
    from airflow_provider_vidu.protocol.prices import own_prices, shipped_prices

    if given is None:
        return shipped_prices()
    if isinstance(given, Mapping):
        return own_prices(given)
    from airflow.sdk import ObjectStoragePath

    try:
        text = ObjectStoragePath(given).read_text("utf-8")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, ValueError) as error:
        raise ViduRequestError(
            f"prices: {shown(given)} given, allowed: a mapping, or the path or URI of a CSV file that this worker can "
            f"read ({type(error).__name__}: {shown(str(error))}). Nothing was sent."
        ) from error
    except Exception as error:
        # Every store raises what its own library does.
        raise ViduStateError(
            f"prices: {shown(given)} could not be read ({type(error).__name__}: {shown(str(error))}). Nothing was "
            "sent, nothing was paid: a retry can help."
        ) from error
    return own_prices(text)


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


def announce(context: Context, *, files: Sequence[str], seconds: float | None, cost: float | None, **more: Any) -> None:
    """
    Tell every asset among the task's outlets what became of it, as ``extra`` of the asset event.

    :param context: Airflow's context of the hop that succeeds.
    :param files: URIs of the stored files.
    :param seconds: seconds of video.
    :param cost: the estimate in CNY, ``None`` where no price is known.
    :param more: what else the event shall hold.
    """
    told = {"files": list(files), "video_seconds": seconds, "estimated_cost": cost, **more}
    for outlet in context["outlets"]:
        try:
            context["outlet_events"][outlet].extra.update(told)
        except Exception:
            log.exception("The asset event of %s could not be told: %s", outlet, told)
