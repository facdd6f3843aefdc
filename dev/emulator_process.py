# SPDX-License-Identifier: Apache-2.0
"""Vidu emulator as a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from airflow_provider_vidu.emulator.client import ViduEmulator
from dev.processes import python, signals_held, spawn, stop_sessions, tail


class EmulatorProcess(ViduEmulator):
    """
    Run an emulator for the duration of a ``with`` block.

    :param log: File for its output.
    :param speed: Factor by which it generates faster than the real service.
    """

    def __init__(self, log: Path, *, speed: float) -> None:
        self.log = log
        self.speed = speed
        self.process: subprocess.Popen[bytes] | None = None
        super().__init__("")

    def __enter__(self) -> EmulatorProcess:
        self.log.unlink(missing_ok=True)
        module = "airflow_provider_vidu.emulator"
        command = python(module, "--port", "0", "--speed", str(self.speed))
        try:
            with signals_held():
                self.process = spawn(command, self.log, {**os.environ, "PYTHONUNBUFFERED": "1"})
            self._wait_for_url(self.process)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _wait_for_url(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"Vidu emulator on (http://\S+)", self.log.read_text())):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The emulator did not start:\n{tail(self.log)}")
            time.sleep(0.05)
        self.url = found[1]

    def stop(self) -> None:
        """Stop the emulator; a second call does nothing."""
        if self.process is not None:
            with signals_held():
                stop_sessions([self.process.pid])
                self.process.wait()

    def hold(self) -> None:
        """Answer every status request with Running until :meth:`release`."""
        order = {"fault": "unknown_word", "on": "status", "word": "Running", "times": None}
        self.arm(order)

    def release(self) -> None:
        """Disarm all faults."""
        self.control("DELETE", "faults")
