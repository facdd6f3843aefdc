# SPDX-License-Identifier: Apache-2.0
"""Errors of files that the API would refuse."""

from __future__ import annotations

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.capabilities import DOCUMENTATION


def other_format(data: bytes) -> str:
    """
    Describe a file that has none of the formats.

    :param data: content of the file.
    """
    return "a file of another format" if data else "an empty file"


def refused_file(name: str, rule: str, given: str) -> ViduRequestError:
    """
    Make the error of a file that breaks a rule.

    :param name: name of the argument.
    :param rule: the rule, as it follows "must".
    :param given: description of the file.
    """
    return ViduRequestError(
        f"{name} must {rule}, got {given} (source: {DOCUMENTATION}). Nothing was sent or paid. Use another file."
    )
