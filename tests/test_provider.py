# SPDX-License-Identifier: Apache-2.0
"""What Airflow itself sees of the installed package."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module, metadata, resources
from pathlib import Path

import airflow_provider_vidu
from airflow_provider_vidu.get_provider_info import get_provider_info


def airflow(*arguments: str) -> list[dict]:
    command = [sys.executable, "-m", "airflow", *arguments, "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout[done.stdout.index("[{") :])


def test_airflow_lists_the_provider_and_its_hook():
    (provider,) = [row for row in airflow("providers", "list") if row["package_name"] == "airflow-provider-vidu"]
    assert provider["version"] == airflow_provider_vidu.__version__ == metadata.version("airflow-provider-vidu")
    (hook,) = [row for row in airflow("providers", "hooks") if row["connection_type"] == "vidu"]
    assert hook == {
        "connection_type": "vidu",
        "class": "airflow_provider_vidu.hooks.vidu.ViduHook",
        "conn_id_attribute_name": "vidu_conn_id",
        "package_name": "airflow-provider-vidu",
        "hook_name": "Vidu",
    }


def test_the_provider_info_fits_airflows_own_schema():
    import jsonschema

    schema = json.loads(resources.files("airflow").joinpath("provider_info.schema.json").read_text("utf-8"))
    jsonschema.validate(get_provider_info(), schema)


def test_the_provider_info_names_modules_that_exist():
    info = get_provider_info()
    kinds = ("hooks", "operators", "sensors", "triggers")
    modules = [name for kind in kinds for part in info[kind] for name in part["python-modules"]]
    for module in [*modules, *(transfer["python-module"] for transfer in info["transfers"])]:
        import_module(module)
    for decorator in info["task-decorators"]:
        module, _, name = decorator["class-name"].rpartition(".")
        assert callable(getattr(import_module(module), name))


def test_the_package_says_that_it_is_typed():
    assert (Path(airflow_provider_vidu.__file__).parent / "py.typed").exists()
