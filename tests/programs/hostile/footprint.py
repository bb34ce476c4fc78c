"""What the worker and the reader's host hold: memory, descriptors, processes."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Collection
from dataclasses import dataclass

import psutil

_SETTLE_SECONDS = 20.0
# Allocators keep some of what they got; a leak of 4 KB per file shows in 10,000 files.
_WORKER_GROWTH_BYTES = 24 * 1024**2
_HOST_GROWTH_BYTES = 16 * 1024**2


@dataclass(frozen=True, slots=True)
class Footprint:
    """`processes` are the ids of all descendants of the worker; `host` is that of the reader's host, which is one of
    them. Memory is what a process does not share."""

    host: int
    processes: frozenset[int]
    worker_bytes: int
    host_bytes: int
    worker_descriptors: int
    host_descriptors: int
    worker_threads: int

    def grown_since(self, before: Footprint) -> list[str]:
        """How it exceeds an earlier one; empty: it does not."""
        problems = []
        if self.host != before.host:
            problems.append(f"the host was replaced: {before.host} became {self.host}")
        if left := self.processes - before.processes - {self.host}:
            problems.append(f"processes are left: {sorted(left)}")
        for name, now, then, growth in (
            ("memory of the worker", self.worker_bytes, before.worker_bytes, _WORKER_GROWTH_BYTES),
            ("memory of the host", self.host_bytes, before.host_bytes, _HOST_GROWTH_BYTES),
            ("descriptors of the worker", self.worker_descriptors, before.worker_descriptors, 0),
            ("descriptors of the host", self.host_descriptors, before.host_descriptors, 0),
            ("threads of the worker", self.worker_threads, before.worker_threads, 0),
        ):
            if now > then + growth:
                problems.append(f"{name} grew from {then:,} to {now:,}")
        return problems

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"worker: {self.worker_bytes / 1024**2:.1f} MiB, {self.worker_descriptors} descriptors",
            f"host: {self.host_bytes / 1024**2:.1f} MiB, {self.host_descriptors} descriptors",
            f"processes: {len(self.processes)}",
        ]


def footprint(others: Collection[int]) -> Footprint:
    """Of this process, whose one child beside `others`, given by their ids, is the reader's host."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    worker = psutil.Process()
    children = [child for child in worker.children() if child.pid not in others]
    host = min(children, key=lambda child: child.create_time())
    below = (process for child in children for process in _descendants(child))
    return Footprint(
        host=host.pid,
        processes=frozenset(process.pid for process in (*children, *below)),
        worker_bytes=worker.memory_full_info().uss,
        host_bytes=host.memory_full_info().uss,
        worker_descriptors=worker.num_fds(),
        host_descriptors=host.num_fds(),
        worker_threads=worker.num_threads(),
    )


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    """None if it has ended meanwhile."""
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


async def settled(before: Footprint, others: Collection[int]) -> Footprint:
    """The footprint when nothing is left compared with `before`, or after a while."""
    end = asyncio.get_running_loop().time() + _SETTLE_SECONDS
    while True:
        now = footprint(others)
        if not now.grown_since(before) or asyncio.get_running_loop().time() > end:
            return now
        await asyncio.sleep(0.1)
