"""Cells for measurements that need settings of their own: a gateway and a process for each worker type, on the servers
of the test bed, with a database, containers and a temp volume of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from redis import Redis

from deploy.cli.processes import SEPARATE, SluiceProcesses
from pipeline.adapters.redis.keys import Keys
from tests.harness.blocks import occupied_by_uploads
from tests.harness.running import CellProcesses, cell_processes
from tests.programs.bench.bed import Bed

MIB = 1024 * 1024
_SAMPLE_SECONDS = 0.05


@contextmanager
def own_cell(
    bed: Bed, name: str, processes: type[SluiceProcesses] = SluiceProcesses, /, **settings: str | int | float
) -> Iterator[CellProcesses]:
    """A cell with these settings, by the names of `Settings`."""
    with cell_processes(
        bed.stack,
        bed.directory / name,
        workers=SEPARATE,
        processes=processes,
        **{"auth": "none", "segment_bytes": 10 * MIB, "log_level": "warning", "swift_tempurl_key": "bench", **settings},
    ) as cell:
        yield cell


def cell_groups(cell: CellProcesses) -> dict[str, list[int]]:
    """Process ids of a cell: `gateway`, all of them, and `workers`."""
    pids, gateways = cell.processes.pids(), cell.processes.urls
    return {
        "gateway": [pid for name, pid in pids.items() if name in gateways],
        "workers": [pid for name, pid in pids.items() if name not in gateways],
    }


@dataclass
class VolumeWatch:
    """Samples a cell's temp volume from a thread, as a context manager: the bytes that its uploads reserve, and those
    that their files occupy on the disk, without what the filesystem needs for their maps."""

    cell: CellProcesses
    highest_reserved_bytes: int = field(default=0, init=False)
    highest_used_bytes: int = field(default=0, init=False)
    samples: int = field(default=0, init=False)
    _stopping: threading.Event = field(default_factory=threading.Event, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        settings = self.cell.settings
        volume = Keys(settings.redis_namespace).volume(settings.volume)
        with Redis.from_url(settings.redis_url.get_secret_value(), decode_responses=True) as redis:
            while not self._stopping.wait(_SAMPLE_SECONDS):
                reserved = redis.hget(volume, "reserved_bytes")
                self.highest_reserved_bytes = max(self.highest_reserved_bytes, int(str(reserved or 0)))
                on_disk, _ = occupied_by_uploads(settings.temp_dir)
                self.highest_used_bytes = max(self.highest_used_bytes, on_disk.data_bytes)
                self.samples += 1


def wait_until_empty(cell: CellProcesses) -> None:
    """Return when no upload reserves bytes."""
    settings = cell.settings
    volume = Keys(settings.redis_namespace).volume(settings.volume)
    with Redis.from_url(settings.redis_url.get_secret_value(), decode_responses=True) as redis:
        while int(str(redis.hget(volume, "reserved_bytes") or 0)):
            time.sleep(_SAMPLE_SECONDS)
