# SPDX-License-Identifier: Apache-2.0
"""The ledger's command: ``python -m airflow_provider_vidu.ledger report|list|prune``."""

from __future__ import annotations

import argparse
import csv
import sys
import time
from datetime import date, datetime
from zoneinfo import ZoneInfo

from airflow_provider_vidu.durable.each import each
from airflow_provider_vidu.durable.entries import day_of, days_before
from airflow_provider_vidu.durable.ledger import DEFAULT_ZONE, Ledger
from airflow_provider_vidu.durable.ledger_state import forget_states
from airflow_provider_vidu.durable.lines import (
    KEYS,
    OUTCOMES,
    REPORT,
    RESCUE_DAYS,
    Line,
    days_of,
    exact,
    grouped,
    lines,
)
from airflow_provider_vidu.durable.reused import forget_reused
from airflow_provider_vidu.exceptions import ViduError


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
    days = days_of(ledger, "0000-00-00", last)
    groups = [group for day in days for group in ledger.groups(day)]
    each(ledger.forget, groups)
    each(lambda day: forget_reused(ledger, day), days)
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
        ledger = Ledger(options.ledger, options.zone) if options.ledger else Ledger.configured()
        if ledger is None:
            print("There is no ledger: set [vidu] ledger, or pass --ledger.", file=sys.stderr)
            return 2
        if options.command == "prune":
            today = day_of(time.time(), ledger.zone)
            kept = min(days_before(today, RESCUE_DAYS), f"{today[:7]}-01")
            if options.before.isoformat() > kept:
                print(
                    f"--before must be {kept} or earlier, got {options.before}: later submits count for the month's "
                    "budget, or may wait for their videos. Nothing was removed.",
                    file=sys.stderr,
                )
                return 2
            submits, states = prune(ledger, options.before.isoformat())
            print(f"Removed {submits} submits and {states} task states from before {options.before}.")
            return 0
        if not ledger.months():
            print(f"Nothing was found at {ledger.root}. Check the path or URI.", file=sys.stderr)
        found = lines(ledger, options.since.isoformat(), options.until.isoformat())
        _print(found, options)
        return 0
    except ViduError as error:
        print(error, file=sys.stderr)
        return 1


def _print(found: list[Line], options: argparse.Namespace) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if options.command == "report" and options.by:
        writer.writerow([*options.by, "videos", "seconds", "cny", "unpriced"])
        for values, sums in grouped(found, options.by):
            writer.writerow([*values, sums.videos, f"{sums.seconds:g}", exact(sums.units), sums.unpriced])
        return
    outcomes = options.outcome if options.command == "list" else None
    writer.writerow(REPORT)
    for line in found:
        if not outcomes or line.outcome in outcomes:
            writer.writerow([line.value(column) for column in REPORT])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_vidu.ledger", description="Report on the ledger, or prune it."
    )
    parser.add_argument(
        "--ledger", default="", help="path or URI of the ledger (default: [vidu] ledger in Airflow's configuration)"
    )
    parser.add_argument("--zone", type=_zone, default=DEFAULT_ZONE, help="time zone of --ledger (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    first, last = date(1, 1, 1), date(9999, 12, 31)
    for name, text in (
        ("report", "all paid submits, or their sums, as CSV"),
        ("list", "submits with a given outcome, as CSV"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--since", type=_day, default=first, help="first day, such as 2026-11-01")
        command.add_argument("--until", type=_day, default=last, help="last day")
        if name == "report":
            command.add_argument(
                "--by", type=_keys, default=[], help=f"columns to sum by, separated by commas: {', '.join(KEYS)}"
            )
        else:
            help_text = "show only submits with this outcome; repeat for more"
            command.add_argument("--outcome", action="append", choices=OUTCOMES, help=help_text)
    command = commands.add_parser("prune", help="remove the submits from before a day")
    command.add_argument("--before", type=_day, required=True, help="first day to keep")
    return parser


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, KeyError):
        raise argparse.ArgumentTypeError(f"must be a time zone such as {DEFAULT_ZONE}, got {text}") from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a day such as 2026-11-01, got {text}") from None


def _keys(text: str) -> list[str]:
    keys = [key.strip() for key in text.split(",") if key.strip()]
    if unknown := [key for key in keys if key not in KEYS]:
        raise argparse.ArgumentTypeError(f"must be some of {', '.join(KEYS)}, got {', '.join(unknown)}")
    return keys


if __name__ == "__main__":
    sys.exit(main())
