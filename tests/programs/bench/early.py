"""When metadata is known, and what holds temp space.

An upload through a slow line: the share of its bytes that was sent when metadata and thumbnail were there, and what
still ran after the last byte. Noise through the same line: the share when it was refused. An import and a direct
upload: the bytes that they reserve, and the time until the metadata is read.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from rich.console import Console

from deploy.cli.client import ENDED, SluiceClient
from deploy.cli.resume import ResumeStates
from deploy.cli.upload_progress import UploadProgress
from deploy.cli.uploader import Uploader, UploaderOptions
from schemas.uploads import CreateUpload, SegmentGrantView, UploadView
from tests.harness.faults.kinds import Slow
from tests.harness.faults.shaper import Shaper
from tests.harness.running import CellProcesses
from tests.programs.bench.bed import Bed
from tests.programs.bench.cells import MIB, VolumeWatch, own_cell, wait_until_empty
from tests.programs.bench.figures import Figure
from tests.programs.bench.samples import LAYOUTS, make_long_video, make_noise

PART = "windows"
_BYTES_PER_SECOND = 20 * MIB
_CONTAINER = "bench-import"
_AT_ONCE = 8
_METADATA_STAGES = ("probe", "thumbnail")


def measure_early(bed: Bed, console: Console, *, size_mib: int) -> list[Figure]:
    """The figures of one file of each kind."""
    figures: list[Figure] = []
    with own_cell(bed, "early", import_buckets=_CONTAINER) as cell:
        for layout, suffix in zip(LAYOUTS, ("first.mp4", "last.mp4", "mkv"), strict=True):
            sample = bed.directory / f"early.{suffix}"
            make_long_video(bed.ffmpeg, sample, size_mib * MIB, layout)
            figures += asyncio.run(_through_a_slow_line(bed, cell, sample, layout))
        noise = bed.directory / "noise.mp4"
        make_noise(noise, size_mib * MIB)
        figures += asyncio.run(_through_a_slow_line(bed, cell, noise, "noise"))
        film = bed.directory / "early.last.mp4"
        wait_until_empty(cell)  # what was refused is cleaned up a moment later
        with VolumeWatch(cell) as watch:
            figures += asyncio.run(_import(bed, cell, film))
        figures.append(Figure(PART, "import: highest reservation", "MiB", [watch.highest_reserved_bytes / MIB]))
        with VolumeWatch(cell) as watch:
            figures += asyncio.run(_directly(cell, film))
        figures.append(Figure(PART, "direct upload: highest reservation", "MiB", [watch.highest_reserved_bytes / MIB]))
    for figure in figures:
        console.print(f"  {figure.name}: {figure.median:.2f} {figure.unit}", highlight=False)
    return figures


@dataclass
class _Observer:
    """Notes the share of the bytes that was sent when something became known."""

    shares: dict[str, float] = field(default_factory=dict)
    sent_share: float = 0.0
    last_byte_at: float = 0.0

    def __call__(self, event: str, progress: UploadProgress, facts: Mapping[str, object]) -> None:
        share = progress.sent_bytes / progress.size_bytes
        self.sent_share = max(self.sent_share, share)
        if event == "segment":
            self.last_byte_at = time.time()
        view = progress.upload
        if view is None:
            return
        if view.media is not None:
            self.shares.setdefault("metadata", share)
        if view.stages["thumbnail"].state in ("done", "skipped"):
            self.shares.setdefault("thumbnail", share)


async def _through_a_slow_line(bed: Bed, cell: CellProcesses, sample: Path, name: str) -> list[Figure]:
    address = urlsplit(cell.processes.url)
    assert address.hostname is not None
    assert address.port is not None
    observer = _Observer()
    async with Shaper((address.hostname, address.port)) as line:
        await line.set(Slow(_BYTES_PER_SECOND))
        async with SluiceClient(line.url) as client:
            states = ResumeStates(bed.directory / "resume")
            outcome = await Uploader(client, states, UploaderOptions(), observe=observer).send(sample)
    view = outcome.view
    if name == "noise":
        if view.error is None or view.error.code != "NOT_MEDIA":
            raise RuntimeError(f"noise ended as {view.status}: {view.error}")
        return [Figure(PART, "noise at 20 MiB/s: sent when it is refused", "%", [100 * observer.sent_share])]
    if view.status != "ready":
        raise RuntimeError(f"{sample.name} ended as {view.status}: {view.error}")
    after = [_ended_after(view, stage, observer.last_byte_at) for stage in _METADATA_STAGES]
    prefix = f"{name} at 20 MiB/s"
    return [
        *(
            Figure(PART, f"{prefix}: sent when {what} is there", "%", [100 * observer.shares[what]])
            for what in ("metadata", "thumbnail")
        ),
        Figure(PART, f"{prefix}: metadata work after the last byte", "s", [max(after)]),
        Figure(PART, f"{prefix}: last byte to ready", "s", [view.updated_at.timestamp() - observer.last_byte_at]),
    ]


def _ended_after(view: UploadView, stage: str, moment: float) -> float:
    """Seconds from `moment` to the end of a stage, 0 if it had ended before."""
    ended: datetime | None = view.stages[stage].finished_at
    return max(0.0, ended.timestamp() - moment) if ended is not None else 0.0


async def _import(bed: Bed, cell: CellProcesses, sample: Path) -> list[Figure]:
    command = bed.swift_command("upload", "--object-name", "film.mp4", _CONTAINER, str(sample))
    await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)
    async with SluiceClient(cell.processes.url) as client:
        began = time.time()
        imported = await client.import_object("film.mp4", _CONTAINER)
        view = await _until_ended(client, imported.id)
    return _times(view, "import", began)


async def _directly(cell: CellProcesses, sample: Path) -> list[Figure]:
    """As a client that sends segments to the store itself."""
    size = sample.stat().st_size
    async with SluiceClient(cell.processes.url) as client, aiohttp.ClientSession(raise_for_status=True) as http:
        request = CreateUpload(filename="film.mp4", size=size, content_type="video/mp4", transport="direct")
        view = await client.create(request, str(uuid.uuid4()))
        grants = list(view.grants.segments) if view.grants else []
        while len(grants) < view.segment_count:
            more = {"segments": [[len(grants) + 1, min(len(grants) + 100, view.segment_count)]]}
            async with http.post(str(view.links.grants), json=more) as response:
                data = (await response.json())["data"]["segments"]
                grants += [SegmentGrantView.model_validate(item) for item in data]
        slots = asyncio.Semaphore(_AT_ONCE)

        async def put(grant: SegmentGrantView) -> None:
            headers = {**grant.headers, "Content-Length": str(grant.size)}
            body = _blocks(sample, (grant.number - 1) * view.segment_size, grant.size)
            async with slots, http.request(grant.method, grant.url, data=body, headers=headers) as response:
                await response.read()

        await asyncio.gather(*map(put, grants))
        began = time.time()
        async with http.post(str(view.links.complete)) as response:
            await response.read()
        return _times(await _until_ended(client, view.id), "direct upload", began)


async def _blocks(sample: Path, offset: int, size: int) -> AsyncIterator[bytes]:
    with sample.open("rb") as file:
        file.seek(offset)
        while size:
            block = file.read(min(MIB, size))
            yield block
            size -= len(block)


async def _until_ended(client: SluiceClient, upload_id: str) -> UploadView:
    async for view in client.watch(upload_id):
        if view.status in ENDED:
            if view.status != "ready":
                raise RuntimeError(f"it ended as {view.status}: {view.error}")
            return view
    raise RuntimeError("the upload did not end")


def _times(view: UploadView, name: str, began: float) -> list[Figure]:
    request = "request" if name == "import" else "`complete`"
    return [
        Figure(PART, f"{name}: {request} to metadata", "s", [_ended_after(view, "probe", began)]),
        Figure(PART, f"{name}: {request} to ready", "s", [view.updated_at.timestamp() - began]),
    ]
