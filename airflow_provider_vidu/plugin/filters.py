# SPDX-License-Identifier: Apache-2.0
"""The filters of the library, from the query of a request."""

# No "from __future__ import annotations": FastAPI reads the annotations when a route is declared.

from typing import Annotated, NamedTuple

from fastapi import Depends, Query

from airflow_provider_vidu.durable.entries import units_of
from airflow_provider_vidu.durable.lines import SAME_DIGITS, Line

_Text = Annotated[str, Query(max_length=500)]
_Day = Annotated[str, Query(pattern=r"^(\d{4}-\d\d-\d\d)?$")]
_Digits = Annotated[str, Query(pattern=f"^([0-9a-f]{{{SAME_DIGITS}}})?$")]
_Cny = Annotated[float | None, Query(ge=0, le=1e9)]


class Filters(NamedTuple):
    """
    The lines to show.

    An empty text permits all values.

    :param text: part of the prompt or of the custom id, in either case.
    :param exact: values that other columns must have.
    :param since: first day.
    :param until: last day.
    :param least: lowest cost in units, ``None`` for any, also an unknown one.
    :param most: highest cost in units.
    :param request: the first digits of the request's fingerprint.
    """

    text: str
    exact: dict[str, str]
    since: str
    until: str
    least: int | None
    most: int | None
    request: str

    def permit(self, line: Line) -> bool:
        """
        Check a line.

        :param line: the submit.
        """
        name = line.name
        return (
            (not self.since or name.day >= self.since)
            and (not self.until or name.day <= self.until)
            and (self.least is None or (name.units is not None and name.units >= self.least))
            and (self.most is None or (name.units is not None and name.units <= self.most))
            and self.request in ("", line.same)
            and all(line.value(column) == value for column, value in self.exact.items())
            and (not self.text or self.text in f"{line.prompt}\n{line.entry.custom_id}".casefold())
        )


def _filters(
    text: _Text = "",
    dag: _Text = "",
    run: _Text = "",
    model: _Text = "",
    job: _Text = "",
    connection: _Text = "",
    state: _Text = "",
    since: _Day = "",
    until: _Day = "",
    least: _Cny = None,
    most: _Cny = None,
    request: _Digits = "",
) -> Filters:
    exact = {
        "dag": dag,
        "run": run,
        "model": model,
        "vidu_type": job,
        "connection": connection,
        "outcome": state,
    }
    return Filters(
        text.casefold(),
        {column: value for column, value in exact.items() if value},
        since,
        until,
        None if least is None else units_of(least),
        None if most is None else units_of(most),
        request,
    )


FiltersOf = Annotated[Filters, Depends(_filters)]
