# SPDX-License-Identifier: Apache-2.0
"""The resources of a batch's run on a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from airflow_provider_vidu.durable.batch_record import BatchRecord
    from airflow_provider_vidu.durable.stored_files import StoredFiles
    from airflow_provider_vidu.hooks.loop import HookLoop
    from airflow_provider_vidu.storage.sidecar import Origin
    from airflow_provider_vidu.storage.video_store import VideoStore


class Visit(NamedTuple):
    """
    The resources of one run on a worker.

    :param memory: the record of the batch across tries.
    :param loop: the loop that sends the requests.
    :param store: the store of the videos.
    :param stored: the record of the stored files.
    :param path: path or URI of the manifest.
    :param waiting: path of the file that lists the submitted tasks until the manifest is written.
    :param origins: origins of the videos for their sidecars, by Vidu's id.
    """

    memory: BatchRecord
    loop: HookLoop
    store: VideoStore
    stored: StoredFiles
    path: str
    waiting: str
    origins: dict[str, Origin]
