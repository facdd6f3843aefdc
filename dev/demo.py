# SPDX-License-Identifier: Apache-2.0
"""
Demo of the example DAG in a real Airflow, from an image to an MP4: ``python -m dev.demo``.

``up`` leaves the same servers running and ``down`` stops them. Without a key in ``VIDU_API_KEY`` the demo uses the
emulator. With a key it asks for confirmation and then uses the real, paid service.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import psutil

from airflow_provider_vidu.emulator import KEY
from airflow_provider_vidu.protocol.prices import PRICES_AS_OF, estimate
from dev.airflow_bed import AirflowBed
from dev.emulator_process import EmulatorProcess
from dev.processes import free_port, python, signals_as_interrupt, spawn, stop_sessions, tail
from dev.video import read_video

ROOT = Path(__file__).resolve().parents[1]
STATE = ROOT / ".bed"
RECORD = STATE / "up.json"
OUTPUT = ROOT / "demo-output"
EXAMPLES = ROOT / "airflow_provider_vidu" / "example_dags"
OWN_DAGS = ROOT / "dags"
"""Directory for a person's own DAGs; git ignores it."""
PICTURE = EXAMPLES.relative_to(ROOT) / "images" / "lighthouse.jpg"
DAG_ID = "example_vidu_img2video"
ASKED = {
    "model": "viduq2-turbo",
    "input": {},
    "parameters": {"vidu_type": "img2video", "duration": 4, "resolution": "720p"},
}
"""Request of the example DAG, as far as it determines the price."""
VIDEOS = "/tmp/vidu-videos"
"""Default destination of the example DAGs."""
SPEED = 4
"""Speed of the emulator: fast, but slow enough that a person can watch the wait for the video."""
REAL_API = "https://api.modelverse.cn"
WORDS = {
    "scheduled": "is next",
    "queued": "waits for a worker",
    "running": "runs on a worker",
    "deferred": "waits for the video without holding a worker",
    "up_for_retry": "failed; Airflow will retry it",
    "success": "is done",
    "failed": "has FAILED",
    "upstream_failed": "cannot run",
}


def demo() -> int:
    """Run the example DAG once and print the path of the video."""
    # Remove the key from the environment: only the connection of the Airflow processes contains it.
    key = os.environ.pop("VIDU_API_KEY", "")
    if key and not _agreed():
        print("Nothing was submitted.")
        return 1
    home = STATE / "demo"
    shutil.rmtree(home, ignore_errors=True)
    with ExitStack() as stack:
        stack.enter_context(signals_as_interrupt())
        say(f"Starting {'PostgreSQL and Airflow' if key else 'PostgreSQL, Airflow and the emulator of the Vidu API'} …")
        if key:
            connection = {"conn_type": "vidu", "host": REAL_API, "password": key}
        else:
            connection = stack.enter_context(EmulatorProcess(home / "logs/emulator.log", speed=SPEED)).connection
        bed = stack.enter_context(AirflowBed(home, EXAMPLES, connections={"vidu_default": connection}))
        say(f"Airflow is up: {bed.url}")
        try:
            made = "made by the real API" if key else f"made by the emulator from {PICTURE}: nothing was paid"
            return _run(bed, timeout=1800 if key else 300, made=made)
        except KeyboardInterrupt:
            if key:
                say("A submitted task keeps running at Vidu and is billed.")
            raise
        finally:
            say("Stopping all servers; this takes a few seconds …")


