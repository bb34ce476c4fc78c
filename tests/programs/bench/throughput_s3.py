"""One large file in segments of 10 MiB into a store that speaks S3: with `sluice upload` to `ready`, and with a tus
client through @tus/server with its S3 store to the stored object, in turn.

The store is the object gateway of Ceph, which keeps objects in memory; where it is not installed, Swift's S3 API. Ceph
compares no CRC-32C, so the workers compute MD5s, unless the client sends them. Swift's S3 API does compare it: `sluice
upload` into that shows what it saves.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from tests.harness.running import CellProcesses
from tests.programs.bench.bed import Bed
from tests.programs.bench.cells import MIB, cell_groups, own_cell
from tests.programs.bench.command_upload import GIB, command_upload
from tests.programs.bench.figures import Figure
from tests.programs.bench.samples import make_large_video
from tests.programs.bench.throughput import Measured, in_turn, unit_of
from tests.programs.bench.tus_peer import Peer, missing_peer, open_peer, peer_version
from tests.programs.bench.tus_senders import best_sender
from tests.programs.bench.tus_stores import Target, missing_ceph, open_targets
from tests.programs.bench.usage import CpuMeter

PART = "throughput-s3"
_PEER = "@tus/server"
_WITH_MD5 = "sluice, client MD5"
_COMPARING = "swift's s3"
_INTO_COMPARING = "sluice, a store that compares CRC-32C"


def measure_throughput_s3(bed: Bed, console: Console, *, size_mib: int, repeat: int, concurrency: int) -> list[Figure]:
    """Seconds, and CPU seconds per GiB, of each program. What cannot run here is named in the output."""
    without_ceph, without_peer = missing_ceph(), missing_peer()
    sample = bed.directory / "s3.mp4"
    make_large_video(bed.ffmpeg, sample, size_mib * MIB)
    with ExitStack() as exits:
        targets = {target.name: target for target in exits.enter_context(open_targets(bed))}
        target = [*targets.values()][-1]
        console.print(f"{size_mib} MiB into {target.name}", highlight=False)
        for reason in filter(None, (without_ceph, without_peer)):
            console.print(f"  NOT HERE: {reason}", highlight=False)
        cell = exits.enter_context(own_cell(bed, PART, **target.settings))
        options = ["--concurrency", str(concurrency)]
        comparing = targets[_COMPARING]
        other = exits.enter_context(own_cell(bed, f"{PART}-crc32c", **comparing.settings))
        programs: dict[str, Callable[[], Measured]] = {
            "sluice": lambda: _through_sluice(bed, cell, target, sample, options),
            _WITH_MD5: lambda: _through_sluice(bed, cell, target, sample, [*options, "--digest", "md5"]),
            _INTO_COMPARING: lambda: _through_sluice(bed, other, comparing, sample, options),
        }
        if without_peer is None:
            console.print(f"  peer: {peer_version()}", highlight=False)
            peer = exits.enter_context(open_peer(bed.directory / f"{PART}-peer", cell.settings))
            programs[_PEER] = lambda: _through_peer(peer, cell, target, sample)
        samples = in_turn(programs, repeat, console)
    sample.unlink()
    return [Figure(PART, name, unit_of(name), values) for name, values in samples.items()]


def _through_sluice(bed: Bed, cell: CellProcesses, target: Target, sample: Path, options: list[str]) -> Measured:
    groups = {**cell_groups(cell), "store": target.pids}
    measured = command_upload(cell.processes.url, sample, bed.directory / "state", options, groups)
    target.empty(cell.settings)
    return measured


def _through_peer(peer: Peer, cell: CellProcesses, target: Target, sample: Path) -> Measured:
    """@tus/server responds to the PATCH when the object is in the store."""
    meter = CpuMeter({"server": [peer.pid], "store": target.pids})
    [sent], client_cpu = best_sender().send(peer.endpoint, [sample])
    gib = sample.stat().st_size / GIB
    measured = {
        "first byte to stored": sent.ended - sent.began,
        **{f"{group} CPU per GiB": used / gib for group, used in meter.read().items()},
        "client CPU per GiB": client_cpu / gib,
    }
    target.empty(cell.settings)
    return measured
