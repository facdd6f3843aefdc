# SPDX-License-Identifier: Apache-2.0
"""The files of a batch's items, as their bodies need them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_provider_vidu.exceptions import ViduError, ViduRequestError
from airflow_provider_vidu.protocol.request import Prepared
from airflow_provider_vidu.protocol.texts import brief

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from airflow_provider_vidu.batch.items import Item
    from airflow_provider_vidu.hooks.loop import HookLoop

SMALL_BYTES = 4 << 20
"""Size of bodies below which the worker may hold further ones in memory with them."""


def read_some(
    loop: HookLoop, left: Sequence[Item], least: int, most: int, log: Logger
) -> tuple[Sequence[Item], dict[str, Prepared], dict[str, ViduError]]:
    """
    Read the files of the next items.

    :param loop: the loop that runs it.
    :param left: the items.
    :param least: number of items to read together.
    :param most: number of items to read if their bodies are small.
    :param log: logger for warnings.
    :return: the items that were read, their requests by custom id, and the errors of the others.
    """
    asked: dict[str, Prepared] = {}
    failed: dict[str, ViduError] = {}

    async def read(item: Item) -> None:
        try:
            asked[item.custom_id] = await asyncio.to_thread(item.prepared, log.warning)
            return
        except ViduRequestError as error:
            failed[item.custom_id] = error
        except Exception as error:
            # Each store's library raises its own exception types.
            found = f"{type(error).__name__}: {brief(str(error))}"
            failed[item.custom_id] = ViduError(
                f"Could not read its files ({found}). Nothing was sent or paid for this item. Retry the task."
            )
        log.warning("%s: %s", item.custom_id, failed[item.custom_id])

    async def read_all(items: Sequence[Item]) -> None:
        # The first alone, which opens a store: Airflow 3.1 mixes up its answers to threads that ask for a connection.
        for item in items[:1]:
            await read(item)
        await asyncio.gather(*map(read, items[1:]))

    for start in range(0, min(most, len(left)), least):
        count, following = start + least, left[start : start + least]
        loop.run(lambda _: read_all(following))  # noqa: B023 - it runs at once
        if sum(len(str(one.body)) for one in asked.values()) > SMALL_BYTES:
            break
    return left[:count], asked, failed
