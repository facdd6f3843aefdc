# SPDX-License-Identifier: Apache-2.0
"""Store the videos of a finished task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator

from airflow_provider_vidu.arguments import as_text, is_literal, is_unmapped
from airflow_provider_vidu.exceptions import ViduDownloadError, ViduRequestError
from airflow_provider_vidu.links import ViduVideoLink
from airflow_provider_vidu.protocol import request
from airflow_provider_vidu.protocol.fields import listed
from airflow_provider_vidu.protocol.response import TaskState
from airflow_provider_vidu.protocol.values import identifier
from airflow_provider_vidu.reporting import announce, failure_shown, show
from airflow_provider_vidu.storage.destination import Destination
from airflow_provider_vidu.storage.video_store import VideoStore, place_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class ViduToObjectStorageOperator(BaseOperator):
    """
    Stream every video of a finished task to object storage or a local directory. Costs nothing; retries are safe.

    A broken connection is taken up where it broke off; where a link has expired, the status is asked for a fresh one
    once. A file takes its place when it is complete, so that no reader of the destination sees half a video. One that
    an earlier try stored for the same Vidu task is kept (Airflow 3.3 and newer). The API key is not sent to the host
    that serves the videos. For a bucket a video passes through the worker's temporary directory. Also pushes the XCom
    ``vidu_task_id``, by which the tabs of Airflow's UI find the stored copy.

    :param result: what ``ViduTaskSensor`` returned; give this or ``vidu_task_id``. (templated)
    :param vidu_task_id: Vidu's id of a finished task, whose urls are asked for. (templated)
    :param destination: a path or any URI of ``ObjectStoragePath``, e.g. ``s3://aws_default@bucket/{{ ds }}``. One that
        ends in ``.mp4`` names the file, any other one a directory with files called ``<task id>.mp4``; further videos
        of a task get ``-2`` and so on before ``.mp4``. ``{task_id}`` is replaced by Vidu's id and ``{index}`` by the
        map index (0 where the task is not mapped); a mapped task needs one of them, or a directory. All workers have to
        see it: an object store, or a directory that they share. A bucket has to exist. (templated)
    :param estimated_cost: CNY for the asset events of its outlets, which hold ``files``, ``video_seconds`` and
        ``estimated_cost``; as ``ViduSubmitOperator`` pushes it. ``None`` (default) when unknown. (templated)
    :param vidu_conn_id: connection of type ``vidu``. (templated)
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
            raise ValueError("Give either result (what ViduTaskSensor returned) or vidu_task_id.")
        self.destination = destination
        if is_literal(destination) and not is_unmapped(self):
            from airflow_provider_vidu.storage.checks import check_in_group

            if found := Destination(as_text(destination)).problems([""]):
                raise request.refusal(found)
            check_in_group(self)
        self.result = result
        self.vidu_task_id = vidu_task_id
        self.estimated_cost = estimated_cost
        self.vidu_conn_id = vidu_conn_id

    def execute(self, context: Context) -> list[str]:
        """
        Download and store.

        :param context: Airflow's context of the task instance.
        :return: the URIs of the stored files, in the order of the urls.
        :raises AirflowFailException: the task has no video, or an argument is wrong. Airflow does not retry it.
        :raises ViduDownloadError: when a video was not stored whole; a retry is free while its link lives.
        """
        # Only here, since it brings all that is known of errors.
        from airflow_provider_vidu.durable.stored_files import StoredFiles
        from airflow_provider_vidu.storage.checks import check_destination

        self.destination = as_text(self.destination)
        if isinstance(self.result, str):
            # As a template with | tojson gives it.
            self.result = listed(self.result.strip(), self.result)
        with failure_shown(context):
            try:
                store = VideoStore(self.destination, self.vidu_conn_id, self.log, StoredFiles(context, self.log))
                check_destination(self, context)
                given = self.result.get("task_id") if isinstance(self.result, Mapping) else self.vidu_task_id
                # Neither the files' names nor a failure need tell whose video it is.
                show(context, "vidu_task_id", identifier(given))
                result = cast("Mapping[str, Any]", self.result) if self.vidu_task_id is None else self._ask()
                files = store.store(result, index=place_of(context))
            except ViduRequestError as error:
                raise AirflowFailException(str(error)) from error
        announce(context, seconds=result.get("video_seconds"), cost=self._cost(), files=files)
        return files

    def _cost(self) -> float | None:
        try:
            cost = float(self.estimated_cost)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            # A hint for others: what is stored does not fail because of it.
            return None
        # No database keeps the others as JSON.
        return cost if abs(cost) < float("inf") else None

    def _ask(self) -> dict[str, Any]:
        from airflow_provider_vidu.hooks.vidu import ViduHook

        vidu_task_id = identifier(self.vidu_task_id)
        if not vidu_task_id:
            raise AirflowFailException(
                f"vidu_task_id: {self.vidu_task_id!r} given, allowed: the id of a finished task."
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
            raise ViduDownloadError(f"Vidu task {vidu_task_id} succeeded, but the API names no urls yet: retry.")
        return status.result()
