"""Memory of the gateway while 50 clients upload a file at the same time, from the first byte until all are `ready`.

The gateway's memory does not depend on the size of the files. They only need to be large enough that all 50 uploads are
in flight together.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from rich.console import Console

from deploy.cli.client import SluiceClient
from deploy.cli.resume import ResumeStates
from deploy.cli.uploader import Uploader, UploaderOptions
from tests.programs.bench.bed import Bed
from tests.programs.bench.figures import Figure
from tests.programs.bench.samples import make_large_video
from tests.programs.bench.usage import CpuMeter, forget_peak, peak_bytes, resident_bytes

PART = "uploads"
CLIENTS = 50
_SEGMENTS_AT_ONCE = 4
_MIB = 1024 * 1024


def measure_uploads(bed: Bed, console: Console, *, size_mib: int) -> list[Figure]:
    """Memory before and at the peak, duration, and CPU time, for `CLIENTS` concurrent uploads."""
    console.print(f"{CLIENTS} uploads of {size_mib} MiB at once, each with {_SEGMENTS_AT_ONCE} segments in flight")
    sample = bed.directory / "upload.mp4"
    make_large_video(bed.ffmpeg, sample, size_mib * _MIB)
    found = asyncio.run(_measure(bed, sample))
    console.print("  " + ", ".join(f"{name} {value:.0f} {unit}" for name, unit, value in found), highlight=False)
    return [Figure(PART, name, unit, [value]) for name, unit, value in found]


async def _measure(bed: Bed, sample: Path) -> list[tuple[str, str, float]]:
    pid = bed.gateway_pid
    before = resident_bytes(pid)
    forget_peak(pid)
    meter = CpuMeter(bed.groups())
    began = time.monotonic()
    statuses = await asyncio.gather(*(_upload(bed, sample, number) for number in range(CLIENTS)))
    seconds = time.monotonic() - began
    if set(statuses) != {"ready"}:
        raise RuntimeError(f"the uploads ended as {sorted(set(statuses))}")
    gib = CLIENTS * sample.stat().st_size / (1024 * _MIB)
    return [
        ("gateway: before", "MiB", before / _MIB),
        (f"gateway: peak with {CLIENTS} uploads", "MiB", peak_bytes(pid) / _MIB),
        (f"duration of {CLIENTS} uploads", "s", seconds),
        ("gateway CPU", "s/GiB", meter.read()["gateway"] / gib),
    ]


async def _upload(bed: Bed, sample: Path, number: int) -> str:
    """Upload with a separate resume directory, so that the client does not resume another client's upload."""
    async with SluiceClient(bed.url) as client:
        states = ResumeStates(bed.directory / "resume" / str(number))
        return str((await Uploader(client, states, UploaderOptions(_SEGMENTS_AT_ONCE)).send(sample)).view.status)
