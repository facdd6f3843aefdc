# SPDX-License-Identifier: Apache-2.0
"""Destination templates: the names of stored videos. This module opens no file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.request import refusal
from airflow_provider_vidu.protocol.texts import brief, first_few, is_missing, utf8_problem

PLACEHOLDERS = ("{custom_id}", "{task_id}", "{index}")
MAX_CUSTOM_ID_BYTES = 180
_OTHER_VIDEOS = (".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".webm")

# Directory separators of file systems.
_REFUSED_CHARACTERS = "/\\"
_PLACEHOLDER = re.compile(r"\{(custom_id|task_id|index)\}")
# Any other use of braces is part of the name.
_MISSPELT = re.compile(r"\{\s*(?:[A-Za-z_][\w.]*\s*(?:[!:\[][^{}]*)?\}|(?:custom_id|task_id|index)\b)|\{\}")
# ObjectStoragePath drops a part of each of these. Stores read the text after ?versionId= as a version.
_ONE_SLASH = re.compile(r"(?!(?i:file|local):)[A-Za-z][A-Za-z0-9+.-]+:/|(?i:file|local):(?!/)")
_LOST = re.compile(r"[\x00-\x1f\x7f]|::|\?#|\?versionid=", re.IGNORECASE)
# Longest file name on common file systems.
_MAX_NAME_BYTES = 255
# The longest path of common file systems, and the longest key of common stores, with room for a temporary name.
_MAX_PATH_BYTES, _MAX_KEY_BYTES = 4000, 1000
_SUFFIX = ".mp4"
_STEP = "Correct the destination"


class Destination:
    """
    A parsed destination template.

    Airflow renders Jinja such as ``{{ ds }}`` or ``{{ run_id }}`` first. This class replaces the placeholders
    ``{custom_id}``, ``{task_id}`` (Vidu's) and ``{index}`` (the position in a batch or a mapped task, from 0). A
    bucket's name cannot contain placeholders. Every other character is part of the name, including
    ``* ? [ ] { } % # ~``. The class refuses ``{word}`` with any other word, since it is most likely a misspelt
    placeholder. A destination that ends in ``.mp4`` names the file. Any other destination names a directory for files
    called ``<task id>.mp4``. Further videos of one task get ``-2``, ``-3`` … before ``.mp4``. If custom ids name the
    files, the task id precedes that number.

    :param template: a path or any URI of ``ObjectStoragePath``.
    :raises ViduRequestError: if it is not a valid destination. Nothing was sent.
    """

    def __init__(self, template: Any) -> None:
        self.template = template
        if not isinstance(template, str) or not template.strip():
            raise self._invalid(template, "be a path or URI")
        if problem := name_problem(template):
            raise refusal([problem], _STEP)
        if misspelt := _MISSPELT.search(_PLACEHOLDER.sub("/", template)):
            known = ", ".join(PLACEHOLDERS)
            raise self._invalid(misspelt[0], f"use only the placeholders {known} (custom_id in batches only)")
        scheme, is_uri, path = template.partition("://")
        bucket, _, path = path.partition("/") if is_uri else ("", "", template)
        if is_uri:
            self._check_uri(scheme, bucket)
        if not is_uri and (is_missing(template) or _ONE_SLASH.match(template)):
            raise self._invalid(template, "be a path, or a URI with two slashes after its scheme (Path drops one)")
        if ".." in path.split("/"):
            raise self._invalid(template, "be a path without '..'")
        if is_uri and bucket and "." in path.split("/"):
            raise self._invalid(template, "be a URI without '.' between two slashes, which HTTP clients leave out")
        self._names_the_file = path.endswith(_SUFFIX)
        if not self._names_the_file and path.rstrip().lower().endswith(_OTHER_VIDEOS):
            raise self._invalid(
                template, f"be a directory or a name that ends in {_SUFFIX}, since Vidu makes MP4 files"
            )

    def _check_uri(self, scheme: str, bucket: str) -> None:
        is_local = scheme.lower() in ("file", "local")
        if scheme.lower() in ("http", "https"):
            raise self._invalid(self.template, "be a path or a store's URI, as in s3://connection_id@bucket/videos")
        if is_local and bucket:
            raise self._invalid(self.template, f"have three slashes, as in {scheme}:///videos, or be a path")
        if not is_local and not bucket.rpartition("@")[2]:
            raise self._invalid(self.template, "have a bucket after the scheme, as in s3://connection_id@bucket/videos")
        if _PLACEHOLDER.search(scheme + bucket):
            raise self._invalid(self.template, "have placeholders after the bucket's name only")

    @classmethod
    def _invalid(cls, given: Any, allowed: str) -> ViduRequestError:
        return refusal([str(cls._wrong(given, allowed)).removesuffix(".")], _STEP)

    @staticmethod
    def _wrong(given: Any, allowed: str) -> ViduRequestError:
        return ViduRequestError(f"destination must {allowed}, got {given!r}.")

    def path(self, task_id: str, custom_id: str = "", index: int = 0, number: int = 1) -> str:
        """
        Return the path or URI of a video.

        :param task_id: Vidu's id of the task. The API supplies it, so every character except ASCII letters, digits,
            ``_`` and ``-`` becomes ``_``.
        :param custom_id: the author's name for the video, empty if it has none.
        :param index: position in a batch or a mapped task.
        :param number: number of the video among those of the task, from 1.
        :return: a path or URI.
        :raises ViduRequestError: if the custom id cannot be part of a file name.
        """
        stem, path = re.sub(r"[^A-Za-z0-9_-]", "_", task_id), self.template
        if "{custom_id}" in path:
            if custom_id == "":
                raise self._wrong("{custom_id}", "use {task_id} or {index}, since this video has no custom_id")
            if problem := custom_id_problem(custom_id, names_a_file=True):
                raise ViduRequestError(f"{problem}.")
        values = {"custom_id": custom_id, "task_id": stem, "index": str(index)}
        # All placeholders are replaced in one pass, because a custom id may look like another placeholder.
        path = _PLACEHOLDER.sub(lambda match: values[match[1]], path)
        further = "" if number == 1 else f"-{number}"
        name = self.template.rpartition("/")[2]
        if further and self._names_the_file and "{custom_id}" in name and "{task_id}" not in name:
            # Without the task id, the name could equal that of another item, whose custom id may end in -2.
            further = f"-{stem}{further}"
        if self._names_the_file:
            path = f"{path.removesuffix(_SUFFIX)}{further}{_SUFFIX}"
        else:
            path = f"{path}{'' if path.endswith('/') else '/'}{stem}{further}{_SUFFIX}"
        if problem := name_problem(path):
            raise ViduRequestError(f"{problem}.")
        limit = _MAX_KEY_BYTES if "://" in path else _MAX_PATH_BYTES
        if (size := len(path.encode("utf-8", "replace"))) > limit:
            raise self._wrong(f"{path[:40]}… ({size:,} bytes)", f"make paths of up to {limit:,} bytes")
        for name in path.split("/"):
            if (size := len(name.encode("utf-8", "replace"))) > _MAX_NAME_BYTES:
                raise self._wrong(f"{name[:40]}… ({size} bytes)", f"have names of at most {_MAX_NAME_BYTES} bytes")
        return path

    def problems(self, custom_ids: Sequence[Any]) -> list[str]:
        """
        List the problems of the destination for the items of a batch.

        The operator calls it before any submit.

        :param custom_ids: the custom id of each item, empty if it has none.
        :return: one sentence for each custom id that cannot be part of a file name, and one for each file that several
            items would share.
        """
        found: list[str] = []
        items: dict[str, list[int]] = {}
        for index, custom_id in enumerate(custom_ids):
            try:
                # The task ids are not known yet, but they all differ: 64 digits stand in for each.
                path, _ = (self.path(f"{index:064}", custom_id, index, number) for number in (1, 2))
            except ViduRequestError as error:
                found.append((f"item {index}: " if custom_id else "") + str(error).rstrip("."))
            else:
                # Some directories, such as those of Windows and macOS, take letters of both cases for one.
                is_local = "://" not in path or path.startswith(("file://", "local://"))
                key = unicodedata.normalize("NFC", path).casefold() if is_local else path
                items.setdefault(key, []).append(index)
        for path, indexes in items.items():
            if len(indexes) > 1:
                first = first_few([str(index) for index in indexes])
                found.append(
                    f"destination must be a directory, or a name that contains {' or '.join(PLACEHOLDERS)}, got "
                    f"{self.template!r}, which writes {len(indexes)} items ({first}) to one file {path!r}"
                )
        return found


def before_placeholders(destination: str) -> str:
    """
    Return the part of a destination before its first placeholder.

    All videos of the destination share it.

    :param destination: a rendered destination.
    :return: the text before its first placeholder.
    """
    return _PLACEHOLDER.split(destination, maxsplit=1)[0]


def name_problem(path: str) -> str | None:
    """
    Find characters in a name that ``ObjectStoragePath`` would misread, or that no XCom can hold.

    :param path: a path or URI.
    :return: the problem as a text, or ``None``. All other characters stay unchanged.
    """
    if (lost := _LOST.search(path)) is None:
        # An XCom holds the names of files.
        return utf8_problem("destination or manifest", path)
    rule = "destination or manifest must not contain control characters, '::', '?#' or '?versionId='"
    return f"{rule}, got {lost[0]!r} in {path!r}"


def custom_id_problem(custom_id: Any, *, names_a_file: bool) -> str | None:
    """
    Check a custom id.

    The provider never rewrites a custom id, so that it names its file.

    :param custom_id: the author's name for a video.
    :param names_a_file: whether it is part of a file's name.
    :return: the problem as a text, or ``None``.
    """
    rule, got = f"1 to {MAX_CUSTOM_ID_BYTES} bytes of printable characters", f"got {brief(custom_id)}"
    is_text = isinstance(custom_id, str) and custom_id.isprintable() and custom_id == custom_id.strip()
    if not is_text or not 0 < len(custom_id.encode()) <= MAX_CUSTOM_ID_BYTES:
        return f"custom_id must be a string of {rule} without spaces around it, {got}"
    if names_a_file and (custom_id[0] == "." or any(character in _REFUSED_CHARACTERS for character in custom_id)):
        refused = " ".join(_REFUSED_CHARACTERS)
        why = "since the destination contains {custom_id}"
        return f"custom_id must be {rule} other than {refused} and not begin with a dot, {why}, {got}"
    return None
