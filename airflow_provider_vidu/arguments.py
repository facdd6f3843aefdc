# SPDX-License-Identifier: Apache-2.0
"""Checks and conversions of operator arguments while the DAG is parsed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.texts import brief, is_store_uri, is_url, looks_like_data_uri

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

    from airflow_provider_vidu.protocol.request import Request

FORGOTTEN_SECONDS = 2 * 3600.0
"""Age from which a paid video counts as forgotten although its run goes on."""
LONGEST_WAIT = 365 * 24 * 3600
"""Longest wait in seconds: one year. Its end stays a date that Airflow's database can hold."""


def as_text(value: Any) -> Any:
    """
    Convert paths to strings.

    :param value: an argument of an operator: ``Path``, ``ObjectStoragePath``, or a list or mapping that contains them.
    :return: the same value with each path as a string.
    """
    try:
        if isinstance(value, Mapping):
            return {name: as_text(one) for name, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [as_text(one) for one in value]
    except RecursionError:
        # JSON cannot represent such a value, so the check of the request refuses it.
        return value
    # The ObjectStoragePath of an object store is not an os.PathLike: its protocol and path attributes identify it.
    is_path = isinstance(value, os.PathLike) or (hasattr(value, "protocol") and hasattr(value, "path"))
    return str(value) if is_path else value


class LiteralTexts:
    """
    Keep the texts that an author wrote without Jinja.

    With native rendering, Airflow makes the number 100000.0 of the text ``1e5``, which may be a prompt or an id.
    """

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:
        """Render a template, as Airflow does."""
        if isinstance(content, str) and is_literal(content):
            return content
        return super().render_template(content, *args, **kwargs)  # type: ignore[misc]


def is_lazy_list(value: Any) -> bool:
    """
    Check whether a value is the output of a mapped task, which is a lazy sequence.

    :param value: an argument of an operator.
    """
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, list))


def refuse_mapped_outputs(operator: BaseOperator, name: str, value: Any) -> None:
    """
    Refuse the outputs of all instances of a mapped task where one value belongs.

    :param operator: the operator, which is not mapped itself.
    :param name: the argument.
    :param value: its value, while the DAG is parsed or when the task runs.
    :raises ViduRequestError: if the value is such a list, or will be. This task sends and pays nothing.
    """
    # Only a plain XCom names its operator; the outputs of others are recognized when the task runs.
    source = getattr(value, "operator", None)
    if source is not None:
        groups = {group.group_id for group in operator.iter_mapped_task_groups()}
        is_list = source.is_mapped or any(group.group_id not in groups for group in source.iter_mapped_task_groups())
    else:
        is_list = is_lazy_list(value)
    if is_list:
        of = f" {source.task_id}" if source is not None else ""
        raise ViduRequestError(
            f"{name} must be one value, got the outputs of all instances of the mapped task{of}. This task sends and "
            f"pays nothing. Map it too, as {type(operator).__name__}.partial(…).expand({name}=…), or put both tasks "
            "into one mapped task group. If the submits have run, clear this task alone: clearing them pays again."
        )


def is_literal(value: Any) -> bool:
    """
    Check whether a value is known while the DAG is parsed.

    Such a value contains no XCom, and nothing that Jinja would render.

    :param value: an argument of an operator.
    """
    try:
        if isinstance(value, Mapping):
            return all(is_literal(item) for pair in value.items() for item in pair)
        if isinstance(value, (list, tuple)):
            return all(is_literal(item) for item in value)
    except RecursionError:
        # JSON cannot represent such a value, so the check of the request refuses it.
        return True
    if isinstance(value, str):
        return not any(mark in value for mark in ("{{", "{%", "{#"))
    # Airflow itself recognizes XComArg and similar classes by their resolve method, which paths have too.
    return not hasattr(value, "resolve") or isinstance(as_text(value), str)


def holds_path(value: Any) -> bool:
    """
    Check whether a value names a file that the worker must read.

    :param value: the value of a field that takes files, or a part of it.
    """
    if isinstance(value, str):
        return not is_url(value) and not looks_like_data_uri(value)
    if isinstance(value, Mapping):
        return holds_path(value.get("images"))
    return isinstance(value, (list, tuple)) and any(holds_path(item) for item in value)


