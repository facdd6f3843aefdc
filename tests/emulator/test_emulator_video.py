# SPDX-License-Identifier: Apache-2.0
"""The videos are real ones: read back, they are what was asked for."""

from __future__ import annotations

from io import BytesIO

import av
import pytest
import requests
from PIL import Image

from airflow_provider_vidu.emulator import video
from tests.served import difference, frames


def download(api, body) -> bytes:
    response = requests.get(api.video_url(body), timeout=60)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "video/mp4"
    return response.content


@pytest.mark.parametrize("sound", [{}, {"bgm": False, "audio": False}, {"bgm": True}, {"audio": True}])
def test_a_video_is_h264_of_the_asked_length_with_sound_only_when_asked(api, img2video, sound):
    data = download(api, img2video(duration=2, **sound))
    with av.open(BytesIO(data)) as container:
        picture = container.streams.video[0]
        assert (picture.codec_context.name, picture.pix_fmt, picture.average_rate) == ("h264", "yuv420p", 24)
        assert picture.frames == 48
        assert picture.duration * picture.time_base == 2
        assert container.duration == 2_000_000
        codecs = [stream.codec_context.name for stream in container.streams.audio]
        assert codecs == (["aac"] if any(sound.values()) else [])
        samples = [sample for frame in container.decode(audio=0) for sample in bytes(frame.planes[0])] if codecs else []
        assert any(samples) == bool(codecs)
    assert data.index(b"moov") < data.index(b"mdat")


def test_a_video_begins_with_its_first_frame_and_moves(api, img2video, picture):
    first, *_, last = frames(download(api, img2video(picture(640, 360))))
    asked = Image.open(BytesIO(picture(640, 360))).resize(first.size)
    assert difference(first, asked) < 8
    assert difference(first, last) > 8


def test_a_video_of_one_colour_moves_too(api, img2video):
    data = BytesIO()
    Image.new("RGB", (64, 64), "navy").save(data, "PNG")
    first, *_, last = frames(download(api, img2video(data.getvalue())))
    assert difference(first, last) > 1


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_every_documented_format_makes_a_video(api, img2video, picture, file_format):
    assert len(frames(download(api, img2video(picture(file_format=file_format))))) == 24


@pytest.mark.parametrize(
    ("width", "height", "resolution", "size"),
    [
        (160, 90, "360p", (640, 360)),
        (90, 160, "540p", (540, 960)),
        (64, 64, "720p", (720, 720)),
        (101, 73, "360p", (498, 360)),
        (400, 100, "360p", (1440, 360)),
    ],
)
def test_the_short_side_is_the_resolution_and_the_ratio_the_pictures(
    api, img2video, picture, width, height, resolution, size
):
    data = download(api, {**img2video(picture(width, height), resolution=resolution), "model": "not-checked"})
    assert frames(data)[0].size == size


@pytest.mark.parametrize(
    ("resolution", "size"), [("1080p", (1920, 1080)), ("2K", (2560, 1440)), ("anything", (1280, 720))]
)
def test_large_resolutions_have_their_size(resolution, size):
    assert video.frame_size(16 / 9, resolution) == size


def test_a_download_can_be_continued(api, img2video):
    url = api.video_url(img2video())
    whole = requests.get(url, timeout=30).content
    part = requests.get(url, headers={"Range": "bytes=100-"}, timeout=30)
    assert (part.status_code, part.headers["Content-Range"]) == (206, f"bytes 100-{len(whole) - 1}/{len(whole)}")
    assert part.content == whole[100:]
    beyond = requests.get(url, headers={"Range": f"bytes={len(whole)}-"}, timeout=30)
    assert beyond.status_code == 416


def test_a_head_tells_the_length_and_counts_as_no_download(api, img2video):
    url = api.video_url(img2video())
    head = requests.head(url, timeout=30)
    assert head.content == b""
    assert int(head.headers["Content-Length"]) == len(requests.get(url, timeout=30).content)
    assert api.control("GET", "tasks")[0]["downloads"] == 1


def test_the_link_alone_opens_the_file_and_a_wrong_token_does_not(api, img2video):
    url = api.video_url(img2video())
    bare = url.partition("?")[0]
    assert [requests.get(address, timeout=30).status_code for address in (bare, f"{bare}?token=x", url)] == [
        403,
        403,
        200,
    ]


def test_there_is_no_file_before_the_task_has_ended(slow_api, img2video):
    slow_api.accepted(img2video())
    (task,) = slow_api.control("GET", "tasks")
    assert requests.get(task["url"], timeout=10).status_code == 403


@pytest.mark.parametrize(("headers", "told"), [({}, False), ({"Authorization": "emulator-key"}, True)])
def test_a_key_sent_along_with_a_download_is_told_on(api, img2video, headers, told):
    requests.get(api.video_url(img2video()), headers=headers, timeout=30)
    assert api.control("GET", "tasks")[0]["authorization_on_download"] is told


def test_the_link_is_on_the_host_that_was_asked(api, img2video):
    task_id = api.accepted(img2video())
    by_name = api.url.replace("127.0.0.1", "localhost")
    answer = requests.get(
        f"{by_name}/v1/tasks/status?task_id={task_id}", headers={**api.headers, "Host": "vidu.test"}, timeout=10
    ).json()
    assert answer["output"]["urls"][0].startswith("http://vidu.test/files/")
