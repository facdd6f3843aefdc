# SPDX-License-Identifier: Apache-2.0
"""JSON objects below one path or URI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_vidu.exceptions import ViduDownloadError, ViduStateError
from airflow_provider_vidu.protocol.texts import named
from airflow_provider_vidu.storage import places

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

SECTION, OPTION = "vidu", "ledger"
_SUFFIX = ".json"


class Objects:
    """
    The objects of a ledger. Every method may be called from many threads.

    :param root: path or URI of the ledger.
    """

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")

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
        except (ValueError, RecursionError):
            # Half an object, as a full disk may leave it, or deeply nested lists.
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

    def stems(self, relative: str) -> list[str]:
        """
        List the objects in a directory of the ledger.

        :param relative: the directory's name below the root.
        :return: their names without the suffix.
        :raises ViduStateError: if the ledger cannot be read.
        """
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
