# SPDX-License-Identifier: Apache-2.0
"""Cost checks before a submit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_vidu.exceptions import ViduError, ViduRequestError, ViduStateError
from airflow_provider_vidu.protocol.request import refusal
from airflow_provider_vidu.protocol.texts import brief

if TYPE_CHECKING:
    from airflow_provider_vidu.protocol.prices import Estimate, GivenPrices, Prices
    from airflow_provider_vidu.protocol.request import Request


def prices_of(given: str | GivenPrices | None) -> Prices:
    """
    Load the price table that an author passed.

    :param given: the operators' argument ``prices``.
    :return: the price table; the shipped one for ``None``.
    :raises ViduRequestError: if the file does not exist or is not a price table. Nothing was sent.
    :raises ViduStateError: if the store cannot read the file now. Nothing was sent; a retry can help.
    """
    # Imported here because a DAG file needs no price table unless it sets max_cost or its own prices.
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
            f"prices must be a mapping, or the path or URI of a CSV file, got {brief(given)}. Nothing was sent or "
            "paid. Correct prices."
        )
    try:
        path = ObjectStoragePath(location)
        if path.protocol in ("", "file", "local") and os.path.exists(path.path) and not os.path.isfile(path.path):
            # A pipe would be waited for, and a device read without end.
            raise ValueError("not a regular file")
        text = text_of(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, ValueError) as error:
        raise ViduRequestError(
            "prices must be a mapping, or the path or URI of a CSV file that this worker can read, got "
            f"{brief(given)} ({type(error).__name__}: {brief(str(error))}). Nothing was sent or paid. Correct prices."
        ) from error
    except Exception as error:
        # Each store's library raises its own exception types.
        raise ViduStateError(
            f"prices must be a file that can be read, got {brief(given)} "
            f"({type(error).__name__}: {brief(str(error))}). Nothing was sent or paid. Retry the task."
        ) from error
    return own_prices(text)


def check_paying(on_uncertain: Any, on_budget: Any, max_cost: Any, prices: Any) -> None:
    """
    Check the arguments that limit the cost.

    :param on_uncertain: the operator's argument.
    :param on_budget: the operator's argument.
    :param max_cost: the operator's argument.
    :param prices: the operator's argument; a file is not read.
    :raises ViduRequestError: if one of them is wrong. Nothing was sent.
    """
    found = []
    if on_uncertain not in ("fail", "resubmit"):
        found.append(f"on_uncertain must be 'fail' or 'resubmit', got {brief(on_uncertain)}")
    if on_budget not in ("fail", "retry"):
        found.append(f"on_budget must be 'fail' or 'retry', got {brief(on_budget)}")
    is_number = isinstance(max_cost, (int, float)) and not isinstance(max_cost, bool)
    if max_cost is not None and not (is_number and 0 < max_cost < 1e15):
        found.append(f"max_cost must be an amount in CNY above 0, or None for no limit, got {brief(max_cost)}")
    if found:
        raise refusal(found)
    if isinstance(prices, Mapping):
        prices_of(prices)


def estimated_within(request: Request, max_cost: float | None, prices: Prices) -> Estimate:
    """
    Estimate the cost of a request, and refuse it above a limit.

    :param request: the request.
    :param max_cost: highest estimate in CNY, ``None`` for no limit.
    :param prices: the price table.
    :return: the estimate.
    :raises ViduRequestError: if the estimate exceeds the limit or the price is unknown. Nothing was sent.
    """
    # Imported here because a DAG file needs no price table unless it sets max_cost.
    from airflow_provider_vidu.protocol.prices import estimate

    cost = estimate(request.as_asked(), prices)
    check_cost({"": cost}, max_cost, prices)
    return cost


def estimated(request: Request, prices: str | GivenPrices | None) -> Estimate:
    """
    Estimate a request that is not paid for, as far as its table can be read.

    :param request: the request.
    :param prices: the operators' argument of the same name.
    """
    from airflow_provider_vidu.protocol.prices import estimate, shipped_prices

    try:
        return estimate(request.as_asked(), prices_of(prices))
    except ViduError:
        # The price does not matter, and the shipped table knows the typical time.
        return estimate(request.as_asked(), shipped_prices())


def check_cost(estimates: Mapping[str, Estimate], max_cost: float | None, prices: Prices) -> None:
    """
    Refuse requests whose total estimate exceeds a limit or has an unknown part.

    :param estimates: the estimate of each request by custom id; an empty custom id for a single request.
    :param max_cost: highest total of the estimates in CNY, ``None`` for no limit.
    :param prices: the price table of the estimates.
    :raises ViduRequestError: if the total exceeds the limit or a price is unknown. Nothing was sent.
    """
    if max_cost is None:
        return
    unknown = [(custom_id, cost.missing) for custom_id, cost in estimates.items() if cost.price_cny is None]
    # Rounded to the precision of the prices, because sums of floats are not exact.
    total = round(sum(cost.price_cny or 0.0 for cost in estimates.values()), 5)
    if unknown:
        custom_id, missing = unknown[0]
        first = (
            f"{len(unknown)} of {len(estimates)} items without a known price; the first is {custom_id!r}: "
            if custom_id
            else ""
        )
        rule, cause, step = "left out while a price is unknown", f": {first}{missing}", "Add the price to prices"
    elif total > max_cost:
        # Eight digits show the thousandths of a fen that an estimate can have.
        items = f" for {len(estimates)} items" if "" not in estimates else ""
        rule = f"at least the estimate, about ¥{total:.8g}{items} (by {prices.source})"
        cause, step = "", "Raise max_cost"
    else:
        return
    raise refusal([f"max_cost must be {rule}, got ¥{max_cost:g}{cause}"], f"{step}, or leave max_cost out")
