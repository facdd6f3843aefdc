# SPDX-License-Identifier: Apache-2.0
"""
Mutation run: change one place of the code at a time and see whether a test fails, ``python -m dev.mutants GROUP``.

Further arguments are names of mutants, wildcards included. Only functions are mutated: the tables of a module are not.
The pinned version of mutmut matters, since this module changes two of its rules.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import libcst as cst
from mutmut import __main__ as mutmut
from mutmut import configuration
from mutmut.mutation import file_mutation, mutators
from mutmut.mutation.data import SourceFileMutationData
from mutmut.runners import harness
from mutmut.state import state
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

PACKAGE = "airflow_provider_vidu"
GROUPS: dict[str, tuple[list[str], list[str]]] = {
    "protocol": ([f"{PACKAGE}/protocol/{name}.py" for name in ("response", "errors", "polling")], ["tests/protocol"]),
    "durable": ([f"{PACKAGE}/durable/*.py"], ["tests/durable"]),
    "batch": ([f"{PACKAGE}/batch/*.py"], ["tests/batch"]),
}
"""The mutated files and the tests that have to notice."""
UNREMARKABLE = ("killed", "timeout", "skipped", "not checked")


def words_only(node: cst.BaseString) -> Iterable[cst.BaseString]:
    """Mutate keys and other words once each, but no text that people read."""
    if isinstance(node, cst.SimpleString) and " " not in node.value:
        yield from list(mutators.operator_string(node))[:1]


def also_decorated() -> None:
    """Mutate decorated functions too, such as properties: the decorators stay with the function that callers see."""
    visitor, arrange = file_mutation.MutationVisitor, file_mutation.function_trampoline_arrangement
    skips = visitor._skip_node_and_children

    def skips_less(self: Any, node: cst.CSTNode) -> Any:
        return skips(self, node.with_changes(decorators=()) if _is_decorated(node) else node)

    def arrange_bare(function: cst.FunctionDef, mutants: Any, class_name: str | None) -> tuple[Any, ...]:
        if not _is_decorated(function):
            return tuple(arrange(function, mutants, class_name))
        bare = function.with_changes(decorators=())
        declared, (seen, *copies), assigned, names = arrange(bare, mutants, class_name)
        seen = seen.with_changes(decorators=(*function.decorators, *seen.decorators))
        return declared, (seen, *copies), assigned, names

    visitor._skip_node_and_children = skips_less
    file_mutation.function_trampoline_arrangement = arrange_bare


def prepare_processes() -> None:
    """Import once what the tests import while they run, and run the quickest tests of a mutant first."""
    runner, modules = harness.PytestRunner, Path("mutants/modules.json")
    stats, warm_up, arguments = runner.run_stats, runner.warm_up, runner._pytest_args_regular_run

    def run_stats(self: Any, *, tests: Any) -> Any:
        code = stats(self, tests=tests)
        modules.write_text(json.dumps([name for name in sys.modules if not name.startswith(("tests", "_"))]))
        return code

    def import_all(self: Any) -> None:
        warm_up(self)
        for name in json.loads(modules.read_text()):
            with suppress(Exception):
                importlib.import_module(name)

    def quickest_first(self: Any, tests: Any) -> Any:
        seconds = state().duration_by_test
        return arguments(self, sorted(tests, key=lambda name: seconds.get(name, 0.0)))

    runner.run_stats, runner.warm_up, runner._pytest_args_regular_run = run_stats, import_all, quickest_first


def _is_decorated(node: cst.CSTNode) -> bool:
    """Whether a function has a decorator that mutmut does not know."""
    if not isinstance(node, cst.FunctionDef):
        return False
    names = [decorator.decorator for decorator in node.decorators]
    return any(not isinstance(name, cst.Name) or name.value not in ("classmethod", "staticmethod") for name in names)


def main(group: str, *names: str) -> None:
    """
    Run the mutants of a group, or those of them that are named, and print each one that no test has noticed.

    :param group: a key of ``GROUPS``.
    :param names: names of mutants.
    """
    files, tests = GROUPS[group]
    configuration._config = dataclasses.replace(
        configuration._load_config(), only_mutate=files, pytest_add_cli_args_test_selection=tests
    )
    mutators.mutation_operators[:] = [
        (kind, words_only if operator is mutators.operator_string else operator)
        for kind, operator in mutators.mutation_operators
    ]
    also_decorated()
    prepare_processes()
    # A second process would slow down the tests, which have a time limit.
    mutmut._run(names, max_children=1)
    for path in walk_mutatable_files():
        report(path)


def report(path: Path) -> None:
    """Print what became of the mutants of a file."""
    data = SourceFileMutationData(path=path)
    data.load()
    ends: dict[str, list[str]] = {}
    for name, code in data.exit_code_by_key.items():
        ends.setdefault(status_by_exit_code[code], []).append(name)
    for end, names in ends.items():
        for name in names if end not in UNREMARKABLE else ():
            print(f"\n{name}: {end}\n{mutmut.get_diff_for_mutant(name, path=path)}")
    print(f"\n{path}: " + (", ".join(f"{len(names)} {end}" for end, names in sorted(ends.items())) or "no mutants"))


if __name__ == "__main__":
    arguments: Sequence[str] = sys.argv[1:]
    if not arguments or arguments[0] not in GROUPS:
        sys.exit(f"The first argument must be one of {', '.join(GROUPS)}.")
    main(*arguments)
