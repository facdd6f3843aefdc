# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin for CI that makes a run with skipped tests fail: ``-p tests.plugins.no_skips``."""

from __future__ import annotations

import pytest


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Count what was skipped, whole modules included."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    skipped = reporter.stats.get("skipped", [])
    if skipped and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        reporter.write_line(f"\n{len(skipped)} skipped: a failure here", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
