# SPDX-License-Identifier: Apache-2.0
"""Sidecars: a JSON file beside each video that keeps its origin when Airflow's database is gone."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_provider_vidu.exceptions import ViduDownloadError
from airflow_provider_vidu.storage.places import located, note_written, replacing

VERSION = 1
log = logging.getLogger(__name__)
_OF_RESULT = ("task_id", "video_seconds", "submit_time", "finish_time", "request_id")


class Origin(NamedTuple):
    """
    The origin of a video.

    :param request: the body as its author passed it, with files by their names.
    :param fingerprint: fingerprint of the submit, empty if unknown.
    :param vidu_conn_id: connection of the submit.
    :param estimated_cost: CNY, 0 for the video of another submit, ``None`` if unknown.
    :param reused_from: Vidu's id of the task of that other submit, empty for none.
    """

    request: Mapping[str, Any]
    fingerprint: str
    vidu_conn_id: str
    estimated_cost: float | None
    reused_from: str = ""


def origin_of(asked: Mapping[str, Any] | None, fingerprint: str, vidu_conn_id: str) -> Origin:
    """
    Read the origin of a video from the XCom ``vidu_request``.

    :param asked: value of the XCom, ``None`` if it is missing.
    :param fingerprint: fingerprint of the submit, empty if unknown.
    :param vidu_conn_id: connection of the submit.
    """
    known = dict(asked or {})
    cost, reused_from, _ = (known.pop(name, None) for name in ("estimated_cost", "reused_from", "estimated_by"))
    return Origin(known, fingerprint, vidu_conn_id, cost, reused_from or "")


def sidecar_of(video: str) -> str:
    """
    Return the URI of a video's sidecar.

    :param video: URI of the video.
    """
    return f"{video.removesuffix('.mp4')}.json"


def write(video: str, origin: Origin, result: Mapping[str, Any]) -> None:
    """
    Write the sidecar of a video, in place of an earlier one.

    If it cannot be written, its content is logged: the video is stored, and its task must not fail for it.

    :param video: URI of the video.
    :param origin: origin of the video.
    :param result: result of the task.
    """
    request = origin.request
    asked = {**request.get("input", {}), **request.get("parameters", {})}
    content = {
        "version": VERSION,
        "ai_generated": True,
        "generator": "Vidu",
        "model": request.get("model"),
        "prompt": asked.get("prompt"),
        "seed": asked.get("seed"),
        **{name: result.get(name) for name in _OF_RESULT},
        **origin._asdict(),
    }
    text = json.dumps(content, ensure_ascii=False, indent=2)
    try:
        path = located(sidecar_of(video))
        with replacing(path) as file:
            file.write(text.encode("utf-8", "backslashreplace") + b"\n")
    except ViduDownloadError as error:
        log.error("Stored %s without its sidecar: %s Its content: %s", video, error, text)
        return
    note_written(path)
