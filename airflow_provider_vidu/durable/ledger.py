# SPDX-License-Identifier: Apache-2.0
"""
The ledger: small JSON objects beside the videos, in a directory or an object store.

It needs no lock, no server and no database. ``spent/<month>/<day>/<entry>.json`` is the intent of a submit, and
``requests/<fingerprint>/<entry>.json`` its accepted task. ``ended/<Vidu's id>.json`` is the end of a task, and
``state/…`` is the task state of an Airflow below 3.3.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow_provider_vidu.durable.each import each
from airflow_provider_vidu.durable.entries import (
    Ending,
    Entry,
    EntryName,
    day_of,
    ended,
    units_of,
)
from airflow_provider_vidu.exceptions import ViduDownloadError, ViduRequestError, ViduStateError
from airflow_provider_vidu.protocol.texts import named
from airflow_provider_vidu.storage import places

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

SECTION, OPTION = "vidu", "ledger"
DEFAULT_ZONE = "Asia/Shanghai"
_SUFFIX = ".json"
_LONGEST_NAME = 100


class Ledger:
    """
    The ledger's objects. Every method may be called from many threads.

    :param root: path or URI of the ledger.
    :param zone: time zone of its days.
    """

    def __init__(self, root: str, zone: ZoneInfo | None = None) -> None:
        self.root = root.rstrip("/")
        self.zone = zone or ZoneInfo(DEFAULT_ZONE)

    @classmethod
    def configured(cls) -> Ledger | None:
        """
        Open the ledger of ``[vidu] ledger``.

        :return: the ledger, ``None`` if none is configured.
        :raises ViduRequestError: if the configuration is wrong. Nothing was sent.
        """
        from airflow.providers.common.compat.sdk import conf

        root = conf.get(SECTION, OPTION, fallback="").strip()
        zone = conf.get(SECTION, "budget_timezone", fallback="").strip() or DEFAULT_ZONE
        if root and "://" not in root and not root.startswith("/"):
            raise ViduRequestError(
                f"[vidu] ledger must be an absolute path or a URI of ObjectStoragePath, got {root!r}. Nothing was sent "
                "or paid. Correct Airflow's configuration."
            )
        try:
            return cls(root, ZoneInfo(zone)) if root else None
        except (ValueError, OSError, KeyError):
            raise ViduRequestError(
                f"[vidu] budget_timezone must be a name of the IANA time zone database, such as {DEFAULT_ZONE}, got "
                f"{zone!r}. Nothing was sent or paid. Correct Airflow's configuration."
            ) from None

    def name(self, now: float, price: float | None, request: str) -> EntryName:
        """
        Name a new entry.

        :param now: epoch seconds.
        :param price: the estimate in CNY, ``None`` if unknown.
        :param request: fingerprint of the request.
        """
        units = None if price is None else units_of(price)
        return EntryName(day_of(now, self.zone), int(now * 1000), units, request, uuid.uuid4().hex[:12])

    def intend(self, entries: Mapping[EntryName, Entry]) -> None:
        """
        Write the intents of submits.

        :param entries: the submits.
        :raises ViduStateError: if one could not be written. Nothing was sent.
        """
        each(lambda name: self.put(name.spent, entries[name].content()), entries)

    def withdraw(self, names: Iterable[EntryName]) -> None:
        """
        Remove the intents of submits that were certainly not accepted.

        A failure is logged, not raised: the intent then counts as spent.

        :param names: their names.
        """
        each(lambda name: self.remove(name.spent), names)

    def accept(self, entries: Mapping[EntryName, Entry]) -> None:
        """
        Write the accepted tasks of submits.

        :param entries: the submits, with Vidu's ids.
        :raises ViduStateError: if one could not be written.
        """
        each(lambda name: self.put(name.accepted, entries[name].content()), entries)

    def end(self, vidu_task_id: str, ending: Ending) -> None:
        """
        Write the end of a task, in place of an earlier one.

        :param vidu_task_id: Vidu's id of the task.
        :param ending: its end.
        :raises ViduStateError: if it could not be written.
        """
        self.put(ended(vidu_task_id), ending.content())

    def spent(self, period: str) -> list[EntryName]:
        """
        List the entries of a period by their names alone, the oldest first.

        :param period: a day as ``2026-11-27``, or a month as ``2026-11``.
        :raises ViduStateError: if the ledger cannot be read.
        """
        days = [period] if len(period) > len("2026-11") else self.days(period)
        found = each(lambda day: [(day, stem) for stem in self._stems(f"spent/{day[:7]}/{day}")], days)
        names = (EntryName.read(day, stem) for of_day in found for day, stem in of_day)
        return sorted(filter(None, names), key=lambda name: (name.begun_at, str(name)))

    def days(self, month: str) -> list[str]:
        """
        List the days of a month that have entries.

        :param month: a month as ``2026-11``.
        :raises ViduStateError: if the ledger cannot be read.
        """
        return sorted(day for day in self.names(f"spent/{month}") if re.fullmatch(r"\d{4}-\d\d-\d\d", day))

    def months(self) -> list[str]:
        """
        List the months that have entries.

        :raises ViduStateError: if the ledger cannot be read.
        """
        return sorted(month for month in self.names("spent") if re.fullmatch(r"\d{4}-\d\d", month))

    def entry(self, name: EntryName) -> Entry:
        """
        Read an entry: its accepted task, or else its intent.

        :param name: its name.
        :return: the entry; with empty values where its objects are missing or unreadable as JSON.
        :raises ViduStateError: if the ledger cannot be read.
        """
        found = self.get(name.accepted)
        return Entry.read(found if found is not None else self.get(name.spent))

    def accepted(self, request: str) -> list[EntryName]:
        """
        List the accepted submits of a request, the newest first.

        :param request: fingerprint of the request.
        :raises ViduStateError: if the ledger cannot be read.
        """
        found = (EntryName.read("", stem) for stem in self._stems(f"requests/{request}"))
        names = sorted(filter(None, found), key=lambda name: (name.begun_at, str(name)), reverse=True)
        days = (day_of(name.begun_at / 1000, self.zone) for name in names)
        return [name._replace(day=day) for name, day in zip(names, days, strict=True)]

    def ending(self, vidu_task_id: str) -> Ending | None:
        """
        Read the end of a task.

        :param vidu_task_id: Vidu's id of the task.
        :return: its end, ``None`` if the ledger has none.
        :raises ViduStateError: if the ledger cannot be read.
        """
        return Ending.read(self.get(ended(vidu_task_id)))

    def forget(self, name: EntryName) -> None:
        """
        Remove all objects of an entry; a failure is logged, not raised.

        :param name: its name.
        :raises ViduStateError: if the ledger cannot be read.
        """
        vidu_task_id = self.entry(name).vidu_task_id
        self.remove(*([ended(vidu_task_id)] if vidu_task_id else []), name.accepted, name.spent)

    def put(self, relative: str, content: Mapping[str, Any]) -> None:
        """
        Write an object in place of an earlier one.

        :param relative: its name below the root.
        :param content: JSON types only.
        :raises ViduStateError: if it could not be written.
        """
        try:
            with places.replacing(self.located(relative)) as file:
                file.write(json.dumps(content).encode("ascii"))
        except ViduDownloadError as error:
            raise self._fault("write", error) from error

    def get(self, relative: str) -> Any:
        """
        Read an object.

        :param relative: its name below the root.
        :return: its content; ``None`` if there is none, and an empty mapping if it is not JSON.
        :raises ViduStateError: if the ledger cannot be read.
        """
        path = self.located(relative)
        try:
            return json.loads(path.fs.cat_file(path.path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError:
            # Half an object, as a full disk may leave it.
            return {}
        except Exception as error:
            # Each store's library raises its own exception types.
            raise self._fault("read", error) from error

    def remove(self, *relatives: str) -> None:
        """
        Remove objects; a failure is logged, not raised.

        :param relatives: their names below the root.
        """
        for relative in relatives:
            places.remove(self.located(relative))

    def _stems(self, relative: str) -> list[str]:
        return [name.removesuffix(_SUFFIX) for name in self.names(relative) if name.endswith(_SUFFIX)]

    def names(self, relative: str) -> list[str]:
        """
        List the names in a directory of the ledger.

        :param relative: the directory's name below the root.
        :raises ViduStateError: if the ledger cannot be read.
        """
        path = self.located(relative)
        try:
            # Object stores' libraries keep listings, which would hide what other workers write.
            path.fs.invalidate_cache(path.path)
            return [str(one).rstrip("/").rpartition("/")[2] for one in path.fs.ls(path.path, detail=False)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except Exception as error:
            # Each store's library raises its own exception types.
            raise self._fault("list", error) from error

    def located(self, relative: str) -> ObjectStoragePath:
        """
        Open an object's place.

        :param relative: its name below the root.
        :raises ViduStateError: if the store cannot be reached.
        """
        try:
            return places.located(f"{self.root}/{relative}")
        except ViduDownloadError as error:
            raise self._fault("reach", error) from error

    def _fault(self, what: str, error: Exception) -> ViduStateError:
        return ViduStateError(
            f"Could not {what} the ledger at {self.root}: {named(error)}. Check [{SECTION}] {OPTION}; a retry can help."
        )
