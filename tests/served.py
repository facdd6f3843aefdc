# SPDX-License-Identifier: Apache-2.0
"""Pictures, videos and sounds that tests make and look at, and a web server on the loopback address for them."""

from __future__ import annotations

import base64
import http.server
import struct
import threading
import wave
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from math import sin, tau

import av
from PIL import Image, ImageChops, ImageStat

COLOURS = ("red", "blue", "gold", "green", "white", "purple", "teal")
"""Colours that a test can tell apart after compression."""


def data_uri(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def plain(colour: str, width: int = 96, height: int = 54) -> bytes:
    """Make a picture of one colour."""
    data = BytesIO()
    Image.new("RGB", (width, height), colour).save(data, "PNG")
    return data.getvalue()


def clip(seconds: float, *colours: str, width: int = 160, height: int = 90) -> bytes:
    """Make a video of ten pictures a second, each colour for the same time."""
    data = BytesIO()
    with av.open(data, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        count = round(seconds * 10)
        for index in range(count):
            image = Image.new("RGB", (width, height), colours[index * len(colours) // count])
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode(None))
    return data.getvalue()


def sound(seconds: float, hertz: int = 1000) -> bytes:
    """Make a WAV file."""
    data = BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        samples = (round(20_000 * sin(tau * hertz * index / 16_000)) for index in range(round(seconds * 16_000)))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return data.getvalue()


def frames(data: bytes) -> list[Image.Image]:
    """Decode a video."""
    with av.open(BytesIO(data)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two pictures, 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[str]:
    """Serve files by their names, 404 for others, and give the base URL; more may be put into ``files`` meanwhile."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = files.get(self.path[1:])
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
