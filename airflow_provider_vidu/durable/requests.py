# SPDX-License-Identifier: Apache-2.0
"""
The record of the requests that a function returned for a batch.

A function may return other requests each time. The tries of a task must agree on those that may be paid.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_vidu.arguments import as_text, is_lazy_list
from airflow_provider_vidu.durable.attempt import is_readable
from airflow_provider_vidu.durable.state_store import StateStore
from airflow_provider_vidu.protocol.texts import brief, utf8_problem

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger

REQUESTS_KEY = "vidu_requests"
REQUESTS_VERSION = 1


class RequestsRecord(StateStore):
    """
    The requests of a task instance across its tries.

    :param context: Airflow's context of the task instance.
    :param log: the operator's logger.
    """

    without_a_store = "Each try calls the function again, because Airflow older than 3.3 keeps no record of a try."

    def __init__(self, context: Context, *, log: Logger) -> None:
        super().__init__(context, durable=True, log=log)
        self._max_tries = context["ti"].max_tries

    def read_or(self, call: Callable[[], Any]) -> Any:
        """
        Return the recorded requests, or call the function and record what it returns.

        :param call: calls the function. It is called for the first try, and after a person cleared the task.
        :return: the requests as JSON values.
        :raises ViduStateError: if the store cannot be read or written. Nothing was sent.
        :raises AirflowFailException: if JSON or UTF-8 cannot represent what the function returned. Nothing was sent.
        """
        stored = self.get(REQUESTS_KEY)
        if stored is not None:
            if not is_readable(stored, REQUESTS_VERSION) or not {"max_tries", "requests"} <= set(stored):
                raise self.strange(REQUESTS_KEY, stored)
            if stored["max_tries"] == self._max_tries:
                return stored["requests"]
        requests = _as_json(call())
        self.put(REQUESTS_KEY, {"version": REQUESTS_VERSION, "max_tries": self._max_tries, "requests": requests})
        return requests


def _as_json(returned: Any) -> Any:
    try:
        plain = as_text(list(returned) if is_lazy_list(returned) else returned)
        requests = json.loads(json.dumps(plain, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise AirflowFailException(
            f"requests must consist of JSON values, got {brief(returned)} ({error}). Nothing was sent or paid. Correct "
            "what the function returns, then clear the task."
        ) from error
    if problem := utf8_problem("requests", requests):
        raise AirflowFailException(
            f"{problem}. Nothing was sent or paid. Correct what the function returns, then clear the task."
        )
    return requests
