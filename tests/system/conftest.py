# SPDX-License-Identifier: Apache-2.0
"""One real Airflow and one emulator for all system tests of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed.airflow_bed import AirflowBed
from tests.bed.emulator_process import EmulatorProcess

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def emulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(tmp_path_factory.mktemp("emulator") / "emulator.log", speed=10) as process:
        yield process


@pytest.fixture
def emulator(emulator_process: EmulatorProcess) -> EmulatorProcess:
    """The emulator that the bed's connection ``vidu_default`` leads to, with nothing remembered."""
    emulator_process.control("POST", "reset")
    return emulator_process


@pytest.fixture(scope="session")
def bed(emulator_process: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowBed]:
    home = tmp_path_factory.mktemp("bed")
    dags = home / "dags"
    dags.mkdir()
    (dags / "example").symlink_to(ROOT / "example_dags")
    (dags / "system").symlink_to(ROOT / "tests" / "system" / "dags")
    with AirflowBed(home, dags, connections={"vidu_default": emulator_process.connection}) as bed:
        yield bed
