# SPDX-License-Identifier: Apache-2.0
"""Where videos are stored: names only, nothing is opened here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from airflow_provider_vidu.exceptions import ViduRequestError

PLACEHOLDERS = ("{custom_id}", "{task_id}", "{index}")
MAX_CUSTOM_ID_BYTES = 200

# What file systems take for a directory, a drive or an alternate stream, stores for a pattern, a version or a fragment.
_REFUSED_CHARACTERS = '/\\:*?"<>|{}[]#%'
# The longest name that common file systems take.
_MAX_NAME_BYTES = 255
_SUFFIX = ".mp4"


class Destination:
    """
    A destination's template, read.

    Jinja such as ``{{ ds }}`` or ``{{ run_id }}`` is Airflow's business and rendered before. What remains are
    ``{custom_id}``, ``{task_id}`` (Vidu's) and ``{index}`` (the place in a batch or a mapped task, from 0), each
    replaced as it is; a bucket's name can hold none. A destination that ends in ``.mp4`` names the file, any other one
    a directory with files called ``<task id>.mp4``. Further videos of one task get ``-2``, ``-3`` … before ``.mp4``.

    :param template: a path or any URI of ``ObjectStoragePath``.
    :raises ViduRequestError: when it is none. Nothing was sent.
    """

    def __init__(self, template: Any) -> None:
        self.template = template
        if not isinstance(template, str) or not template.strip():
            raise self._wrong(template, "a path or URI")
        for piece in template.split("{")[1:]:
            name, closed, _ = piece.partition("}")
            if "{" + name + closed not in PLACEHOLDERS:
                raise self._wrong("{" + name + closed, ", ".join(PLACEHOLDERS))
        scheme, is_uri, path = template.partition("://")
        bucket, _, path = path.partition("/") if is_uri else ("", "", template)
        if is_uri and "{" in scheme + bucket:
            raise self._wrong(template, "placeholders after the bucket's name only")
        if ".." in path.split("/"):
            raise self._wrong(template, "a path without '..'")
        self._names_the_file = path.endswith(_SUFFIX)

    @staticmethod
    def _wrong(given: Any, allowed: str) -> ViduRequestError:
        return ViduRequestError(f"destination: {given!r} given, allowed: {allowed}.")

    def path(self, task_id: str, custom_id: str = "", index: int = 0, number: int = 1) -> str:
        """
        Say where a video is stored.

        :param task_id: Vidu's id of the task. It comes from outside: what no file name should hold becomes ``_``.
        :param custom_id: its author's name for it, empty where it has none.
        :param index: its place in a batch or a mapped task.
        :param number: which of the task's videos, from 1.
        :return: a path or URI.
        :raises ViduRequestError: when the custom id cannot be part of a file name.
        """
        stem, path = re.sub(r"[^A-Za-z0-9_-]", "_", task_id), self.template
        if "{custom_id}" in path:
            if custom_id == "":
                raise self._wrong("{custom_id}", "{task_id}, {index}, since this video has no custom_id")
            if problem := custom_id_problem(custom_id):
                raise ViduRequestError(f"{problem}.")
            path = path.replace("{custom_id}", custom_id)
        # No value holds a brace, so none of them is taken for a placeholder.
        path = path.replace("{task_id}", stem).replace("{index}", str(index))
        further = "" if number == 1 else f"-{number}"
        if self._names_the_file:
            path = f"{path.removesuffix(_SUFFIX)}{further}{_SUFFIX}"
        else:
            path = f"{path}{'' if path.endswith('/') else '/'}{stem}{further}{_SUFFIX}"
        for name in path.split("/"):
            if (size := len(name.encode("utf-8", "replace"))) > _MAX_NAME_BYTES:
                raise self._wrong(f"{name[:40]}… ({size} bytes)", f"names of up to {_MAX_NAME_BYTES} bytes")
        return path

    def problems(self, custom_ids: Sequence[Any]) -> list[str]:
        """
        Check a batch before any of it is submitted.

        :param custom_ids: the custom id of each item, empty where it has none.
        :return: what is wrong: custom ids that cannot be part of a file name, and items that would be written to one
            file. Empty when all is well.
        """
        found: list[str] = []
        items: dict[str, list[int]] = {}
        for index, custom_id in enumerate(custom_ids):
            try:
                # Of the task ids is known that no two are the same; this many characters stand in for each.
                path = self.path(f"{index:064}", custom_id, index)
            except ViduRequestError as error:
                found.append(f"item {index}: {str(error).rstrip('.')}")
            else:
                items.setdefault(path, []).append(index)
        for path, indexes in items.items():
            if len(indexes) > 1:
                first = ", ".join(map(str, indexes[:3])) + (", …" if len(indexes) > 3 else "")
                found.append(
                    f"destination: {self.template!r} given, which writes {len(indexes)} items ({first}) to one file "
                    f"{path!r}, allowed: a directory, or a name that holds {', '.join(PLACEHOLDERS)}"
                )
        return found


def custom_id_problem(custom_id: Any) -> str | None:
    """
    Tell whether a custom id can be part of a file name. It is never rewritten, so that it names its file.

    :param custom_id: what an author calls a video.
    :return: what is wrong, or ``None``.
    """
    if (
        isinstance(custom_id, str)
        and custom_id.isprintable()
        and not any(character in _REFUSED_CHARACTERS for character in custom_id)
        and custom_id[:1] not in ("", ".", " ")
        and len(custom_id.encode()) <= MAX_CUSTOM_ID_BYTES
    ):
        return None
    shown = custom_id if not isinstance(custom_id, str) or len(custom_id) <= 100 else custom_id[:100] + "…"
    return (
        f"custom_id: {shown!r} given, allowed where the destination holds {{custom_id}}: 1 to {MAX_CUSTOM_ID_BYTES} "
        f"bytes of printable characters other than {' '.join(_REFUSED_CHARACTERS)}, the first neither a dot nor a space"
    )
