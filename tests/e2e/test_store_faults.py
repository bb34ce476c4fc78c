"""A store that fails during uploads: error responses, resets, stalls, a slow line, corrupted bytes.

Nothing is lost, nothing is stored wrong, and nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pipeline.adapters.object_store.names import MULTIPART_PREFIX
from pipeline.core.segments import MEBIBYTE
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.faults.cells import outages, shaped_cell
from tests.harness.faults.client import PatientClient
from tests.harness.faults.kinds import Answer, Corrupt, Fault, Mute, OnRequests, Pass, Refuse, Reset, Slow, Stall
from tests.harness.faults.shaper import Shaper
from tests.harness.media_samples import sample
from tests.harness.shared_stack import Servers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# Number of uploads and bytes of each, by dialect: parts of S3 have at least 5 MiB.
_SIZES = {"swift": (4, 8 * SEGMENT_BYTES), "s3": (2, 11 * MEBIBYTE)}
_SECONDS = 120.0
# Part of the target of a segment's PUT, by dialect.
_SEGMENT_PATHS = {"swift": "_segments/", "s3": "partNumber="}

Reached = Callable[[Cell, Shaper], Awaitable[bool]]


def _video(size_bytes: int) -> bytes:
    return sample("mp4").read_bytes().ljust(size_bytes, b"\0")


def _injected(name: str, times: int) -> Reached:
    async def reached(cell: Cell, shaper: Shaper) -> bool:
        return shaper.injected[name] >= times

    return reached


async def _stage_failed(cell: Cell, shaper: Shaper) -> bool:
    return await outages(cell) >= 2


async def _given_up_on_a_stall(cell: Cell, shaper: Shaper) -> bool:
    """Whether workers have given up on requests without a response, which their metrics count."""
    async with cell.http.get(cell.processes.metrics_url("worker-all")) as response:
        lines = (await response.text()).splitlines()
    unanswered = [line for line in lines if "store_request_seconds_count" in line and 'status="none"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in unanswered) >= 4


async def _everything_is_ready(cell: Cell, shaper: Shaper) -> bool:
    return {(await cell.status(upload_id))["status"] for upload_id in cell.uploads} == {"ready"}


FAULTS: dict[str, tuple[Fault, Reached]] = {
    "500": (Answer(status=500, probability=0.7), _injected("answer 500", 4)),
    "502": (Answer(status=502), _injected("answer 502", 4)),
    "503": (Answer(status=503, retry_after_seconds=1), _injected("answer 503", 4)),
    "429": (Answer(status=429, retry_after_seconds=1, probability=0.7), _injected("answer 429", 4)),
    "refused": (Refuse(), _stage_failed),
    "reset": (Reset(after_bytes=SEGMENT_BYTES // 2, probability=0.7), _injected("reset", 2)),
    "401": (Answer(status=401, probability=0.7), _injected("answer 401", 4)),
    "answer lost": (Mute(probability=0.5), _injected("mute", 4)),
    "stalled": (Stall(), _given_up_on_a_stall),
    "slow": (Slow(12_000_000), _everything_is_ready),
    "corrupted": (Corrupt(probability=0.5), _injected("corrupt", 2)),
}


@pytest.mark.parametrize("dialect", ["swift", "s3"])
@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_during_uploads(servers: Servers, tmp_path: Path, name: str, dialect: str) -> None:
    count, size_bytes = _SIZES[dialect]
    video = _video(size_bytes)
    fault, reached = FAULTS[name]
    if isinstance(fault, Corrupt):
        fault = Corrupt(fault.probability, path=_SEGMENT_PATHS[dialect])
    async with shaped_cell(servers, tmp_path, dialect) as (cell, shaper):
        client = PatientClient(cell)
        uploads = [await client.create(len(video)) for _ in range(count)]
        await asyncio.gather(*(cell.put(upload, 1, video) for upload in uploads))
        await eventually(lambda: _first_are_stored(cell), _SECONDS, lambda: "the first segments to be stored")
        if isinstance(fault, OnRequests):  # which acts on later requests
            await shaper.set(fault)
        requests = shaper.requests
        sending = asyncio.gather(*(client.send(upload, video) for upload in uploads))
        await eventually(lambda: _requested(shaper, requests), _SECONDS, lambda: "segments to be in flight", 0.001)
        await shaper.set(fault)
        await sending

        async def long_enough() -> bool:
            return await reached(cell, shaper) or await _everything_is_ready(cell, shaper)

        await eventually(long_enough, _SECONDS, lambda: f"{fault}: {shaper.injected}", 0.2)
        assert shaper.injected or isinstance(fault, Slow)
        await shaper.set(Pass())
        await asyncio.gather(*(client.end(upload["id"]) for upload in uploads))
        for upload in uploads:
            assert await cell.read((await cell.content(upload["id"]))["object"]["key"]) == video
        assert client.codes <= {"UPLOAD_WAITING"}, "the client does not notice"
        assert not [key for key in await cell.stored_keys() if key.startswith(MULTIPART_PREFIX)]
        await cell.until_clean()


async def test_any_body_may_be_corrupted(servers: Servers, tmp_path: Path) -> None:
    """Manifests, thumbnails and objects of one segment are checked too."""
    large, small = _video(8 * SEGMENT_BYTES), _video(0)
    assert len(small) <= SEGMENT_BYTES
    async with shaped_cell(servers, tmp_path, "swift") as (cell, shaper):
        await shaper.set(Corrupt(probability=0.3))
        client = PatientClient(cell)
        videos = [large, small, small, large]
        views = await asyncio.gather(*(client.upload(video) for video in videos))
        assert shaper.injected["corrupt"] >= 1
        await shaper.set(Pass())
        for view, video in zip(views, videos, strict=True):
            assert await cell.read((await cell.content(view["id"]))["object"]["key"]) == video
        await cell.until_clean()


async def test_no_multipart_upload_remains_whose_creation_got_no_response(servers: Servers, tmp_path: Path) -> None:
    """S3 has opened a multipart upload whose response was lost."""
    _, size_bytes = _SIZES["s3"]
    video = _video(size_bytes)
    async with shaped_cell(servers, tmp_path, "s3") as (cell, shaper):
        await shaper.set(Mute(times=2, path="?uploads"))
        view = await PatientClient(cell).upload(video)
        assert shaper.injected == {"mute": 2}
        assert await cell.read((await cell.content(view["id"]))["object"]["key"]) == video
        assert not [key for key in await cell.stored_keys() if key.startswith(MULTIPART_PREFIX)]
        await cell.until_clean()


async def _first_are_stored(cell: Cell) -> bool:
    return all([int((await cell.status(upload_id))["bytes_stored"]) for upload_id in cell.uploads])


async def _requested(shaper: Shaper, before: int) -> bool:
    return shaper.requests > before
