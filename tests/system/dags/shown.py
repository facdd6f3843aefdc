# SPDX-License-Identifier: Apache-2.0
"""Tasks that the scheduler ends without a worker, to which tests give the XComs of real ones."""

from airflow.sdk import DAG, BaseOperator, Param, task


class Still(BaseOperator):
    """Do nothing."""

    inherits_from_empty_operator = True

    def __init__(self, *, number: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.number = number

    def execute(self, context):
        """Never called."""


with DAG("shown", schedule=None):
    Still(task_id="one")

with DAG("shown_many", schedule=None):
    Still.partial(task_id="many").expand(number=list(range(500)))
