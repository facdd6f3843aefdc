# SPDX-License-Identifier: Apache-2.0
"""
The page ``docs/errors.md``, written from the code: ``python -m dev.errors_page``.

A test fails if the page differs, so that no error lacks its next step.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path

from airflow_provider_vidu import exceptions
from airflow_provider_vidu.protocol.errors import ERRORS, ErrorRow, Family, meaning

PAGE = Path(__file__).resolve().parents[1] / "docs" / "errors.md"
_TEXT = """\
<!-- python -m dev.errors_page writes this page -->
# Errors

Every error says what happened, what was paid, and the next step. It contains the Vidu task id and the API's request
id if there are any. [The reference](reference.md) shows the tree of the classes, and the fields of each.

## Classes

The column "retry" says whether the same task can succeed later without a person, and without the risk of paying twice.
After a "no", the operators fail the task without retries. Only a wrong key or connection is left to Airflow's retries,
unless the task has [the retry policy](reliability.md#the-retry-policy).

{classes}

## Responses to a submit

The first row that fits counts. A code is the API's own.

{submits}

## Responses to a poll

The first row that fits counts. [Behaviour by situation](reliability.md#behaviour-by-situation) says which of these end
a wait.

{polls}

## Failed generations

The reason for a failed generation belongs to one of these families. A retry submits and pays again, so it happens only
where it can help.

{families}
"""


def page() -> str:
    """
    Return the text of the page.

    :return: Markdown.
    """
    families = ((f"`{family.value}`", family.advice, _yes(family.retry_can_help)) for family in Family)
    return _TEXT.format(
        classes=_table(("error", "meaning", "next step", "retry"), map(_class_row, _raised())),
        submits=_table(("status", "code", "error", "costs and next step"), _responses(submit=True)),
        polls=_table(("status", "text", "error", "costs and next step"), _responses(submit=False)),
        families=_table(("family", "next step", "retry"), families),
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in rows)
    return "\n".join((f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines))


def _yes(does: bool) -> str:
    return "yes" if does else "no"


def _raised() -> list[type[exceptions.ViduError]]:
    """All classes but the two that only group others."""
    found = [one for one in vars(exceptions).values() if isinstance(one, type)]
    groups = (exceptions.ViduError, exceptions.ViduApiError)
    return [one for one in found if issubclass(one, exceptions.ViduError) and one not in groups]


def _class_row(error: type[exceptions.ViduError]) -> tuple[str, ...]:
    meant, step, *_ = inspect.cleandoc(error.__doc__ or "").replace("``", "`").split("\n\n")
    return f"`{error.__name__}`", " ".join(meant.split()), " ".join(step.split()), _yes(error.retry_can_help)


def _responses(*, submit: bool) -> Iterator[tuple[str, ...]]:
    for row in ERRORS:
        if error := row.on_submit if submit else row.on_read:
            narrower = ", ".join(f"`{code}`" for code in sorted(row.codes)) if submit else _words(row)
            yield _statuses(row), narrower, f"`{error.__name__}`", _advice(row, submit=submit)


def _words(row: ErrorRow) -> str:
    if row.words is None:
        return ""
    return "JSON that says that there is no such task" if row.words else "JSON"


def _statuses(row: ErrorRow) -> str:
    if row.statuses is None:
        return "any other: 5xx, or a 200 that is no usable answer"
    if isinstance(row.statuses, range):
        return f"{row.statuses[0]}–{row.statuses[-1]}"
    return ", ".join(map(str, row.statuses))


def _advice(row: ErrorRow, *, submit: bool) -> str:
    """The text of a response for which the row is the first that fits."""
    status = 500 if row.statuses is None else next(iter(row.statuses))
    words = None if row.words is None else "task not found"
    return meaning(status, next(iter(row.codes), ""), words, submit=submit)[1]


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