def read_request(vidu_type: Any, model: Any, values: Mapping[str, Any], **extras: Any) -> Request:
    """
    Build a request from the values of an author or a template.

    :param vidu_type: the job.
    :param model: the model.
    :param values: the API's fields by name.
    :param extras: ``extra_input`` and ``extra_parameters``, which a template may pass as JSON text.
    :return: the request. Paths become strings, outputs of mapped tasks become lists, and a template's strings become
        the numbers, booleans or JSON values that they spell.
    """
    # Imported here because sensors build no request.
    from airflow_provider_vidu.protocol.capabilities import FIELDS
    from airflow_provider_vidu.protocol.fields import listed
    from airflow_provider_vidu.protocol.request import Request

    found = {}
    for name, value in values.items():
        # The output of a mapped task is a lazy sequence.
        plain = as_text(list(value) if is_lazy_list(value) else value)
        found[name] = FIELDS[name].coerce(plain) if name in FIELDS and is_literal(plain) else plain
    read = {
        name: listed(value.strip(), value) if isinstance(value, str) and is_literal(value) else value
        for name, value in extras.items()
    }
    return Request(vidu_type, model, found, **read)


def problems_now(request: Request) -> list[str]:
    """
    List the problems of a request that are known while the DAG is parsed.

    Values that a template, an XCom or a file supplies are checked when the task runs.

    :param request: the request.
    :return: one sentence for each problem.
    """
    from airflow_provider_vidu.protocol.capabilities import kinds_of
    from airflow_provider_vidu.protocol.fields import FILE_KINDS, Kind

    def needs_worker(name: str, value: Any) -> bool:
        kinds = kinds_of(request.vidu_type, request.model, name)
        return bool(kinds & FILE_KINDS and holds_path(value)) or (Kind.URL in kinds and is_store_uri(value))

    if not (is_literal(request.vidu_type) and is_literal(request.model)):
        return []
    if not (isinstance(request.vidu_type, str) and isinstance(request.model, str)):
        return request.problems()
    later = {
        name
        for name, value in request.values.items()
        if value is not None and (not is_literal(value) or needs_worker(name, value))
    }
    extra_input, extra_parameters = (
        extra if is_literal(extra) else None for extra in (request.extra_input, request.extra_parameters)
    )
    return request._replace(extra_input=extra_input, extra_parameters=extra_parameters).problems(later)


def waiting_problems(*, poke_interval: Any, timeout: Any) -> list[str]:
    """
    List the problems in the options of a wait.

    :param poke_interval: the operator's argument; at most one year, which is the longest wait.
    :param timeout: the operator's argument; a value above one year counts as one year.
    :return: one sentence for each problem.
    """
    longest = {"poke_interval": LONGEST_WAIT, "timeout": float("inf")}
    found = []
    for name, value in (("poke_interval", poke_interval), ("timeout", timeout)):
        is_number = isinstance(value, (int, float, timedelta)) and not isinstance(value, bool)
        seconds = seconds_of(value) if is_number else 0.0
        # This comparison is false for NaN and for infinity.
        if not 0 < seconds < float("inf") or seconds > longest[name]:
            most = f" and at most {LONGEST_WAIT:,}" if name == "poke_interval" else " (finite)"
            rule = f"a number of seconds above 0{most}, or a timedelta of such a length"
            found.append(f"{name} must be {rule}, got {brief(value)}")
    return found


def check_outputs(operator: object) -> None:
    """
    Refuse ``multiple_outputs`` for an operator that does not return a dictionary.

    Airflow would fail the task after it has paid.

    :param operator: an operator.
    :raises ViduRequestError: if it is set. Nothing was sent.
    """
    if getattr(operator, "multiple_outputs", False):
        from airflow_provider_vidu.protocol.request import refusal

        raise refusal([f"multiple_outputs must be False for {type(operator).__name__}, got True"])


def is_unmapped(operator: object) -> bool:
    """
    Check whether an operator is a mapped task's instance on a worker.

    The worker creates that instance, and Airflow would retry a refusal of its arguments there. So ``execute`` must
    check them instead of the constructor.

    :param operator: an operator.
    :return: whether it has the mark that Airflow's own decorators check.
    """
    return bool(getattr(operator, "_BaseOperator__from_mapped", False))


def seconds_of(value: timedelta | float) -> float:
    """
    Convert a duration to seconds.

    :param value: seconds, or a ``timedelta``.
    """
    return value.total_seconds() if isinstance(value, timedelta) else value


def seconds_of_wait(timeout: timedelta | float, execution_timeout: timedelta | None) -> float:
    """
    Return the longest time that a wait may take, in seconds.

    It is at most one year. Airflow applies ``execution_timeout`` to each run on a worker separately, so this function
    applies it to the whole wait.

    :param timeout: the operator's argument.
    :param execution_timeout: Airflow's argument of that name, ``None`` for no limit.
    """
    bound = execution_timeout.total_seconds() if execution_timeout else LONGEST_WAIT
    return min(seconds_of(timeout), bound, LONGEST_WAIT)
