# SPDX-License-Identifier: Apache-2.0
"""Which module may import which, read from the source, and what importing one costs, seen in a fresh interpreter."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

import airflow_provider_vidu

PACKAGE = Path(airflow_provider_vidu.__file__).parent
NAME = PACKAGE.name
# From the top: what stands on a floor may import what stands below it, its own part, and nothing else of ours.
FLOORS = [
    {"plugin"},
    {"decorators"},
    {"operators", "sensors", "transfers", "ledger"},
    {"batch", "generation"},
    {"durable"},
    {"storage", "triggers"},
    {"costs", "reporting", "hooks", "retries"},
    {"arguments"},
    {"protocol"},
    {"exceptions", "links"},
]
# These stand beside the house: what each may import.
BESIDE = {
    "emulator": {"protocol"},
    "example_dags": {"operators", "sensors", "transfers"},
    "get_provider_info": set(),
    "__init__": set(),
}
SURFACE = (FLOORS[1] | FLOORS[2]) - {"ledger"}
MAX_LINES = 300
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOT = Path(__file__).parents[1]
AROUND = ("tests", "dev", "benchmarks")


def dotted(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(source):
    """Every module that a source names in an import, at whatever depth and for whatever reason."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            # What is imported may itself be a module.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_are_found_wherever_they_stand():
    source = "import a.b as c\nif x:\n    from d import e, f\ndef g():\n    import h\n"
    assert list(imports_of(source)) == ["a.b", "d.e", "d.f", "h"]


def ours_in(path):
    """What a module names in the package, in an import of whatever kind."""
    return {name for name in imports_of(path.read_text("utf-8")) if name.startswith(f"{NAME}.")}


def below(part):
    """The parts that a part may import, itself apart."""
    if part in BESIDE:
        return BESIDE[part]
    floor = next(number for number, parts in enumerate(FLOORS) if part in parts)
    return set().union(*FLOORS[floor + 1 :])


def test_every_part_has_its_floor():
    assert {part_of(path) for path in MODULES} == set().union(*FLOORS, BESIDE)


def test_arrows_point_down():
    wrong = {
        dotted(path): sorted(parts)
        for path in MODULES
        if (parts := {name.split(".")[1] for name in ours_in(path)} - below(part_of(path)) - {part_of(path)})
    }
    assert wrong == {}


def test_no_modules_import_each_other_in_a_circle():
    modules = {dotted(path): path for path in MODULES}
    arrows = {}
    for name, path in modules.items():
        # A name that is imported from a module is no module itself.
        named = {one if one in modules else one.rpartition(".")[0] for one in ours_in(path)}
        arrows[name] = {one for one in named if modules.get(one, path) != path}
    while free := [name for name, targets in arrows.items() if not targets]:
        arrows = {name: targets - set(free) for name, targets in arrows.items() if name not in free}
    assert arrows == {}


def test_no_module_is_too_long_to_be_read_at_once():
    around = {name: sorted((ROOT / name).rglob("*.py")) for name in AROUND}
    assert all(around.values())
    lengths = {path: path.read_text("utf-8").count("\n") for path in [*MODULES, *chain(*around.values())]}
    assert {str(path): length for path, length in lengths.items() if length > MAX_LINES} == {}


PURE = [path for path in MODULES if part_of(path) in ("exceptions", "protocol") or path.name == "roots.py"]
IMPURE = {"time", "datetime", "random", "asyncio", "threading", "socket", "urllib", "http", "logging"}


def test_the_pure_modules_import_the_standard_library_alone_and_know_no_clock_and_no_network():
    wrong = {}
    for path in PURE:
        # urllib.parse takes texts apart and no more.
        named = [name for name in imports_of(path.read_text("utf-8")) if not name.startswith("urllib.parse.")]
        roots = {name.split(".")[0] for name in named} - {NAME}
        if found := (roots - sys.stdlib_module_names) | (roots & IMPURE):
            wrong[dotted(path)] = found
    assert len(PURE) > 10
    assert wrong == {}


# Airflow's SDK itself imports the `get_provider_info` module of every installed provider, the http provider's among
# them, and with it the empty package `airflow.providers.http`. So the measure is what comes on top of the SDK.
# Each module is imported in a child of its own, which begins with the SDK and nothing else.
PROBE = """
import importlib, json, os, sys
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
before = set(sys.modules)
for module in sys.argv[1:]:
    if not os.fork():
        importlib.import_module(module)
        print(json.dumps([module, sorted(set(sys.modules) - before)]), flush=True)
        os._exit(0)
    os.wait()
"""
HEAVY = ("requests", "aiohttp", "airflow.providers.http")
PARSED = [dotted(path) for path in MODULES if part_of(path) in {*SURFACE, "triggers", "links"}]


@pytest.fixture(scope="module")
def added():
    """What importing each module brings, on top of the SDK."""
    modules = [*PARSED, f"{NAME}.hooks.vidu"]
    done = subprocess.run([sys.executable, "-c", PROBE, *modules], capture_output=True, text=True, check=False)
    # Airflow may write lines of its own.
    found = dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith('["'))
    assert list(found) == modules, done.stderr
    return found


def heavy_among(modules):
    return [name for name in modules if any(name == heavy or name.startswith(f"{heavy}.") for heavy in HEAVY)]


def test_a_module_that_a_dag_file_imports_brings_no_http_library(added):
    # What follows a submit is imported by the task that runs.
    parsed = [module for module in PARSED if "._" not in module]
    assert all(module in added[module] for module in parsed)
    assert {module: heavy for module in parsed if (heavy := heavy_among(added[module]))} == {}


def test_an_operator_brings_nothing_that_only_its_run_needs(added):
    of_the_run = {"airflow.triggers.base", f"{NAME}.protocol.response", f"{NAME}.durable.state_store"}
    operators = [f"{NAME}.operators.{name}" for name in ("vidu", "generate", "batch")]
    assert {name: of_the_run & set(added[name]) for name in operators} == {name: set() for name in operators}


def test_the_probe_sees_what_the_hooks_bring(added):
    # The SDK of Airflow 3.1.0 brings requests and aiohttp itself.
    assert "airflow.providers.http.hooks.http" in heavy_among(added[f"{NAME}.hooks.vidu"])


PLUGINS_PROBE = """
import sys
from airflow import plugins_manager
before = set(sys.modules)
plugins_manager.ensure_plugins_loaded()
print("\\n".join(sorted(set(sys.modules) - before)))
"""


def test_loading_all_plugins_brings_no_web_framework():
    done = subprocess.run([sys.executable, "-c", PLUGINS_PROBE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    added = done.stdout.split()
    assert f"{NAME}.plugin" in added
    assert {"fastapi", "starlette", f"{NAME}.plugin.app"} & set(added) == set()
