# SPDX-License-Identifier: Apache-2.0
"""A file that a job cannot use ends it in Failure, and one that many jobs use is kept once."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO

import av
import pytest
import requests
from PIL import Image

from airflow_provider_vidu.emulator import video
from airflow_provider_vidu.emulator.server import Settings, running
from tests.served import data_uri, difference, plain, serving

BAD = {
    "first_frame_url": ("img2video", "ImageDownloadFailure", "ImageFormatInvalid", "png, jpeg or webp image"),
    "last_frame_url": ("extend", "ImageDownloadFailure", "ImageFormatInvalid", "png, jpeg or webp image"),
    "images": ("reference2video", "ImageDownloadFailure", "ImageFormatInvalid", "png, jpeg or webp image"),
    "subjects": ("reference2video", "ImageDownloadFailure", "ImageFormatInvalid", "png, jpeg or webp image"),
    "ref_photo_url": ("lip-sync", "ImageDownloadFailure", "ImageFormatInvalid", "png, jpeg, webp or bmp image"),
    "video_url": ("extend", "BadRequest", "BadRequest", "mp4, mov or avi video"),
    "audio_url": ("lip-sync", "BadRequest", "BadRequest", "wav, mp3, wma, m4a, aac or ogg sound"),
    "srt_url": ("one-click/mv", "BadRequest", "BadRequest", "srt file"),
}


@pytest.mark.parametrize("field", BAD)
def test_a_file_that_cannot_be_had_or_read_ends_in_failure(api, ask, field):
    vidu_type, unfetched, unreadable, wanted = BAD[field]
    good = {"extend": {"video_url": "clip.mp4"}, "lip-sync": {"video_url": "clip.mp4"}}.get(vidu_type, {})

    def error(address):
        value = {"images": [address], "subjects": [{"id": "a", "images": ["red.png", address]}]}.get(field, address)
        return api.ended(api.accepted(ask(vidu_type, **{**good, field: value})))["output"]["error_message"]

    assert error("missing").startswith(f"code={unfetched}, message={field}: 404, message='Not Found'")
    assert error("http://127.0.0.1:1/").startswith(f"code={unfetched}, message={field}: Cannot connect")
    assert error("http://[").startswith(f"code={unfetched}, message={field}: ")
    unread = {error(address) for address in ("page.html", "empty", "list.m3u8", data_uri(b"what"), "data:,")}
    assert unread == {f"code={unreadable}, message={field}: not a readable {wanted}"}


@pytest.mark.parametrize(
    ("vidu_type", "files", "message"),
    [
        ("extend", {"video_url": "short.mp4"}, "video_url: must be 4 to 60 s long, got 3 s"),
        (
            "one-click/mv",
            {"images": ["red.png"], "audio_url": "speech.wav"},
            "audio_url: must be 10 to 180 s long, got 2 s",
        ),
        ("lip-sync", {"video_url": "song.wav"}, "video_url: not a readable mp4, mov or avi video"),
        (
            "lip-sync",
            {"video_url": "clip.mp4", "audio_url": "clip.mp4"},
            "audio_url: not a readable wav, mp3, wma, m4a, aac or ogg sound",
        ),
    ],
)
def test_a_file_of_the_wrong_length_or_kind_ends_in_failure(api, ask, vidu_type, files, message):
    output = api.ended(api.accepted(ask(vidu_type, **files)))["output"]
    assert output["error_message"] == f"code=BadRequest, message={message}"


def test_a_file_that_is_too_large_ends_in_failure(api, ask):
    with serving({"song.srt": bytes(1024**2 + 1)}) as url:
        output = api.ended(api.accepted(ask("one-click/mv", srt_url=f"{url}/song.srt")))["output"]
    assert output["error_message"] == "code=BadRequest, message=srt_url: larger than 1 MB"


def encoded(kind, file_format, codec, seconds=2):
    """Make a file in a container, of silence or of one colour."""
    data = BytesIO()
    with av.open(data, "w", format=file_format) as container:
        if kind == "video":
            stream = container.add_stream(codec, rate=10, width=160, height=90, pix_fmt="yuv420p")
            made = [av.VideoFrame.from_image(Image.new("RGB", (160, 90))) for _ in range(seconds * 10)]
        else:
            stream = container.add_stream(codec, rate=48_000, layout="stereo", bit_rate=128_000)
            made = [av.AudioFrame(format="s16", layout="stereo", samples=480) for _ in range(seconds * 100)]
        for index, frame in enumerate(made):
            if kind == "audio":
                frame.planes[0].update(bytes(1920))
                frame.sample_rate, frame.pts, frame.time_base = 48_000, index * 480, Fraction(1, 48_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return data.getvalue()


@pytest.mark.parametrize(
    ("kind", "file_format", "codec"),
    [
        *(("video", "mp4", "libx264"), ("video", "mov", "libx264"), ("video", "avi", "libx264")),
        *(("audio", "wav", "pcm_s16le"), ("audio", "mp3", "libmp3lame"), ("audio", "asf", "wmav2")),
        *(("audio", "ipod", "aac"), ("audio", "adts", "aac"), ("audio", "ogg", "libopus")),
    ],
)
def test_every_documented_container_is_read(tmp_path, kind, file_format, codec):
    path = tmp_path / "file"
    path.write_bytes(encoded(kind, file_format, codec))
    assert video.length(path, kind) == pytest.approx(2, abs=0.2)


def test_a_container_that_is_not_documented_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(encoded("video", "matroska", "libx264"))
    with pytest.raises(ValueError, match="not a readable mp4, mov or avi video"):
        video.length(path, "video")


def test_a_photo_may_be_a_bmp_file_of_any_ratio_and_a_first_frame_may_not(api, ask):
    data = BytesIO()
    Image.new("RGB", (500, 100)).save(data, "BMP")

    def status(vidu_type, **files):
        return api.ended(api.accepted(ask(vidu_type, **files)))["output"]["task_status"]

    photo = data_uri(data.getvalue())
    assert status("lip-sync", video_url="clip.mp4", text="Hello", ref_photo_url=photo) == "Success"
    assert status("img2video", first_frame_url=photo) == "Failure"


def test_what_a_job_does_not_take_is_not_fetched(api, ask):
    output = api.ended(api.accepted(ask("text2video", prompt="x", video_url="missing")))["output"]
    assert output["task_status"] == "Success"


def test_a_video_that_is_cut_short_is_shown_as_far_as_it_goes(tmp_path):
    images = [Image.effect_noise((160, 90), 80).convert("RGB") for _ in range(48)]
    path = tmp_path / "whole.mp4"
    video.render(path, iter(images), size=(160, 90), seconds=2, sound=None)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    shown = list(video.footage(cut, (160, 90), 48))
    whole = list(video.footage(path, (160, 90), 48))
    assert len(shown) == 48
    assert [difference(*pair) == 0 for pair in zip(shown[:20], whole, strict=False)] == [True] * 20
    assert difference(shown[-1], shown[-2]) == 0
    assert difference(shown[-1], whole[-1]) > 0


def test_a_picture_given_as_data_by_many_jobs_is_kept_once(api, ask, tmp_path):
    with running(Settings(directory=tmp_path, speed=1e6)) as url:
        for _ in range(3):
            body = ask("start-end2video", first_frame_url=data_uri(plain("red")), last_frame_url=data_uri(plain("red")))
            headers = {"Authorization": "emulator-key"}
            assert requests.post(f"{url}/v1/tasks/submit", json=body, headers=headers, timeout=10).status_code == 200
        assert len(list(tmp_path.iterdir())) == 1
        requests.post(f"{url}/_emulator/reset", timeout=10)
        assert list(tmp_path.iterdir()) == []
