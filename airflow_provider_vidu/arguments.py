# SPDX-License-Identifier: Apache-2.0
"""What an operator's argument is, seen while the DAG is parsed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_vidu.protocol.texts import is_url, looks_like_data_uri, shown

if TYPE_CHECKING:
    from airflow_provider_vidu.protocol.request import Request

LONGEST_WAIT = 365 * 24 * 3600
"""Seconds that any wait takes at most, so that its end is a date that Airflow's database can hold."""


def as_text(value: Any) -> Any:
    """
    Read paths as the texts that they stand for.

    :param value: an argument of an operator: ``Path``, ``ObjectStoragePath``, or a list or mapping that holds some.
    :return: the same with texts in their place.
    """
    if isinstance(value, Mapping):
        return {name: as_text(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_text(one) for one in value]
    # An ObjectStoragePath of a store is no os.PathLike; whatever has a protocol and a path is one.
    is_path = isinstance(value, os.PathLike) or (hasattr(value, "protocol") and hasattr(value, "path"))
    return str(value) if is_path else value


def is_lazy_list(value: Any) -> bool:
    """
    Tell the output of a mapped task, which is a lazy sequence of its own kind.

    :param value: an argument of an operator.
    """
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, list))


def is_literal(value: Any) -> bool:
    """
    Tell whether a value is known while the DAG is parsed: no XCom, and nothing that Jinja would render.

    :param value: an argument of an operator.
    """
    if isinstance(value, Mapping):
        return all(is_literal(item) for pair in value.items() for item in pair)
    if isinstance(value, (list, tuple)):
        return all(is_literal(item) for item in value)
    if isinstance(value, str):
        return not any(mark in value for mark in ("{{", "{%", "{#"))
    # XComArg and its kin are known by the method that Airflow itself looks for, and which paths have as well.
    return not hasattr(value, "resolve") or isinstance(as_text(value), str)


def holds_path(value: Any) -> bool:
    """
    Tell whether a value names a file that the worker has to read.

    :param value: a field that takes files, or a part of one.
    """
    if isinstance(value, str):
        return not is_url(value) and not looks_like_data_uri(value)
    if isinstance(value, Mapping):
        return holds_path(value.get("images"))
    return isinstance(value, (list, tuple)) and any(holds_path(item) for item in value)


def read_request(vidu_type: Any, model: Any, values: Mapping[str, Any], **extras: Any) -> Request:
    """
    Read a request as authors and templates may give it.

    :param vidu_type: the job.
    :param model: the model.
    :param values: the API's fields by name.
    :param extras: ``extra_input`` and ``extra_parameters``, which a template may give as JSON text.
    :return: the same with paths as texts, outputs of mapped tasks as lists, and texts of templates as what they spell.
    """
    # Only here, since sensors ask for nothing.
    from airflow_provider_vidu.protocol.capabilities import FIELDS
    from airflow_provider_vidu.protocol.fields import listed
    from airflow_provider_vidu.protocol.request import Request

    found = {}
    for name, value in values.items():
        # The output of a mapped task is a lazy sequence of its own kind.
        plain = as_text(list(value) if is_lazy_list(value) else value)
        found[name] = FIELDS[name].coerce(plain) if name in FIELDS and is_literal(plain) else plain
    read = {
        name: listed(value.strip(), value) if isinstance(value, str) and is_literal(value) else value
        for name, value in extras.items()
    }
    return Request(vidu_type, model, found, **read)


def problems_now(request: Request) -> list[str]:
    """
    Find what is wrong with a request, apart from what a template, an XCom or a file will tell later.

    :param request: the request, read.
    :return: one sentence for each problem.
    """
    from airflow_provider_vidu.protocol.capabilities import takes_files

    if not (is_literal(request.vidu_type) and is_literal(request.model)):
        return []
    if not (isinstance(request.vidu_type, str) and isinstance(request.model, str)):
        return request.problems()
    later = {
        name
        for name, value in request.values.items()
        if value is not None
        and (not is_literal(value) or (takes_files(request.vidu_type, request.model, name) and holds_path(value)))
    }
    extra_input, extra_parameters = (
        extra if is_literal(extra) else None for extra in (request.extra_input, request.extra_parameters)
    )
    return request._replace(extra_input=extra_input, extra_parameters=extra_parameters).problems(later)


def waiting_problems(*, poke_interval: Any, timeout: Any) -> list[str]:
    """
    Find errors in the options of a wait.

    :param poke_interval: as an operator's author gave it; at most a year, since that is the longest wait.
    :param timeout: as an operator's author gave it; a longer one than a year counts as a year.
    :return: one sentence for each problem.
    """
    longest = {"poke_interval": LONGEST_WAIT, "timeout": float("inf")}
    found = []
    for name, value in (("poke_interval", poke_interval), ("timeout", timeout)):
        is_number = isinstance(value, (int, float, timedelta)) and not isinstance(value, bool)
        seconds = seconds_of(value) if is_number else 0.0
        # Neither a number that is none nor one without end is below infinity.
        if not 0 < seconds < float("inf") or seconds > longest[name]:
            most = f" and up to {LONGEST_WAIT:,}" if name == "poke_interval" else ", finite"
            found.append(f"{name} must be seconds above 0{most}, or a timedelta of that, got {shown(value)}")
    return found


def is_unmapped(operator: object) -> bool:
    """
    Tell whether an operator is one of a mapped task's, made anew on the worker.

    :param operator: an operator.
    :return: whether a refusal of its arguments would be retried there, so that ``execute`` has to check them. The mark
        is the one that Airflow's own decorators look for.
    """
    return bool(getattr(operator, "_BaseOperator__from_mapped", False))


def seconds_of(value: timedelta | float) -> float:
    """
    Read a time that may be given in two ways.

    :param value: seconds, or a ``timedelta``.
    """
    return value.total_seconds() if isinstance(value, timedelta) else value


def seconds_of_wait(timeout: timedelta | float, execution_timeout: timedelta | None) -> float:
    """
    Say how long a wait may take, a year at most: Airflow applies ``execution_timeout`` to each visit to a worker alone.

    :param timeout: as an operator's author gave it.
    :param execution_timeout: Airflow's, ``None`` for any.
    """
    bound = execution_timeout.total_seconds() if execution_timeout else LONGEST_WAIT
    return min(seconds_of(timeout), bound, LONGEST_WAIT)
