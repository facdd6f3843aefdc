# SPDX-License-Identifier: Apache-2.0
"""
Checks of a destination before a submit.

Mapped tasks must not share a file, and all workers should see the path.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from math import prod
from typing import TYPE_CHECKING, Any

from airflow_provider_vidu.arguments import as_text, is_literal
from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.storage.destination import Destination
from airflow_provider_vidu.storage.places import is_local, located
from airflow_provider_vidu.storage.probe import nothing_paid

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator
    from airflow.sdk import Context

_LOCAL_EXECUTORS = {"LocalExecutor", "SequentialExecutor", "DebugExecutor"}
_SAME_IN_A_RUN = {
    *("ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz", "run_id", "dag_run", "dag", "logical_date"),
    *("data_interval_start", "data_interval_end", "prev_data_interval_start_success", "prev_start_date_success"),
    *("prev_data_interval_end_success", "prev_end_date_success", "params", "var", "conn", "triggering_asset_events"),
    *("macros.ds_add", "macros.ds_format", "macros.datetime_diff_for_humans", "task_instance_key_str"),
    *(f"{name}.{one}" for name in ("ti", "task_instance", "task") for one in ("dag_id", "task_id", "run_id")),
}
"""Template variables that are the same for all mapped tasks of a run."""

_OWN_NAMES = "a directory, or a name that contains {task_id}"


def check_in_group(operator: BaseOperator) -> None:
    """
    Refuse a destination that makes the tasks of a mapped group write one file.

    This is the check of :func:`check_destination`, made while the DAG is parsed.

    :param operator: an operator whose ``destination`` is a literal.
    :raises ViduRequestError: if each mapped task would write the same file.
    """
    destination = Destination(as_text(operator.destination))  # type: ignore[attr-defined]
    if any(operator.iter_mapped_task_groups()) and destination.path("a") == destination.path("b", index=1):
        raise _refusal("destination", destination.template, _OWN_NAMES, is_batch=False)


def check_destination(operator: BaseOperator, context: Context, *, is_batch: bool = False) -> None:
    """
    Refuse a destination or manifest that mapped tasks would overwrite.

    The check also warns of a local path that other workers may not see.

    :param operator: an operator with a rendered ``destination``, and for a batch a rendered ``manifest``.
    :param context: Airflow's context of the task instance.
    :param is_batch: whether the operator stores many videos.
    :raises ViduRequestError: if each mapped task would write the same file. Nothing was sent.
    """
    destination = Destination(as_text(operator.destination))  # type: ignore[attr-defined]
    # Vidu's ids always differ and custom ids may. Indexes differ too, except that each batch counts its own from 0.
    one, other = (destination.path(mark, mark, 0 if is_batch else index) for index, mark in enumerate("ab"))
    if one == other and _is_the_same_for_all(operator, context, "destination"):
        raise _refusal("destination", destination.template, _OWN_NAMES, is_batch=is_batch)
    if is_batch and (custom_id := _shared_with_another_batch(operator, context, destination)):
        raise ViduRequestError(
            f"destination must differ for each mapped task, got {destination.template!r}, with which another mapped "
            f"task replaces the video of {custom_id}. Nothing was sent or paid. Use {{task_id}} or "
            "{{ ti.map_index }} in it, or custom ids that differ, then clear the task."
        )
    manifest = getattr(operator, "manifest", None)
    if manifest and _is_the_same_for_all(operator, context, "manifest"):
        raise _refusal("manifest", manifest, "the default, or a name that holds {{ ti.map_index }}", is_batch=is_batch)
    with nothing_paid():
        _warn_if_local(operator, one)


def _shared_with_another_batch(operator: BaseOperator, context: Context, destination: Destination) -> str:
    """Find a custom id whose file another mapped task writes too, as far as the requests are literals."""
    index = context["ti"].map_index
    if index is None or index < 0 or not _is_the_same_for_all(operator, context, "destination"):
        return ""
    dag = operator.get_dag()
    expanded = getattr(dag.get_task(operator.task_id) if dag else None, "expand_input", None)
    given = getattr(expanded, "value", None)
    lists = given.get("requests") if isinstance(given, Mapping) and len(given) == 1 else given
    if not isinstance(lists, (list, tuple)):
        return ""
    batches = [one.get("requests") if isinstance(one, Mapping) else one for one in lists]
    files = [dict(_files_of(destination, batch)) for batch in batches if isinstance(batch, (list, tuple))]
    if len(files) != len(batches) or index >= len(files):
        return ""
    others = {file for number, one in enumerate(files) if number != index for file in one}
    return next((custom_id for file, custom_id in files[index].items() if file in others), "")


def _files_of(destination: Destination, batch: Any) -> Iterator[tuple[str, str]]:
    """Name the file of each item of a batch, with a unique placeholder in place of Vidu's id."""
    for number, request in enumerate(batch):
        custom_id = request.get("custom_id") if isinstance(request, Mapping) else None
        if isinstance(custom_id, str) and is_literal(custom_id):
            with suppress(ViduRequestError):
                yield destination.path(f"{id(batch)}-{number}", custom_id, number), custom_id


