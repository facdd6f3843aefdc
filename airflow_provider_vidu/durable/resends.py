# SPDX-License-Identifier: Apache-2.0
"""The POSTs of one submit."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from airflow_provider_vidu.exceptions import ViduError
from airflow_provider_vidu.protocol.pauses import MAX_POSTS, resend_after

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


class Resends:
    """
    Counts the POSTs of one submit.

    :param log: the operator's logger.
    :param name: prefix of the log lines, empty for none.
    """

    def __init__(self, log: Logger, name: str = "") -> None:
        self._log = log
        self._begin = f"{name}: " if name else ""
        self._posts = 0

    def pause_after(self, error: ViduError) -> float | None:
        """
        Return the pause before the next POST.

        Only a submit that was certainly not accepted is sent again. The pause is logged as a warning.

        :param error: error of the last POST.
        :return: seconds to wait, ``None`` if the submit is not sent again.
        """
        self._posts += 1
        pause = resend_after(error, self._posts, random.random())  # noqa: S311 - a jitter
        if pause is not None:
            self._log.warning(
                "%s%s Retrying in %.1f s, POST %d of %d.", self._begin, error, pause, self._posts + 1, MAX_POSTS
            )
        return pause
