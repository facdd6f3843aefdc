# SPDX-License-Identifier: Apache-2.0
"""
The pytest fixture ``vidu_emulator``.

Every pytest run on a machine with this package imports this module (entry point ``pytest11``), so it imports nothing
that is not already there. The fixture imports the rest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from airflow_provider_vidu.emulator import name_the_extra

if TYPE_CHECKING:
    from airflow_provider_vidu.emulator.client import ViduEmulator

_AT_ONCE = 0.05


@pytest.fixture(scope="session")
def _vidu_emulator() -> Iterator[ViduEmulator]:
    try:
        from airflow_provider_vidu.emulator.server import Settings, running
    except ModuleNotFoundError as error:
        pytest.fail(name_the_extra(error), pytrace=False)
    from airflow_provider_vidu.emulator.client import ViduEmulator

    with running(Settings(speed=1e6)) as url:
        yield ViduEmulator(url)


@pytest.fixture
def vidu_emulator(_vidu_emulator: ViduEmulator, monkeypatch: pytest.MonkeyPatch) -> ViduEmulator:
    """
    Provide an empty emulator of the Vidu API as connection ``vidu_default``.

    Its generations end immediately, the provider polls immediately, and the ledger is off.
    """
    bypassed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    # Lower case wins where both are set.
    monkeypatch.setenv("no_proxy", f"{bypassed},127.0.0.1" if bypassed else "127.0.0.1")
    monkeypatch.setenv("AIRFLOW_CONN_VIDU_DEFAULT", json.dumps(_vidu_emulator.connection))
    # A reader of the real ledger would take the emulator's videos for paid ones, and a budget needs a ledger.
    for option in ("LEDGER", "DAILY_BUDGET", "MONTHLY_BUDGET"):
        monkeypatch.setenv(f"AIRFLOW__VIDU__{option}", "")
    _refuse_another_api(_vidu_emulator.url)
    shorten_pauses(monkeypatch)
    poll_at_once(monkeypatch)
    _vidu_emulator.reset()
    return _vidu_emulator


def _refuse_another_api(url: str) -> None:
    """Fail if the connection leads elsewhere: a secrets backend comes before the environment."""
    from airflow.providers.common.compat.sdk import BaseHook

    if (found := BaseHook.get_connection("vidu_default").host) != url:
        pytest.fail(
            f"The connection vidu_default must lead to the emulator at {url}, got {found}. Nothing was sent or paid. "
            "Unset Airflow's [secrets] backend and [workers] secrets_backend for the tests.",
            pytrace=False,
        )


def shorten_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Shorten the provider's pauses after faults.

    :param monkeypatch: Restores them.
    """
    from airflow_provider_vidu.protocol import download, pauses, polling, schedule

    monkeypatch.setattr(polling, "CONFIRM_SECONDS", _AT_ONCE)
    monkeypatch.setattr(pauses, "FAULT_SECONDS", 0.01)
    monkeypatch.setattr(pauses, "RESEND_SECONDS", 0.001)
    monkeypatch.setattr(download, "RESUME_SECONDS", 0.001)
    monkeypatch.setattr(schedule, "MIN_STEP_SECONDS", _AT_ONCE)


def poll_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Let waits poll without the pauses that a real generation needs.

    :param monkeypatch: Restores the pauses.
    """
    from airflow_provider_vidu.protocol import schedule

    monkeypatch.setattr(schedule, "first_ask", lambda expected, jitter: _AT_ONCE)
    monkeypatch.setattr(schedule, "next_ask", lambda expected, age, jitter: _AT_ONCE)
    monkeypatch.setattr(schedule, "spread", lambda seconds, jitter: _AT_ONCE)
