# SPDX-License-Identifier: Apache-2.0
"""The ledger's command: ``python -m airflow_provider_vidu.ledger report|list|prune``."""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from airflow_provider_vidu.durable.each import each
from airflow_provider_vidu.durable.entries import STORED, Ending, Entry, EntryName, cny_of
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.durable.ledger_state import forget_states
from airflow_provider_vidu.exceptions import ViduError

RUNNING, UNCERTAIN = "running", "uncertain"
OUTCOMES = (RUNNING, UNCERTAIN, STORED, "failed", "gone")
_COLUMNS = ("time", "dag", "run", "task", "map_index", "custom_id", "vidu_type", "model", "seconds", "cny", "outcome")
_KEYS = ("dag", "model", "day", "outcome")
_MORE = ("vidu_task_id", "files")


class Line(NamedTuple):
    """
    One paid submit.

    :param name: name of its entry.
    :param entry: its entry.
    :param ending: its end, ``None`` if the ledger has none.
    """

    name: EntryName
    entry: Entry
    ending: Ending | None

    @property
    def outcome(self) -> str:
        """The outcome of the submit, one of ``OUTCOMES``."""
        if self.ending:
            return self.ending.outcome
        return RUNNING if self.entry.vidu_task_id else UNCERTAIN

    def values(self) -> dict[str, object]:
        """Return the columns of the report."""
        entry, ending, units = self.entry, self.ending, self.name.units
        parameters = entry.request.get("parameters")
        asked = parameters if isinstance(parameters, dict) else {}
        return {
            "time": f"{datetime.fromtimestamp(self.name.begun_at / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}",
            "day": self.name.day,
            "dag": entry.dag_id,
            "run": entry.run_id,
            "task": entry.task_id,
            "map_index": "" if entry.map_index < 0 else entry.map_index,
            "custom_id": entry.custom_id,
            "vidu_type": asked.get("vidu_type", ""),
            "model": entry.request.get("model", ""),
            "seconds": ending.video_seconds if ending and ending.video_seconds is not None else "",
            "cny": "" if units is None else f"{cny_of(units):.5f}".rstrip("0").rstrip("."),
            "outcome": self.outcome,
            "vidu_task_id": entry.vidu_task_id,
            "files": " ".join(ending.files) if ending else "",
        }


def lines(ledger: Ledger, since: str, until: str) -> list[Line]:
    """
    Read the paid submits of a period, the oldest first.

    :param ledger: the ledger.
    :param since: first day as ``2026-11-01``.
    :param until: last day.
    :raises ViduStateError: if the ledger cannot be read.
    """
    found = each(lambda group: _lines(ledger, group), _groups(ledger, since, until))
    return [line for of_group in found for line in of_group]


def _lines(ledger: Ledger, group: Sequence[EntryName]) -> list[Line]:
    entries = ledger.entries(group)
    ends = (ledger.ending(entry.vidu_task_id) if entry.vidu_task_id else None for entry in entries)
    return list(map(Line, group, entries, ends))


def _groups(ledger: Ledger, since: str, until: str) -> list[tuple[EntryName, ...]]:
    months = [month for month in ledger.months() if since[:7] <= month <= until[:7]]
    days = [day for month in months for day in ledger.days(month) if since <= day <= until]
    return [group for day in days for group in ledger.groups(day)]


def grouped(found: Iterable[Line], keys: list[str]) -> Iterator[dict[str, object]]:
    """
    Sum submits by columns.

    :param found: the submits.
    :param keys: the columns.
    :return: one row for each combination of their values, with ``videos``, ``seconds``, ``cny`` and ``unpriced``.
    """
    groups: dict[tuple[str, ...], list[Line]] = defaultdict(list)
    for line in found:
        values = line.values()
        groups[tuple(str(values[key]) for key in keys)].append(line)
    for group, members in sorted(groups.items()):
        units = [member.name.units for member in members]
        seconds = sum(member.ending.video_seconds or 0 for member in members if member.ending)
        cny = f"{cny_of(sum(filter(None, units))):.5f}".rstrip("0").rstrip(".")
        yield {
            **dict(zip(keys, group, strict=True)),
            "videos": len(members),
            "seconds": f"{seconds:g}",
            "cny": cny,
            "unpriced": units.count(None),
        }


