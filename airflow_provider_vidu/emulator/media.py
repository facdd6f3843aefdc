# SPDX-License-Identifier: Apache-2.0
"""
Input files of a job: their fields, their limits, and how they are fetched.

A failure names ``code=…`` as the API does. The API's code for a video or a sound is not documented: the emulator
assumes ``BadRequest``. It also assumes that the API checks the documented limits of length while the task runs.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

from airflow_provider_vidu.emulator import video
from airflow_provider_vidu.emulator.pictures import open_photo, open_picture, read_cues
from airflow_provider_vidu.protocol.audio import AUDIO_SECONDS
from airflow_provider_vidu.protocol.capabilities import CAPABILITIES

_MEGABYTE = 1024**2
# A video may be a result link of this emulator, which renders it first.
_FETCH_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=30)


class MediaError(ValueError):
    """
    Report a file that the emulator cannot fetch, or that breaks a rule.

    :param code: The API's code.
    :param reason: The problem, for people.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"code={code}, message={reason}")


@dataclass(frozen=True, slots=True)
class MediaKind:
    """
    Describe a kind of input file.

    :param word: Name of the kind.
    :param read: Opens a file; raises ``ValueError`` if it cannot.
    :param megabytes: Largest size in MB.
    :param unfetched: The API's code for a file that it cannot fetch.
    :param unreadable: The API's code for a file that it cannot read.
    """

    word: str
    read: Callable[[Path], object]
    megabytes: int
    unfetched: str = "BadRequest"
    unreadable: str = "BadRequest"


_IMAGE = MediaKind("picture", open_picture, 50, unfetched="ImageDownloadFailure", unreadable="ImageFormatInvalid")
_VIDEO = MediaKind("video", partial(video.length, stream="video"), 5 * 1024)
_SOUND = MediaKind("sound", partial(video.length, stream="audio"), 100)
KINDS: Mapping[str, MediaKind] = {
    "first_frame_url": _IMAGE,
    "last_frame_url": _IMAGE,
    "images": _IMAGE,
    "subjects": _IMAGE,
    "ref_photo_url": MediaKind("photo", open_photo, 10, unfetched=_IMAGE.unfetched, unreadable=_IMAGE.unreadable),
    "video_url": _VIDEO,
    "audio_url": _SOUND,
    "srt_url": MediaKind("subtitles", read_cues, 1),
}
"""MediaKind of file by field; the size limit of subtitles is not documented."""
SECONDS: Mapping[tuple[str, str], tuple[int, int]] = {
    ("extend", "video_url"): (4, 60),
    ("lip-sync", "video_url"): (1, 600),
    ("lip-sync", "audio_url"): (1, 600),
    ("one-click/mv", "audio_url"): AUDIO_SECONDS,
}
"""Shortest and longest length of a file in whole seconds, by ``vidu_type`` and field."""


def addresses(vidu_type: str, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """
    List field and address of every input file of a job.

    :param vidu_type: Type of the job; for an unknown type, every field counts.
    :param fields: Fields of the job; those that the job does not take are ignored.
    """
    rows = [row.fields.keys() for row in CAPABILITIES.values() if row.vidu_type == vidu_type] or [KINDS.keys()]
    taken = [name for name in KINDS if any(name in row for row in rows)]
    return [(name, address) for name in taken for address in dict.fromkeys(_texts(fields.get(name)))]


def is_data(address: str) -> bool:
    """Return whether an address is a data URI and not a URL."""
    return address[:5].lower() == "data:"


def shortened(value: Any) -> Any:
    """Replace every data URI in a body by one with the hash of its content."""
    if isinstance(value, Mapping):
        return {key: shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shortened(item) for item in value]
    if isinstance(value, str) and is_data(value):
        data = _decoded(value) or value.encode()
        return f"{value.partition(',')[0]},sha256={sha256(data).hexdigest()},length={len(data)}"
    return value


def placed(fields: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, Any]:
    """
    Put files in place of their addresses.

    :param fields: Fields of a job, with data URIs shortened.
    :param files: File of each address.
    """
    return {name: _placed(value, files) if name in KINDS else value for name, value in fields.items()}


class Intake:
    """
    Fetch and keep input files.

    Files of the same content and kind are read and kept once.

    :param directory: Directory of the files.
    :param client: HTTP client that fetches them.
    """

    def __init__(self, directory: Path, client: aiohttp.ClientSession) -> None:
        self._directory = directory
        self._client = client

    async def take(self, vidu_type: str, name: str, address: str) -> Path:
        """
        Fetch or decode one file, and check it.

        :param vidu_type: Type of the job.
        :param name: Name of the field.
        :param address: A URL or a data URI.
        :return: The file.
        :raises MediaError: If the file cannot be fetched or breaks a rule.
        """
        kind = KINDS[name]
        part = self._directory / f"{uuid4().hex}.part"
        try:
            if is_data(address):
                data = _decoded(address) or b""
                digest = sha256(data).hexdigest()
                await asyncio.to_thread(part.write_bytes, data)
            else:
                digest = await self._fetch(address, part, kind.megabytes)
            return await asyncio.to_thread(self._kept, part, digest, kind, SECONDS.get((vidu_type, name)))
        except _FetchError as error:
            raise MediaError(kind.unfetched, f"{name}: {error}") from error
        except ValueError as error:
            raise MediaError(kind.unreadable, f"{name}: {error}") from error
        finally:
            part.unlink(missing_ok=True)

    async def _fetch(self, url: str, part: Path, megabytes: int) -> str:
        digest, size = sha256(), 0
        try:
            async with self._client.get(url, timeout=_FETCH_TIMEOUT) as response:
                response.raise_for_status()
                with part.open("wb") as file:
                    async for chunk in response.content.iter_chunked(_MEGABYTE):
                        size += len(chunk)
                        if size > megabytes * _MEGABYTE:
                            raise _FetchError(f"larger than {megabytes} MB")
                        digest.update(chunk)
                        await asyncio.to_thread(file.write, chunk)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _FetchError(str(error) or "timed out") from error
        return digest.hexdigest()

    def _kept(self, part: Path, digest: str, kind: MediaKind, seconds: tuple[int, int] | None) -> Path:
        path = self._directory / f"{digest}.{kind.word}"
        if not path.exists():
            kind.read(part)
            part.replace(path)
        if seconds is not None:
            long = round(video.length(path, "video" if kind is _VIDEO else "audio"))
            if not seconds[0] <= long <= seconds[1]:
                raise ValueError(f"must be {seconds[0]} to {seconds[1]} s long, got {long} s")
        return path


class _FetchError(Exception):
    pass


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item.get("images") if isinstance(item, dict) else item)


def _placed(value: Any, files: Mapping[str, Path]) -> Any:
    if isinstance(value, str):
        return files.get(value, value)
    if isinstance(value, list):
        return [
            {**item, "images": _placed(item.get("images"), files)} if isinstance(item, dict) else _placed(item, files)
            for item in value
        ]
    return value


def _decoded(data_uri: str) -> bytes | None:
    try:
        return base64.b64decode(data_uri.partition(",")[2], validate=True)
    except binascii.Error:
        return None
