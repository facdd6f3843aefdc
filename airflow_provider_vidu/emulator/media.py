# SPDX-License-Identifier: Apache-2.0
"""
The files that a job is given: which fields name them, what they have to be, and how they get here.

A failure says ``code=…`` as the API does. Which code it has for a video or a sound is not documented: the emulator
assumes ``BadRequest``, and that the documented limits of length are looked at while the task runs.
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
from airflow_provider_vidu.protocol.capabilities import CAPABILITIES

_MEGABYTE = 1024**2
# A video may be a result link of this very emulator, which is rendered first.
_FETCH_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=30)


class MediaError(ValueError):
    """
    A file that cannot be had or is not what it has to be.

    :param code: the API's code.
    :param reason: what is wrong, for people.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"code={code}, message={reason}")


@dataclass(frozen=True, slots=True)
class Kind:
    """
    What a file has to be.

    :param word: its name.
    :param read: opens it; raises ``ValueError`` where it cannot.
    :param megabytes: how large it may be.
    :param unfetched: the API's code where it cannot be fetched.
    :param unreadable: the API's code where it cannot be read.
    """

    word: str
    read: Callable[[Path], object]
    megabytes: int
    unfetched: str = "BadRequest"
    unreadable: str = "BadRequest"


_IMAGE = Kind("picture", open_picture, 50, unfetched="ImageDownloadFailure", unreadable="ImageFormatInvalid")
_VIDEO = Kind("video", partial(video.length, stream="video"), 5 * 1024)
_SOUND = Kind("sound", partial(video.length, stream="audio"), 100)
KINDS: Mapping[str, Kind] = {
    "first_frame_url": _IMAGE,
    "last_frame_url": _IMAGE,
    "images": _IMAGE,
    "subjects": _IMAGE,
    "ref_photo_url": Kind("photo", open_photo, 10, unfetched=_IMAGE.unfetched, unreadable=_IMAGE.unreadable),
    "video_url": _VIDEO,
    "audio_url": _SOUND,
    "srt_url": Kind("subtitles", read_cues, 1),
}
"""What each field names; the size of subtitles is not documented."""
SECONDS: Mapping[tuple[str, str], tuple[int, int]] = {
    ("extend", "video_url"): (4, 60),
    ("lip-sync", "video_url"): (1, 600),
    ("lip-sync", "audio_url"): (1, 600),
    ("one-click/mv", "audio_url"): (10, 180),
}
"""How long a file may be, by ``vidu_type`` and field, compared in whole seconds."""


def addresses(vidu_type: str, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """
    List field and address of every file that a job is given.

    :param vidu_type: the job; of one that nobody knows every field counts.
    :param fields: its fields; those that the job does not take are passed over.
    """
    rows = [row.fields.keys() for row in CAPABILITIES.values() if row.vidu_type == vidu_type] or [KINDS.keys()]
    taken = [name for name in KINDS if any(name in row for row in rows)]
    return [(name, address) for name in taken for address in dict.fromkeys(_texts(fields.get(name)))]


def is_data(address: str) -> bool:
    """Tell a data URI from a URL."""
    return address[:5].lower() == "data:"


def shortened(value: Any) -> Any:
    """Replace every data URI in a body by one that has the hash of its content."""
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
    Put files in the place of their addresses.

    :param fields: a job's fields, data URIs shortened.
    :param files: the file of each address.
    """
    return {name: _placed(value, files) if name in KINDS else value for name, value in fields.items()}


class Intake:
    """
    Brings files here. What has the same content and is of the same kind is read and kept once.

    :param directory: where they lie.
    :param client: fetches them.
    """

    def __init__(self, directory: Path, client: aiohttp.ClientSession) -> None:
        self._directory = directory
        self._client = client

    async def take(self, vidu_type: str, name: str, address: str) -> Path:
        """
        Fetch or decode one file, and make sure that it is what it has to be.

        :param vidu_type: the job.
        :param name: the field.
        :param address: a URL or a data URI.
        :return: the file.
        :raises MediaError: when it is not.
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

    def _kept(self, part: Path, digest: str, kind: Kind, seconds: tuple[int, int] | None) -> Path:
        path = self._directory / f"{digest}.{kind.word}"
        if not path.exists():
            kind.read(part)
            part.replace(path)
        if seconds is not None:
            long = round(video.length(path, "video" if kind is _VIDEO else "audio"))
            if not seconds[0] <= long <= seconds[1]:
                raise ValueError(f"{long} s long, allowed: {seconds[0]} to {seconds[1]} s")
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
