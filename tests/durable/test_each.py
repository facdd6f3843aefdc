# SPDX-License-Identifier: Apache-2.0
"""The threads that send requests to the ledger's store."""

from __future__ import annotations

import time
from multiprocessing import get_context

from airflow_provider_vidu.durable.each import each


def test_a_process_that_was_forked_has_threads_of_its_own():
    # Long enough that every thread of the pool gets one, and is idle when the process is forked.
    each(lambda _: time.sleep(0.05), range(9))
    time.sleep(0.2)
    process = get_context("fork").Process(target=each, args=(str, range(3)))
    process.start()
    process.join(30)
    process.kill()
    process.join()
    assert process.exitcode == 0
