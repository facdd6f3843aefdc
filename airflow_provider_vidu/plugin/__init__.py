# SPDX-License-Identifier: Apache-2.0
"""
What people see in Airflow's UI: the tab "Video" of a task instance and the tab "Videos" of a DAG run.

Every component of Airflow loads its plugins, and only the api-server shows them: nothing here imports the web
application before it is asked for.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_vidu.links import VIDEO_TAB

PREFIX = "/vidu"
"""Where Airflow's api-server mounts the application."""

# Relative, so that the page is found where Airflow itself is served below a path.
_RUN = f"{PREFIX.lstrip('/')}/run?dag_id={{DAG_ID}}&run_id={{RUN_ID}}"
_TASK = f"{PREFIX.lstrip('/')}/task?dag_id={{DAG_ID}}&run_id={{RUN_ID}}&task_id={{TASK_ID}}&map_index={{MAP_INDEX}}"


class ViduPlugin(AirflowPlugin):
    """Two tabs, and the application that serves their pages (entry point ``airflow.plugins``)."""

    name = "vidu"
    external_views = [  # noqa: RUF012 - Airflow removes views from this very list
        {"name": "Video", "href": _TASK, "destination": "task_instance", "url_route": VIDEO_TAB},
        {"name": "Videos", "href": _RUN, "destination": "dag_run", "url_route": "vidu_videos"},
    ]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The application, imported when the api-server asks for it."""
        from airflow_provider_vidu.plugin.app import app

        return [{"app": app, "url_prefix": PREFIX, "name": "Vidu videos"}]
