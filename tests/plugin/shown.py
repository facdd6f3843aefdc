# SPDX-License-Identifier: Apache-2.0
"""A video that is shown, where its task asks for it, and the answer where there is none."""

from __future__ import annotations

VIDEO = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 10
NOTHING = {"detail": "No such stored file"}
TASK = "some_dag/manual__2026-01-01T00:00:00+00:00/some_task/-1"
