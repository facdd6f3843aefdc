# SPDX-License-Identifier: Apache-2.0
"""The operator that submits a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator

from airflow_provider_vidu.arguments import (
    LiteralTexts,
    check_outputs,
    is_literal,
    is_unmapped,
    problems_now,
    read_request,
)
from airflow_provider_vidu.costs import check_paying, estimated_within, prices_of
from airflow_provider_vidu.exceptions import (
    ViduBudgetError,
    ViduRefusedError,
    ViduRequestError,
    ViduSubmissionUncertainError,
)
from airflow_provider_vidu.links import ViduVideoLink
from airflow_provider_vidu.protocol.capabilities import FIELDS
from airflow_provider_vidu.protocol.request import refusal

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_vidu.durable.submit import Submitted
    from airflow_provider_vidu.protocol.prices import GivenPrices
    from airflow_provider_vidu.protocol.request import Request

__all__ = ["ViduSubmitOperator"]


class ViduSubmitOperator(LiteralTexts, BaseOperator):
    """
    Submit a task to Vidu and return Vidu's task id. An accepted task is billed.

    Every field of the API is an argument of the same name. ``vidu_type`` and ``model`` decide which fields a job
    takes. The operator checks literal values when the DAG is parsed, and all values again before the call. It refuses
    a wrong value before it sends or pays anything. If this version does not know the pair of ``vidu_type`` and
    ``model``, the operator logs a warning and sends the request unchecked.

    The operator also pushes the XComs ``request_id`` and ``vidu_request`` (the request without the content of files).
    It pushes ``expected_seconds`` (typical time of generation) and ``estimated_cost`` (CNY by the dated price table),
    each ``None`` if unknown. If the task fails, it pushes ``vidu_failure`` (the reason).

    The operator pays once. If the API certainly did not accept a request (rate limit, failed connection), the operator
    resends it a few times. After that, and for a wrong key, it leaves the submit to Airflow's retries. A refused
    request and a submit whose outcome is unknown fail the task without retries.

    On Airflow 3.3 and newer, or with a ledger, a retry returns the task id of the earlier try instead of submitting
    again, even after the worker was killed. A retry submits and pays again only if that generation failed for lack of
    capacity or for an unknown reason. Clearing the task submits and pays for a new video, unless the same request still
    runs, or its video is ready but was never delivered. To fetch a video again, clear the sensor instead. See the table
    in ``docs/reliability.md``.

    :param model: Name of the model, e.g. ``viduq2-turbo``. (templated)
    :param vidu_type: Type of the job: ``img2video`` (default), ``text2video``, ``reference2video``,
        ``start-end2video``, ``extend``, ``lip-sync`` or ``one-click/mv``. (templated)
    :param prompt: Text description of the video. (templated)
    :param first_frame_url: Image for the first frame: an http(s) URL, a data URI, or a path or ``ObjectStoragePath``
        URI. The worker reads, checks and sends a file. ``[vidu] media_sources`` limits which files it may read. If a
        file in an object store is too large to be sent, the worker sends a presigned URL. (templated)
    :param last_frame_url: Image for the last frame, given like ``first_frame_url``. (templated)
    :param images: 1–7 images, each given like ``first_frame_url``. A template may render a list or a mapping as JSON
        text (``| tojson``). (templated)
    :param subjects: 1–7 mappings ``{"id", "images" (1–3), "voice_id"}``. The prompt refers to a subject as ``@id``.
        (templated)
    :param video_url: Video to extend or to lip-sync: an http(s) URL, or the URI of a file in an object store. The
        worker signs a URL for such a file, which is valid for 24 hours. It appears only in the request; see
        ``docs/stores.md``. (templated)
    :param audio_url: Audio: given like ``video_url`` for lip-sync, like ``first_frame_url`` for one-click/mv.
        (templated)
    :param text: Text that lip-sync speaks. (templated)
    :param ref_photo_url: Photo of the face that lip-sync animates, given like ``video_url``. (templated)
    :param duration: Duration of the video in seconds. (templated)
    :param seed: Whole number; 0 means random. (templated)
    :param resolution: Resolution, e.g. ``720p``. (templated)
    :param aspect_ratio: Aspect ratio, e.g. ``16:9``. (templated)
    :param movement_amplitude: ``auto``, ``small``, ``medium`` or ``large``. (templated)
    :param bgm: Whether to add background music. (templated)
    :param audio: Whether to add speech and sounds. (templated)
    :param voice_id: Id of the voice. (templated)
    :param guidance_scale: How closely the video follows the prompt. (templated)
    :param speed: Speed of lip-sync's speech, 0.5–2. (templated)
    :param volume: Volume of lip-sync's speech, 0–10. (templated)
    :param add_subtitle: Whether one-click/mv adds subtitles. (templated)
    :param language: Language of the subtitles, ``en`` or ``zh``. (templated)
    :param srt_url: Subtitle file, given like ``video_url``. (templated)
    :param extra_input: Fields that this version does not know, added to the body's ``input``. (templated)
    :param extra_parameters: Fields that this version does not know, added to the body's ``parameters``. (templated)
    :param vidu_conn_id: Connection of type ``vidu``. (templated)
    :param durable: Whether to record the submit across tries in Airflow's task state store (Airflow 3.3 and newer) or,
        below 3.3, in the ledger; ``True`` by default. Without the record, a retry after the worker died submits and
        pays again.
    :param on_uncertain: Action after a submit whose outcome is unknown. ``fail`` (default) ends the task without
        retries. ``resubmit`` leaves it to Airflow's retries, each of which may pay again.
    :param on_budget: Action if ``[vidu] daily_budget`` or ``monthly_budget`` does not cover the submit. ``fail``
        (default) ends the task without retries. ``retry`` leaves it to Airflow's retries, which send nothing before
        the budget resets.
    :param reuse: Whether to reuse the task of an earlier submit of the same request instead of paying again; ``False``
        by default. The ledger must list that task, and it must still run or have links that have not expired. Two
        requests are the same if their bodies are the same; files are compared by content, and files in a store that
        the worker does not read by name, size and tag. Needs ``[vidu] ledger``. For another take of the same request,
        set another ``seed`` or ``reuse=False``.
    :param max_cost: Highest estimated cost in CNY, ``None`` (default) for no limit. If the estimate is above it, or no
        price is known, the operator sends nothing. The limit applies to each try.
    :param prices: Your own prices in place of the dated table. Give CNY by ``(vidu_type, model, seconds of video,
        resolution)``; ``None`` as the seconds means a price per second. Or give the path or URI of a CSV file with the
        columns of ``protocol/prices_2026-04-15.csv``.
    """

    template_fields: Sequence[str] = (
        "model",
        "vidu_type",
        *FIELDS,
        "extra_input",
        "extra_parameters",
        "vidu_conn_id",
    )
    operator_extra_links = (ViduVideoLink(),)

    def __init__(
        self,
        *,
        model: str,
        vidu_type: str = "img2video",
        prompt: str | None = None,
        first_frame_url: str | None = None,
        last_frame_url: str | None = None,
        images: list[str] | str | None = None,
        subjects: list[dict[str, Any]] | str | None = None,
        video_url: str | None = None,
        audio_url: str | None = None,
        text: str | None = None,
        ref_photo_url: str | None = None,
        duration: int | str | None = None,
        seed: int | str | None = None,
        resolution: str | None = None,
        aspect_ratio: str | None = None,
        movement_amplitude: str | None = None,
        bgm: bool | str | None = None,
        audio: bool | str | None = None,
        voice_id: str | None = None,
        guidance_scale: float | str | None = None,
        speed: float | str | None = None,
        volume: float | str | None = None,
        add_subtitle: bool | str | None = None,
        language: str | None = None,
        srt_url: str | None = None,
        extra_input: dict[str, Any] | None = None,
        extra_parameters: dict[str, Any] | None = None,
        vidu_conn_id: str = "vidu_default",
        durable: bool = True,
        on_uncertain: Literal["fail", "resubmit"] = "fail",
        on_budget: Literal["fail", "retry"] = "fail",
        reuse: bool = False,
        max_cost: float | None = None,
        prices: str | GivenPrices | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.vidu_type = vidu_type
        self.prompt = prompt
        self.first_frame_url = first_frame_url
        self.last_frame_url = last_frame_url
        self.images = images
        self.subjects = subjects
        self.video_url = video_url
        self.audio_url = audio_url
        self.text = text
        self.ref_photo_url = ref_photo_url
        self.duration = duration
        self.seed = seed
        self.resolution = resolution
        self.aspect_ratio = aspect_ratio
        self.movement_amplitude = movement_amplitude
        self.bgm = bgm
        self.audio = audio
        self.voice_id = voice_id
        self.guidance_scale = guidance_scale
        self.speed = speed
        self.volume = volume
        self.add_subtitle = add_subtitle
        self.language = language
        self.srt_url = srt_url
        self.extra_input = extra_input
        self.extra_parameters = extra_parameters
        self.vidu_conn_id = vidu_conn_id
        self.durable = durable
        self.on_uncertain = on_uncertain
        self.on_budget = on_budget
        self.reuse = reuse
        self.max_cost = max_cost
        self.prices = prices
        if not is_unmapped(self):
            self._check_outputs()
            check_paying(on_uncertain, on_budget, max_cost, prices)
            self._check_literals()

    def _request(self) -> Request:
        return read_request(
            self.vidu_type,
            self.model,
            {name: getattr(self, name) for name in FIELDS},
            extra_input=self.extra_input,
            extra_parameters=self.extra_parameters,
        )

    def _check_outputs(self) -> None:
        check_outputs(self)
        if not self.do_xcom_push:
            # Only the log would have the id of the paid task.
            raise refusal(["do_xcom_push must be True, since the XCom hands the task id on, got False"])

    def _check_literals(self) -> None:
        """
        Refuse wrong literals while the DAG is parsed.

        ``execute`` checks templates, XComs and files.
        """
        request = self._request()
        if found := problems_now(request):
            raise refusal(found)
        if self.max_cost is not None and is_literal(request) and not isinstance(self.prices, str):
            estimated_within(request, self.max_cost, prices_of(self.prices))

    def _before_post(self, context: Context) -> None:
        """Refuse, right before the submit, if the paid result could not be used."""

    def execute(self, context: Context) -> str:
        """
        Submit the task, or return the task id of an earlier try.

        :param context: Airflow's context of the task instance.
        :return: Vidu's task id.
        :raises AirflowFailException: If the request is wrong or refused (nothing was paid), or the outcome is unknown
            (the task may be billed). The same if the task of an earlier try has failed or no longer exists. Airflow
            does not retry.
        :raises ViduSubmissionUncertainError: If the outcome is unknown and ``on_uncertain`` is ``resubmit``.
        :raises ViduError: On any other error. Nothing was accepted or paid; a retry can help.
        """
        from airflow_provider_vidu.reporting import failure_shown

        with failure_shown(context):
            submitted = self._accepted(context)
            submitted.record.deliver(submitted.attempt)
        return submitted.attempt.vidu_task_id

    def _accepted(self, context: Context, *, takes_files: bool = False) -> Submitted:
        """Submit or re-attach, and raise errors as Airflow's exception types."""
        from airflow_provider_vidu.durable.submit import Submit, SubmitOptions

        try:
            check_paying(self.on_uncertain, self.on_budget, self.max_cost, self.prices)
            options = SubmitOptions._make(getattr(self, name) for name in SubmitOptions._fields)
            return Submit(
                self._request(),
                options,
                context,
                self.log,
                lambda: self._before_post(context),
                takes_files=takes_files,
            ).run()
        except ViduSubmissionUncertainError as error:
            if self.on_uncertain == "resubmit":
                raise
            raise AirflowFailException(
                f"{error} The request was {self.vidu_type} with {self.model}. Airflow does not retry the task; "
                "clearing it submits again, which may pay twice."
            ) from error
        except (ViduRequestError, ViduRefusedError) as error:
            raise AirflowFailException(str(error)) from error
        except ViduBudgetError as error:
            if self.on_budget == "retry":
                raise
            raise AirflowFailException(str(error)) from error
