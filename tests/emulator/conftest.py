# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from airflow_provider_vidu.emulator.server import Settings, running
from dev.emulator_client import Api
from tests.served import COLOURS, clip, data_uri, plain, serving, sound

PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nclip.mp4\n#EXT-X-ENDLIST\n"
SUBTITLES = "1\n00:00:02,000 --> 00:00:04,500\n你好, everybody\n\n2\n00:00:06,000 --> 00:00:08,000\nGood\nbye\n"


@pytest.fixture
def api(vidu_emulator):
    """An emulator that has forgotten everything and finishes each generation at once."""
    return Api(vidu_emulator.url)


@pytest.fixture
def slow_api():
    """An emulator whose generations do not end while a test looks."""
    with running(Settings(speed=1e-6)) as url:
        yield Api(url)


def picture(width: int = 96, height: int = 64, file_format: str = "PNG") -> bytes:
    data = BytesIO()
    Image.radial_gradient("L").resize((width, height)).convert("RGB").save(data, file_format)
    return data.getvalue()


@pytest.fixture
def img2video():
    """Build a submit body for img2video: ``frame`` is bytes or a URL, everything else a parameter."""

    def build(frame: bytes | str | None = None, prompt: str = "make it dance", **parameters) -> dict:
        source = frame if isinstance(frame, str) else data_uri(frame or picture())
        return {
            "model": "viduq2-turbo",
            "input": {"first_frame_url": source, "prompt": prompt},
            "parameters": {"vidu_type": "img2video", "duration": 1, "resolution": "360p", **parameters},
        }

    return build


@pytest.fixture(name="picture")
def picture_fixture():
    """Build the bytes of a picture from width, height and format."""
    return picture


@pytest.fixture(scope="package")
def web():
    files = {f"{colour}.png": plain(colour) for colour in COLOURS}
    files |= {"clip.mp4": clip(4, "green", "purple"), "short.mp4": clip(3, "green"), "song.wav": sound(10)}
    files |= {"speech.wav": sound(2), "page.html": b"<html>404</html>", "song.srt": SUBTITLES.encode()}
    files |= {"empty": b"", "list.m3u8": PLAYLIST}
    with serving(files) as url:
        yield url


@pytest.fixture
def ask(web):
    """Build a body; addresses without a scheme are files of the web server."""

    def located(value):
        if isinstance(value, list):
            return [located(item) for item in value]
        if isinstance(value, dict):
            return {key: item if key in ("id", "voice_id") else located(item) for key, item in value.items()}
        return value if value.startswith(("data:", "http:")) else f"{web}/{value}"

    def build(vidu_type, *, prompt=None, text=None, parameters=None, **files):
        words = {name: value for name, value in (("prompt", prompt), ("text", text)) if value is not None}
        # A model that the table does not hold may have a small resolution, which is soon rendered, for each job.
        return {
            "model": "not-checked",
            "input": {**words, **{name: located(value) for name, value in files.items()}},
            "parameters": {"vidu_type": vidu_type, "duration": 1, "resolution": "360p", **(parameters or {})},
        }

    return build
