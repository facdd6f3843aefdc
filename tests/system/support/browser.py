# SPDX-License-Identifier: Apache-2.0
"""Debian's Chromium, without a window."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser that ``make browser`` has installed, and end it with the ``with`` block."""
    program = shutil.which("chromium")
    if program is None:
        raise RuntimeError("There is no Chromium here: make browser installs it, or tells what to install.")
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=program) as browser:
        yield browser
