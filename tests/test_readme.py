# SPDX-License-Identifier: Apache-2.0
"""The README and the pages of ``docs`` are compared with the code they speak of."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

import airflow_provider_vidu
from airflow_provider_vidu.durable.state_store import SUBMIT_KEY
from airflow_provider_vidu.emulator.__main__ import _parser
from airflow_provider_vidu.emulator.faults import KINDS
from airflow_provider_vidu.get_provider_info import get_provider_info
from airflow_provider_vidu.hooks.connection import DEFAULT_BASE_URL, DEFAULT_TIMEOUT
from airflow_provider_vidu.hooks.vidu_async import LINGER_SECONDS, MAX_CONNECTIONS
from airflow_provider_vidu.protocol import schedule
from airflow_provider_vidu.protocol.download import MAX_REQUESTS, MAX_VIDEO_BYTES, RESUME_SECONDS
from airflow_provider_vidu.protocol.pauses import LONGEST_RETRY_AFTER, MAX_POSTS, RESEND_SECONDS
from airflow_provider_vidu.protocol.polling import (
    CONFIRM_SECONDS,
    GRACE_SECONDS,
    TIMES_BELIEVED,
)
from airflow_provider_vidu.protocol.prices import PRICES_AS_OF, estimate
from airflow_provider_vidu.sensors.vidu import ViduTaskSensor

ROOT = Path(airflow_provider_vidu.__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text("utf-8")


RELIABILITY = " ".join(page("reliability").split())


def snippets(text: str, language: str = "python") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def run_snippet(run_dag, emulator, frame, tmp_path):
    def run(source: str):
        source = source.replace("s3://aws_default@pictures/mountains.png", str(frame))
        source = re.sub("s3://aws_default@videos/|/tmp/vidu-videos/", f"file://{tmp_path}/videos/", source)
        source = re.sub(r"with DAG\(.*\):", "if True:", source)
        return run_dag(lambda: exec(source, {}))

    return run


def test_the_dag_of_the_readme_runs(run_snippet):
    assert run_snippet(*snippets(README)).states == {"generate": "success"}


def test_the_dag_of_the_tutorial_makes_a_video_and_costs_what_the_page_says(run_snippet, emulator, tmp_path):
    ran = run_snippet(*snippets(page("tutorial")))
    (task,) = emulator.tasks
    assert ran.xcom("generate")["files"] == [f"file://{tmp_path}/videos/{task['task_id']}.mp4"]
    assert f"pays about ¥{ran.xcom('generate', 'estimated_cost'):.2f} for it" in page("tutorial")


def test_the_tutorial_on_batches_pays_what_it_says_and_its_second_dag_stores_a_paid_video(run_snippet, emulator):
    batch, resume = snippets(page("nightly"))
    ran = run_snippet(batch)
    assert ran.xcom("videos")["counts"] == {"success": 3}
    assert f"paid about ¥{ran.xcom('videos')['estimated_cost']:.2f} for three videos" in page("nightly")
    paid = emulator.tasks[0]["task_id"]
    assert snippets(page("reliability"))[-1].split("destination")[0] == resume.split("destination")[0]
    assert run_snippet(resume.replace("<id>", paid)).xcom("store")[0].endswith(f"/resumed/{paid}.mp4")
    assert len(emulator.tasks) == 3


def test_the_dags_of_the_pages_on_operators_run(run_snippet, emulator, tmp_path):
    three_tasks, one_task, batch = (run_snippet(*snippets(page(name))) for name in ("tasks", "generate", "batch"))
    first, second, *_ = emulator.tasks
    assert three_tasks.states == {"submit": "success", "wait": "success", "store": "success"}
    assert three_tasks.xcom("store") == [f"file://{tmp_path}/videos/{first['task_id']}.mp4"]
    assert one_task.states == {"generate": "success"}
    (file,) = one_task.xcom("generate")["files"]
    assert re.fullmatch(rf"file://{tmp_path}/videos/\d{{4}}-\d\d-\d\d/{second['task_id']}\.mp4", file)
    assert batch.xcom("videos")["counts"] == {"success": 2}
    assert {path.name for path in tmp_path.glob("videos/*/*ing.mp4")} == {"morning.mp4", "evening.mp4"}
    (manifest,) = tmp_path.glob("videos/*/manifest-*-videos-*.jsonl")
    told, shown = (
        json.loads(text) for text in (manifest.read_text("utf-8").splitlines()[0], *snippets(page("batch"), "json"))
    )
    assert list(shown) == list(told)
    # The run has another picture, another day and ids of its own.
    told["request"]["input"]["first_frame_url"] = shown["request"]["input"]["first_frame_url"]
    told["task_id"] = shown["task_id"]
    told["files"] = [
        re.sub(r".*/videos/[^/]+/", "s3://aws_default@videos/scheduled__2026-11-25T02:00:00+00:00/", file)
        for file in told["files"]
    ]
    assert told == shown


def test_the_dag_of_the_page_on_the_ledger_runs(run_snippet, emulator, ledger):
    assert run_snippet(*snippets(page("ledger"))).states == {"rescue": "success"}


def test_the_dags_of_the_page_on_the_api_run(run_snippet, emulator, tmp_path):
    decorated, own_operator = map(run_snippet, snippets(page("api")))
    assert decorated.xcom("videos")["counts"] == {"success": 2}
    assert {path.name for path in tmp_path.glob("videos/*/*.mp4")} == {"Bergen.mp4", "Porto.mp4"}
    assert own_operator.states == {"submit": "success", "wait": "success"}
    assert own_operator.xcom("wait") == emulator.tasks[-1]["url"]


def test_every_option_of_the_configuration_is_listed():
    listed = re.findall(
        r"^\| (`\w+`(?:, `\w+`)*) \| (?:workers|api-server|workers, api-server) \|", page("configuration"), re.M
    )
    names = {name for names in listed for name in re.findall(r"`(\w+)`", names)}
    assert names == set(get_provider_info()["config"]["vidu"]["options"])


def test_the_estimates_of_the_page_on_costs_are_the_codes():
    rows = re.findall(r"\| `(viduq[^`]*)` \| ¥([\d.]+) \| (?:([\d.]+) s|unknown) \|", page("costs"))
    assert len(rows) == 4
    for model, price, seconds in rows:
        body = {"model": model, "parameters": {"vidu_type": "img2video", "duration": 5, "resolution": "720p"}}
        found = estimate(body)
        assert (found.price_cny, found.typical_seconds) == (float(price), float(seconds) if seconds else None)
    assert f"dated {PRICES_AS_OF}" in " ".join(page("costs").split())


def test_the_defaults_of_the_page_on_the_connection_are_the_codes():
    host = f"| host | the base URL; outside mainland China `https://api.umodelverse.ai` | `{DEFAULT_BASE_URL}` |"
    assert host in page("connection")
    assert f"| extra `timeout` | seconds to wait for a response | {DEFAULT_TIMEOUT:g} |" in page("connection")


@pytest.mark.parametrize("text", [README, page("tutorial")], ids=["README", "tutorial"])
def test_the_emulators_command_is_understood(text):
    (line,) = re.findall(r"^(?:vidu-emulator|python -m airflow_provider_vidu\.emulator) ([^#\n]*)", text, re.MULTILINE)
    options = _parser().parse_args(shlex.split(line))
    assert (options.port, options.speed) == (8765, 10)


def test_the_command_of_the_container_serves_its_port_on_all_addresses():
    container = (ROOT / "Containerfile").read_text("utf-8")
    (command,) = re.findall(r"^ENTRYPOINT (.*)$", container, re.MULTILINE)
    (port,) = re.findall(r"^EXPOSE (\d+)$", container, re.MULTILINE)
    name, *arguments = json.loads(command)
    assert name in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    options = _parser().parse_args([*arguments, "--speed", "10"])
    assert (options.host, options.port) == ("0.0.0.0", int(port))


@pytest.mark.parametrize(
    "sentence",
    [
        f"polls every `poke_interval` ({ViduTaskSensor(task_id='wait', vidu_task_id='x').poke_interval:g} s)",
        f"{schedule._STEP_PER_LAG} leaves room for jitter. The allowed lag is {schedule.LAG_SECONDS} s, or "
        f"{schedule.LAG_SHARE:.0%} of the".replace("%", " %"),
        f"adds up the rate from {schedule.EARLIEST} × the expected time on",
        f"For expected times of 40 s and more, that is at about {schedule.first_ask(40, 0.5) / 40:.2f} × the expected",
        f"{schedule.first_ask(3.4, 0.5) / 3.4:.1f} × for 3.4 s",
        f"A video that is not ready at {schedule._LATE} × the expected time",
        f"no step is below {schedule.MIN_STEP_SECONDS:g} s or above {schedule.MAX_STEP_SECONDS:g} s",
        f"the threshold for the first poll by up to {schedule._FIRST_JITTER / 2:g} in either direction",
        f"with a spread of {schedule._SPREAD}",
        f"at most {MAX_CONNECTIONS} sockets",
        f"closed {LINGER_SECONDS:g} s after its last trigger has left",
    ],
)
def test_the_numbers_of_the_page_on_performance_are_the_codes(sentence):
    assert sentence in " ".join(page("performance").split())


def test_the_page_on_the_emulator_lists_every_fault_with_its_fields():
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) ?\| (\w+) \|$", page("emulator"), re.MULTILINE)
    told = {
        name: (dict(re.findall(r"`(\w+)` ([^,]+)", fields.strip())), meets, re.findall(r"\((\w+)\)$", seen))
        for name, seen, fields, meets in rows
    }
    assert told == {
        name: (
            {field: json.dumps(value) for field, value in kind.defaults.items()},
            "all" if kind.times is None else str(kind.times),
            [kind.only_on] if kind.only_on else [],
        )
        for name, kind in KINDS.items()
    }


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))))
def test_the_make_targets_of_the_readme_exist(target):
    assert f"\n{target}:" in (ROOT / "Makefile").read_text("utf-8")


def doubling(first: float, times: int) -> str:
    *firsts, last = (f"{first * 2**count:g}" for count in range(times))
    return f"{', '.join(firsts)} and {last} s"


@pytest.mark.parametrize(
    "sentence",
    [
        f"One try sends at most {MAX_POSTS} POSTs, with pauses of {doubling(RESEND_SECONDS, MAX_POSTS - 1)} on average",
        f"a `Retry-After` of up to {LONGEST_RETRY_AFTER:g} s",
        f"polled again after {doubling(CONFIRM_SECONDS, TIMES_BELIEVED - 1)}; "
        "the fourth in a row ends the wait as lost",
        f"a wrong key for up to {CONFIRM_SECONDS * (2 ** (TIMES_BELIEVED - 1) - 1):g} s does not end the wait",
        "treated as new for a minute",
        f"at most {MAX_REQUESTS - 1} times after {doubling(RESUME_SECONDS, MAX_REQUESTS - 1)}",
        f"more than {MAX_VIDEO_BYTES / 1024**3:g} GiB",
        f"delete the task state `{SUBMIT_KEY}`",
    ],
)
def test_the_numbers_of_the_page_on_reliability_are_the_codes(sentence):
    assert sentence in RELIABILITY
    assert (TIMES_BELIEVED, GRACE_SECONDS) == (4, 60)
