# SPDX-License-Identifier: Apache-2.0
"""What is checked about money before any is spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_vidu.exceptions import ViduRequestError, ViduStateError
from airflow_provider_vidu.protocol.request import refusal
from airflow_provider_vidu.protocol.texts import shown

if TYPE_CHECKING:
    from airflow_provider_vidu.protocol.prices import Estimate, Key, Prices
    from airflow_provider_vidu.protocol.request import Request


def prices_of(given: str | Mapping[Key, float] | None) -> Prices:
    """
    Read the price table that an author gave.

    :param given: as ``prices`` of the operators.
    :return: the table; the shipped one where none was given.
    :raises ViduRequestError: when it is absent or none. Nothing was sent.
    :raises ViduStateError: when it cannot be read for the moment. Nothing was sent; a retry can help.
    """
    # A DAG file needs no table, unless it bounds the costs or has prices of its own.
    from airflow_provider_vidu.arguments import as_text
    from airflow_provider_vidu.protocol.prices import own_prices, shipped_prices, text_of

    if given is None:
        return shipped_prices()
    if isinstance(given, Mapping):
        return own_prices(given)
    from airflow.sdk import ObjectStoragePath

    location = as_text(given)
    if not isinstance(location, str):
        raise ViduRequestError(
            f"prices must be a mapping, or the path or URI of a CSV file, got {shown(given)}. Nothing was sent or paid."
        )
    try:
        text = text_of(ObjectStoragePath(location).read_bytes())
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


def check_paying(on_uncertain: Any, max_cost: Any, prices: Any) -> None:
    """
    Check the options that bound what is paid.

    :param on_uncertain: as an operator's author gave it.
    :param max_cost: as an operator's author gave it.
    :param prices: as an operator's author gave it; a file is not read.
    :raises ViduRequestError: when one of them is wrong. Nothing was sent.
    """
    found = []
    if on_uncertain not in ("fail", "resubmit"):
        found.append(f"on_uncertain: {shown(on_uncertain)} given, allowed: 'fail' or 'resubmit'")
    is_number = isinstance(max_cost, (int, float)) and not isinstance(max_cost, bool)
    if max_cost is not None and not (is_number and 0 < max_cost < 1e15):
        found.append(f"max_cost: {shown(max_cost)} given, allowed: CNY above 0, or None for any")
    if found:
        raise refusal(found)
    if isinstance(prices, Mapping):
        prices_of(prices)


def estimated_within(request: Request, max_cost: float | None, prices: Prices) -> Estimate:
    """
    Estimate what a request costs, and refuse it above a limit.

    :param request: what is asked for.
    :param max_cost: CNY that it may come to, ``None`` for any.
    :param prices: the price table.
    :return: the estimate.
    :raises ViduRequestError: when it costs too much or nobody knows what. Nothing was sent.
    """
    # A DAG file needs no table, unless it bounds the costs.
    from airflow_provider_vidu.protocol.prices import estimate

    cost = estimate(request.as_asked(), prices)
    check_cost({"": cost}, max_cost, prices)
    return cost


def check_cost(estimates: Mapping[str, Estimate], max_cost: float | None, prices: Prices) -> None:
    """
    Refuse what costs too much, or of which nobody knows what it costs.

    :param estimates: of all that is to be submitted, by custom id; one that has none by an empty one.
    :param max_cost: CNY that all of it together may come to, ``None`` for any.
    :param prices: the price table that they come from.
    :raises ViduRequestError: when it is refused. Nothing was sent.
    """
    if max_cost is None:
        return
    unknown = [(custom_id, cost.missing) for custom_id, cost in estimates.items() if cost.price_cny is None]
    # As exactly as prices are given, since sums of them are not exact.
    total = round(sum(cost.price_cny or 0.0 for cost in estimates.values()), 5)
    if unknown:
        custom_id, missing = unknown[0]
        which = f"for {len(unknown)} of {len(estimates)} items, the first of them {custom_id!r}, " if custom_id else ""
        problem, way = f"{which}{missing}", "Give one with prices"
    elif total > max_cost:
        # An estimate has a thousandth of a fen.
        what = f"{len(estimates)} items come to about" if "" not in estimates else "it comes to about"
        problem, way = f"{what} ¥{total:.8g} (an estimate by {prices.source})", "Raise max_cost"
    else:
        return
    raise refusal([f"max_cost: ¥{max_cost:g} given, but {problem}. {way}, or leave max_cost out"])
