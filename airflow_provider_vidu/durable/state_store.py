# SPDX-License-Identifier: Apache-2.0
"""Airflow's task state store, and protection from paid retries without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_vidu.durable.attempt import Attempt
from airflow_provider_vidu.durable.ledger_state import task_states
from airflow_provider_vidu.exceptions import ViduStateError
from airflow_provider_vidu.protocol.polling import how_to_resume

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger


SUBMIT_KEY = "vidu_submit"


@contextmanager
def no_blind_retry(is_free: Callable[[], bool], otherwise: str) -> Iterator[None]:
    """
    Fail without retries if a retry would submit (and pay) again.

    :param is_free: called after an error; returns whether a retry would pay for nothing that is paid already.
    :param otherwise: text to add to the error if a retry would pay again.
    :raises AirflowFailException: in place of any other error, if a retry would pay again.
    """
    try:
        yield
    except AirflowFailException:
        raise
    except (Exception, AirflowTaskTimeout) as error:
        if is_free():
            raise
        raise AirflowFailException(f"{error} {otherwise}") from error


class StateStore:
    """
    Airflow's task state store (3.3+), with its faults as errors of this provider.

    Without a store, it stores nothing and returns nothing.

    :param context: Airflow's context of the task instance.
    :param durable: whether to use the store.
    :param log: the operator's logger.
    """

    def __init__(self, context: Context, *, durable: bool, log: Logger) -> None:
        self.log = log
        self._store: Any = task_states(context) if durable else None
        if durable and self._store is None:
            log.warning("%s", self.without_a_store)

    without_a_store = (
        "durable needs Airflow 3.3 or newer, or a ledger. Without them, a retry after the worker died submits and pays "
        "again. Set [vidu] ledger to a directory or bucket that all workers share."
    )

    @property
    def remembers(self) -> bool:
        """Whether the next try can read what this one stores."""
        return self._store is not None

    def get(self, key: str) -> Any:
        """
        Read the state that earlier tries stored under a key.

        :param key: name of the task state.
        :return: the state, ``None`` if the store has no state of that name.
        :raises ViduStateError: if the store cannot be read. Nothing was sent.
        """
        if self._store is None:
            return None
        try:
            return self._store.get(key)
        except Exception as error:
            raise ViduStateError(
                f"Could not read Airflow's task state store ({error!r}), so it is unknown whether an earlier try "
                "submitted. This run on the worker sent and paid nothing. Retry the task."
            ) from error

    def put(self, key: str, value: Any) -> None:
        """
        Store a state in place of an earlier one.

        :param key: name of the task state.
        :param value: JSON types only.
        :raises ViduStateError: if the store cannot write it. Nothing was sent.
        """
        try:
            self._set(key, value)
        except Exception as error:
            raise ViduStateError(
                f"Could not write Airflow's task state store ({error!r}). Nothing was sent or paid for what it should "
                "have recorded. Retry the task."
            ) from error

    def put_or_tell(self, key: str, value: Any, otherwise: str) -> bool:
        """
        Store the state of an accepted submit, or log an error.

        It raises nothing, because the task id must be returned in any case.

        :param key: name of the task state.
        :param value: JSON types only.
        :param otherwise: text to log as an error if the store cannot write the state.
        :return: whether the state is stored.
        """
        try:
            self._set(key, value)
        except (Exception, AirflowTaskTimeout):
            self.log.exception("%s", otherwise)
            return False
        return True

    def _set(self, key: str, value: Any) -> None:
        if self._store is not None:
            from airflow import sdk

            # Airflow below 3.3 has no such value, and the ledger, which is the store there, needs none.
            self._store.set(key, value, retention=getattr(sdk, "NEVER_EXPIRE", None))

    @staticmethod
    def strange(key: str, stored: Any) -> ViduStateError:
        """
        Return the error for a state that this version cannot read.

        :param key: name of the task state.
        :param stored: the state as the store returned it.
        """
        return ViduStateError(
            f"The task state {key!r} must be one that this version of airflow-provider-vidu or an earlier one wrote, "
            f"got {repr(stored)[:300]}. Nothing was sent. Upgrade the provider if a later version wrote it; otherwise "
            "check whether an earlier try submitted, then delete that task state and clear the task."
        )


class SubmitRecord(StateStore):
    """
    The attempt of a task instance across its tries.

    Airflow's task state store (3.3+) holds it. ``remembered`` is the attempt that the store is known to hold.
    """

    remembered: Attempt | None = None

    def read(self) -> Attempt | None:
        """
        Read the attempt that earlier tries stored.

        :return: the attempt, ``None`` if earlier tries stored nothing.
        :raises ViduStateError: if the store cannot be read or holds something else. Nothing was sent.
        """
        stored = self.get(SUBMIT_KEY)
        if stored is None:
            return None
        try:
            self.remembered = Attempt.from_state(stored)
        except ValueError:
            raise self.strange(SUBMIT_KEY, stored) from None
        return self.remembered

    def write(self, attempt: Attempt) -> None:
        """
        Store an attempt in place of an earlier one.

        :param attempt: the attempt.
        :raises ViduStateError: if the store cannot write it. Nothing was sent.
        """
        self.put(SUBMIT_KEY, attempt.state())
        self._hold(attempt)

    def keep(self, attempt: Attempt, otherwise: str) -> bool:
        """
        Store an attempt whose task was accepted, or log an error.

        It raises nothing, because the task id must be returned in any case.

        :param attempt: the attempt.
        :param otherwise: text to log as an error if the store cannot write it.
        :return: whether the attempt is stored.
        """
        stored = self.put_or_tell(SUBMIT_KEY, attempt.state(), otherwise)
        self._hold(attempt if stored else None)
        return stored

    def _hold(self, attempt: Attempt | None) -> None:
        self.remembered = attempt if self._store is not None else None

    def deliver(self, attempt: Attempt) -> None:
        """
        Store that an attempt was delivered, if the store holds the attempt.

        :param attempt: the attempt whose task id is about to be returned.
        """
        if self.remembered:
            self.keep(
                attempt._replace(delivered=True),
                f"Could not store that Vidu task {attempt.vidu_task_id} was delivered; a clear would re-attach to it.",
            )

    def withdraw(self, earlier: Attempt | None) -> None:
        """
        Delete an intent whose submit was certainly not accepted.

        :param earlier: the attempt that the intent replaced, which is restored.
        """
        try:
            if earlier is not None:
                self._set(SUBMIT_KEY, earlier.state())
                self._hold(earlier)
            elif self._store is not None:
                self._store.delete(SUBMIT_KEY)
        except Exception:
            self.log.exception(
                "Could not withdraw the intent of a submit that was not accepted; the next try treats it as uncertain"
            )


def paid_before(context: Context, *, durable: bool, log: Logger) -> str:
    """
    Name the task that an earlier try submitted, for the error of a try that stops.

    :param context: Airflow's context of the task instance.
    :param durable: whether the submit was recorded.
    :param log: the operator's logger.
    :return: sentences that begin with a space; empty if no submit is known.
    """
    earlier = SubmitRecord(context, durable=durable, log=log).read()
    if earlier is None or not earlier.vidu_task_id:
        return ""
    return (
        f" An earlier try submitted Vidu task {earlier.vidu_task_id} at {earlier.when}, which is billed. "
        f"{how_to_resume(earlier.vidu_task_id)}"
    )
