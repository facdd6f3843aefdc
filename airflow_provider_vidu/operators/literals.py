# SPDX-License-Identifier: Apache-2.0
"""What an operator's argument is, seen while the DAG is parsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow_provider_vidu.protocol.texts import is_url, looks_like_data_uri


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
    # XComArg and its kin are known by the method that Airflow itself looks for.
    return not hasattr(value, "resolve")


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


def known_later(vidu_type: Any, model: Any, values: Mapping[str, Any]) -> set[str]:
    """
    Find the fields that a template, an XCom or a file will tell later.

    :param vidu_type: the job.
    :param model: the model.
    :param values: the API's fields by name.
    :return: their names.
    """
    # Sensors take no fields.
    from airflow_provider_vidu.protocol.capabilities import takes_files

    return {
        name
        for name, value in values.items()
        if value is not None and (not is_literal(value) or (takes_files(vidu_type, model, name) and holds_path(value)))
    }


def waiting_problems(**seconds: timedelta | float) -> list[str]:
    """
    Find what is wrong with the options of a wait.

    :param seconds: as an operator's author gave them, by their names.
    :return: one sentence for each problem.
    """
    return [
        f"{name}: {value!r} given, allowed: seconds above 0"
        for name, value in seconds.items()
        if not seconds_of(value) > 0
    ]


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
    Say how long a wait may take, however many hops it has: Airflow applies ``execution_timeout`` to each hop alone.

    :param timeout: as an operator's author gave it.
    :param execution_timeout: Airflow's, ``None`` for any.
    """
    return min(seconds_of(timeout), execution_timeout.total_seconds() if execution_timeout else float("inf"))
