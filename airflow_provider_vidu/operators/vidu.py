# SPDX-License-Identifier: Apache-2.0
"""Submit a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator

from airflow_provider_vidu.arguments import is_literal, is_unmapped, problems_now, read_request
from airflow_provider_vidu.costs import check_paying, estimated_within, prices_of
from airflow_provider_vidu.exceptions import (
    ViduRefusedError,
    ViduRequestError,
    ViduSubmissionUncertainError,
)
from airflow_provider_vidu.links import ViduVideoLink
from airflow_provider_vidu.protocol.capabilities import FIELDS
from airflow_provider_vidu.protocol.request import refusal

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_vidu.durable.attempt import Attempt
    from airflow_provider_vidu.durable.state_store import SubmitRecord
    from airflow_provider_vidu.protocol.prices import Key
    from airflow_provider_vidu.protocol.request import Request


class ViduSubmitOperator(BaseOperator):
    """
    Submit a task to Vidu, which is billed when it is accepted. Returns Vidu's task id.

    Every field of the API has its own name here; which a job takes depends on ``vidu_type`` and ``model``. What is
    given as a literal is checked when the DAG is parsed, all of it again before the call: a wrong value is refused
    before anything is sent or paid. A pair of ``vidu_type`` and ``model`` that this version does not know is sent
    unchecked, with a line in the log.

    Also pushes the XComs ``request_id``, ``expected_seconds`` (typical time of generation, or ``None``),
    ``estimated_cost`` (CNY by the dated price table, or ``None``) and ``vidu_request`` (what was asked for, without
    the content of files); where it fails, ``vidu_failure`` (the reason).

    It is paid once: what was surely not accepted (rate limit, failed connection) is sent again a few times, then
    left to Airflow's retries, as is a bad key. A refused request and a submit whose outcome is unknown fail the task
    without retries. On Airflow 3.3 and newer a retry returns the task id of the try before instead of submitting
    again, even after the worker was killed, unless that generation has failed for want of capacity. Clearing the task
    asks for a new video, unless the old one still runs or was never delivered: to fetch a video again, clear the
    sensor instead. ``docs/reliability.md`` has the table.

    :param model: e.g. ``viduq2-turbo``. (templated, as all that follow)
    :param vidu_type: the job: ``img2video`` (default), ``text2video``, ``reference2video``, ``start-end2video``,
        ``extend``, ``lip-sync`` or ``one-click/mv``.
    :param prompt: what shall happen.
    :param first_frame_url: the image the video begins with: an http(s) URL, a data URI, or a path or
        ``ObjectStoragePath`` URI that the worker reads, checks and sends; ``[vidu] media_sources`` says which may be
        read.
    :param last_frame_url: the image it ends with; as ``first_frame_url``.
    :param images: 1–7 images; as ``first_frame_url``. A template may give JSON text (``| tojson``), as for lists and
        mappings below.
    :param subjects: 1–7 of ``{"id", "images" (1–3), "voice_id"}``; the prompt says ``@id``.
    :param video_url: http(s) URL of the video to extend or to speak.
    :param audio_url: the sound: for lip-sync an http(s) URL, for one-click/mv also a file.
    :param text: what lip-sync shall say.
    :param ref_photo_url: http(s) URL of the face that lip-sync shall look for.
    :param duration: seconds of video.
    :param seed: whole number; 0 is random.
    :param resolution: e.g. ``720p``.
    :param aspect_ratio: e.g. ``16:9``.
    :param movement_amplitude: ``auto``, ``small``, ``medium`` or ``large``.
    :param bgm: whether to add music.
    :param audio: whether to add speech and sounds.
    :param voice_id: the voice.
    :param guidance_scale: how closely to follow the prompt.
    :param speed: of lip-sync's speech, 0.5–2.
    :param volume: of lip-sync's speech, 0–10.
    :param add_subtitle: whether one-click/mv shows subtitles.
    :param language: of the subtitles, ``en`` or ``zh``.
    :param srt_url: http(s) URL of subtitles.
    :param extra_input: what to add to the body's ``input`` although this version does not know it.
    :param extra_parameters: what to add to the body's ``parameters`` although this version does not know it.
    :param vidu_conn_id: connection of type ``vidu``.
    :param durable: whether to remember the submit across tries in Airflow's task state store, which Airflow 3.3 and
        newer have; ``True`` by default. Without it a retry after the worker died is a new, paid submit. (not
        templated, as all that follow)
    :param on_uncertain: what a submit whose outcome is unknown does: ``fail`` (default) ends the task without
        retries, ``resubmit`` leaves it to Airflow's retries, each of which may pay once more.
    :param max_cost: CNY that the estimate may come to, ``None`` (default) for any. Above it, and where no price is
        known, nothing is sent. It bounds one try.
    :param prices: your own prices in place of the dated table: CNY by ``(vidu_type, model, seconds of video,
        resolution)``, with ``None`` as the seconds for a price of each second, or the path or URI of a CSV file with
        the columns of ``protocol/prices_2026-04-15.csv``.
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
        on_uncertain: str = "fail",
        max_cost: float | None = None,
        prices: str | Mapping[Key, float] | None = None,
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
        self.max_cost = max_cost
        self.prices = prices
        if not is_unmapped(self):
            check_paying(on_uncertain, max_cost, prices)
            self._check_literals()

    def _request(self) -> Request:
        return read_request(
            self.vidu_type,
            self.model,
            {name: getattr(self, name) for name in FIELDS},
            extra_input=self.extra_input,
            extra_parameters=self.extra_parameters,
        )

    def _check_literals(self) -> None:
        """Refuse what is surely wrong while the DAG is parsed; templates, XComs and files are checked when they run."""
        request = self._request()
        if found := problems_now(request):
            raise refusal(found)
        if self.max_cost is not None and is_literal(request) and not isinstance(self.prices, str):
            estimated_within(request, self.max_cost, prices_of(self.prices))

    def _before_post(self, context: Context) -> None:
        """Refuse, right before something is submitted, where what is paid could not be used."""

    def execute(self, context: Context) -> str:
        """
        Submit, or return the task id of an earlier try.

        :param context: Airflow's context of the task instance.
        :return: Vidu's task id.
        :raises AirflowFailException: the request is wrong or refused (nothing was paid), the outcome is unknown (it
            may be paid), or an earlier try's task has failed or is gone. Airflow does not retry it.
        :raises ViduSubmissionUncertainError: the outcome is unknown and ``on_uncertain`` is ``resubmit``.
        :raises ViduError: any other kind: nothing was sent or accepted, nothing was paid, a retry can help.
        """
        from airflow_provider_vidu.reporting import failure_shown

        with failure_shown(context):
            record, attempt = self._accepted(context)
            record.deliver(attempt)
        return attempt.vidu_task_id

    def _accepted(self, context: Context) -> tuple[SubmitRecord, Attempt]:
        """Submit or attach, with errors as Airflow shall see them."""
        from airflow_provider_vidu.durable.submit import Submit, SubmitOptions

        try:
            check_paying(self.on_uncertain, self.max_cost, self.prices)
            options = SubmitOptions._make(getattr(self, name) for name in SubmitOptions._fields)
            return Submit(self._request(), options, context, self.log, lambda: self._before_post(context)).run()
        except ViduSubmissionUncertainError as error:
            if self.on_uncertain == "resubmit":
                raise
            raise AirflowFailException(
                f"{error} It asked for {self.vidu_type} with {self.model}. Airflow does not retry this; clearing the "
                "task submits and pays anew."
            ) from error
        except (ViduRequestError, ViduRefusedError) as error:
            raise AirflowFailException(str(error)) from error
