# SPDX-License-Identifier: Apache-2.0
"""Command that runs all or the named benchmarks and writes the results into ``docs/performance.md``."""

from __future__ import annotations

import os
import platform
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import airflow

from benchmarks import batch, imports, ledger, library, loop, polls, triggerer, videos

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
PARTS = {
    "polls": polls,
    "loop": loop,
    "imports": imports,
    "triggerer": triggerer,
    "batch": batch,
    "ledger": ledger,
    "library": library,
    "videos": videos,
}


def machine() -> str:
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({platform.machine()}, {platform.system()}), Python "
        f"{platform.python_version()}, Airflow {airflow.__version__}, `python -m benchmarks"
    )


def write(name: str, text: str) -> None:
    page = PAGE.read_text("utf-8")
    begin, end = f"<!-- {name}: measured -->", f"<!-- {name}: end -->"
    fresh = f"{begin}\n*Measured on {machine()} {name}`.*\n\n{text}\n{end}"
    changed, count = re.subn(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: fresh, page, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{PAGE} has {count} places for {name}")
    PAGE.write_text(changed, "utf-8")


def main() -> None:
    for name in sys.argv[1:] or PARTS:
        print(f"{name} …", flush=True)
        text = PARTS[name].report()
        print(text, flush=True)
        write(name, text)
    if not sys.argv[1:] or "polls" in sys.argv:
        polls.plot(str(PAGE.parent / "images" / "polls.svg"))


if __name__ == "__main__":
    main()
