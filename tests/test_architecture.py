# SPDX-License-Identifier: Apache-2.0
"""Which module may import which, read from the source, and what importing one costs, seen in a fresh interpreter."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_vidu

PACKAGE = Path(airflow_provider_vidu.__file__).parent
NAME = PACKAGE.name
SURFACE = {"links", "operators", "sensors", "transfers"}
# The arrows: what stands on the left may import what stands on the right, itself, and nothing else of ours.
ARROWS = {
    "exceptions": set(),
    "protocol": {"exceptions"},
    "hooks": {"protocol", "exceptions"},
    "triggers": {"hooks", "protocol", "exceptions"},
    "links": set(),
    "roots": set(),
    **{part: {*SURFACE, "triggers", "hooks", "protocol", "exceptions", "roots"} for part in SURFACE - {"links"}},
    "plugin": {*SURFACE, "protocol", "roots"},
    "emulator": {"protocol"},
    "get_provider_info": set(),
    "__init__": set(),
}
PURE = {"exceptions", "protocol", "roots"}
MODULES = sorted(PACKAGE.rglob("*.py"))


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


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_arrows_point_one_way(path):
    part = part_of(path)
    ours = {name.split(".")[1] for name in imports_of(path.read_text("utf-8")) if name.split(".")[0] == NAME}
    assert part in ARROWS, f"{part} has no place among the arrows yet"
    assert ours <= ARROWS[part] | {part}


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(path) in PURE], ids=dotted)
def test_the_pure_modules_import_the_standard_library_alone(path):
    foreign = {name.split(".")[0] for name in imports_of(path.read_text("utf-8"))} - sys.stdlib_module_names
    assert foreign <= {NAME}


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(path) in PURE], ids=dotted)
def test_the_pure_modules_know_no_clock_and_no_network(path):
    # urllib.parse takes texts apart and no more.
    named = [name for name in imports_of(path.read_text("utf-8")) if not name.startswith("urllib.parse.")]
    roots = {name.split(".")[0] for name in named}
    assert not roots & {"time", "datetime", "random", "asyncio", "threading", "socket", "urllib", "http", "logging"}


# Airflow's SDK itself imports the `get_provider_info` module of every installed provider, the http provider's among
# them, and with it the empty package `airflow.providers.http`. So the measure is what comes on top of the SDK.
PROBE = """
import importlib, sys
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
before = set(sys.modules)
importlib.import_module(sys.argv[1])
print("\\n".join(sorted(set(sys.modules) - before)))
"""
HEAVY = ("requests", "aiohttp", "airflow.providers.http")
PARSED = [path for path in MODULES if part_of(path) in SURFACE | {"triggers"} and path.stem != "__init__"]


def added_by(module):
    done = subprocess.run([sys.executable, "-c", PROBE, module], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def heavy_among(modules):
    return [name for name in modules if any(name == heavy or name.startswith(f"{heavy}.") for heavy in HEAVY)]


@pytest.mark.parametrize("path", PARSED, ids=dotted)
def test_a_module_that_a_dag_file_imports_brings_no_http_library(path):
    added = added_by(dotted(path))
    assert dotted(path) in added
    assert heavy_among(added) == []


@pytest.mark.parametrize("module", ["vidu", "generate", "batch"])
def test_an_operator_brings_nothing_that_only_its_run_needs(module):
    of_the_run = {"airflow.triggers.base", f"{NAME}.protocol.response", f"{NAME}.operators.memory"}
    assert of_the_run & set(added_by(f"{NAME}.operators.{module}")) == set()


def test_the_probe_sees_what_the_hooks_bring():
    assert {"requests", "aiohttp", "airflow.providers.http.hooks.http"} <= set(
        heavy_among(added_by(f"{NAME}.hooks.vidu"))
    )


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
