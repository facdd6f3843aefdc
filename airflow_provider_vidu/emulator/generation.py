# SPDX-License-Identifier: Apache-2.0
"""One accepted generation; its status depends on the clock."""

from __future__ import annotations

import json
import math
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from airflow_provider_vidu.emulator import media
from airflow_provider_vidu.protocol.capabilities import fields_of

_PENDING_SHARE = 0.1


@dataclass(slots=True)
class Generation:
    """
    Hold one accepted generation.

    :param body: The submitted body, with data URIs shortened.
    :param submitted: Time of the submit, in epoch seconds.
    :param seconds: Seconds that the generation takes.
    :param video_seconds: Length of its video in seconds.
    :param error: The failure that it will end in; ``None`` if it will succeed.
    :param estimated_cost: CNY by the shipped prices, ``None`` if unknown.
    """

    body: dict[str, Any]
    submitted: float
    seconds: float
    video_seconds: int
    error: str | None = None
    estimated_cost: float | None = None
    finish: float = math.inf
    """End of the generation in epoch seconds; infinite while the emulator still fetches a file."""
    files: dict[str, Path] = field(default_factory=dict)
    """The file of each address in ``body``."""
    polls: int = 0
    downloads: int = 0
    authorization_on_download: bool = False
    task_id: str = field(default_factory=lambda: str(uuid4()))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    @property
    def content(self) -> str:
        """Hash of the video's content: the body, the input files and the length."""
        files = sorted((address, path.name) for address, path in self.files.items())
        return sha256(json.dumps([self.body, files, self.video_seconds], sort_keys=True).encode()).hexdigest()

    @property
    def path(self) -> str:
        """Path and query of the result link."""
        return f"/files/{self.task_id}.mp4?token={self.token}"

    def status(self, now: float) -> str:
        """
        Return the status word at ``now``.

        It is Pending for the first tenth of the time, then Running, then Success or Failure.
        """
        if now >= self.finish:
            return "Failure" if self.error else "Success"
        return "Pending" if now < self.submitted + _PENDING_SHARE * self.seconds else "Running"

    @property
    def vidu_type(self) -> str:
        """Type of the job."""
        return str(self.body["parameters"]["vidu_type"])

    @property
    def fields(self) -> dict[str, Any]:
        """The submitted fields, with files in place of their addresses."""
        return media.placed(fields_of(self.body), self.files)

    def files_are_ready(self, now: float) -> None:
        """Set the end: when its time is over, or now if that is later."""
        self.finish = max(now, self.submitted + self.seconds)

    def file_is_bad(self, now: float, error: str) -> None:
        """End the generation in a failure now."""
        self.error, self.finish = error, now
