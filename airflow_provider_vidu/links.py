# SPDX-License-Identifier: Apache-2.0
"""The link "Vidu video" on a task instance's page."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

__all__ = ["ViduVideoLink"]

VIDEO_TAB = "vidu_video"
"""Name of the tab "Video" in URLs of Airflow's UI."""


class ViduVideoLink(BaseOperatorLink):
    """
    Link to the task instance's tab "Video".

    Every task of a video shows this link once it has first released its worker slot. Airflow stores a link when a task
    defers or ends. At that time a submit has no video yet, and a result URL would expire after about a day. The tab
    shows the current state: the stored file, else the result URL and its expiry, else the wait or the failure.
    """

    name = "Vidu video"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Return the link, built from names only.

        :param operator: Not used.
        :param ti_key: Key of the task instance.
        :return: Link relative to the base URL of Airflow's UI, which only the UI knows for certain.
        """
        dag_id, run_id, task_id = (quote(name, safe="") for name in (ti_key.dag_id, ti_key.run_id, ti_key.task_id))
        mapped = "" if ti_key.map_index is None or ti_key.map_index < 0 else f"/mapped/{ti_key.map_index}"
        return f"dags/{dag_id}/runs/{run_id}/tasks/{task_id}{mapped}/plugin/{VIDEO_TAB}"
