# SPDX-License-Identifier: Apache-2.0
"""
Two tabs in Airflow's UI, "Video" on a task instance and "Videos" on a DAG run, and the page "Vidu videos".

Every component of Airflow loads its plugins, but only the api-server shows them. This module therefore imports the web
application only when Airflow reads ``fastapi_apps``.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_vidu.links import VIDEO_TAB

PREFIX = "/vidu"
"""Path at which Airflow's api-server mounts the application."""

# Relative, so that the pages also load if Airflow itself is served below a path.
_LIBRARY = f"{PREFIX.lstrip('/')}/library"
_RUN = f"{PREFIX.lstrip('/')}/run?dag_id={{DAG_ID}}&run_id={{RUN_ID}}"
_TASK = f"{PREFIX.lstrip('/')}/task?dag_id={{DAG_ID}}&run_id={{RUN_ID}}&task_id={{TASK_ID}}&map_index={{MAP_INDEX}}"


class ViduPlugin(AirflowPlugin):
    """Register two tabs, a page and the application behind them (``airflow.plugins``)."""

    name = "vidu"
    external_views = [  # noqa: RUF012 - Airflow removes views from this list in place
        {"name": "Video", "href": _TASK, "destination": "task_instance", "url_route": VIDEO_TAB},
        {"name": "Videos", "href": _RUN, "destination": "dag_run", "url_route": "vidu_videos"},
        {"name": "Vidu videos", "href": _LIBRARY, "destination": "nav", "url_route": "vidu_library"},
    ]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """Import the application and return it to the api-server."""
        from airflow_provider_vidu.plugin.app import app

        return [{"app": app, "url_prefix": PREFIX, "name": "Vidu videos"}]
