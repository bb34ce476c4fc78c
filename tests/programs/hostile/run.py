"""The run: every file through the reader, and the checks before, between and after."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import structlog

from pipeline.adapters.media.reader import ReaderRules, SandboxedReader
from pipeline.core.errors import SluiceError
from tests.harness.byte_sources import MemorySource
from tests.programs.hostile.canaries import Canaries, canaries
from tests.programs.hostile.corpus import load
from tests.programs.hostile.footprint import Footprint, footprint, settled
from tests.programs.hostile.mutations import mutated

_AT_ONCE = 2
_FILE_SECONDS = 600.0  # both lanes, on a busy machine
_MAX_KEPT = 20


@dataclass
class Outcome:
    """What a run found. `violations` are what must not happen; `crashes` are contained, and worth a look."""

    results: Counter[str] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    slowest: list[tuple[float, str]] = field(default_factory=list)
    before: Footprint | None = None
    after: Footprint | None = None
    seconds: float = 0.0

    def took(self, seconds: float, name: str) -> None:
        self.slowest = sorted([*self.slowest, (seconds, name)], reverse=True)[:5]


def run(directory: Path, seed: int, files: int, tell: Callable[[int, Outcome], None]) -> Outcome:
    """Read so many files; `tell` is called after each one. The directory is for the canary."""
    outcome = Outcome()
    with canaries(directory) as traps, _counted_crashes(outcome):
        outcome.violations += [f"the {name} would not notice" for name in traps.prove()]
        begin = time.monotonic()
        asyncio.run(_run(traps, seed, files, outcome, tell))
        outcome.seconds = time.monotonic() - begin
        outcome.violations += traps.touched()
    return outcome


async def _run(traps: Canaries, seed: int, files: int, outcome: Outcome, tell: Callable[[int, Outcome], None]) -> None:
    intact = list(load(traps).values())
    numbers = iter(range(files))

    async def read_files() -> None:
        for number in numbers:
            name = f"file {number}"
            await _read(reader, mutated(seed, number, intact), name, outcome)
            outcome.violations += [f"{name}: {event}" for event in traps.touched()]
            tell(number, outcome)

    others = {child.pid for child in psutil.Process().children()}
    async with SandboxedReader(ReaderRules(required=False)) as reader:
        await asyncio.gather(*(_warm_up(reader, intact[number :: _AT_ONCE * 5]) for number in range(_AT_ONCE)))
        traps.touched()  # the corpus is written, not read
        outcome.before = footprint(others)
        await asyncio.gather(*(read_files() for _ in range(_AT_ONCE)))
        outcome.after = await settled(outcome.before, others)
        outcome.violations += outcome.after.grown_since(outcome.before)


async def _warm_up(reader: SandboxedReader, intact: Sequence[bytes]) -> None:
    """Some intact files, so that what is loaded once is loaded before the first measurement."""
    for content in intact:
        await _read(reader, content, "", Outcome())


async def _read(reader: SandboxedReader, content: bytes, name: str, outcome: Outcome) -> None:
    """Metadata and thumbnail of one file."""
    begin = time.monotonic()
    source = MemorySource(content)
    try:
        async with asyncio.timeout(_FILE_SECONDS):
            reading = await reader.read(source)
            frame = reading.frame or await reader.thumbnail(source, reading.metadata)
        outcome.results["metadata and thumbnail" if frame.jpeg else "metadata"] += 1
    except SluiceError as error:
        outcome.results[error.code] += 1
    except TimeoutError:
        outcome.violations.append(f"{name} did not end in {_FILE_SECONDS:.0f} s")
    except Exception as error:  # noqa: BLE001 -- whatever a file makes the worker raise is a finding
        outcome.violations.append(f"{name}: {type(error).__name__}: {error}")
    outcome.took(time.monotonic() - begin, name)


@contextmanager
def _counted_crashes(outcome: Outcome) -> Iterator[None]:
    """Count the reader's warnings instead of printing them."""

    def count(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if event["event"] == "reader.failed":
            if event.get("violation"):
                outcome.violations.append(f"a child sent what it never sends: {event}")
            lines = (event.get("trace") or f"exit code {event.get('exit_code')}").strip().splitlines()
            place = next((line.strip() for line in reversed(lines) if "/inside/" in line), "")
            outcome.crashes[f"{lines[-1][:120]} {place[-80:]}".strip()] += 1
        raise structlog.DropEvent

    configured = structlog.get_config()
    structlog.configure(processors=[count])
    try:
        yield
    finally:
        structlog.configure(**configured)


def lines(outcome: Outcome, seed: int) -> Iterator[str]:
    """The summary for people."""
    total = sum(outcome.results.values())
    yield f"{total:,} files with seed {seed} in {outcome.seconds:.0f} s"
    for name, count in outcome.results.most_common():
        yield f"  {count:6,}  {name}"
    yield "slowest: " + ", ".join(f"{name} {seconds:.1f} s" for seconds, name in outcome.slowest)
    for name, count in outcome.crashes.most_common(_MAX_KEPT):
        yield f"  {count:6,}  contained: {name}"
    for title, measured in (("before", outcome.before), ("after", outcome.after)):
        if measured is not None:
            yield f"{title}: {'; '.join(measured.lines())}"
    for violation in outcome.violations[:_MAX_KEPT]:
        yield f"VIOLATION: {violation}"
    yield f"{len(outcome.violations)} violations"
