"""The process table, read from /proc: who descends from whom.

A process is known by its id AND its start time, so that an id that was given away again is never mistaken for it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessId:
    """One process, for all time."""

    pid: int
    start_ticks: int

    def is_alive(self) -> bool:
        """Whether it still runs; a zombie that waits to be reaped does not."""
        found = _read(self.pid)
        return found is not None and found.identity == self and found.state not in "ZX"

    def kill(self) -> None:
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


@dataclass(frozen=True)
class _Row:
    identity: ProcessId
    parent_pid: int
    state: str


def descendants(pid: int) -> list[ProcessId]:
    """Every living process below `pid`, without `pid` itself."""
    children: defaultdict[int, list[_Row]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            row = _read(int(entry.name))
            if row is not None:
                children[row.parent_pid].append(row)
    found: list[ProcessId] = []
    to_visit = [pid]
    while to_visit:
        for row in children[to_visit.pop()]:
            found.append(row.identity)
            to_visit.append(row.identity.pid)
    return found


def _read(pid: int) -> _Row | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    # proc(5): pid (comm) state ppid ...; starttime is field 22. comm may hold spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    return _Row(ProcessId(pid, int(fields[19])), int(fields[1]), fields[0])
