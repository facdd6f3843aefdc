# SPDX-License-Identifier: Apache-2.0
"""One hook serves every trigger of an event loop, whatever the order in which they come, end and are cancelled."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import suppress

import pytest
from airflow.sdk import BaseHook

from airflow_provider_vidu import exceptions
from airflow_provider_vidu.emulator.client import ViduEmulator
from airflow_provider_vidu.hooks import vidu_async
from airflow_provider_vidu.hooks.vidu import ViduAsyncHook
from airflow_provider_vidu.protocol.request import build
from dev.emulator_client import set_connection
from tests.relay import Relay, relayed
from tests.transports import used


class LookUps:
    """Counts the look-ups of connections, holds them up and lets them fail."""

    def __init__(self, original) -> None:
        self.original, self.seen, self.errors = original, [], []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, cls, conn_id):
        self.seen.append(conn_id)
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop()
        return await self.original(cls, conn_id)


@pytest.fixture
async def look_ups(monkeypatch) -> LookUps:
    counted = LookUps(BaseHook.aget_connection.__func__)
    monkeypatch.setattr(BaseHook, "aget_connection", classmethod(lambda cls, conn_id: counted(cls, conn_id)))
    return counted


@pytest.fixture
def lingers(monkeypatch) -> None:
    """A shared hook is closed at once."""
    monkeypatch.setattr(vidu_async, "LINGER_SECONDS", 0.05)


@pytest.fixture
def relay(emulator, monkeypatch) -> Iterator[Relay]:
    """The API behind a relay that counts the connections of its clients."""
    with relayed(emulator.url) as counted:
        set_connection(monkeypatch, host=counted.url)
        yield counted


async def closed(relay: Relay) -> None:
    await asyncio.to_thread(relay.all_closed)


async def test_all_share_one_hook_one_look_up_and_few_sockets(emulator: ViduEmulator, relay, look_ups):
    hooks = await asyncio.gather(*(used(3) for _ in range(300)))
    assert len(set(hooks)) == 1
    assert look_ups.seen == ["vidu_default"]
    assert 0 < relay.accepted <= vidu_async.MAX_CONNECTIONS
    assert len(await asyncio.to_thread(lambda: emulator.requests)) == 900


async def test_what_came_a_moment_later_finds_the_hook_still_open(emulator, look_ups):
    first = await used()
    assert await used() is first
    assert look_ups.seen == ["vidu_default"]


async def test_a_hook_closes_a_little_after_its_last_user_and_is_forgotten(relay, look_ups, lingers):
    first = await used()
    assert relay.open == 1
    await closed(relay)
    assert await used() is not first
    assert look_ups.seen == ["vidu_default"] * 2


async def test_a_hook_stays_open_while_anyone_uses_it(relay, lingers):
    with ViduAsyncHook.shared() as hook:
        for _ in range(3):
            assert await used() is hook
            await asyncio.sleep(0.1)
        assert (relay.accepted, relay.open) == (1, 1)
    await closed(relay)


def test_a_hook_is_closed_with_its_loop(relay):
    asyncio.run(used())
    relay.all_closed()
    assert relay.accepted == 1


def test_each_loop_has_a_hook_of_its_own(emulator):
    assert asyncio.run(used()) is not asyncio.run(used())


async def test_cancelling_who_asked_first_fails_none_of_the_others(emulator, look_ups):
    look_ups.gate.clear()
    waiting = [asyncio.create_task(used()) for _ in range(5)]
    await asyncio.sleep(0.05)
    waiting[0].cancel()
    await asyncio.sleep(0.05)
    look_ups.gate.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] + [ViduAsyncHook] * 4
    assert look_ups.seen == ["vidu_default"]


async def test_a_look_up_that_nobody_waits_for_any_more_fails_silently(emulator, look_ups):
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context["message"]))
    look_ups.gate.clear()
    look_ups.errors.append(ConnectionError("Airflow is away"))
    waiting = asyncio.create_task(used())
    await asyncio.sleep(0.05)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    look_ups.gate.set()
    await asyncio.sleep(0.05)
    gc.collect()
    assert complaints == []


async def test_a_look_up_that_airflow_cancels_fails_those_that_waited_and_cancels_none(emulator, look_ups):
    look_ups.errors.append(asyncio.CancelledError())
    with pytest.raises(exceptions.ViduConnectError):
        await used()


async def test_a_look_up_that_hangs_is_given_up(emulator, look_ups, monkeypatch):
    monkeypatch.setattr(vidu_async, "LOOK_UP_SECONDS", 0.05)
    look_ups.gate.clear()
    with pytest.raises(exceptions.ViduConnectError):
        await used()
    look_ups.gate.set()
    assert isinstance(await used(), ViduAsyncHook)


async def test_a_look_up_that_failed_fails_all_that_waited_and_is_made_again_by_the_next(emulator, look_ups):
    look_ups.gate.clear()
    look_ups.errors.append(ConnectionError("Airflow is away"))
    waiting = [asyncio.create_task(used()) for _ in range(5)]
    await asyncio.sleep(0.05)
    look_ups.gate.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [exceptions.ViduConnectError] * 5
    await used()
    assert look_ups.seen == ["vidu_default"] * 2


async def test_a_refused_key_is_looked_up_once_for_all_that_were_refused(emulator, look_ups, monkeypatch):
    await used()
    await asyncio.to_thread(emulator.control, "POST", "key", {"key": "a-new-key"})
    refused = await asyncio.gather(*(used() for _ in range(20)), return_exceptions=True)
    assert [type(error) for error in refused] == [exceptions.ViduAuthError] * 20
    set_connection(monkeypatch, host=emulator.url, password="a-new-key")
    await asyncio.gather(*(used() for _ in range(20)))
    assert look_ups.seen == ["vidu_default"] * 2


async def test_a_request_that_waits_for_its_turn_goes_out_with_the_key_of_then(emulator, look_ups, monkeypatch):
    extra = {"max_requests_per_minute": 1200}
    set_connection(monkeypatch, host=emulator.url, extra=extra)
    await used()
    await asyncio.to_thread(emulator.control, "POST", "key", {"key": "a-new-key"})
    set_connection(monkeypatch, host=emulator.url, password="a-new-key", extra=extra)
    ended = await asyncio.gather(*(used() for _ in range(10)), return_exceptions=True)
    assert [type(one) for one in ended] == [exceptions.ViduAuthError] + [ViduAsyncHook] * 9
    assert look_ups.seen == ["vidu_default"] * 2


async def test_a_look_up_that_outlives_its_users_opens_nothing(relay, look_ups, lingers, recwarn):
    look_ups.gate.clear()
    waiting = asyncio.create_task(used())
    await asyncio.sleep(0.05)
    hook = ViduAsyncHook.shared()
    waiting.cancel()
    while ViduAsyncHook.shared() is hook:  # noqa: ASYNC110 - a hook announces no end
        await asyncio.sleep(0.01)
    look_ups.gate.set()
    await asyncio.sleep(0.05)
    del hook
    # An open session complains when it is freed.
    gc.collect()
    assert (relay.accepted, [str(warning.message) for warning in recwarn]) == (0, [])


async def test_users_may_come_fail_and_be_cancelled_in_any_order(emulator, relay, lingers):
    await asyncio.to_thread(emulator.arm, {"on": "status", "fault": "hang", "times": 5})

    async def user(number: int) -> ViduAsyncHook:
        await asyncio.sleep(number % 7 / 100)
        hook = await used(2)
        if number % 5 == 0:
            raise ZeroDivisionError
        return hook

    waiting = [asyncio.create_task(user(number)) for number in range(60)]
    await asyncio.sleep(0.3)
    for task in waiting[::3]:
        task.cancel()
    await asyncio.sleep(1.0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await closed(relay)
    assert isinstance(await used(), ViduAsyncHook)


def hashed(directory):
    """A directory of certificates, as c_rehash names them."""
    (directory / "0a1b2c3d.0").touch()
    return directory


@pytest.mark.parametrize("verify", ["a file that is none", "a directory"])
async def test_a_ca_bundle_may_be_a_directory_and_one_that_is_none_is_told(emulator, monkeypatch, tmp_path, verify):
    path = hashed(tmp_path)
    if verify == "a file that is none":
        path = tmp_path / "bundle.pem"
        path.write_text("no certificate")
    set_connection(monkeypatch, host=emulator.url, extra={"verify": str(path)})
    if path is tmp_path:
        assert isinstance(await used(), ViduAsyncHook)
    else:
        with pytest.raises(exceptions.ViduConnectionSettingsError, match="the path of a CA bundle in PEM format"):
            await used()


async def test_an_api_that_has_moved_is_found_again(emulator, monkeypatch, look_ups):
    set_connection(monkeypatch, host="http://127.0.0.1:9")
    with pytest.raises(exceptions.ViduUnavailableError):
        await used()
    set_connection(monkeypatch, host=emulator.url)
    with pytest.raises(exceptions.ViduUnavailableError):
        await used()
    monkeypatch.setattr(vidu_async, "LOOK_UP_SECONDS", 0.0001)
    with pytest.raises(exceptions.ViduUnavailableError):
        await used()
    monkeypatch.setattr(vidu_async, "LOOK_UP_SECONDS", 30.0)
    await used()
    assert look_ups.seen == ["vidu_default"] * 2


async def test_who_comes_and_goes_in_the_meantime_keeps_the_hook_open_for_as_long_again(emulator, monkeypatch):
    monkeypatch.setattr(vidu_async, "LINGER_SECONDS", 1.0)
    first = await used()
    await asyncio.sleep(0.5)
    await used()
    await asyncio.sleep(0.7)
    assert await used() is first


async def test_another_ca_bundle_is_taken_with_the_next_look_up(emulator, relay, monkeypatch, tmp_path):
    hook = await used()
    await asyncio.to_thread(emulator.control, "POST", "key", {"key": "a-new-key"})
    with pytest.raises(exceptions.ViduAuthError):
        await used()
    set_connection(monkeypatch, host=relay.url, password="a-new-key", extra={"verify": str(hashed(tmp_path))})
    assert await used() is hook
    assert (relay.accepted, relay.open) == (2, 1)


async def test_each_submit_has_a_connection_of_its_own_while_reads_share_theirs(relay):
    hook = ViduAsyncHook()
    for _ in range(3):
        await hook.submit(build("text2video", "viduq2", {"prompt": "a kite"}))
        with suppress(exceptions.ViduTaskNotFoundError):
            await hook.get_task("nobody-knows-it")
    assert relay.accepted == 3 + 1
    await hook.close()
    await closed(relay)
