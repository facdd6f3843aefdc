# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.transports import Both


@pytest.fixture(params=["requests", "aiohttp"])
def hook(request: pytest.FixtureRequest) -> Both:
    """The same calls, once through each hook."""
    return Both(request.param)
