# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from airflow_provider_vidu.hooks.vidu import ViduHook
from airflow_provider_vidu.protocol.request import build


@pytest.fixture
def finish(emulator):
    """Have a video made and return what the sensor would."""

    def finish() -> dict:
        hook = ViduHook()
        task_id = hook.submit(build("text2video", "viduq2", {"prompt": "a kite", "duration": 1})).task_id
        return hook.get_task(task_id).result()

    return finish
