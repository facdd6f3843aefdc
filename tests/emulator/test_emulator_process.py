# SPDX-License-Identifier: Apache-2.0
"""The emulator as a process of its own: its command line, its beginning and its end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import requests

from airflow_provider_vidu.emulator.server import Settings, running

COMMAND = [sys.executable, "-m", "airflow_provider_vidu.emulator"]


@pytest.fixture
def start(tmp_path):
    processes = []

    def begin(*arguments):
        process = subprocess.Popen(
            [*COMMAND, "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"TMPDIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
        )
        processes.append(process)
        line = process.stdout.readline()
        assert line.startswith("Vidu emulator on http://127.0.0.1:")
        return process, line.split()[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def test_the_console_script_starts_it():
    script = Path(sysconfig.get_path("scripts")) / "vidu-emulator"
    with subprocess.Popen([script, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert re.fullmatch(r"Vidu emulator on http://127\.0\.0\.1:\d+\n", process.stdout.readline())
        process.terminate()
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_removes_its_temporary_directory(start, tmp_path, img2video, number):
    process, url = start("--speed", "1000000", "--key", "other")
    headers = {"Authorization": "other"}
    task_id = requests.post(f"{url}/v1/tasks/submit", json=img2video(), headers=headers, timeout=10).json()
    status = requests.get(f"{url}/v1/tasks/status", params=task_id["output"], headers=headers, timeout=10).json()
    assert requests.get(status["output"]["urls"][0], timeout=30).status_code == 200
    assert len(list(tmp_path.glob("*/*.mp4"))) == 1
    process.send_signal(number)
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_hanging_request_does_not_hold_up_the_end(start):
    process, url = start()
    requests.post(f"{url}/_emulator/faults", json=[{"on": "status", "fault": "hang"}], timeout=10)
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{url}/v1/tasks/status", timeout=0.3)
    process.terminate()
    assert process.communicate(timeout=20) == ("", "")


def test_a_directory_of_ones_own_keeps_the_videos(img2video, tmp_path):
    headers = {"Authorization": "emulator-key"}
    directory = tmp_path / "new" / "videos"
    with running(Settings(directory=directory, speed=1e6)) as url:
        requests.post(f"{url}/v1/tasks/submit", json=img2video(), headers=headers, timeout=10)
        (task,) = requests.get(f"{url}/_emulator/tasks", timeout=10).json()
        assert list(directory.glob("*.mp4")) == []
        content = requests.get(task["url"], timeout=30).content
    assert (directory / f"{task['task_id']}.mp4").read_bytes() == content


def test_a_directory_that_cannot_be_made_is_told(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(OSError, match="file"), running(Settings(directory=file / "x")):
        pytest.fail("it runs all the same")


def test_a_taken_port_is_told_in_one_line(start):
    _, url = start()
    port = url.rpartition(":")[2]
    ended = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("The emulator cannot run: ")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("package", ["aiohttp", "av", "PIL"])
def test_a_missing_package_is_told_in_one_line_that_names_the_extra(package):
    code = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv[1:] = []\n"
        "from airflow_provider_vidu.emulator.__main__ import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert ended.stderr == f"The emulator needs {package}: pip install 'airflow-provider-vidu[emulator]'\n"
    assert ended.returncode == 1