def prune(ledger: Ledger, before: str) -> tuple[int, int]:
    """
    Remove the submits and task states from before a day.

    After that, a submit of a removed request is paid again even with ``reuse``.

    :param ledger: the ledger.
    :param before: the first day to keep.
    :return: the number of removed submits, and of removed task states.
    :raises ViduStateError: if the ledger cannot be read.
    """
    last = date.fromordinal(date.fromisoformat(before).toordinal() - 1).isoformat()
    groups = _groups(ledger, "0000-00-00", last)
    each(ledger.forget, groups)
    began = datetime.combine(date.fromisoformat(before), datetime.min.time(), ledger.zone).timestamp()
    return sum(map(len, groups)), forget_states(ledger, began)


def main(arguments: list[str] | None = None) -> int:
    """
    Run the command.

    :param arguments: the command line's arguments; those of the process for ``None``.
    :return: the exit code.
    """
    options = _parser().parse_args(arguments)
    try:
        ledger = Ledger(options.ledger, ZoneInfo(options.zone)) if options.ledger else Ledger.configured()
        if ledger is None:
            print("There is no ledger: set [vidu] ledger, or pass --ledger.", file=sys.stderr)
            return 2
        if options.command == "prune":
            submits, states = prune(ledger, options.before.isoformat())
            print(f"Removed {submits} submits and {states} task states from before {options.before}.")
            return 0
        found = lines(ledger, options.since.isoformat(), options.until.isoformat())
        _print(found, options)
        return 0
    except ViduError as error:
        print(error, file=sys.stderr)
        return 1


def _print(found: list[Line], options: argparse.Namespace) -> None:
    rows: Iterable[dict[str, object]]
    columns: tuple[str, ...]
    if options.command == "list":
        columns = (*_COLUMNS, *_MORE)
        rows = (line.values() for line in found if not options.outcome or line.outcome in options.outcome)
    elif options.by:
        columns, rows = (*options.by, "videos", "seconds", "cny", "unpriced"), grouped(found, options.by)
    else:
        columns, rows = (*_COLUMNS, *_MORE), (line.values() for line in found)
    writer = csv.DictWriter(sys.stdout, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_vidu.ledger", description="Report on the ledger, or prune it."
    )
    parser.add_argument(
        "--ledger", default="", help="path or URI of the ledger (default: [vidu] ledger in Airflow's configuration)"
    )
    parser.add_argument("--zone", default="Asia/Shanghai", help="time zone of --ledger (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    first, last = date(1, 1, 1), date(9999, 12, 31)
    for name, text in (
        ("report", "all paid submits, or their sums, as CSV"),
        ("list", "submits with a given outcome, as CSV"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--since", type=date.fromisoformat, default=first, help="first day, such as 2026-11-01")
        command.add_argument("--until", type=date.fromisoformat, default=last, help="last day")
        if name == "report":
            command.add_argument(
                "--by", type=_keys, default=[], help=f"columns to sum by, separated by commas: {', '.join(_KEYS)}"
            )
        else:
            help_text = "show only submits with this outcome; repeat for more"
            command.add_argument("--outcome", action="append", choices=OUTCOMES, help=help_text)
            # The option's former name keeps working.
            command.add_argument("--state", dest="outcome", action="append", choices=OUTCOMES, help=argparse.SUPPRESS)
    command = commands.add_parser("prune", help="remove the submits from before a day")
    command.add_argument("--before", type=date.fromisoformat, required=True, help="first day to keep")
    return parser


def _keys(text: str) -> list[str]:
    keys = [key.strip() for key in text.split(",") if key.strip()]
    if unknown := [key for key in keys if key not in _KEYS]:
        raise argparse.ArgumentTypeError(f"must be among {', '.join(_KEYS)}, got {', '.join(unknown)}")
    return keys


if __name__ == "__main__":
    sys.exit(main())
