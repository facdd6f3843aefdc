# SPDX-License-Identifier: Apache-2.0
"""Submit a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout, BaseOperator

from airflow_provider_vidu.exceptions import ViduRefusedError, ViduRequestError, ViduSubmissionUncertainError
from airflow_provider_vidu.operators.media import with_files_read
from airflow_provider_vidu.protocol import request
from airflow_provider_vidu.protocol.capabilities import FIELDS, notes, takes_files
from airflow_provider_vidu.protocol.fields import is_url, looks_like_data_uri
from airflow_provider_vidu.protocol.prices import PRICES_AS_OF, estimate
from airflow_provider_vidu.protocol.response import transport_error

if TYPE_CHECKING:
    from airflow.sdk import Context


class ViduSubmitOperator(BaseOperator):
    """
    Submit a task to Vidu: one POST, which is billed when it is accepted. Returns Vidu's task id.

    Every field of the API has its own name here; which a job takes depends on ``vidu_type`` and ``model``. What is
    given as a literal is checked when the DAG is parsed, all of it again before the call: a wrong value is refused
    before anything is sent or paid. A pair of ``vidu_type`` and ``model`` that this version does not know is sent
    unchecked, with a line in the log.

    Also pushes the XComs ``request_id``, ``expected_seconds`` (typical time of generation, or ``None``),
    ``estimated_cost`` (CNY by the dated price table, or ``None``) and ``vidu_request`` (what was asked for, without
    the content of files).

    A refused request and a submit whose outcome is unknown fail the task without retries, the latter because a
    retry could pay twice. Bad key, rate limit and failed connection leave it retryable: nothing was paid. A retry
    after the worker died, and clearing the task, are new submits and are paid again: to fetch a video, clear the
    sensor instead.

    :param model: e.g. ``viduq2-turbo``. (templated, as all that follow)
    :param vidu_type: the job: ``img2video`` (default), ``text2video``, ``reference2video``, ``start-end2video``,
        ``extend``, ``lip-sync`` or ``one-click/mv``.
    :param prompt: what shall happen.
    :param first_frame_url: the image the video begins with: an http(s) URL, a data URI, or a path or
        ``ObjectStoragePath`` URI that the worker reads, checks and sends.
    :param last_frame_url: the image it ends with; as ``first_frame_url``.
    :param images: 1–7 images; as ``first_frame_url``.
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
    """

    template_fields: Sequence[str] = (
        "model",
        "vidu_type",
        *FIELDS,
        "extra_input",
        "extra_parameters",
        "vidu_conn_id",
    )

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
        # A mapped task is made anew on the worker, where a refusal would be retried; execute() checks it there. The
        # mark is the one that Airflow's own decorators look for.
        if not getattr(self, "_BaseOperator__from_mapped", False):
            self._check_literals()

    def _values(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in FIELDS}
        # The output of a mapped task is a lazy sequence of its own kind.
        return {name: list(value) if _is_lazy_list(value) else value for name, value in values.items()}

    def _check_literals(self) -> None:
        """Refuse what is surely wrong while the DAG is parsed; templates, XComs and files are checked when they run."""
        if not _is_literal(self.model) or not _is_literal(self.vidu_type):
            return
        values = self._values()
        later = {
            name
            for name, value in values.items()
            if value is not None
            and (not _is_literal(value) or (takes_files(self.vidu_type, self.model, name) and _holds_path(value)))
        }
        extras = {
            name: value for name in ("extra_input", "extra_parameters") if _is_literal(value := getattr(self, name))
        }
        found = request.problems(self.vidu_type, self.model, values, **extras, unknown_yet=later)
        if found:
            raise request.refusal(found)

    def execute(self, context: Context) -> str:
        """
        Submit.

        :param context: Airflow's context of the task instance.
        :return: Vidu's task id.
        """
        try:
            return self._submit(context)
        except (ViduRequestError, ViduRefusedError, ViduSubmissionUncertainError) as error:
            raise AirflowFailException(str(error)) from error

    def _submit(self, context: Context) -> str:
        from airflow_provider_vidu.hooks.vidu import ViduHook

        extras = {"extra_input": self.extra_input, "extra_parameters": self.extra_parameters}
        values = with_files_read(self.vidu_type, self.model, self._values(), self.log.warning)
        body = request.build(self.vidu_type, self.model, values, **extras)
        for note in notes(body):
            self.log.warning("%s", note)
        cost = estimate(body)
        price = cost.missing or f"about ¥{cost.price_cny:g} (an estimate by prices of {PRICES_AS_OF})"
        self.log.info("Submitting %s with %s: %s", self.vidu_type, self.model, price)
        asked = request.without_data(request.assemble(self.vidu_type, self.model, self._values(), **extras))
        ti = context["ti"]
        # All that is known before the POST is pushed before it, so that little can fail between it and the return.
        ti.xcom_push(key="expected_seconds", value=cost.typical_seconds)
        ti.xcom_push(key="estimated_cost", value=cost.price_cny)
        ti.xcom_push(
            key="vidu_request", value={**asked, "estimated_cost": cost.price_cny, "prices_as_of": PRICES_AS_OF}
        )
        try:
            submission = ViduHook(self.vidu_conn_id).submit(body)
        except AirflowTaskTimeout as error:
            # Airflow would retry it, and nobody knows whether the server has accepted.
            raise transport_error("execution_timeout ended it", sent=True, vidu_task_id=None) from error
        self.log.info("Accepted as Vidu task %s, request id %s", submission.task_id, submission.request_id or "none")
        try:
            ti.xcom_push(key="request_id", value=submission.request_id)
        except (Exception, AirflowTaskTimeout):
            # Nothing may keep the task id from being returned any more.
            self.log.exception("The request id of Vidu task %s could not be pushed", submission.task_id)
        return submission.task_id


def _is_lazy_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, list))


def _is_literal(value: Any) -> bool:
    """Whether a value is known while the DAG is parsed: no XCom, and nothing that Jinja would render."""
    if isinstance(value, Mapping):
        return all(_is_literal(item) for pair in value.items() for item in pair)
    if isinstance(value, (list, tuple)):
        return all(_is_literal(item) for item in value)
    if isinstance(value, str):
        return not any(mark in value for mark in ("{{", "{%", "{#"))
    # XComArg and its kin are known by the method that Airflow itself looks for.
    return not hasattr(value, "resolve")


def _holds_path(value: Any) -> bool:
    if isinstance(value, str):
        return not is_url(value) and not looks_like_data_uri(value)
    if isinstance(value, Mapping):
        return _holds_path(value.get("images"))
    return isinstance(value, (list, tuple)) and any(_holds_path(item) for item in value)
