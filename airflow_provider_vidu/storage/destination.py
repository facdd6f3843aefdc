# SPDX-License-Identifier: Apache-2.0
"""Where videos are stored: names only, nothing is opened here."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.texts import few, shown

PLACEHOLDERS = ("{custom_id}", "{task_id}", "{index}")
MAX_CUSTOM_ID_BYTES = 180
_OTHER_VIDEOS = (".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".webm")

# What file systems take for a directory.
_REFUSED_CHARACTERS = "/\\"
_PLACEHOLDER = re.compile(r"\{(custom_id|task_id|index)\}")
# Other braces are a part of the name.
_MISSPELT = re.compile(r"\{\s*(?:[A-Za-z_][\w.]*\s*(?:[!:\[][^{}]*)?\}|(?:custom_id|task_id|index)\b)|\{\}")
# ObjectStoragePath loses a part of each of these, and stores take what follows the last for a version.
_LOST = re.compile(r"[\x00-\x1f\x7f]|::|\?#|\?versionid=", re.IGNORECASE)
# The longest name that common file systems take.
_MAX_NAME_BYTES = 255
# The longest path of common file systems, and the longest key of common stores, with room for a temporary name.
_MAX_PATH_BYTES, _MAX_KEY_BYTES = 4000, 1000
_SUFFIX = ".mp4"


class Destination:
    """
    A destination's template, read.

    Jinja such as ``{{ ds }}`` or ``{{ run_id }}`` is Airflow's business and rendered before. What remains are
    ``{custom_id}``, ``{task_id}`` (Vidu's) and ``{index}`` (the place in a batch or a mapped task, from 0), each
    replaced as it is; a bucket's name can hold none. Every other character is a part of the name, ``* ? [ ] { } % # ~``
    too; only ``{word}`` with any other word is refused, since it is most likely a misspelt placeholder. A destination
    that ends in ``.mp4`` names the file, any other one a directory with files called ``<task id>.mp4``. Further videos
    of one task get ``-2``, ``-3`` … before ``.mp4``, and where custom ids name the files, the task id before that.

    :param template: a path or any URI of ``ObjectStoragePath``.
    :raises ViduRequestError: when it is none. Nothing was sent.
    """

    def __init__(self, template: Any) -> None:
        self.template = template
        if not isinstance(template, str) or not template.strip():
            raise self._wrong(template, "a path or URI")
        if problem := name_problem(template):
            raise ViduRequestError(f"{problem}.")
        if misspelt := _MISSPELT.search(_PLACEHOLDER.sub("/", template)):
            raise self._wrong(misspelt[0], f"{', '.join(PLACEHOLDERS)} (a custom_id is a batch's)")
        scheme, is_uri, path = template.partition("://")
        bucket, _, path = path.partition("/") if is_uri else ("", "", template)
        if is_uri and scheme.lower() in ("file", "local") and bucket:
            raise self._wrong(template, f"three slashes, as in {scheme}:///videos, or a path")
        if is_uri and scheme.lower() not in ("file", "local") and not bucket:
            raise self._wrong(template, "a bucket after the scheme, as in s3://connection_id@bucket/videos")
        if is_uri and _PLACEHOLDER.search(scheme + bucket):
            raise self._wrong(template, "placeholders after the bucket's name only")
        if ".." in path.split("/"):
            raise self._wrong(template, "a path without '..'")
        self._names_the_file = path.endswith(_SUFFIX)
        if not self._names_the_file and path.lower().endswith(_OTHER_VIDEOS):
            raise self._wrong(template, f"a directory, or a name that ends in {_SUFFIX}, since Vidu makes MP4 files")

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
            if problem := custom_id_problem(custom_id, names_a_file=True):
                raise ViduRequestError(f"{problem}.")
        values = {"custom_id": custom_id, "task_id": stem, "index": str(index)}
        # At once, since a custom id may look like another placeholder.
        path = _PLACEHOLDER.sub(lambda match: values[match[1]], path)
        further = "" if number == 1 else f"-{number}"
        name = self.template.rpartition("/")[2]
        if further and self._names_the_file and "{custom_id}" in name and "{task_id}" not in name:
            # Another item may be called so.
            further = f"-{stem}{further}"
        if self._names_the_file:
            path = f"{path.removesuffix(_SUFFIX)}{further}{_SUFFIX}"
        else:
            path = f"{path}{'' if path.endswith('/') else '/'}{stem}{further}{_SUFFIX}"
        if problem := name_problem(path):
            raise ViduRequestError(f"{problem}.")
        limit = _MAX_KEY_BYTES if "://" in path else _MAX_PATH_BYTES
        if (size := len(path.encode("utf-8", "replace"))) > limit:
            raise self._wrong(f"{path[:40]}… ({size:,} bytes)", f"paths of up to {limit:,} bytes")
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
                path, _ = (self.path(f"{index:064}", custom_id, index, number) for number in (1, 2))
            except ViduRequestError as error:
                found.append((f"item {index}: " if custom_id else "") + str(error).rstrip("."))
            else:
                # Some directories, such as those of Windows and macOS, do not tell letters apart by their case.
                is_local = "://" not in path or path.startswith(("file://", "local://"))
                key = unicodedata.normalize("NFC", path).casefold() if is_local else path
                items.setdefault(key, []).append(index)
        for path, indexes in items.items():
            if len(indexes) > 1:
                first = few([str(index) for index in indexes])
                found.append(
                    f"destination: {self.template!r} given, which writes {len(indexes)} items ({first}) to one file "
                    f"{path!r}, allowed: a directory, or a name that holds {', '.join(PLACEHOLDERS)}"
                )
        return found


def before_placeholders(destination: str) -> str:
    """
    Give what all videos of a destination have in common.

    :param destination: a destination, rendered.
    :return: what stands before its first placeholder.
    """
    return _PLACEHOLDER.split(destination, maxsplit=1)[0]


def name_problem(path: str) -> str | None:
    """
    Find what ``ObjectStoragePath`` would not open again under the same name.

    :param path: a path or URI.
    :return: what is wrong, or ``None``. Whatever else stands in a name is taken as it is.
    """
    if (lost := _LOST.search(path)) is None:
        return None
    return f"path or URI must be without control characters, '::', '?#' and '?versionId=', got {lost[0]!r} in {path!r}"


def custom_id_problem(custom_id: Any, *, names_a_file: bool) -> str | None:
    """
    Tell what is wrong with a custom id. It is never rewritten, so that it names its file.

    :param custom_id: what an author calls a video.
    :param names_a_file: whether it is part of a file's name.
    :return: what is wrong, or ``None``.
    """
    given, allowed = f"custom_id: {shown(custom_id)} given, allowed", f"1 to {MAX_CUSTOM_ID_BYTES} bytes of printable"
    is_text = isinstance(custom_id, str) and custom_id.isprintable() and custom_id == custom_id.strip()
    if not is_text or not 0 < len(custom_id.encode()) <= MAX_CUSTOM_ID_BYTES:
        return f"{given}: a text of {allowed} characters, without spaces around it"
    if names_a_file and (custom_id[0] == "." or any(character in _REFUSED_CHARACTERS for character in custom_id)):
        refused = " ".join(_REFUSED_CHARACTERS)
        where = "where the destination holds {custom_id}"
        return f"{given} {where}: {allowed} characters other than {refused}, the first no dot"
    return None
