"""One large file in one PATCH: through one gateway of Sluice, and through @tus/server with its S3 store, in turn, with
one client, into the same stores, with segments and parts of the same length.

*To stored* is the time from the first request until the whole object is in the store. Then @tus/server responds to the
PATCH. Sluice responds when it has the bytes, and the object is in the store when stage `seal` is done; the upload is
`ready` once metadata and a thumbnail are read, too. Its CPU time covers all of that. Every stored object is compared
with the file afterwards, outside of the measured time.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import aiohttp
from rich.console import Console

from deploy.cli.client import ENDED, SluiceClient
from schemas.uploads import UploadView
from tests.harness.running import CellProcesses
from tests.programs.bench.bed import Bed
from tests.programs.bench.cells import MIB, cell_groups, own_cell
from tests.programs.bench.figures import Figure
from tests.programs.bench.samples import make_large_video
from tests.programs.bench.tus_peer import Peer, missing_peer, open_peer, peer_version
from tests.programs.bench.tus_senders import Sender, best_sender
from tests.programs.bench.tus_stores import Target, file_digest, missing_ceph, open_targets, stored_digest
from tests.programs.bench.usage import CpuMeter

PART = "tus-stream"
_STORED = "to stored"
Measured = dict[str, float]


def measure_tus_stream(bed: Bed, console: Console, *, size_mib: int, repeat: int) -> list[Figure]:
    """Times and CPU seconds per GiB of each program and store. Raises RuntimeError when an object has other bytes than
    the file. What cannot run here is named in the output."""
    sender = best_sender()
    console.print(f"{size_mib} MiB by tus in one PATCH, client: {sender.name}")
    without_peer = missing_peer()
    console.print(
        f"  peer: {peer_version()}" if without_peer is None else f"  NO PEER: {without_peer}", highlight=False
    )
    if (reason := missing_ceph()) is not None:
        console.print(f"  NO CEPH: {reason}", highlight=False)
    sample = bed.directory / "stream.mp4"
    make_large_video(bed.ffmpeg, sample, size_mib * MIB)
    stream = _Stream(bed, console, sender, sample)
    figures: list[Figure] = []
    with open_targets(bed) as targets:
        for number, target in enumerate(targets):
            has_peer = target.is_s3 and without_peer is None
            figures += stream.measure(target, f"stream-{number}", repeat, has_peer=has_peer)
    sample.unlink()
    return figures


class _Stream:
    """Sends one file, again and again."""

    def __init__(self, bed: Bed, console: Console, sender: Sender, sample: Path) -> None:
        self._bed, self._console, self._sender = bed, console, sender
        self._sample, self._digest = sample, file_digest(sample)
        self._small = bed.directory / "small.mp4"
        make_large_video(bed.ffmpeg, self._small, MIB)
        self._gib = sample.stat().st_size / (1024 * MIB)

    def measure(self, target: Target, name: str, repeat: int, *, has_peer: bool) -> list[Figure]:
        """Figures of one store. Each program goes first in every other round."""
        samples: dict[str, list[float]] = defaultdict(list)
        with ExitStack() as exits:
            cell = exits.enter_context(own_cell(self._bed, name, **target.settings))
            programs: dict[str, Callable[[], Measured]] = {"sluice": lambda: self._through_sluice(cell, target)}
            endpoints = [f"{cell.processes.url}/files/"]
            if has_peer:
                peer = exits.enter_context(open_peer(self._bed.directory / f"{name}-peer", cell.settings))
                programs["@tus/server"] = lambda: self._through_peer(peer, cell, target)
                endpoints.append(peer.endpoint)
            for endpoint in endpoints:  # connections, and code that is compiled when it first runs
                self._sender.send(endpoint, [self._small])
            for number in range(repeat):
                for program in sorted(programs, reverse=number % 2 == 0):
                    os.sync()  # unwritten data of the previous upload would slow down this one
                    measured = programs[program]()
                    text = ", ".join(f"{key} {value:.2f}" for key, value in measured.items())
                    self._console.print(f"  {target.name}, {program}: {text}", highlight=False)
                    for key, value in measured.items():
                        samples[f"{target.name}, {program}: {key}"].append(value)
                    target.empty(cell.settings)
        figures = [Figure(PART, key, unit_of(key), values) for key, values in samples.items()]
        return [*figures, *ratios(target.name, samples)]

    def _through_sluice(self, cell: CellProcesses, target: Target) -> Measured:
        meter = CpuMeter({**cell_groups(cell), "store": target.pids})
        [sent], client_cpu = self._sender.send(f"{cell.processes.url}/files/", [self._sample])
        view = asyncio.run(_ended(cell.processes.url, sent.upload_id))
        cpu = meter.read()
        sealed = view.stages["seal"].finished_at
        if view.status != "ready" or sealed is None:
            raise RuntimeError(f"the upload ended as {view.status}: {view.error}")
        self._compare(asyncio.run(_download_digest(cell.processes.url, view.id)))
        return {
            _STORED: max(sealed.timestamp(), sent.ended) - sent.began,
            "to the response": sent.ended - sent.began,
            "to ready": view.updated_at.timestamp() - sent.began,
            "requests repeated": float(len(sent.refusals) + sent.unanswered),
            "server CPU per GiB": (cpu["gateway"] + cpu["workers"]) / self._gib,
            "gateway CPU per GiB": cpu["gateway"] / self._gib,
            "workers CPU per GiB": cpu["workers"] / self._gib,
            "store CPU per GiB": cpu["store"] / self._gib,
            "client CPU per GiB": client_cpu / self._gib,
        }

    def _through_peer(self, peer: Peer, cell: CellProcesses, target: Target) -> Measured:
        meter = CpuMeter({"server": [peer.pid], "store": target.pids})
        [sent], client_cpu = self._sender.send(peer.endpoint, [self._sample])
        cpu = meter.read()
        self._compare(stored_digest(cell.settings, sent.upload_id))
        return {
            _STORED: sent.ended - sent.began,
            "requests repeated": float(len(sent.refusals) + sent.unanswered),
            "server CPU per GiB": cpu["server"] / self._gib,
            "store CPU per GiB": cpu["store"] / self._gib,
            "client CPU per GiB": client_cpu / self._gib,
        }

    def _compare(self, digest: bytes) -> None:
        if digest != self._digest:
            raise RuntimeError("the stored object has other bytes than the file")


def ratios(store: str, samples: Mapping[str, list[float]]) -> list[Figure]:
    """Of each round: what Sluice needs, divided by what the peer needs. Empty without the peer."""
    found = []
    for key in (_STORED, "server CPU per GiB"):
        ours, theirs = (samples.get(f"{store}, {program}: {key}") for program in ("sluice", "@tus/server"))
        if ours and theirs:
            values = [one / other for one, other in zip(ours, theirs, strict=True)]
            found.append(Figure(PART, f"{store}, sluice / @tus/server: {key}", "", values))
    return found


def unit_of(name: str) -> str:
    """The unit of a figure, by its name."""
    if name.endswith("per GiB"):
        return "CPU s/GiB"
    return "" if name.endswith("repeated") else "s"


async def _ended(url: str, upload_id: str) -> UploadView:
    async with SluiceClient(url) as client:
        async for view in client.watch(upload_id):
            if view.status in ENDED:
                return view
    raise RuntimeError("the upload did not end")


async def _download_digest(url: str, content_id: str) -> bytes:
    digest = hashlib.sha256()
    timeout = aiohttp.ClientTimeout(total=None, sock_read=120)
    async with (
        aiohttp.ClientSession(raise_for_status=True, timeout=timeout) as http,
        http.get(f"{url}/v1/contents/{content_id}/download?via=gateway") as response,
    ):
        async for block in response.content.iter_any():
            digest.update(block)
    return digest.digest()
