"""What the tests of a failing temp volume upload, and checks of responses, logs and readiness."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.media_samples import sample

DISK_BYTES = 10 * 1024 * 1024


def small_video(segments: int = 8) -> bytes:
    """A small video, padded with zeros to `segments` segments."""
    return sample("mp4").read_bytes().ljust(segments * SEGMENT_BYTES - 7, b"\0")


def logged(cell: Cell, event: str) -> list[dict[str, Any]]:
    """Log lines of this event, from the gateway and the workers."""
    logs = [cell.processes.log_path(name).read_text().splitlines() for name in cell.processes.pids()]
    entries = [json.loads(line) for log in logs for line in log if line.startswith("{")]
    return [entry for entry in entries if entry["event"] == event]


async def is_refused(cell: Cell, upload: Mapping[str, Any], number: int, data: bytes, code: str) -> None:
    status, body, headers = await cell.put(upload, number, data)
    assert (status, body["error"]["code"]) == (507, code), body
    assert int(headers["Retry-After"]) >= 1
    view = await cell.status(upload["id"])
    assert any(first <= number <= last for first, last in view["missing_segments"]), view


async def finishes(cell: Cell, upload: Mapping[str, Any], data: bytes) -> None:
    view = await cell.until(upload["id"], "ready")
    content = await cell.content(view["content_id"])
    assert await cell.read(content["object"]["key"]) == data
    assert content["thumbnail"] is not None


async def until_warned(cell: Cell) -> str:
    warnings: dict[str, str] = {}

    async def warned() -> bool:
        nonlocal warnings
        _, body, _ = await cell.call("GET", "/readyz", expect=200)
        warnings = body["data"]["warnings"]
        return "temp_volume" in warnings

    await eventually(warned, 30, lambda: "/readyz to warn")
    return warnings["temp_volume"]
