"""Runs clients for a while, then checks what is stored and what is left."""

from __future__ import annotations

import asyncio
import random
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deploy.cli.processes import SluiceProcesses
from tests.harness.cell import SEGMENT_BYTES, Cell
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers
from tests.programs.tus_fuzz.file import TUS, TusFile, Violation
from tests.programs.tus_fuzz.joined import joined_file
from tests.programs.tus_fuzz.requests import send

_CLIENTS = 8
_MOST_STEPS = 30
_JOINED = 0.3
"""Of the files, those that are sent in parts."""
_SETTINGS: Mapping[str, Any] = {
    "auth": "none",
    # Room for a few files, so that some wait; files of more than two segments pass through a window.
    "temp_budget_bytes": 24 * SEGMENT_BYTES,
    "temp_share": 0.25,
    "segment_stall_seconds": 10,
    "append_hold_seconds": 2,
}
_METADATA = (
    "",
    "filename " + b64encode(b"a film.mp4").decode() + ",filetype " + b64encode(b"video/mp4").decode(),
    "name " + b64encode("Größe.mp4".encode()).decode() + ",empty,private " + b64encode(b"yes, \xe2\x9c\x93").decode(),
)
_BROKEN: tuple[dict[str, str], ...] = (
    {"Upload-Length": "-5"},
    {"Upload-Length": "a" * 100},
    {"Upload-Length": "9" * 25},
    {"Upload-Length": "10", "Upload-Metadata": "filename ###"},
    {"Upload-Length": "10", "Upload-Metadata": "x" * 10_000},
    {"Upload-Length": "10", "Upload-Metadata": "a YQ==,a YQ=="},
    {"Upload-Length": "10", "Upload-Metadata": "a AAAA"},
    {"Upload-Length": "10", "Upload-Concat": "partial;x"},
    {"Upload-Length": "10", "Upload-Defer-Length": "1"},
    {"Upload-Defer-Length": "2"},
    {"Upload-Length": "10", "Tus-Resumable": "3.0"},
    {},
)


class TwoGateways(SluiceProcesses):
    """A cell with two gateways."""

    def __init__(
        self, directory: Path, environment: Mapping[str, str], *, workers: Mapping[str, Sequence[str]]
    ) -> None:
        super().__init__(directory, environment, workers=workers, gateways=2)


@dataclass
class Outcome:
    """What a run has found."""

    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


async def run(servers: Servers, directory: Path, seed: int, seconds: float) -> Outcome:
    """Run clients for so many seconds, and check what they leave."""
    outcome = Outcome()
    async with running_cell(servers, directory, processes=TwoGateways, **_SETTINGS) as cell:
        end = time.monotonic() + seconds
        await asyncio.gather(*(_client(cell, outcome, random.Random(f"{seed}.{n}"), end) for n in range(_CLIENTS)))
        with _noted(outcome):
            await cell.until_clean()
    return outcome


async def _client(cell: Cell, outcome: Outcome, chance: random.Random, end: float) -> None:
    while time.monotonic() < end and not outcome.violations:
        with _noted(outcome):
            await _broken_creation(cell, outcome, chance)
            if chance.random() < _JOINED:
                await _join(cell, outcome, chance)
                continue
            file = await _create(cell, outcome, chance)
            if file is None:
                continue
            for _ in range(chance.randrange(_MOST_STEPS)):
                if file.ended or file.complete:
                    break
                await file.step()
            if chance.random() < 0.2:
                await file.delete()
            await file.finish()
            if not file.ended or file.complete:
                await _compare(cell, outcome, file)


async def _broken_creation(cell: Cell, outcome: Outcome, chance: random.Random) -> None:
    headers = dict(chance.choice(_BROKEN))
    reply = await send("POST", _files(cell, chance), TUS | headers)
    outcome.counts[f"broken creation {reply.status}"] += 1
    if reply.status >= 500 or reply.status in (0, 201):
        raise Violation(f"a creation with {str(headers)[:100]} was answered with {reply.status}")


async def _create(cell: Cell, outcome: Outcome, chance: random.Random) -> TusFile | None:
    data = _data(chance)
    announced = chance.random() < 0.6
    length = {"Upload-Length": str(len(data))} if announced else {"Upload-Defer-Length": "1"}
    headers = {**length, "Upload-Metadata": chance.choice(_METADATA)}
    reply = await send("POST", _files(cell, chance), TUS | headers)
    outcome.counts[f"creation {reply.status}"] += 1
    if reply.status == 429:
        return None
    if reply.status != 201:
        raise Violation(f"a creation was answered with {reply.status}")
    path = urlsplit(reply.headers["location"]).path
    cell.uploads.append(path.rpartition("/")[2])
    bases = list(cell.processes.urls.values())
    return TusFile(bases, path, data, {}, outcome.counts, chance, announced=announced)


async def _join(cell: Cell, outcome: Outcome, chance: random.Random) -> None:
    file = await joined_file(list(cell.processes.urls.values()), _data(chance), outcome.counts, chance)
    if file is not None:
        if chance.random() < 0.2:
            await file.delete()
        await _compare(cell, outcome, file)


async def _compare(cell: Cell, outcome: Outcome, file: TusFile) -> None:
    upload_id = file.path.rpartition("/")[2]
    view = await cell.until(upload_id, "ready", "failed", "cancelled")
    outcome.counts[f"ended {view['status']} {(view.get('error') or {}).get('code', '')}".strip()] += 1
    if view["status"] == "ready" and await cell.read(f"contents/{upload_id}/original") != file.data:
        raise Violation(f"{upload_id} is stored with other bytes than were sent: {file.tried}")


def _data(chance: random.Random) -> bytes:
    data = sample(chance.choice(["mp4", "jpeg"])).read_bytes()
    return data.ljust(len(data) + chance.randrange(6 * SEGMENT_BYTES), b"\0")


def _files(cell: Cell, chance: random.Random) -> str:
    return chance.choice(list(cell.processes.urls.values())) + "/files/"


@contextmanager
def _noted(outcome: Outcome) -> Iterator[None]:
    try:
        yield
    except (Violation, AssertionError) as error:
        outcome.violations.append(str(error)[:2000])