def _agreed() -> bool:
    price = estimate(ASKED).price_cny
    asked = ASKED["parameters"]
    print(
        f"VIDU_API_KEY is set: the demo requests from {REAL_API} one real video of {asked['duration']} s at "  # type: ignore[index]
        f"{asked['resolution']}.\nEstimated price: ¥{price:g} (prices of {PRICES_AS_OF})."  # type: ignore[index]
    )
    try:
        return input("Submit and pay? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _run(bed: AirflowBed, timeout: float, made: str) -> int:
    run_id = bed.trigger(DAG_ID, {"destination": OUTPUT.as_uri()})
    seen: dict[str, str] = {}

    def show() -> None:
        for task in sorted(bed.task_instances(DAG_ID, run_id), key=lambda t: str(t["start_date"] or "~")):
            name, state = task["task_id"], task["state"]
            if state and seen.get(name) != state:
                seen[name] = state
                say(f"{name:>6} {WORDS.get(state, state)}")

    if bed.wait(DAG_ID, run_id, timeout, show) != "success":
        print(f"\n{bed.failures(DAG_ID, run_id)}\n")
        return 1
    for uri in bed.xcom(DAG_ID, run_id, "store"):
        path = Path(url2pathname(urlsplit(uri).path))
        facts = read_video(path)
        print(f"\nThe video: {os.path.relpath(path)}")
        print(
            f"  {facts.seconds:g} s, {path.stat().st_size / 1000:,.0f} kB, {facts.codec}, "
            f"{facts.width}x{facts.height} pixels"
        )
        print(f"  {made}\n")
    return 0


def up() -> int:
    """Start the servers of the demo and leave them running."""
    if any(_leaders()):
        print(f"Already running: {json.loads(RECORD.read_text()).get('url', 'still starting')} (make down stops it)")
        return 0
    os.environ.pop("VIDU_API_KEY", None)
    RECORD.unlink(missing_ok=True)
    log = STATE / "up.log"
    with signals_as_interrupt():
        process = spawn(python("dev.demo", "serve"), log, os.environ)
        try:
            print("Starting PostgreSQL, Airflow and the emulator of the Vidu API …", flush=True)
            while "url" not in (record := _record()):
                if process.poll() is not None:
                    print(f"The servers did not start:\n{tail(log)}")
                    return 1
                time.sleep(0.2)
        except BaseException:
            stop_sessions([process.pid], grace=30)
            raise
    print(f"Airflow: {record['url']}  (no password; vidu_default, set in the environment, points to the emulator)")
    print(f"Emulator: {record['emulator']}, key {KEY}  ({SPEED:g} times as fast as the API; faults under /_emulator/)")
    print(
        f"Start {DAG_ID} there. Put your own DAGs into {os.path.relpath(OWN_DAGS)}. The videos are in {VIDEOS}. "
        "`make down` stops all servers and deletes runs and connections, but no video. The logs are in "
        f"{os.path.relpath(STATE)}/up/logs."
    )
    return 0


def serve() -> int:
    """Run the servers until a signal arrives; ``up`` starts this as a background process."""
    home = STATE / "up"
    shutil.rmtree(home, ignore_errors=True)
    with ExitStack() as stack:
        stack.enter_context(signals_as_interrupt())
        _write_record([os.getpid()])
        stack.callback(RECORD.unlink, missing_ok=True)
        emulator = stack.enter_context(EmulatorProcess(home / "logs/emulator.log", speed=SPEED))
        connections = {"vidu_default": emulator.connection}
        env = {
            "AIRFLOW__VIDU__MEDIA_ROOTS": os.environ.get("AIRFLOW__VIDU__MEDIA_ROOTS", VIDEOS),
            "AIRFLOW__VIDU__LEDGER": os.environ.get("AIRFLOW__VIDU__LEDGER", str(STATE / "ledger")),
        }
        OWN_DAGS.mkdir(exist_ok=True)
        if not (examples := OWN_DAGS / "examples").is_symlink():
            examples.symlink_to(EXAMPLES)
        bed = stack.enter_context(AirflowBed(home, OWN_DAGS, env=env, connections=connections, port=_ui_port()))
        started = [process.pid for process in (emulator.process, *bed.processes.values()) if process]
        _write_record([os.getpid(), *started, *bed.postgres_pids()], url=bed.url, emulator=emulator.url)
        while True:
            time.sleep(3600)


def down() -> int:
    """Stop the servers that ``up`` started."""
    leaders = _leaders()
    # Stop all recorded processes: the others may outlive a killed first process.
    stop_sessions(leaders, grace=30)
    RECORD.unlink(missing_ok=True)
    print("Stopped." if leaders else "Nothing was running.")
    return 0


def _write_record(pids: list[int], **more: str) -> None:
    record = {"pids": {pid: psutil.Process(pid).create_time() for pid in pids}, **more}
    partial = RECORD.with_suffix(".part")
    partial.parent.mkdir(exist_ok=True)
    partial.write_text(json.dumps(record))
    partial.replace(RECORD)


def _record() -> Mapping[str, Any]:
    return dict(json.loads(RECORD.read_text())) if RECORD.exists() else {}


def _leaders() -> list[int]:
    """Return the recorded process ids, except those that another process has taken over."""
    leaders = []
    for pid, created in _record().get("pids", {}).items():
        with suppress(psutil.NoSuchProcess):
            if abs(psutil.Process(int(pid)).create_time() - created) > 2:
                continue
        # An ended process stays in the list: its session may still have members.
        leaders.append(int(pid))
    return leaders


def _ui_port() -> int:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", 8080))
        except OSError:
            return free_port()
    return 8080


_STARTED = time.monotonic()


def say(text: str) -> None:
    """Print a line with the time since the start."""
    print(f"{time.monotonic() - _STARTED:6.1f} s  {text}", flush=True)


if __name__ == "__main__":
    command = {"demo": demo, "up": up, "serve": serve, "down": down}[(sys.argv[1:] or ["demo"])[0]]
    try:
        sys.exit(command())
    except KeyboardInterrupt:
        sys.exit(130)
    except (RuntimeError, TimeoutError) as error:
        sys.exit(f"{error}")
