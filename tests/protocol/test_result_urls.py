# SPDX-License-Identifier: Apache-2.0
"""What stands in place of result links."""

from __future__ import annotations

from airflow_provider_vidu.protocol.result_urls import odd_urls_in


def test_a_value_of_very_many_levels_is_named_and_not_quoted():
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    assert odd_urls_in(value) == "a value with too many levels to show"
