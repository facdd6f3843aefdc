# SPDX-License-Identifier: Apache-2.0
"""A host of videos that gives one answer again and again."""

from __future__ import annotations

from contextlib import contextmanager

from tests.hooks.test_downloader import host, mp4

VIDEO = mp4(50_000)


class Answers:
    """A host that gives the same answer again and again, and closes each connection after so many bytes of it."""

    def __init__(self, body: bytes = VIDEO, *, sent: int | None = None, status: int = 200, chunked=False, **headers):
        self.body, self.sent, self.status, self.chunked = body, sent, status, chunked
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.asked: list[dict[str, str]] = []

    def __call__(self, handler) -> None:
        self.asked.append(dict(handler.headers))
        handler.send_response(self.status)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.send_header("Connection", "close")
        handler.end_headers()
        body = self.body[: self.sent]
        if self.chunked:
            pieces = [body[at : at + 9000] for at in range(0, len(body), 9000)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
            body += b"0\r\nX-Trailer: 1\r\n\r\n" if self.sent is None else b""
        handler.wfile.write(body)
        handler.close_connection = True

    @contextmanager
    def url(self):
        # A function, which becomes the handler's method.
        with host(lambda handler: self(handler)) as address:
            yield address
