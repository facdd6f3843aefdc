# SPDX-License-Identifier: Apache-2.0
"""What outlives a try: Airflow's task state store, and what must not be retried where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_vidu.durable.attempt import Attempt
from airflow_provider_vidu.exceptions import ViduStateError
from airflow_provider_vidu.protocol.polling import how_to_resume

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import Logger


SUBMIT_KEY = "vidu_submit"


@contextmanager
def no_blind_retry(is_free: Callable[[], bool], otherwise: str) -> Iterator[None]:
    """
    Let no error be retried where a retry would submit and pay anew.

    :param is_free: tells, once something has gone wrong, whether a retry pays for nothing that is paid already.
    :param otherwise: what to add to the error where it does.
    :raises AirflowFailException: in place of any other error, where a retry is not free.
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
    Airflow's task state store (3.3+), with its faults as errors of ours. Without a store it remembers nothing.

    :param context: Airflow's context of the task instance.
    :param durable: whether to remember at all.
    :param log: the operator's logger.
    """

    def __init__(self, context: Context, *, durable: bool, log: Logger) -> None:
        self.log = log
        self._store: Any = context.get("task_state_store") if durable else None
        if durable and self._store is None:
            log.warning("%s", self.without_a_store)

    without_a_store = (
        "durable needs Airflow 3.3 or newer. Here nothing outlives a try: a retry after the worker died is a new, paid "
        "submit. Keep submit and sensor two tasks; a retry of the sensor never submits."
    )

    def get(self, key: str) -> Any:
        """
        Read what earlier tries left.

        :param key: under which name.
        :return: what they left, ``None`` when there is nothing.
        :raises ViduStateError: when the store cannot be read. Nothing was sent.
        """
        if self._store is None:
            return None
        try:
            return self._store.get(key)
        except Exception as error:
            raise ViduStateError(
                f"Airflow's task state store could not be read ({error!r}), so nobody knows whether an earlier try "
                "submitted. Nothing was sent: nothing was paid, a retry can help."
            ) from error

    def put(self, key: str, value: Any) -> None:
        """
        Remember something in place of what was there.

        :param key: under which name.
        :param value: JSON types only.
        :raises ViduStateError: when it cannot be stored. Nothing was sent.
        """
        try:
            self._set(key, value)
        except Exception as error:
            raise ViduStateError(
                f"Airflow's task state store could not be written ({error!r}). Nothing was sent: nothing was paid, a "
                "retry can help."
            ) from error

    def put_or_tell(self, key: str, value: Any, otherwise: str) -> bool:
        """
        Remember what was accepted. Nothing may keep its task id from being returned any more.

        :param key: under which name.
        :param value: JSON types only.
        :param otherwise: what to log as an error where it cannot be stored.
        :return: whether it is stored.
        """
        try:
            self._set(key, value)
        except (Exception, AirflowTaskTimeout):
            self.log.exception("%s", otherwise)
            return False
        return True

    def _set(self, key: str, value: Any) -> None:
        if self._store is not None:
            from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined]

            self._store.set(key, value, retention=NEVER_EXPIRE)

    @staticmethod
    def strange(key: str, stored: Any) -> ViduStateError:
        """
        Name a state that this version cannot read.

        :param key: under which name it was found.
        :param stored: what was found.
        """
        return ViduStateError(
            f"The task state {key!r} must be one that this version of airflow-provider-vidu or an earlier one wrote, "
            f"got {repr(stored)[:300]}. Nothing was sent. Upgrade the provider if a later version wrote it; otherwise "
            "find out whether an earlier try submitted, then delete that task state and clear the task."
        )


class SubmitRecord(StateStore):
    """
    The attempt that a task instance remembers across its tries, in Airflow's task state store (3.3+).

    ``remembered`` is what the store holds, as far as is known.
    """

    remembered: Attempt | None = None

    def read(self) -> Attempt | None:
        """
        Read what earlier tries left.

        :return: the attempt, ``None`` when there was none.
        :raises ViduStateError: when the store cannot be read or holds something else. Nothing was sent.
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
        Remember an attempt in place of an earlier one.

        :param attempt: what to remember.
        :raises ViduStateError: when it cannot be stored. Nothing was sent.
        """
        self.put(SUBMIT_KEY, attempt.state())
        self._hold(attempt)

    def keep(self, attempt: Attempt, otherwise: str) -> bool:
        """
        Remember an attempt whose task was accepted. Nothing may keep its task id from being returned any more.

        :param attempt: what to remember.
        :param otherwise: what to log as an error where it cannot be stored.
        :return: whether it is stored.
        """
        stored = self.put_or_tell(SUBMIT_KEY, attempt.state(), otherwise)
        self._hold(attempt if stored else None)
        return stored

    def _hold(self, attempt: Attempt | None) -> None:
        self.remembered = attempt if self._store is not None else None

    def deliver(self, attempt: Attempt) -> None:
        """
        Remember that an attempt was delivered, where it is remembered at all.

        :param attempt: whose task is about to be returned.
        """
        if self.remembered:
            self.keep(
                attempt._replace(delivered=True),
                f"That Vidu task {attempt.vidu_task_id} was delivered could not be stored; a clear would attach to it.",
            )

    def withdraw(self, earlier: Attempt | None) -> None:
        """
        Forget an intent that was surely not accepted.

        :param earlier: the attempt that it replaced, which counts again.
        """
        try:
            if earlier is not None:
                self._set(SUBMIT_KEY, earlier.state())
                self._hold(earlier)
            elif self._store is not None:
                self._store.delete(SUBMIT_KEY)
        except Exception:
            self.log.exception(
                "The intent of a submit that was not accepted stays stored, so that the next try calls it uncertain"
            )


def paid_before(context: Context, *, durable: bool, log: Logger) -> str:
    """
    Name what an earlier try submitted, for the error of one that goes no further.

    :param context: Airflow's context of the task instance.
    :param durable: whether it was remembered at all.
    :param log: the operator's logger.
    :return: sentences with a blank before them; empty where nothing is known to be submitted.
    """
    earlier = SubmitRecord(context, durable=durable, log=log).read()
    if earlier is None or not earlier.vidu_task_id:
        return ""
    return (
        f" An earlier try submitted Vidu task {earlier.vidu_task_id} at {earlier.when}, which is billed. "
        f"{how_to_resume(earlier.vidu_task_id)}"
    )
