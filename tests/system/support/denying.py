# SPDX-License-Identifier: Apache-2.0
"""The auth manager of :class:`tests.system.support.guarded.GuardedServer`, imported by its process alone."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

from tests.system.support.guarded import DENIED_DAG, DENIED_USER


class DenyingAuthManager(SimpleAuthManager):
    """The simple auth manager, but for one user who may not see one DAG."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **rest: Any) -> bool:
        """Tell whether a user may do something with a DAG."""
        if details and (user.username, details.id) == (DENIED_USER, DENIED_DAG):
            return False
        return bool(super().is_authorized_dag(user=user, details=details, **rest))
