# SPDX-License-Identifier: Apache-2.0
"""The operator that stores the videos of a finished task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator

from airflow_provider_vidu.arguments import (
    LiteralTexts,
    as_text,
    check_outputs,
    is_literal,
    is_unmapped,
    refuse_mapped_outputs,
)
from airflow_provider_vidu.exceptions import ViduDownloadError, ViduRequestError
from airflow_provider_vidu.links import ViduVideoLink
from airflow_provider_vidu.protocol import request
from airflow_provider_vidu.protocol.fields import listed
from airflow_provider_vidu.protocol.response import TaskState
from airflow_provider_vidu.protocol.result_urls import no_urls
from airflow_provider_vidu.protocol.texts import brief
from airflow_provider_vidu.protocol.values import identifier
from airflow_provider_vidu.reporting import announce, failure_shown, show
from airflow_provider_vidu.storage.destination import Destination
from airflow_provider_vidu.storage.video_store import VideoStore, index_of

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["ViduToObjectStorageOperator"]


class ViduToObjectStorageOperator(LiteralTexts, BaseOperator):
    """
    Store every video of a finished task in object storage or a local directory.

    The operator costs nothing, and retries are safe. It resumes a download after a broken connection. If a link has
    expired, it polls the task once for a fresh link. A file appears at the destination only when it is complete, so no
    reader sees half a video. On Airflow 3.3 and newer, or with a ledger, the operator keeps a file that an earlier
    try stored for the same Vidu task.

    The operator does not send the API key to the host of the videos. On the way to a bucket, a video passes through the
    worker's temporary directory. The operator also pushes the XCom ``vidu_task_id``, which the tabs of Airflow's UI use
    to find the stored copy.

    :param result: Result of ``ViduTaskSensor``. Pass either this or ``vidu_task_id``. (templated)
    :param vidu_task_id: Vidu's id of a finished task; the operator polls it for its URLs. (templated)
    :param destination: Path, or any URI of ``ObjectStoragePath``, e.g. ``s3://aws_default@bucket/{{ ds }}``. A name
        that ends in ``.mp4`` is the file. Any other name is a directory for files ``<task id>.mp4``; further videos of
        a task get ``-2`` and so on before ``.mp4``. The operator replaces ``{task_id}`` by Vidu's id and ``{index}`` by
        the map index (0 for an unmapped task). A mapped task needs one of them, or a directory. All workers must have
        access to the destination: use an object store or a shared directory. A bucket must exist. (templated)
    :param estimated_cost: CNY, as ``ViduSubmitOperator`` pushes it; ``None`` (default) when unknown. The asset events
        of the operator's outlets hold ``files``, ``video_seconds`` and ``estimated_cost``. (templated)
    :param vidu_conn_id: Connection of type ``vidu``. (templated)
    """

    template_fields: Sequence[str] = ("result", "vidu_task_id", "destination", "estimated_cost", "vidu_conn_id")
    operator_extra_links = (ViduVideoLink(),)

    def __init__(
        self,
        *,
        destination: str,
        result: Mapping[str, Any] | str | None = None,
        vidu_task_id: str | None = None,
        estimated_cost: float | str | None = None,
        vidu_conn_id: str = "vidu_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (result is None) == (vidu_task_id is None):
            given = "neither" if result is None else "both"
            rule = f"exactly one of result and vidu_task_id must be given, got {given}"
            raise request.refusal([rule], "Pass the result of ViduTaskSensor, or a task id")
        if not is_unmapped(self):
            check_outputs(self)
        self.destination = as_text(destination)
        if is_literal(destination) and not is_unmapped(self):
            from airflow_provider_vidu.storage.checks import check_in_group

            self._check_destination()
            check_in_group(self)
        self.result = result
        self.vidu_task_id = vidu_task_id
        self._refuse_lists()
        self.estimated_cost = estimated_cost
        self.vidu_conn_id = vidu_conn_id

    def execute(self, context: Context) -> list[str]:
        """
        Download and store the videos.

        :param context: Airflow's context of the task instance.
        :return: URIs of the stored files, in the order of the URLs.
        :raises AirflowFailException: If the task has no video, or an argument is wrong. Airflow does not retry.
        :raises ViduDownloadError: If a video was not stored completely. A retry is free until its link expires.
        """
        # Imported here, because these modules import all error rules, which a DAG file does not need.
        from airflow_provider_vidu.durable.stored_files import StoredFiles
        from airflow_provider_vidu.storage.checks import check_destination

        self.destination = as_text(self.destination)
        if isinstance(self.result, str):
            # A template with | tojson renders to JSON text.
            self.result = listed(self.result.strip(), self.result)
        with failure_shown(context):
            try:
                self._refuse_lists()
                store = VideoStore(self.destination, self.vidu_conn_id, self.log, StoredFiles(context, self.log))
                self._check_destination()
                check_destination(self, context)
                given = self.result.get("task_id") if isinstance(self.result, Mapping) else self.vidu_task_id
                # Neither file names nor failures necessarily contain the task id.
                show(context, "vidu_task_id", identifier(given))
                result = cast("Mapping[str, Any]", self.result) if self.vidu_task_id is None else self._ask()
                files = store.store(result, index=index_of(context))
            except ViduRequestError as error:
                raise AirflowFailException(str(error)) from error
        announce(context, seconds=result.get("video_seconds"), cost=self._cost(), files=files)
        return files

    def _check_destination(self) -> None:
        if found := Destination(self.destination).problems([""]):
            raise request.refusal(found)

    def _refuse_lists(self) -> None:
        refuse_mapped_outputs(self, "result", self.result)
        refuse_mapped_outputs(self, "vidu_task_id", self.vidu_task_id)

    def _cost(self) -> float | None:
        try:
            cost = float(self.estimated_cost)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            # Only a hint for consumers: storing must not fail because of it.
            return None
        # JSON in a database cannot hold infinity or NaN.
        return cost if abs(cost) < float("inf") else None

    def _ask(self) -> dict[str, Any]:
        from airflow_provider_vidu.hooks.vidu import ViduHook

        vidu_task_id = identifier(self.vidu_task_id)
        if not vidu_task_id:
            raise AirflowFailException(
                f"vidu_task_id must be the id of a finished task, got {brief(self.vidu_task_id)}. This task sent and "
                "paid nothing. Pass the id that ViduSubmitOperator returned, or pass a result as result, then clear "
                "this task alone."
            )
        status = ViduHook(self.vidu_conn_id).get_task(vidu_task_id)
        if status.state is TaskState.FAILURE:
            raise AirflowFailException(
                f"Vidu task {vidu_task_id} ended as {status.word}: {status.reason} There is no video to store."
            )
        if status.state is not TaskState.SUCCESS:
            raise AirflowFailException(
                f"Vidu task {vidu_task_id} is {status.word}, so there is no video to store. Wait for it with "
                "ViduTaskSensor first."
            )
        if not status.urls:
            raise ViduDownloadError(
                f"Vidu task {vidu_task_id} has no links yet. {no_urls(vidu_task_id, status.odd_urls)} Retry; storing "
                "costs nothing."
            )
        return status.result()
