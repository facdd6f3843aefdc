# SPDX-License-Identifier: Apache-2.0
"""The fixture ``vidu_emulator``: in this project, and in one of somebody else with the files of ``docs/testing.md``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_vidu
from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.emulator.client import ViduEmulator
from airflow_provider_vidu.exceptions import ViduUnavailableError
from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.protocol.polling import Watch
from airflow_provider_vidu.protocol.request import build
from airflow_provider_vidu.protocol.response import TaskStatus

ROOT = Path(airflow_provider_vidu.__file__).parents[1]
PAGE = (ROOT / "docs" / "testing.md").read_text("utf-8")
FILES = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture
def project(tmp_path):
    """Run pytest in a project with the given files, and return what it printed."""

    def run(files: dict[str, str], **environment: str) -> str:
        for name, source in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(source, "utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST", "COV"))}
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
            cwd=tmp_path,
            env={**kept, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return ended.stdout + ended.stderr

    return run


def submit(prompt: str = "A red kite", model: str = "viduq2") -> str:
    body = build("text2video", model, {"prompt": prompt, "duration": 5, "resolution": "720p"})
    return ViduHook().submit(body).task_id


def test_the_tests_of_the_page_pass_in_a_project_that_only_installs_the_package(project):
    output = project(FILES, http_proxy="http://127.0.0.1:9")
    assert "4 passed" in output, output


def test_the_page_lists_every_name_of_the_fixture():
    listed = re.findall(r"^\| `(\w+)", PAGE, re.MULTILINE)
    names = {*vars(ViduEmulator), *vars(ViduEmulator("http://127.0.0.1:1"))}
    assert set(listed) == {name for name in names if not name.startswith("_")} - {"key"}


def test_who_does_not_use_the_fixture_pays_for_three_small_modules(project):
    source = (
        "import sys, threading\n"
        "def test_it():\n"
        "    heavy = ('airflow', 'requests', 'aiohttp', 'av', 'PIL')\n"
        "    print(sorted(name for name in sys.modules if name.startswith(heavy)), threading.active_count())\n"
        "    assert False\n"
    )
    name = "airflow_provider_vidu"
    brought = [name, f"{name}.emulator", f"{name}.emulator.pytest_plugin"]
    assert f"{brought} 1\n" in project({"test_it.py": source})


BACKEND = """
from airflow.secrets import BaseSecretsBackend

class Vault(BaseSecretsBackend):
    def get_conn_value(self, conn_id):
        return '{"conn_type": "vidu", "host": "http://127.0.0.1:9", "password": "a-real-key"}'
"""


def test_a_connection_of_a_secrets_backend_fails_the_test_before_anything_is_sent(project):
    source = "def test_it(vidu_emulator): pass\n"
    output = project(
        {"test_it.py": source, "vault.py": BACKEND},
        AIRFLOW__SECRETS__BACKEND="vault.Vault",
        AIRFLOW__WORKERS__SECRETS_BACKEND="vault.Vault",
        PYTHONPATH=f"{ROOT}:.",
    )
    assert "The connection vidu_default must lead to the emulator at http://127.0.0.1:" in output, output
    assert ", got http://127.0.0.1:9. Nothing was sent or paid." in output


def test_the_fixture_names_the_extra_if_it_is_not_installed(project):
    source = "import sys\nsys.modules['av'] = None\ndef test_it(vidu_emulator): pass\n"
    output = project({"test_it.py": source})
    assert "The emulator needs av: pip install 'airflow-provider-vidu[emulator]'" in output
    assert "1 error" in output


def test_a_test_sees_its_own_submits_and_what_they_would_have_cost(vidu_emulator):
    assert (vidu_emulator.submitted, vidu_emulator.estimated_cost) == ([], 0)
    submit("A red kite")
    submit("A boat", model="viduq2")
    assert [body["input"]["prompt"] for body in vidu_emulator.submitted] == ["A red kite", "A boat"]
    assert vidu_emulator.estimated_cost == 2.18
    submit("A boat", model="a-model-of-tomorrow")
    assert vidu_emulator.estimated_cost is None
    vidu_emulator.reset()
    assert vidu_emulator.submitted == []


def test_a_prompt_fails_in_the_chosen_way_until_the_reset(vidu_emulator):
    vidu_emulator.fail("kite")
    vidu_emulator.fail("boat", "account")
    tasks = [ViduHook().get_task(submit(prompt)) for prompt in ("A red kite", "A boat", "A tree")]
    assert [task.word for task in tasks] == ["Failure", "Failure", "Success"]
    assert [task.family for task in tasks[:2]] == ["moderation", "account"]
    vidu_emulator.reset()
    assert ViduHook().get_task(submit("A red kite")).word == "Success"


def test_a_wrong_order_is_refused_with_the_rule(vidu_emulator):
    with pytest.raises(ValueError, match=r'"family": moderation or capacity or account}, got .*"rain"'):
        vidu_emulator.fail("kite", "rain")
    with pytest.raises(ValueError, match="a failure must be"):
        vidu_emulator.fail("")
    with pytest.raises(ValueError, match="fault must be one of"):
        vidu_emulator.arm({"fault": "rain"})


def test_a_connection_of_another_name_leads_to_it_too(vidu_emulator, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_MY_VIDU", json.dumps(vidu_emulator.connection))
    assert ViduHook("my_vidu").test_connection()[0]


def test_the_ledger_of_the_environment_is_off(ledger, vidu_emulator):
    assert Ledger.configured() is None


@pytest.mark.parametrize("expected_seconds", [None, 3600])
def test_a_wait_polls_immediately_whatever_is_expected(vidu_emulator, expected_seconds):
    watch = Watch("x", poll_interval=3600, started_at=0, deadline=1e9, expected_seconds=expected_seconds)
    running = TaskStatus("x", "Running")
    assert watch.first_ask(0, 0.9) < 1
    assert watch.observe(1, running, 0.9).seconds < 1
    assert watch.observe(2, ViduUnavailableError("away"), 0.9).seconds < 1
