# SPDX-License-Identifier: Apache-2.0
"""Stores of videos, what lies in a directory, and videos of any size and of one second."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

from airflow_provider_vidu.operators.generate import ViduGenerateVideoOperator
from airflow_provider_vidu.storage.video_store import VideoStore
from airflow_provider_vidu.transfers.object_storage import ViduToObjectStorageOperator
from tests.quick import QUICK
from tests.served import serving

LOG = logging.getLogger("store")


def store_at(destination: object) -> VideoStore:
    return VideoStore(str(destination), "vidu_default", LOG)


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def video(size: int) -> bytes:
    """Make a file whose boxes add up, as long as wanted."""
    head = struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 512, b"isom") + struct.pack(">I4s", 8, b"moov")
    return head + struct.pack(">I4s", size - len(head), b"mdat") + bytes(size - len(head) - 8)


def generate(run_dag, **arguments):
    arguments = {"task_id": "generate", **QUICK, "destination": "s3://stub@bucket/new", **arguments}
    return run_dag(lambda: ViduGenerateVideoOperator(**arguments))


def store_video(run_dag, size: int, destination: str):
    """Store a video of as many bytes as wanted."""
    with serving({"video.mp4": video(size)}) as url:
        result = {"task_id": "task-1", "urls": [f"{url}/video.mp4"]}
        return run_dag(lambda: ViduToObjectStorageOperator(task_id="store", result=result, destination=destination))