def _refusal(name: str, given: str, use: str, *, is_batch: bool) -> ViduRequestError:
    index = "" if is_batch else " or {index}"
    return ViduRequestError(
        f"{name} must differ for each mapped task, got {given!r}, with which each task replaces the files of the "
        f"others. Nothing was sent or paid. Use {use}{index}, then clear the task."
    )


def _is_the_same_for_all(operator: BaseOperator, context: Context, name: str) -> bool:
    """Check whether an argument certainly renders alike in another mapped task of the run."""
    if context["ti"].map_index is None or context["ti"].map_index < 0:
        return False
    dag = operator.get_dag()
    written: Any = dag.get_task(operator.task_id) if dag else operator
    if written is operator:
        # Airflow rendered the argument in place, so its template is unknown.
        return False
    # A mapped operator holds its arguments in partial_kwargs; an operator in a mapped group holds them as attributes.
    arguments = getattr(written, "partial_kwargs", None)
    if arguments is None:
        return _is_of_the_run(operator, getattr(written, name, None), set())
    given = written.expand_input.value
    if name in arguments:
        return _is_of_the_run(operator, arguments[name], _mapped_names(given))
    rendered = as_text(getattr(operator, name))
    return any(
        _is_of_the_run(operator, template, _mapped_names(given))
        and as_text(operator.render_template(template, context)) == rendered
        for template in _given_twice(given, name)
    )


def _mapped_names(given: Any) -> set[str]:
    """List the arguments that ``expand`` or ``expand_kwargs`` sets for each mapped task; ``params`` if unknown."""
    if isinstance(given, Mapping):
        return set(given)
    dicts = given if isinstance(given, (list, tuple)) else [{"params": None}]
    return {name for one in dicts for name in (one if isinstance(one, Mapping) else ("params",))}


def _given_twice(given: Any, name: str) -> list[Any]:
    """List the values of a mapped argument that more than one mapped task gets, as far as they are literals."""
    if isinstance(given, Mapping):
        values = given.get(name)
        others = [one for key, one in given.items() if key != name]
        # Each value meets each value of the others.
        times = prod(len(one) for one in others if isinstance(one, (list, tuple, dict)))
    else:
        values = (
            [one.get(name) for one in given if isinstance(one, Mapping)] if isinstance(given, (list, tuple)) else []
        )
        times = 1
    texts = [as_text(value) for value in values] if isinstance(values, (list, tuple)) else []
    return [text for text, count in Counter(one for one in texts if isinstance(one, str)).items() if count * times > 1]


def _is_of_the_run(operator: BaseOperator, template: Any, mapped: set[str]) -> bool:
    from jinja2 import TemplateError, meta, nodes

    if not isinstance(template, str):
        return False
    try:
        tree = operator.get_template_env().parse(template)
    except TemplateError:
        return False
    free = meta.find_undeclared_variables(tree)
    attributes = [part for part in tree.find_all(nodes.Getattr) if isinstance(part.node, nodes.Name)]
    paths = {id(part.node): f"{part.node.name}.{part.attr}" for part in attributes}  # type: ignore[attr-defined]
    same = _SAME_IN_A_RUN - mapped
    return all(
        name.name in same or paths.get(id(name)) in same for name in tree.find_all(nodes.Name) if name.name in free
    )


def _warn_if_local(operator: BaseOperator, path: str) -> None:
    if is_local(located(path)) and not path.startswith(("/", "file:", "local:")):
        operator.log.warning(
            "destination is relative, so the video lies below the working directory of this worker: %s. Use an "
            "absolute path or a URI.",
            located(path),
        )
    if others := _executors_elsewhere(path):
        operator.log.warning(
            "destination is a path of this worker: %s. With %s the next try may run on another machine, which must see "
            "the same files. Use a directory that all workers share, or an object store.",
            operator.destination,  # type: ignore[attr-defined]
            ", ".join(others),
        )


def _executors_elsewhere(path: str) -> list[str]:
    """
    List the configured executors whose workers may not see a file of this machine.

    :param path: a path or URI.
    :return: their names; an empty list if every worker sees the file.
    """
    from airflow.providers.common.compat.sdk import conf

    if not is_local(located(path)):
        return []
    # The option is a list, in which an executor may have an alias or a team.
    configured = re.split(r"[,;]", conf.get("core", "executor", fallback="LocalExecutor"))
    names = {re.split(r"[=:.]", one.strip())[-1] for one in configured}
    return sorted(names - _LOCAL_EXECUTORS)
