# SPDX-License-Identifier: Apache-2.0
"""The snippets of docs/deploy.md run, and its numbers are Airflow's."""

from __future__ import annotations

import json
import re
import shlex
from configparser import ConfigParser
from pathlib import Path

import pytest
from airflow.configuration import conf

from dev.emulator_client import KEY
from tests.quick import posts

PAGE = (Path(__file__).parents[1] / "docs/deploy.md").read_text("utf-8")


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def pool(airflow_database):
    """The pool that the command of the page makes."""
    from airflow.cli.cli_parser import get_parser
    from airflow.models.pool import Pool

    (line,) = re.findall(r"^airflow (pools set .*)$", PAGE, re.MULTILINE)
    arguments = get_parser().parse_args(shlex.split(line))
    arguments.func(arguments)
    yield Pool.get_pool("vidu")
    Pool.delete_pool("vidu")


@pytest.fixture
def run(run_dag, frame, tmp_path):
    """Run the DAG of the page."""
    (source,) = snippets("python")
    source = source.replace("s3://aws_default@pictures/mountains.png", str(frame))
    source = re.sub(r"with DAG\(.*\):", "if True:", source.replace("s3://aws_default@", f"file://{tmp_path}/"))
    return lambda: run_dag(lambda: exec(source, {}))


def test_the_dag_of_the_page_runs_in_the_pool_of_the_page(run, pool, emulator, tmp_path):
    assert (pool.slots, pool.include_deferred) == (20, True)
    assert run().states == {"generate": "success"}
    assert {path.name for path in tmp_path.glob("videos/*/*.mp4")} == {"0.mp4", "1.mp4"}


def test_a_task_takes_its_connection_from_the_secrets_backend_of_the_page(run, pool, emulator, tmp_path, monkeypatch):
    backend = ConfigParser()
    backend.read_string(snippets("ini")[0])
    (connections,) = map(json.loads, snippets("json"))
    connections["vidu_default"] |= {"host": emulator.url, "password": KEY}
    (tmp_path / "connections.json").write_text(json.dumps(connections))
    for name, value in backend["secrets"].items():
        value = value.replace("/secrets/", f"{tmp_path}/")
        monkeypatch.setenv(f"AIRFLOW__SECRETS__{name.upper()}", value)
    monkeypatch.delenv("AIRFLOW_CONN_VIDU_DEFAULT")
    assert run().states == {"generate": "success"}
    assert len(posts(emulator)) == 2


def test_the_time_after_which_airflow_notices_a_dead_worker_is_airflows():
    seconds = conf.getint("scheduler", "task_instance_heartbeat_timeout")
    assert f"`[scheduler] task_instance_heartbeat_timeout` ({seconds} s)" in " ".join(PAGE.split())
