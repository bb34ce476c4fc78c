"""Files whose metadata lies in different places, and a client that sends what the reader wants."""

from __future__ import annotations

import functools
import random
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path
from typing import Any

from tests.harness.cell import Cell, eventually
from tests.harness.media_samples import ffmpeg

LAYOUTS = {
    "mp4, index in front": ("mp4", ("-movflags", "+faststart")),
    "mp4, index at the end": ("mp4", ()),
    "fragmented mp4": ("mp4", ("-movflags", "+frag_keyframe+empty_moov+default_base_moof")),
    "matroska": ("mkv", ()),
}
"""Name -> suffix and ffmpeg's options."""


@functools.cache
def film(layout: str) -> bytes:
    """Twelve seconds of noise and a tone, about 9 MB."""
    with tempfile.TemporaryDirectory() as directory:
        whole = Path(directory, "whole.mp4")
        if not _whole:
            picture = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=12,noise=alls=40:allf=t"]
            sound = ["-f", "lavfi", "-i", "sine=frequency=440:duration=12"]
            codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-b:v", "6M", "-c:a", "aac", "-shortest"]
            ffmpeg(*picture, *sound, *codecs, whole)
            _whole.append(whole.read_bytes())
        whole.write_bytes(_whole[0])
        suffix, options = LAYOUTS[layout]
        made = Path(directory, f"made.{suffix}")
        ffmpeg("-i", whole, "-c", "copy", *options, made)
        return made.read_bytes()


_whole: list[bytes] = []


def noise(size_bytes: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size_bytes)


def numbers_of(ranges: Iterable[tuple[int, int]]) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


async def send_wanted(
    cell: Cell, upload: dict[str, Any], data: bytes, ended: Callable[[dict[str, Any]], bool]
) -> set[int]:
    """Send the first segment, then only those that are wanted, until `ended` is true of the upload; numbers sent."""
    sent: set[int] = set()

    async def send(numbers: Iterable[int]) -> None:
        for number in sorted(set(numbers) - sent):
            status, body, _ = await cell.put(upload, number, data)
            if status == 409 and body["error"]["code"] == "UPLOAD_ENDED":
                return
            assert status == 200, body
            sent.add(number)

    await send([1])

    async def done() -> bool:
        view = await cell.status(upload["id"])
        if ended(view):
            return True
        await send(numbers_of(view["wanted_segments"]))
        return False

    await eventually(done, 60, lambda: f"the metadata, after segments {sorted(sent)}")
    return sent


async def send_others(cell: Cell, upload: dict[str, Any], data: bytes, sent: set[int]) -> None:
    for number in sorted(set(range(1, upload["segment_count"] + 1)) - sent):
        status, body, _ = await cell.put(upload, number, data)
        assert status == 200, body


async def following(cell: Cell, upload_id: str) -> AsyncGenerator[tuple[str, str], None]:
    """(event, data) of an upload's stream of server-sent events."""
    async with cell.http.get(f"{cell.url}/v1/uploads/{upload_id}/events") as response:
        event = ""
        async for raw in response.content:
            line = raw.decode().rstrip("\n")
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield event, line.removeprefix("data: ")
