# SPDX-License-Identifier: Apache-2.0
"""One real Airflow and one emulator for all system tests of a run, and a browser that looks at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from playwright.sync_api import Browser, Page, expect

from airflow_provider_vidu.durable.ledger import Ledger
from airflow_provider_vidu.emulator.server import Settings, running
from dev.airflow_bed import AirflowBed
from dev.emulator_client import Api
from dev.emulator_process import EmulatorProcess
from tests.system.support.batches import BatchRun
from tests.system.support.browser import chromium
from tests.system.support.guarded import GuardedServer
from tests.system.support.library import fill_odd
from tests.system.support.trouble import CarefulRun

ROOT = Path(__file__).resolve().parents[2]
# Two cores may be Airflow's, PostgreSQL's and the browser's at once.
expect.set_options(timeout=30_000)


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
def url() -> Iterator[str]:
    """Where a video is served that stays, whatever becomes of those of the emulator that Airflow knows."""
    with running(Settings(speed=1e6)) as address:
        asked = {"model": "viduq2", "input": {"prompt": "a kite"}, "parameters": {"vidu_type": "text2video"}}
        yield Api(address).video_url(asked)


@pytest.fixture(scope="session")
def bed_home() -> Iterator[Path]:
    # Not among pytest's own directories: their parent is closed to PostgreSQL's user whenever another pytest starts.
    with TemporaryDirectory(prefix="vidu-bed-") as home:
        yield Path(home)


@pytest.fixture(scope="session")
def bed(
    emulator_process: EmulatorProcess, bed_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowBed]:
    dags = bed_home / "dags"
    dags.mkdir()
    (dags / "example").symlink_to(ROOT / "airflow_provider_vidu" / "example_dags")
    (dags / "system").symlink_to(ROOT / "tests" / "system" / "dags")
    env = {
        "AIRFLOW__VIDU__LEDGER": str(bed_home / "ledger"),
        # Below it lies what tests store, and much that nobody shall see.
        "AIRFLOW__VIDU__MEDIA_ROOTS": f"{tmp_path_factory.getbasetemp()}, s3://shop@bucket/shown",
        # What died is noticed within the time of a test.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
    }
    with AirflowBed(bed_home, dags, env=env, connections={"vidu_default": emulator_process.connection}) as bed:
        yield bed


@pytest.fixture(scope="session")
def odd_entries(bed: AirflowBed) -> None:
    """Entries of the ledger that are far apart or strange, written before any page reads their days."""
    fill_odd(Ledger(bed.env["AIRFLOW__VIDU__LEDGER"]))


@pytest.fixture(scope="session")
def guarded(bed: AirflowBed) -> GuardedServer:
    """The same Airflow, seen by users who have to log in."""
    return GuardedServer(bed)


@pytest.fixture
def careful(bed: AirflowBed, emulator: EmulatorProcess, tmp_path: Path) -> Callable[..., CarefulRun]:
    """Start a run of a careful DAG: its tasks stop where they are told to."""
    emulator.release()
    return partial(CarefulRun, bed, emulator, tmp_path)


@pytest.fixture
def batch(bed: AirflowBed, emulator: EmulatorProcess, tmp_path: Path) -> Callable[..., BatchRun]:
    """Start a run of the DAG ``batches``."""
    emulator.release()
    return lambda name="one", **conf: BatchRun(bed, emulator, tmp_path / name, **conf)


# Not longer than a module: while it lives, Playwright's event loop counts as running, so that no other could be run.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(bed: AirflowBed, browser: Browser) -> Iterator[Page]:
    """Airflow's UI in English and in the light theme, for a user who is logged in; paths are relative to it."""
    with browser.new_context(
        base_url=bed.url,
        viewport={"width": 1280, "height": 900},
        locale="en-US",
        timezone_id="UTC",
        color_scheme="light",
    ) as context:
        page = context.new_page()
        page.goto("/")
        page.get_by_test_id("nav-home-link").wait_for()
        yield page
