# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the status route that costs next to nothing: a task is ready some seconds after its first poll."""

from __future__ import annotations

import asyncio
import json
import sys
import time

COUNTS = {"connections": 0, "polls": 0}
FIRST_SEEN: dict[str, float] = {}


async def ready(response) -> bool:
    """Be the check that HttpEventTrigger wants; it imports it anew for each poll."""
    return "Success" in response.text


class Status(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, for GETs that come in one piece each."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.received = transport, b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            self.answer(head.split(b" ", 2)[1].decode("ascii"))

    def answer(self, target: str) -> None:
        if target == "/counts":
            document = COUNTS
        else:
            task_id = target.rpartition("=")[2]
            began = FIRST_SEEN.get(task_id)
            if began is None:
                began = FIRST_SEEN[task_id] = time.monotonic()
            COUNTS["polls"] += 1
            word = "Success" if time.monotonic() - began >= self.seconds else "Running"
            output = {"task_id": task_id, "task_status": word, "urls": ["https://videos.example/v.mp4"]}
            document = {"output": output, "usage": {"duration": 5}, "request_id": "8f1c1f4a"}
        body = json.dumps(document).encode("ascii")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode("ascii") + body)


class Counted(Status):
    """Counts its connections, but for the one that asks for the counts."""

    def answer(self, target: str) -> None:
        if target != "/counts" and not getattr(self, "counted", False):
            self.counted = True
            COUNTS["connections"] += 1
        super().answer(target)


async def serve(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Counted(seconds), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
