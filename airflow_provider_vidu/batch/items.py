# SPDX-License-Identifier: Apache-2.0
"""The items of a batch, checked before any submit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_vidu.arguments import is_lazy_list, is_literal, problems_now, read_request
from airflow_provider_vidu.protocol.fields import listed as json_of
from airflow_provider_vidu.protocol.prices import Estimate, Prices, estimate
from airflow_provider_vidu.protocol.request import Prepared, Request, refusal
from airflow_provider_vidu.protocol.texts import brief, first_few
from airflow_provider_vidu.storage.destination import Destination, custom_id_problem
from airflow_provider_vidu.storage.input_files import Warn, prepared

_EXTRAS = ("extra_input", "extra_parameters")
_SHOWN_PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class Item:
    """
    One video of a batch.

    :param index: its position in the batch, from 0.
    :param custom_id: the author's name for it.
    :param request: the request to submit.
    """

    index: int
    custom_id: str
    request: Request

    def prepared(self, warn: Warn) -> Prepared:
        """
        Read the item's files and build the body of its submit.

        :param warn: a logger's ``warning`` method.
        :raises ViduRequestError: if a file is missing or the API does not accept it. Nothing was sent.
        :raises ViduStateError: if a store cannot read a file now. Nothing was sent; a retry can help.
        """
        return prepared(self.request, warn)

    def estimate(self, prices: Prices) -> Estimate:
        """
        Estimate the item's price and generation time.

        :param prices: the price table.
        """
        return estimate(self.request.as_asked(), prices)

    def problems(self, *, rendered: bool) -> Iterator[str]:
        """
        List the problems of the item that are known now.

        Values that templates and files supply are checked later.

        :param rendered: whether all templates are rendered, so that braces in a value are literal.
        :return: one sentence for each problem.
        """
        problem = custom_id_problem(self.custom_id, names_a_file=False)
        if problem and (rendered or is_literal(self.custom_id)):
            yield problem
        yield from problems_now(self.request)


def read_items(requests: Any, destination: Any, *, rendered: bool) -> list[Item]:
    """
    Read a batch, and check all of its values that are known.

    :param requests: the operator's argument: a list, or JSON text of one.
    :param destination: the operator's argument.
    :param rendered: whether all templates and XComs are rendered, so that braces in a value are literal.
    :return: its items.
    :raises ViduRequestError: if there are problems; it names the first few. Nothing was sent.
    """
    items = [_item(index, given) for index, given in enumerate(_listed(requests))]
    found = [
        f"item {item.index} ({brief(item.custom_id)}): {problem}"
        for item in items
        for problem in item.problems(rendered=rendered)
    ]
    custom_ids = [item.custom_id for item in items]
    if not found and (rendered or is_literal(custom_ids)):
        places: dict[str, list[str]] = {}
        for item in items:
            places.setdefault(item.custom_id, []).append(str(item.index))
        found += [
            f"custom_id must be unique, got {brief(custom_id)} for {len(twice)} items ({first_few(twice)})"
            for custom_id, twice in places.items()
            if len(twice) > 1
        ]
    if not found and (rendered or is_literal(destination)):
        found += Destination(destination).problems(custom_ids if rendered or is_literal(custom_ids) else [])
    if found:
        more = [f"and {len(found) - _SHOWN_PROBLEMS} more"] if len(found) > _SHOWN_PROBLEMS else []
        raise refusal(found[:_SHOWN_PROBLEMS] + more)
    return items


def _listed(requests: Any) -> list[Any]:
    if isinstance(requests, str):
        try:
            requests = json.loads(requests)
        except (ValueError, RecursionError):
            requests = brief(requests)
    # The output of a mapped task is a lazy sequence.
    listed = list(requests) if is_lazy_list(requests) else requests
    if isinstance(listed, list):
        # Each request may be a JSON text.
        listed = [json_of(given.strip(), given) if isinstance(given, str) else given for given in listed]
        for index, given in enumerate(listed):
            if isinstance(given, Mapping) and None in given:
                rule = f"item {index} must have as many values as columns, got {brief(given[None])} without a column"
                raise refusal([rule], "Quote the texts of the CSV file that contain a comma")
    if not isinstance(listed, list) or not all(
        isinstance(given, Mapping) and all(isinstance(name, str) for name in given) for given in listed
    ):
        raise refusal(
            [
                "requests must be a list of mappings or its JSON text, such as upstream.output or a template with "
                f"| tojson, got {brief(requests)}"
            ]
        )
    return listed


def _item(index: int, given: Mapping[str, Any]) -> Item:
    values = {name: value for name, value in given.items() if value is not None}
    custom_id, model = values.pop("custom_id", None), values.pop("model", None)
    vidu_type = values.pop("vidu_type", "img2video")
    extras = {name: values.pop(name) for name in _EXTRAS if name in values}
    if isinstance(custom_id, (bool, int, float)):
        # With native rendering, Airflow turns a string that looks like a number into one.
        custom_id = str(custom_id)
    return Item(index, custom_id, read_request(vidu_type, model, values, **extras))
