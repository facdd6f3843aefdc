# SPDX-License-Identifier: Apache-2.0
"""
The tests on every supported version of Airflow: ``python -m dev.matrix [VERSION[@PYTHON] …]``.

Each version has an environment below ``.matrix`` from its own file in ``constraints``. The runs take turns, because
each starts a complete Airflow. The table of both READMEs shows the last run of each version.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
HEADERS = {
    ROOT / "README.md": "| Airflow | Python | tests without Airflow processes | trials with real Airflow processes |",
    ROOT / "README.zh-CN.md": "| Airflow | Python | 不启动 Airflow 进程的测试 | 启动真实 Airflow 进程的试验 |",
}
"""The pages with the table, each with its header."""

HOME = ROOT / ".matrix"
RESULTS = ROOT / "constraints" / "tested.json"
BEGIN, END = "<!-- make matrix writes this table -->", "<!-- end of the table -->"
UV = Path(sys.prefix) / "bin" / "uv"

VERSIONS = ["3.1.0@3.11", "3.1@3.12", "3.2@3.13", "3.3@3.12"]
"""The versions that run by default, each with the Python that it runs with."""

_MINUTES = {"suite": 40, "trials": 25}
# Airflow's own processes must find nothing of a developer's Airflow, and pytest none of its options.
_OURS = ("AIRFLOW", "_AIRFLOW", "PYTEST", "VIRTUAL_ENV")
_TESTS = {
    # An older Airflow's own packages may warn of one another; the warnings of the provider are errors.
    "suite": [
        *("-m", "not system and not long", "-n", "2", "--dist", "loadscope"),
        *("-o", "filterwarnings=default\nerror:::airflow_provider_vidu"),
    ],
    "trials": ["-m", "smoke or matrix", "tests/system"],
}


class Failed(Exception):
    """A version that could not be tested, with the reason."""


class Environment(NamedTuple):
    """
    An environment with one version of Airflow.

    :param version: The name of its file in ``constraints``, such as ``3.1`` for the newest 3.1.
    :param python: Version of Python.
    """

    version: str
    python: str

    @property
    def constraints(self) -> Path:
        """The versions of all packages."""
        own = ROOT / "constraints" / f"airflow-{self.version}.txt"
        return own if own.exists() else ROOT / "constraints.txt"

    @property
    def interpreter(self) -> Path:
        """The Python of the environment."""
        return HOME / f"{self.version}-{self.python}" / "bin" / "python"

    def install(self) -> None:
        """
        Create the environment, or bring it up to date.

        :raises Failed: If there is no such Python, or the packages do not fit together.
        """
        if not self.interpreter.exists():
            _uv("venv", "--quiet", "--python", self.python, "--no-python-downloads", self.interpreter.parents[1])
        where = ("--python", self.interpreter, "--constraints", self.constraints)
        _uv("pip", "install", "--quiet", "--compile-bytecode", *where, "--editable", f"{ROOT}[emulator,dev]")

    def airflow(self) -> str:
        """
        Return the exact version of Airflow in it.

        :raises Failed: If it is not the one that the name of the constraints promises.
        """
        code = "from importlib.metadata import version; print(version('apache-airflow-core'))"
        found = subprocess.run([self.interpreter, "-c", code], check=True, capture_output=True, text=True)
        airflow = found.stdout.strip()
        if not f"{airflow}.".startswith(f"{self.version}."):
            raise Failed(f"{self.constraints.name} must have Airflow {self.version}, got {airflow}")
        return airflow

    def test(self, kind: str) -> str:
        """
        Run one kind of tests and return how they ended.

        :param kind: ``suite`` or ``trials``.
        :return: The words of the table, such as ``9 passed, 0 failed``.
        """
        report = self.interpreter.parents[1] / f"{kind}.xml"
        report.unlink(missing_ok=True)
        command = [str(self.interpreter), "-m", "pytest", "-q", "--no-cov", "-p", "no:cacheprovider", "--tb=short"]
        command += [*_TESTS[kind], f"--junitxml={report}"]
        env = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        try:
            with report.with_suffix(".log").open("wb") as log:
                limit = 60 * _MINUTES[kind]
                subprocess.run(command, cwd=ROOT, env=env, stdout=log, stderr=log, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            return f"not done after {_MINUTES[kind]} min"
        return counted(report.read_text("utf-8")) if report.exists() else "did not start"


def counted(report: str) -> str:
    """
    Count the tests in a JUnit report.

    :param report: Its text.
    """
    suites = ET.fromstring(report).iter("testsuite")
    total = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for suite in suites:
        for name in total:
            total[name] += int(suite.get(name, 0))
    failed = total["failures"] + total["errors"]
    text = f"{total['tests'] - failed - total['skipped']} passed, {failed} failed"
    return f"{text}, {total['skipped']} skipped" if total["skipped"] else text


def _uv(*arguments: str | Path) -> None:
    done = subprocess.run([UV, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"uv {arguments[0]} failed")


def run(environment: Environment, kinds: list[str]) -> dict[str, str]:
    """
    Test one version.

    :param environment: The version.
    :param kinds: What to run.
    :return: A row of the table; the kinds that did not run are missing.
    """
    row = {"python": environment.python}
    try:
        environment.install()
        row["airflow"] = environment.airflow()
    except Failed as error:
        return {**row, "airflow": environment.version, **dict.fromkeys(kinds, f"not run: {error}")}
    for kind in kinds:
        began = time.monotonic()
        row[kind] = environment.test(kind)
        print(f"Airflow {row['airflow']}, Python {row['python']}, {kind}: {row[kind]}", end="")
        print(f" ({(time.monotonic() - began) / 60:.0f} min)", flush=True)
    return row


def table(rows: list[dict[str, str]], header: str) -> str:
    """
    Format results as a table.

    :param rows: The results.
    :param header: The first line of the table.
    """
    order = sorted(
        rows, key=lambda row: [int(part) for part in re.findall(r"\d+", f"{row['airflow']} {row['python']}")]
    )
    lines = [header, "|---|---|---|---|"]
    for row in order:
        cells = (row["airflow"], row["python"], row.get("suite", "–"), row.get("trials", "–"))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def rewritten(text: str, new: str) -> str:
    """
    Put a table between the two markers of a page.

    :param text: The page.
    :param new: The table.
    :raises ValueError: If the page has not each marker once, in order.
    """
    pattern = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)
    if text.count(BEGIN) != 1 or len(pattern.findall(text)) != 1:
        raise ValueError(f"the page must have {BEGIN} and then {END}, once each")
    return pattern.sub(lambda _: f"{BEGIN}\n\n{new}\n\n{END}", text)


def main(arguments: list[str]) -> int:
    """
    Test the named versions, or all, and rewrite the table of both READMEs.

    :param arguments: Versions such as ``3.1@3.12``, and ``suite`` or ``trials`` to run only these.
    :return: The exit code.
    """
    kinds = [kind for kind in _TESTS if kind in arguments] or list(_TESTS)
    named = [name for name in arguments if name not in _TESTS] or VERSIONS
    known = {name.partition("@")[0]: name.partition("@")[2] for name in VERSIONS}
    kept = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    failed = False
    for name in named:
        version, _, python = name.partition("@")
        environment = Environment(version, python or known.get(version, "3.12"))
        row = run(environment, kinds)
        failed |= any(not re.match(r"[1-9]\d* passed, 0 failed", row[kind]) for kind in kinds)
        # What was not run again keeps its last result.
        key = f"{environment.version}@{environment.python}"
        kept[key] = {**kept.get(key, {}), **row}
        RESULTS.write_text(json.dumps(dict(sorted(kept.items())), indent=2) + "\n", "utf-8")
        for page, header in HEADERS.items():
            page.write_text(rewritten(page.read_text("utf-8"), table(list(kept.values()), header)), "utf-8")
    print(table(list(kept.values()), next(iter(HEADERS.values()))))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
