# SPDX-License-Identifier: Apache-2.0
"""The chunks of submits in the record of a batch: what they hold in each version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_provider_vidu.durable.attempt import is_readable

STATE_VERSION = 3
"""
Version of a stored chunk.

Version 2 has one ``begun_at`` for all its submits and no ``try_number``. A chunk without a version is of 0.1.0, which
stored a list for each item under ``items``.
"""


def chunk_key(number: int) -> str:
    """
    Return the key of a chunk in the task state store.

    :param number: number of the chunk, from 0.
    """
    return f"vidu_batch_{number}"


class Mark(NamedTuple):
    """
    The request and the estimate of a submit.

    :param sent: fingerprint of the whole body, with files by their content.
    :param asked: fingerprint of the request as the author passed it. It takes files by their names and reads none.
    :param price: the estimate in CNY, ``None`` if unknown.
    :param seconds: typical seconds of generation, ``None`` if unknown.
    :param reused: whether the task is that of an earlier submit of the same request, for which the price is 0.
    :param place: path of the accepted task in the ledger, empty without one.
    :param request: fingerprint of the whole body without the connection, empty without a ledger.
    """

    sent: str
    asked: str
    price: float | None
    seconds: float | None
    reused: bool = False
    place: str = ""
    request: str = ""


_UNKNOWN = {"sent": None, "asked": None, "price": None, "seconds": None, "reused": False, "place": "", "request": ""}


def submits_of(marks: Mapping[str, Mark], ids: Mapping[str, str], begun_at: float) -> dict[str, Any]:
    """
    Return the submits to store in a chunk: JSON types only.

    :param marks: requests and estimates by custom id, at least those of these submits.
    :param ids: Vidu's ids of the tasks by custom id, empty for an intent.
    :param begun_at: start of the submits in epoch seconds.
    """
    return {name: {**marks[name]._asdict(), "begun_at": begun_at, "task_id": id_} for name, id_ in ids.items()}


def chunk(max_tries: int, try_number: int, submits: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a chunk to store: JSON types only.

    :param max_tries: Airflow's value at the try that writes it.
    :param try_number: the number of that try.
    :param submits: the submits by custom id.
    """
    # The last key differs from that of 0.1.0, which would read the names in this dictionary as values.
    return {"version": STATE_VERSION, "max_tries": max_tries, "try_number": try_number, "submits": submits}


def submits_in(stored: Any) -> dict[str, tuple[Mark, float, str]]:
    """
    Read the submits of a chunk that this version or an earlier one stored.

    :param stored: the chunk as the store returned it.
    :return: the mark, the start in epoch seconds and Vidu's id of the task, by custom id.
    :raises Exception: of various types, if it is not a chunk or a later version wrote it.
    """
    if not is_readable(stored, STATE_VERSION):
        raise ValueError("unknown version")
    begun_at = stored.get("begun_at")
    if "version" not in stored:
        found = {name: (Mark(*mark), float(begun_at), id_) for name, (*mark, id_) in stored["items"].items()}
    else:
        found = {
            name: (
                Mark(**{key: one.get(key, default) for key, default in _UNKNOWN.items()}),
                float(one.get("begun_at", begun_at)),
                one["task_id"],
            )
            for name, one in stored["submits"].items()
        }
    if not all(isinstance(text, str) for mark, _, id_ in found.values() for text in (mark.sent, mark.asked, id_)):
        raise TypeError("an id or a fingerprint is not a string")
    return found
