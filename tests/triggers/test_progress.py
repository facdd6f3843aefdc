# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.protocol.request import build
from airflow_provider_vidu.triggers import progress
from airflow_provider_vidu.triggers.batch import ViduBatchTrigger
from airflow_provider_vidu.triggers.vidu import ViduTaskTrigger
from tests.versions import HAS_AWAITED_XCOMS

where_it_is_written = pytest.mark.skipif(not HAS_AWAITED_XCOMS, reason="a trigger of this Airflow cannot await an XCom")


class Supervisor:
    """Stands where a triggerer's runner hands over what goes to Airflow's API, and takes its time."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []
        self.free = asyncio.Event()
        self.broken = False

    async def asend(self, message):
        await self.free.wait()
        if self.broken:
            raise RuntimeError("broken")
        self.told.append((message.task_id, message.value))


@pytest.fixture
def supervisor(monkeypatch):
    from airflow.sdk.execution_time import task_runner

    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    return supervisor


def trigger(task_id: str | None = "wait") -> ViduTaskTrigger:
    made = ViduTaskTrigger("vidu-1", "vidu_default", 5, None, None, 0)
    if task_id:
        made.task_instance = SimpleNamespace(dag_id="d", run_id="r", task_id=task_id, map_index=-1)
    return made


async def written() -> None:
    for _, writer in list(progress._QUEUES.values()):
        await writer


@where_it_is_written
async def test_news_are_written_one_after_the_other_and_nobody_waits(supervisor):
    for name in ("one", "two"):
        progress.report(trigger(name), {"state": "Running"})
    assert supervisor.told == []
    supervisor.free.set()
    await written()
    assert supervisor.told == [("one", {"state": "Running"}), ("two", {"state": "Running"})]
    assert progress._QUEUES == {}


@where_it_is_written
async def test_only_the_last_news_of_a_wait_are_written_and_none_once_it_has_ended(supervisor):
    first, second, third = (trigger(name) for name in ("one", "two", "three"))
    progress.report(first, {"state": "Pending"})
    await asyncio.sleep(0)
    for waiting in (second, third):
        progress.report(waiting, {"state": "Pending"})
    progress.report(second, {"state": "Running"})
    progress.forget(third)
    supervisor.free.set()
    await written()
    assert supervisor.told == [("one", {"state": "Pending"}), ("two", {"state": "Running"})]


@where_it_is_written
async def test_what_cannot_be_written_is_logged_and_holds_up_nothing(supervisor, caplog):
    supervisor.broken = True
    supervisor.free.set()
    progress.report(trigger(), {"state": "Running"})
    await written()
    assert "Could not write the XCom" in caplog.text
    supervisor.broken = False
    progress.report(trigger(), {"state": "Running"})
    await written()
    assert supervisor.told == [("wait", {"state": "Running"})]


async def test_a_trigger_of_no_task_tells_nothing(supervisor):
    progress.report(trigger(None), {"state": "Running"})
    assert progress._QUEUES == {}


async def test_nothing_is_told_where_airflow_cannot_or_where_xcoms_have_a_backend(supervisor, monkeypatch):
    from airflow.sdk.bases import xcom
    from airflow.sdk.execution_time import xcom as used

    class Backend(xcom.BaseXCom):
        pass

    monkeypatch.setattr(used, "XCom", Backend)
    progress.report(trigger(), {"state": "Running"})
    monkeypatch.undo()
    monkeypatch.delattr(xcom.BaseXCom, "aset", raising=False)
    progress.report(trigger(), {"state": "Running"})
    assert progress._QUEUES == {}


@where_it_is_written
@pytest.mark.usefixtures("soon")
async def test_a_batch_counts_with_each_tenth_of_its_tasks_that_has_ended(emulator, supervisor):
    supervisor.free.set()
    ids = [ViduHook().submit(build("text2video", "viduq2", {"prompt": prompt})).task_id for prompt in ("a", "b", "c")]
    waiting = ViduBatchTrigger([[0.1, None, ids[:1]], [1.0, None, ids[1:2]], [2.0, None, ids[2:]]])
    waiting.task_instance = trigger("batch").task_instance
    async for _ in waiting.run():
        pass
    # What the last one would add, the event says.
    assert supervisor.told[:2] == [("batch", {"tasks": 3, "counts": {"success": count}}) for count in (1, 2)]
    assert progress._QUEUES == {}
