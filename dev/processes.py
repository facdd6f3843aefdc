# SPDX-License-Identifier: Apache-2.0
"""Start and reliable stop of server processes, with all their child processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """End the block on SIGTERM and SIGHUP as on Ctrl-C, and let its clean-up run undisturbed."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        # A second Ctrl-C must not interrupt the clean-up that the first one began.
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = _handlers()
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_held() -> Iterator[None]:
    """Finish the block before a Ctrl-C or SIGTERM takes effect."""
    arrived: list[int] = []
    before = _handlers()
    for number in before:
        signal.signal(number, lambda number, _frame: arrived.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])


def _handlers() -> dict[signal.Signals, Any]:
    # A signal that the caller ignores (nohup) stays ignored.
    handlers = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    return {number: handler for number, handler in handlers.items() if handler is not signal.SIG_IGN}


def spawn(command: Sequence[str], log: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """
    Start a command in its own session, so that the terminal's Ctrl-C does not reach it.

    :param command: Program and arguments.
    :param log: File for its output.
    :param env: Its complete environment.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=dict(env), start_new_session=True
        )


def stop_sessions(leaders: Iterable[int], *, grace: float = 8) -> None:
    """
    End all processes of some sessions: first SIGTERM, then SIGKILL for those that remain.

    A session, unlike a process group, also contains processes whose parent is gone: Airflow gives each running task its
    own group. The function adds descendants, because the command of a BashOperator has its own session.

    :param leaders: Process ids of the sessions' first processes.
    :param grace: Seconds between the two signals.
    """
    leaders = set(leaders)
    seen: set[psutil.Process] = set()
    deadline = time.monotonic() + grace
    while alive := _members(leaders, seen):
        late = time.monotonic() > deadline
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                if late:
                    process.kill()
                elif process not in seen:
                    process.terminate()
        seen |= alive
        psutil.wait_procs(alive, timeout=0.1)


def _members(leaders: set[int], known: set[psutil.Process]) -> set[psutil.Process]:
    members = {process for process in known if process.is_running()}
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            if os.getsid(process.pid) in leaders:
                members |= {process, *process.children(recursive=True)}
    # A zombie has ended; its parent, which may be another process, must collect it.
    return {process for process in members if not _is_zombie(process)}


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def free_port() -> int:
    """Return a free TCP port of 127.0.0.1."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def tail(path: Path, lines: int = 30) -> str:
    """Return the end of a log file, or a note that it does not exist."""
    if not path.exists():
        return f"({path} does not exist)"
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def python(*arguments: str) -> list[str]:
    """Return the command line that runs a module with this interpreter."""
    return [sys.executable, "-m", *arguments]
