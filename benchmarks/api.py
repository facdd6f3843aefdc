# SPDX-License-Identifier: Apache-2.0
"""Stand-in for the status route at almost no cost: a task is ready some seconds after its first poll."""

from __future__ import annotations

import asyncio
import json
import sys
import time

COUNTS = {"connections": 0, "polls": 0}
FIRST_SEEN: dict[str, float] = {}
NOTICED: dict[str, float] = {}
RELEASED: dict[str, float | None] = {"at": None}


async def ready(response) -> bool:
    """Check a response for HttpEventTrigger, which imports this function again for each poll."""
    return "Success" in response.text


class Status(asyncio.Protocol):
    """Serve HTTP/1.1 with keep-alive, for GETs that arrive in one piece each."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.received, self.counted = transport, b"", False

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            self.answer(head.split(b" ", 2)[1].decode("ascii"))

    def answer(self, target: str) -> None:
        if target in ("/counts", "/hold", "/release"):
            status, document = 200, control(target)
        else:
            if not self.counted:
                self.counted = True
                COUNTS["connections"] += 1
            COUNTS["polls"] += 1
            task_id = target.rpartition("=")[2]
            done = self.is_done(task_id)
            output = {
                "task_id": task_id,
                "task_status": "Success" if done else "Running",
                "urls": ["https://v.example/"],
            }
            document = {"output": output, "usage": {"duration": 5}, "request_id": "8f1c1f4a"}
            # HttpSensor waits until the route stops answering 404.
            status = 404 if target.startswith("/ready") and not done else 200
        body = json.dumps(document).encode("ascii")
        head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode("ascii") + body)

    def is_done(self, task_id: str) -> bool:
        now = time.time()
        began = FIRST_SEEN.setdefault(task_id, now)
        done = now - began >= self.seconds or RELEASED["at"] is not None
        if done:
            NOTICED.setdefault(task_id, now)
        return done


def control(target: str) -> dict[str, object]:
    if target == "/hold":
        RELEASED["at"] = None
        NOTICED.clear()
        FIRST_SEEN.clear()
    elif target == "/release":
        RELEASED["at"] = time.time()
    return {**COUNTS, "released": RELEASED["at"], "noticed": list(NOTICED.values())}


async def serve(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Status(seconds), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
