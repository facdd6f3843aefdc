# SPDX-License-Identifier: Apache-2.0
"""The DAGs whose videos a user may see in the library: those whose tabs show them."""

from __future__ import annotations

import hashlib
import json
import threading
import time

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.team import Team
from airflow.utils.session import create_session
from sqlalchemy import select

_TEAMS = (
    select(DagModel.dag_id, Team.name)
    .join(DagBundleModel, DagModel.bundle_name == DagBundleModel.name)
    .join(DagBundleModel.teams)
)


KNOWN_SECONDS = 5.0
"""Time for which a decision of the auth manager holds: a page asks several times in a row, for each of its DAGs."""
MOST_USERS = 200

_Known = dict[tuple[str, DagAccessEntity, str | None], bool]


class _Decisions:
    """Recent decisions for each user. Every method may be called from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[str, tuple[float, _Known]] = {}

    def of(self, user: BaseUser) -> _Known:
        """Return the decisions for a user that still hold; new ones may be added."""
        now = time.monotonic()
        # All that the auth manager knows of the user, such as roles and tokens, not only a name.
        about = json.dumps(get_auth_manager().serialize_user(user), sort_keys=True, default=repr)
        key = hashlib.sha256(about.encode()).hexdigest()
        with self._lock:
            since, known = self._of.get(key, (float("-inf"), {}))
            if now - since > KNOWN_SECONDS:
                if len(self._of) >= MOST_USERS:
                    self._of.clear()
                known = {}
                self._of[key] = (now, known)
            return known


DECISIONS = _Decisions()


class Reader:
    """
    A user during one request; a permission that is withdrawn is noticed some seconds later.

    :param user: the user.
    """

    def __init__(self, user: BaseUser) -> None:
        self._user = user
        self._known = DECISIONS.of(user)
        with create_session(scoped=False) as session:
            # Airflow's own function makes one query for each DAG.
            self._teams = {row[0]: row[1] for row in session.execute(_TEAMS)}

    def may_see_videos(self, dag_id: str) -> bool:
        """
        Check the permissions that the tabs require.

        :param dag_id: a DAG, which this Airflow need not know: a ledger may serve several.
        """
        return self._may(dag_id, DagAccessEntity.XCOM) and self._may(dag_id, DagAccessEntity.TASK_INSTANCE)

    def may_see_runs(self, dag_id: str) -> bool:
        """
        Check the permission for runs, which say who triggered them.

        :param dag_id: the DAG.
        """
        return self._may(dag_id, DagAccessEntity.RUN)

    def _may(self, dag_id: str, entity: DagAccessEntity) -> bool:
        team_name = self._teams.get(dag_id)
        if (known := self._known.get((dag_id, entity, team_name))) is None:
            # Without a name, or with this one, an auth manager could mean all DAGs.
            known = dag_id not in ("", "~") and get_auth_manager().is_authorized_dag(
                method="GET",
                access_entity=entity,
                details=DagDetails(id=dag_id, team_name=team_name),
                user=self._user,
            )
            self._known[dag_id, entity, team_name] = known
        return known
