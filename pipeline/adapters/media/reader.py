"""Reads untrusted media files in sandboxed processes (`ports.MediaReader`), from the ranges that they request.

Guarantee: the bytes of a file are parsed nowhere but in a child that `confinement` confines, one child per file. It is
dead and reaped when a method returns or raises, also when cancelled. Its memory, CPU time, bytes read and output are
bounded. The worker imports no media library.

Two lanes, so that a cheap file never waits behind expensive ones. Every file begins in the cheap lane, with one second
of CPU time. If that does not suffice, the child is killed, and a new one begins in the expensive lane, with the limits
of the settings and a lower priority. Nobody holds a slot or a process while waiting for that lane.

What goes wrong while the metadata is read is raised. A crash or a lack of memory while the picture is made is not: the
metadata has shown that the file is media, which then has no thumbnail.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from pipeline.adapters.media.confinement import Limits
from pipeline.adapters.media.conversation import Conversation
from pipeline.adapters.media.faults import tool_failed
from pipeline.adapters.media.host_process import Child, Ended, HostProcess
from pipeline.adapters.media.lanes import Deferred, Lane
from pipeline.adapters.media.protocol import Task
from pipeline.adapters.media.verdicts import Verdict, checked_metadata, error_of, judge
from pipeline.logs import Log, logger
from pipeline.ports.media import ByteSource, Frame, Reading
from pipeline.telemetry import READER_BYTES, READER_CPU_SECONDS, READER_RANGES, READER_SECONDS
from schemas.media import MediaMetadata

HOST: Final = "pipeline.adapters.media.host"
_CHEAP_CPU_SECONDS: Final = 1
# Only a child that is stuck uses so much more time than CPU; one that a busy machine slows down gets another attempt.
_CHEAP_WALL_SECONDS: Final = 10.0
_WALL_PER_CPU_SECOND: Final = 6.0
_LANE_SECONDS: Final = 90.0
_EXIT_SECONDS: Final = 5.0
_NEEDS_MORE: Final = frozenset({Verdict.OUT_OF_TIME, Verdict.STARVED})
_NO_PICTURE: Final = frozenset({Verdict.CRASHED, Verdict.OUT_OF_MEMORY})


class UnconfinedError(Exception):
    """This machine cannot confine the reader, and the settings demand it."""

    def __init__(self, gaps: tuple[str, ...]) -> None:
        super().__init__(
            f"The media reader cannot be confined on this machine: {'; '.join(gaps)}. Install libseccomp 2.5 and allow "
            "seccomp filters, or set SLUICE_MEDIA_CONFINEMENT=best-effort."
        )


@dataclass(frozen=True, slots=True)
class ReaderRules:
    """`required`: refuse to read without complete confinement. `concurrency`: slots of the cheap lane; the expensive
    one has one less, and at least one."""

    required: bool = True
    metadata_cpu_seconds: int = 10
    frame_cpu_seconds: int = 30
    memory_bytes: int = 2 * 1024**3
    concurrency: int = 2
    max_edge_pixels: int = 640


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What one child found. `error` is set if it did not finish."""

    verdict: Verdict
    metadata: MediaMetadata | None
    frame: Frame | None
    error: Exception | None

    @property
    def problem(self) -> Exception:
        """Why it found nothing."""
        return self.error or tool_failed("it ended early")

    def described(self) -> MediaMetadata:
        """The metadata. Raises the problem if there is none."""
        if self.metadata is None:
            raise self.problem
        return self.metadata


