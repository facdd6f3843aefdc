# SPDX-License-Identifier: Apache-2.0
"""Tasks that never run: tests give them states and XComs, as real ones have them or as nobody honest would."""

from airflow.sdk import DAG, task


@task
def many(number: int) -> None:
    """Do nothing, five hundred times."""


with DAG("shown", schedule=None, is_paused_upon_creation=True):
    for name in ("one", "two", "three"):
        task(lambda: None, task_id=name)()
    many.expand(number=list(range(500)))
