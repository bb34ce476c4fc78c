"""Videos of 16 MiB from the first byte until all are `ready`, 16 at the same time: MiB per second, and the CPU time of
each process per video. Each video has other bytes, and two segments."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from deploy.cli.client import SluiceClient
from deploy.cli.resume import ResumeStates
from deploy.cli.uploader import Uploader, UploaderOptions
from tests.programs.bench.bed import Bed
from tests.programs.bench.figures import Figure
from tests.programs.bench.samples import make_films
from tests.programs.bench.usage import CpuMeter

PART = "videos"
AT_ONCE = 16
_COUNT = 32
_SIZE_MIB = 16
_SEGMENTS_AT_ONCE = 2


def measure_videos(bed: Bed, console: Console, *, repeat: int) -> list[Figure]:
    """Of `repeat` rounds: the rate, and CPU milliseconds per video by role and by process."""
    console.print(f"{_COUNT} videos of {_SIZE_MIB} MiB, {AT_ONCE} at once, {repeat} rounds")
    videos = make_films(bed.ffmpeg, bed.directory / "videos", _COUNT, _SIZE_MIB * 1024 * 1024)
    asyncio.run(_send(bed, videos[:AT_ONCE]))  # the first ones open connections and containers
    samples: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(repeat):
        meter, began = CpuMeter({**bed.groups(), **bed.by_process()}), time.monotonic()
        asyncio.run(_send(bed, videos))
        seconds = time.monotonic() - began
        samples["rate", "MiB/s"].append(_COUNT * _SIZE_MIB / seconds)
        for process, cpu_seconds in meter.read().items():
            samples[f"CPU per video, {process}", "ms"].append(1000 * cpu_seconds / _COUNT)
    figures = [Figure(PART, f"{AT_ONCE} at once: {name}", unit, found) for (name, unit), found in samples.items()]
    for figure in figures:
        console.print(f"  {figure.name}: {figure.median:.1f} {figure.unit}", highlight=False)
    for video in videos:
        video.unlink()
    return figures


async def _send(bed: Bed, videos: Sequence[Path]) -> None:
    left = iter(videos)
    async with SluiceClient(bed.url, connections=AT_ONCE * _SEGMENTS_AT_ONCE) as client:
        uploader = Uploader(client, ResumeStates(bed.directory / "resume"), UploaderOptions(_SEGMENTS_AT_ONCE))

        async def send_some() -> None:
            for video in left:
                outcome = await uploader.send(video)
                if outcome.view.status != "ready":
                    raise RuntimeError(f"a video ended as {outcome.view.status}: {outcome.view.error}")

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(send_some())
