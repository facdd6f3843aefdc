# SPDX-License-Identifier: Apache-2.0
"""The link "Vidu video" on a task instance's page."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

VIDEO_TAB = "vidu_video"
"""Under which name Airflow's UI has the tab "Video"."""


class ViduVideoLink(BaseOperatorLink):
    """
    Lead to the task instance's tab "Video".

    The same for every task of a video, from its first hop on: Airflow stores a link when a hop ends, and by then a
    submit has no video yet, while a result url would be dead after a day. The tab finds what there is when somebody
    looks: the stored file, else the result url with the time at which it expires, else the wait or the failure.
    """

    name = "Vidu video"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Make the link, out of names alone.

        :param operator: not used.
        :param ti_key: the task instance.
        :return: relative to where Airflow's UI is served, which only the UI surely knows.
        """
        dag_id, run_id, task_id = (quote(name, safe="") for name in (ti_key.dag_id, ti_key.run_id, ti_key.task_id))
        mapped = "" if ti_key.map_index is None or ti_key.map_index < 0 else f"/mapped/{ti_key.map_index}"
        return f"dags/{dag_id}/runs/{run_id}/tasks/{task_id}{mapped}/plugin/{VIDEO_TAB}"
