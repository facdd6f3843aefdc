# SPDX-License-Identifier: Apache-2.0
"""Sources of input files: which ones a task may use, and what their faults mean."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_vidu.exceptions import ViduRequestError, ViduStateError
from airflow_provider_vidu.protocol.texts import brief, named
from airflow_provider_vidu.storage.places import is_local
from airflow_provider_vidu.storage.roots import find, read_root, split_roots

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.io.stat import stat_result


@contextmanager
def opened(location: str, name: str, rule: str, step: str) -> Iterator[tuple[ObjectStoragePath, stat_result]]:
    """
    Find an input file, and raise errors of its store as those of this provider.

    :param location: its path or URI.
    :param name: the field that it belongs to.
    :param rule: the rule for the field's value, as it follows "must be" in an error.
    :param step: the next step if there is no such file, as an imperative without a full stop.
    :return: the place of the file, and the store's description of it.
    :raises ViduRequestError: if there is no such file, or the task may not use it. Nothing was sent.
    :raises ViduStateError: if the store cannot be read now. Nothing was sent; a retry can help.
    """
    from airflow.sdk import ObjectStoragePath

    try:
        path = ObjectStoragePath(_allowed(location, name))
        try:
            stat = path.stat()
        except ValueError as error:
            if is_local(path):
                raise
            # A store's library raises it for a wrong region or endpoint, so the connection is the cause.
            raise ConnectionError(named(error)) from error
        if stat.get("type", "file") != "file":
            # A pipe would be waited for, and a device has no end.
            raise ValueError("it is not a regular file")
        yield path, stat
    except ViduRequestError:
        raise
    except (FileNotFoundError, IsADirectoryError, PermissionError, ValueError) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else brief(str(error))
        if "%" in location and isinstance(error, FileNotFoundError):
            reason += " with exactly this name; write a space as a space, not as %20"
        raise ViduRequestError(
            f"{name} must be {rule}, got {brief(location)} ({reason}). Nothing was sent or paid. {step}, then clear "
            "the task."
        ) from error
    except Exception as error:
        # Each store's library raises its own exception types.
        raise ViduStateError(
            f"{name} must be a file that can be read, got {brief(location)}: {named(error)}. Nothing was sent or paid. "
            "Retry the task, or check the connection that the URI names."
        ) from error


def _allowed(location: str, name: str) -> str:
    """
    Resolve the symbolic links in a path, and refuse one outside the roots.

    :return: the path or URI to read from.
    """
    from airflow.providers.common.compat.sdk import conf

    sources = split_roots(conf.get("vidu", "media_sources", fallback=""))
    if not sources:
        return location
    is_local = "://" not in location or location.startswith(("file://", "local://"))
    if is_local:
        location = os.path.realpath(location.removeprefix("file://").removeprefix("local://"))
    try:
        roots = [read_root(text) for text in sources]
    except ValueError as error:
        raise ViduRequestError(
            f"media_sources in Airflow's section [vidu] must list directories and buckets: {error} Nothing was sent or "
            "paid. Correct it on every worker, then clear the task."
        ) from None
    real = [read_root(os.path.realpath(str(root))) if not root.store else root for root in roots]
    if find(location, real) is None:
        raise ViduRequestError(
            f"{name} must lie below one of [vidu] media_sources ({', '.join(sources)}), got {brief(location)}. Nothing "
            "was sent or paid. Move the file there, or have the administrator add its directory, or its bucket with "
            "the same connection id."
        )
    return location
