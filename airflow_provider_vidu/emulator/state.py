# SPDX-License-Identifier: Apache-2.0
"""
State of the emulator: the accepted generations and the received requests.

The status of a generation depends on the clock. The emulator renders a video only when a client downloads it. It reads
the input files before that, because an unreadable file makes the generation fail.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp

from airflow_provider_vidu.emulator import KEY, media, scenes
from airflow_provider_vidu.emulator.faults import Fault
from airflow_provider_vidu.emulator.generation import Generation
from airflow_provider_vidu.protocol.capabilities import fields_of, find
from airflow_provider_vidu.protocol.prices import estimate

KEPT_REQUESTS = 1000
UNKNOWN_TYPICAL_SECONDS = 30.0
DEFAULT_VIDEO_SECONDS = 5

FAILURES = {
    "moderation": "code=CreationPolicyViolation, message=the video was refused by moderation",
    "capacity": "code=SystemThrottling, message=the system is busy, try again later",
    "account": "积分不足",
}
"""The failures that a prompt can lead to, by their family."""
_PROMPTED = {f"fail-by-{family}": text for family, text in FAILURES.items()}


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Configure an emulator.

    :param host: Address to listen on.
    :param port: Port to listen on; 0 takes any free port.
    :param speed: How many times faster than the real service a generation is.
    :param key: API key that the emulator accepts.
    :param auth_scheme: Accepted form of the Authorization header: the key alone, ``Bearer`` and the key, or either.
    :param directory: Directory of videos and input files; by default a temporary one, removed at the end.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    speed: float = 1.0
    key: str = KEY
    auth_scheme: Literal["either", "key", "bearer"] = "either"
    directory: Path | None = None


class Emulator:
    """
    Hold the state of one running emulator.

    :param settings: How the emulator behaves.
    :param directory: Directory of videos and input files.
    :param client: HTTP client that fetches input files.
    """

    def __init__(self, settings: Settings, directory: Path, client: aiohttp.ClientSession) -> None:
        self.settings = settings
        self.directory = directory
        self.faults: list[Fault] = []
        self.generations: dict[str, Generation] = {}
        self.requests: deque[dict[str, Any]] = deque(maxlen=KEPT_REQUESTS)
        self.counts: Counter[str] = Counter()
        self.key = settings.key
        self.failures = dict(_PROMPTED)
        self._intake = media.Intake(directory, client)
        self._fetches: set[asyncio.Task[None]] = set()
        self._videos: dict[str, asyncio.Future[Path]] = {}
        self._renderers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="render")

    def authorized(self, header: str | None) -> bool:
        """Return whether an Authorization header carries the key in an accepted form."""
        scheme = self.settings.auth_scheme
        return (scheme != "bearer" and header == self.key) or (scheme != "key" and header == f"Bearer {self.key}")

    async def accept(self, body: Mapping[str, Any]) -> Generation:
        """Start a generation from a checked submit body."""
        vidu_type = body["parameters"]["vidu_type"]
        capability = find(vidu_type, body["model"])
        asked = body["parameters"].get("duration")
        if asked is None and capability and "duration" in capability.fields:
            asked = capability.fields["duration"].default
        price, typical_seconds, _ = estimate(body)
        generation = Generation(
            body=media.shortened(body),
            submitted=time.time(),
            seconds=(typical_seconds or UNKNOWN_TYPICAL_SECONDS) / self.settings.speed,
            video_seconds=asked if isinstance(asked, int) and asked > 0 else DEFAULT_VIDEO_SECONDS,
            error=next((text for word, text in self.failures.items() if word in prompt_of(body)), None),
            estimated_cost=price,
        )
        wanted = media.addresses(vidu_type, fields_of(body))
        urls = [(name, address) for name, address in wanted if not media.is_data(address)]
        # Data URIs are read before the answer, so that they need not be kept.
        if await self._take(generation, [item for item in wanted if item not in urls]):
            if urls:
                fetch = asyncio.create_task(self._fetch(generation, urls))
                self._fetches.add(fetch)
                fetch.add_done_callback(self._fetches.discard)
            else:
                await self._begin(generation)
        self.generations[generation.task_id] = generation
        return generation

    async def video(self, generation: Generation) -> Path:
        """
        Return the file of a finished video.

        The first call renders it; other calls wait for the same file. Generations with equal requests share one
        rendered file, because their videos are equal: a batch of a thousand equal requests is rendered once.
        """
        key = generation.content
        if key not in self._videos:
            loop = asyncio.get_running_loop()
            self._videos[key] = loop.run_in_executor(self._renderers, self._render, generation)
        rendered, own = await asyncio.shield(self._videos[key]), self._video_path(generation)
        if not own.exists():
            own.hardlink_to(rendered)
        return own

    def reset(self) -> None:
        """Reset generations and their files, requests, faults, failures and a rotated key."""
        for fetch in self._fetches:
            fetch.cancel()
        for generation in self.generations.values():
            self._video_path(generation).unlink(missing_ok=True)
            for path in generation.files.values():
                path.unlink(missing_ok=True)
        self.generations.clear()
        self._videos.clear()
        self.requests.clear()
        self.counts.clear()
        self.faults.clear()
        self.failures = dict(_PROMPTED)
        self.key = self.settings.key

    def close(self) -> None:
        """
        Stop all work.

        Videos in rendering are finished first, because threads cannot be stopped.
        """
        for fetch in self._fetches:
            fetch.cancel()
        self._renderers.shutdown(cancel_futures=True)

    async def _fetch(self, generation: Generation, urls: list[tuple[str, str]]) -> None:
        if await self._take(generation, urls):
            await self._begin(generation)

    async def _take(self, generation: Generation, wanted: list[tuple[str, str]]) -> bool:
        for name, address in wanted:
            try:
                path = await self._intake.take(generation.vidu_type, name, address)
            except media.MediaError as error:
                generation.file_is_bad(time.time(), str(error))
                return False
            generation.files[media.shortened(address)] = path
        return True

    async def _begin(self, generation: Generation) -> None:
        scene, asked = scenes.scene_of(generation.vidu_type, generation.fields), generation.video_seconds
        generation.video_seconds = await asyncio.to_thread(scene.seconds, generation.fields, asked)
        generation.files_are_ready(time.time())

    def _video_path(self, generation: Generation) -> Path:
        return self.directory / f"{generation.task_id}.mp4"

    def _render(self, generation: Generation) -> Path:
        path = self._video_path(generation)
        scenes.render(path, generation.vidu_type, generation.fields, generation.video_seconds)
        return path


def prompt_of(body: Mapping[str, Any]) -> str:
    """Return the text of a submit body that moderation checks."""
    return f"{body['input'].get('prompt', '')} {body['input'].get('text', '')}"