class SandboxedReader:
    """An async context manager. `deferred` counts the readings that wait for bytes or are expensive, so that others may
    begin."""

    def __init__(self, rules: ReaderRules | None = None, host_module: str = HOST) -> None:
        """`host_module`: tests have a host whose children attack."""
        self._host_module = host_module
        self._rules = rules or ReaderRules()
        self._cheap = Lane("cheap", self._rules.concurrency)
        self._expensive = Lane("expensive", max(1, self._rules.concurrency - 1))
        self._host: HostProcess | None = None
        self._starting = asyncio.Lock()
        self.deferred = Deferred()
        self.gaps: tuple[str, ...] = ()
        """What is missing from the confinement on this machine, as the last start has found."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the host and its children. Idempotent."""
        async with self._starting:
            if self._host is not None:
                await self._host.close()
                self._host = None

    @property
    def host_process_id(self) -> int | None:
        """Of the host that runs now."""
        return self._host.process_id if self._host is not None else None

    async def start(self) -> None:
        """Start the host, and learn `gaps`. A reader that was not started starts it for the first file. Raises
        UnconfinedError unless the rules permit gaps, and MEDIA_TOOL_FAILED."""
        await self._live_host()

    async def read(self, source: ByteSource) -> Reading:
        """See `ports.MediaReader`."""
        attempt = await self._cheaply(Task.READ, source)
        if attempt.metadata is None and attempt.verdict in _NEEDS_MORE:
            attempt = await self._expensively(Task.DESCRIBE, source)
            return Reading(attempt.described(), None)
        metadata = attempt.described()
        if attempt.verdict is Verdict.REFUSED:
            raise attempt.problem
        return Reading(metadata, Frame(None) if attempt.verdict in _NO_PICTURE else attempt.frame)

    async def thumbnail(self, source: ByteSource, metadata: MediaMetadata) -> Frame:
        """See `ports.MediaReader`."""
        attempt = await self._cheaply(Task.PICTURE, source, metadata)
        if attempt.verdict in _NEEDS_MORE:
            attempt = await self._expensively(Task.PICTURE, source, metadata)
        if attempt.verdict in _NO_PICTURE:
            return Frame(None)
        if attempt.frame is None:
            raise attempt.problem
        return attempt.frame

    async def _cheaply(self, task: Task, source: ByteSource, metadata: MediaMetadata | None = None) -> _Attempt:
        limits = Limits(self._rules.memory_bytes, _CHEAP_CPU_SECONDS)
        job = _job(self._rules, task, source, metadata)
        return await self._attempt(self._cheap, limits, _CHEAP_WALL_SECONDS, job, source)

    async def _expensively(self, task: Task, source: ByteSource, metadata: MediaMetadata | None = None) -> _Attempt:
        rules = self._rules
        cpu_seconds = rules.frame_cpu_seconds if task is Task.PICTURE else rules.metadata_cpu_seconds
        limits = Limits(rules.memory_bytes, cpu_seconds, background=True)
        job = _job(rules, task, source, metadata)
        async with self.deferred.counted():
            return await self._attempt(self._expensive, limits, cpu_seconds * _WALL_PER_CPU_SECOND, job, source)

    async def _attempt(
        self, lane: Lane, limits: Limits, wall_seconds: float, job: dict[str, Any], source: ByteSource
    ) -> _Attempt:
        """One child. Raises MEDIA_TOOL_FAILED if there is none."""
        async with lane.slot(_LANE_SECONDS) as slot:
            begin = asyncio.get_running_loop().time()
            child = await self._fork(limits)
            talk = Conversation(child.sock, source, slot, self.deferred, wall_seconds)
            grace_seconds = 0.0
            try:
                await talk.run(job)
                grace_seconds = 0.0 if talk.must_end else _EXIT_SECONDS
            finally:
                ended = await child.end(grace_seconds)
            seconds = asyncio.get_running_loop().time() - begin
        verdict = judge(talk, child, ended, limits.cpu_seconds, wall_seconds)
        metadata = None
        if talk.metadata is not None:
            metadata = checked_metadata(talk.metadata, source.size_bytes)
        if (
            metadata is None
            and job["task"] is not Task.PICTURE
            and (verdict is Verdict.FOUND or talk.metadata is not None)
        ):
            verdict = Verdict.CRASHED
        frame = Frame(talk.jpeg or None) if talk.jpeg is not None and verdict is Verdict.FOUND else None
        _record(lane.name, verdict, talk, ended, seconds)
        error = error_of(verdict, talk, limits.cpu_seconds) if verdict is not Verdict.FOUND else None
        return _Attempt(verdict, metadata, frame, error)

    async def _fork(self, limits: Limits) -> Child:
        try:
            host = await self._live_host()
        except UnconfinedError as error:
            raise tool_failed(str(error)) from error
        return await host.fork(limits)

    async def _live_host(self) -> HostProcess:
        """The running host; starts one if there is none."""
        async with self._starting:
            if self._host is not None and not self._host.alive:
                logger().warning(Log.READER_HOST_ENDED, process_id=self._host.process_id)
                await self._host.close()
                self._host = None
            if self._host is None:
                host = await HostProcess.start(self._host_module, required=self._rules.required)
                if host.gaps and self._rules.required:
                    await host.close()
                    raise UnconfinedError(host.gaps)
                if host.gaps:
                    logger().warning(Log.READER_UNCONFINED, gaps=host.gaps)
                self._host, self.gaps = host, host.gaps
            return self._host


def _job(rules: ReaderRules, task: Task, source: ByteSource, metadata: MediaMetadata | None) -> dict[str, Any]:
    return {
        "task": task,
        "size_bytes": source.size_bytes,
        "max_edge_pixels": rules.max_edge_pixels,
        "metadata": None if metadata is None else metadata.model_dump(mode="json"),
    }


def _record(lane: str, verdict: Verdict, talk: Conversation, ended: Ended, seconds: float) -> None:
    READER_SECONDS.labels(lane, verdict).observe(seconds)
    READER_CPU_SECONDS.labels(lane).inc(ended.cpu_seconds)
    READER_BYTES.inc(talk.bytes_read)
    READER_RANGES.inc(talk.ranges)
    log = logger(
        lane=lane,
        outcome=str(verdict),
        ranges=talk.ranges,
        bytes_read=talk.bytes_read,
        cpu_seconds=round(ended.cpu_seconds, 3),
        seconds=round(seconds, 3),
    )
    if verdict is Verdict.CRASHED:
        log.warning(Log.READER_FAILED, exit_code=ended.exit_code, violation=talk.violation, trace=talk.failure)
    else:
        log.debug(Log.READER_DONE)
