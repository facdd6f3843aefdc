# SPDX-License-Identifier: Apache-2.0
"""What a submit does on the worker. It stands apart from the operator, which every DAG file imports."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_vidu.costs import prices_of
from airflow_provider_vidu.durable.attempt import Attempt, Step, decide
from airflow_provider_vidu.durable.state_store import KEY, Memory
from airflow_provider_vidu.durable.stored_files import StoredFiles
from airflow_provider_vidu.exceptions import ViduSubmissionUncertainError
from airflow_provider_vidu.protocol import request
from airflow_provider_vidu.protocol.capabilities import notes
from airflow_provider_vidu.protocol.polling import Outcome, Watch, how_to_resume
from airflow_provider_vidu.protocol.texts import few
from airflow_provider_vidu.reporting import count_submission
from airflow_provider_vidu.storage import manifest as manifests
from airflow_provider_vidu.storage.input_files import with_files_read

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_vidu.operators.vidu import ViduSubmitOperator


class Submit:
    """
    One try of a submit: it attaches to what an earlier try submitted, or POSTs.

    :param operator: what is to be submitted and how.
    :param context: Airflow's context of the task instance.
    """

    def __init__(self, operator: ViduSubmitOperator, context: Context) -> None:
        self._operator = operator
        self._log = operator.log
        self._context, self._ti = context, context["ti"]
        self._memory = Memory(context, durable=operator.durable, log=operator.log)

    def run(self) -> tuple[Memory, Attempt]:
        """
        Submit, or attach to the task of an earlier try.

        :return: what remembers the submit, and the submit.
        """
        ti, memory = self._ti, self._memory
        earlier = memory.read()
        body = self._body_if_it_can_be_built() if earlier else self._body()
        if earlier and self._attaches_to(earlier, body):
            attempt = earlier._replace(max_tries=ti.max_tries, delivered=False)
            memory.write(attempt)
            self._push(attempt.xcoms)
            return memory, attempt
        return memory, self._submit_anew(body or self._body(), earlier)

    def _body_if_it_can_be_built(self) -> request.Body | None:
        try:
            return self._body()
        except Exception as error:
            # What was paid is not lost because its picture has gone.
            self._log.warning("The request of an earlier try cannot be made again: %s", error)
            return None

    def _attaches_to(self, earlier: Attempt, body: request.Body | None) -> bool:
        from airflow_provider_vidu.hooks.poll import look

        operator = self._operator
        watch = Watch(earlier.vidu_task_id, poll_interval=1, started_at=earlier.begun_at, deadline=float("inf"))
        verdict = look(watch, operator.vidu_conn_id, self._log) if earlier.vidu_task_id else None
        files = StoredFiles(self._context, self._log).files_of(earlier.vidu_task_id)
        step, why = decide(
            earlier,
            max_tries=self._ti.max_tries,
            fingerprint=request.fingerprint(body, operator.vidu_conn_id) if body else None,
            now=time.time(),
            answer=watch.last_answer,
            believed=isinstance(verdict, Outcome),
            files=files,
        )
        is_ready = isinstance(verdict, Outcome) and verdict.task is not None
        if is_ready and files and step in (Step.FAIL, Step.MISSING) and manifests.are_there(files):
            # With its files it needs no links.
            step, why = Step.ATTACH, f"Vidu task {earlier.vidu_task_id} is stored at {few(files)} already."
        if step is Step.MISSING:
            why = f"{why} To pay for it again instead, delete the task state {KEY} and clear this task."
        if step is Step.UNCERTAIN and operator.on_uncertain == "resubmit":
            step = Step.NEW
        if step is Step.UNCERTAIN:
            raise ViduSubmissionUncertainError(why)
        if step in (Step.FAIL, Step.MISSING):
            raise AirflowFailException(why)
        self._log.warning("%s", why)
        return step is Step.ATTACH

    def _submit_anew(self, body: request.Body, earlier: Attempt | None) -> Attempt:
        operator = self._operator
        for note in notes(body):
            self._log.warning("%s", note)
        prices = prices_of(operator.prices)
        cost = operator.check_cost(prices)
        price = cost.missing or f"about ¥{cost.price_cny:g} (an estimate by {prices.source})"
        operator.ready_to_pay(self._context)
        self._log.info("Submitting %s with %s: %s", operator.vidu_type, operator.model, price)
        xcoms = {
            "expected_seconds": cost.typical_seconds,
            "estimated_cost": cost.price_cny,
            "vidu_request": {
                **operator.asked(),
                "estimated_cost": cost.price_cny,
                "estimated_by": prices.source,
            },
        }
        # All that is known before the POST is pushed before it, so that little can fail between it and the return.
        self._push(xcoms)
        mark = request.fingerprint(body, operator.vidu_conn_id)
        attempt = Attempt(mark, self._ti.max_tries, time.time(), xcoms)
        submission = self._memory.post(body, attempt, operator.vidu_conn_id, earlier)
        vidu_task_id, known = submission.task_id, {"request_id": submission.request_id}
        attempt = attempt._replace(begun_at=time.time(), vidu_task_id=vidu_task_id, xcoms=xcoms | known)
        stored = self._memory.keep(
            attempt,
            f"Vidu task {vidu_task_id} was accepted, but could not be remembered: clearing this task would submit and "
            f"pay anew. {how_to_resume(vidu_task_id)}",
        )
        try:
            self._log.info("Accepted as Vidu task %s, request id %s", vidu_task_id, submission.request_id or "none")
            self._push(known if stored else {"vidu_task_id": vidu_task_id, **known})
            count_submission(cost.price_cny)
        except (Exception, AirflowTaskTimeout):
            self._log.exception("The request id of Vidu task %s could not be pushed", vidu_task_id)
        return attempt

    def _body(self) -> request.Body:
        operator = self._operator
        values = with_files_read(operator.vidu_type, operator.model, operator.values(), self._log.warning)
        return request.build(operator.vidu_type, operator.model, values, **operator.extras())

    def _push(self, xcoms: Mapping[str, Any]) -> None:
        for key, value in xcoms.items():
            self._ti.xcom_push(key=key, value=value)
