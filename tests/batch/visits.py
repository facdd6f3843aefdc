# SPDX-License-Identifier: Apache-2.0
"""The visits of a batch to workers, with its triggers between them, as Airflow makes them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_vidu.emulator.state import Emulator
from airflow_provider_vidu.operators.batch import ViduGenerateBatchOperator
from airflow_provider_vidu.protocol import schedule
from airflow_provider_vidu.triggers.batch import ViduBatchTrigger
from tests.quick import context_of


class Flight:
    """
    Let the emulator's generations take a while, and count those in flight at each accepted submit.

    :param monkeypatch: Puts itself into the emulator, which runs in a thread of this process.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds, self.counts = 0.4, []
        really_accept = Emulator.accept

        async def accept(emulator, body):
            generation = await really_accept(emulator, body)
            now = time.time()
            # They end one after the other, so that there are many waves.
            generation.finish = now + self.seconds * (1 + len(self.counts) % 4)
            self.counts.append(sum(now < one.finish for one in emulator.generations.values()))
            return generation

        monkeypatch.setattr(Emulator, "accept", accept)
        monkeypatch.setattr(schedule, "next_ask", lambda expected, age, jitter: 0.05)


async def _event(trigger: ViduBatchTrigger) -> dict:
    (event,) = [event async for event in trigger.run()]
    return event.payload


def as_stored(value: object) -> dict:
    """What Airflow's database makes of a value."""
    return json.loads(json.dumps(value))


def event_of(stop: TaskDeferred) -> dict:
    return as_stored(asyncio.run(_event(ViduBatchTrigger(**as_stored(stop.trigger.serialize()[1])))))


def visited(
    store,
    videos,
    requests,
    *,
    max_tries: int = 1,
    try_number: int = 1,
    between: Callable[[list[TaskDeferred]], object] = lambda stops: None,
    **arguments,
):
    """One try in as many visits as it takes; what the last one returns, or what ends one of them."""
    arguments = {"destination": f"{videos}/{{custom_id}}.mp4", "max_in_flight": 4, **arguments}
    stops: list[TaskDeferred] = []

    def made() -> ViduGenerateBatchOperator:
        asked = requests(len(stops)) if callable(requests) else requests
        return ViduGenerateBatchOperator(task_id="batch", requests=asked, **arguments)

    try:
        return made().execute(context_of(store, max_tries, try_number=try_number))
    except TaskDeferred as stop:
        stops.append(stop)
    while True:
        between(stops)
        kwargs = {**as_stored(stops[-1].kwargs), "event": event_of(stops[-1])}
        try:
            return made().resume_execution(
                stops[-1].method_name, kwargs, context_of(store, max_tries, try_number=try_number)
            )
        except TaskDeferred as stop:
            stops.append(stop)
