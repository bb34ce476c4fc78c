"""The worker's side of the reader host: starts the host, has it fork children, and ends them.

Guarantee: `Child.end` returns when the child is dead and reaped, also if the caller is cancelled meanwhile. A host that
dies takes its children with it; `HostProcess.alive` is then False and its children count as lost. Neither leaves a
descriptor or a process behind. Everything runs in the event loop that started it.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, TypeVar

from pipeline.adapters.media.confinement import Limits
from pipeline.adapters.media.faults import tool_failed
from pipeline.adapters.media.protocol import ORDER, PACKET_BYTES, REPORT, Order, Report
from pipeline.core.errors import SluiceError
from pipeline.tasks import to_the_end

_PROGRAM: Final = (
    "import importlib, sys; sys.path[:] = sys.argv[1].split(':'); "
    "importlib.import_module(sys.argv[2]).main(sys.argv[3:])"
)
_ENVIRONMENT: Final = {
    "LC_ALL": "C.UTF-8",
    "AV_LOG_FORCE_NOCOLOR": "1",
    # a child can start no threads
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Each page that a child touches costs a fault: fewer and larger pages for frames save 4 of 20 ms CPU per photo.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=16777216:glibc.malloc.mmap_threshold=33554432:"
    "glibc.malloc.trim_threshold=134217728",
}
# Starting Python and testing the sandbox take 0.1 s. Killing takes milliseconds. Busy machines take longer.
_START_SECONDS: Final = 60.0
_KILL_SECONDS: Final = 4.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended. `exit_code` is negative for a signal, as in `subprocess`; None: it died with its host."""

    exit_code: int | None
    cpu_seconds: float
    waited_seconds: float
    """For a child that was killed: how long it was ready to run and had no CPU."""


class Child:
    """One sandboxed process and the worker's end of its socket."""

    def __init__(self, host: HostProcess, number: int, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.sock = sock
        self.process_id: asyncio.Future[int] = loop.create_future()
        self.ended: asyncio.Future[Ended] = loop.create_future()
        self.killed = False
        """By `end`."""
        self._host = host
        self._number = number

    async def end(self, grace_seconds: float = 0.0) -> Ended:
        """Wait until it is reaped, and close the socket. Kills it if it still runs after `grace_seconds`."""
        return await to_the_end(self._end(grace_seconds))

    async def _end(self, grace_seconds: float) -> Ended:
        try:
            if grace_seconds:
                await asyncio.wait((self.ended,), timeout=grace_seconds)
            with contextlib.suppress(SluiceError, TimeoutError):
                async with asyncio.timeout(_KILL_SECONDS):
                    if not self.ended.done():
                        self.killed = True
                        await self._host.kill(self._number)
                    await asyncio.shield(self.ended)
            if not self.ended.done():  # the host does not respond
                await self._host.close()
            ended = await self.ended
            if ended.exit_code is None:
                await self._wait_for_death()
            return ended
        finally:
            self.sock.close()

    async def _wait_for_death(self) -> None:
        """The kernel kills the children of a dead host. Their sockets end while they are being removed."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_KILL_SECONDS):
                while await loop.sock_recv(self.sock, PACKET_BYTES):
                    pass


class HostProcess:
    """A running reader host. `gaps`: what is missing from the confinement on this machine."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._children: dict[int, Child] = {}
        self._numbers = count(1)
        self._hello: asyncio.Future[tuple[str, ...]] = asyncio.get_running_loop().create_future()
        self._closing: asyncio.Future[int] | None = None
        self.gaps: tuple[str, ...] = ()
        asyncio.get_running_loop().add_reader(control, self._read_reports)

    @classmethod
    async def start(cls, module: str, *, required: bool) -> HostProcess:
        """Start a host, the `main` of this module; returns when it has tested its confinement. Raises
        MEDIA_TOOL_FAILED."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        mode = "required" if required else "best-effort"
        # Isolated from the environment and the working directory, yet with the modules that this process would import.
        path = os.pathsep.join(entry for entry in sys.path if os.path.isabs(entry))
        try:
            # Not asyncio's way to start a process: it can be cancelled before it knows the process.
            process = subprocess.Popen(  # noqa: ASYNC220  # returns after an exec, in milliseconds
                [sys.executable, "-I", "-c", _PROGRAM, path, module, str(theirs.fileno()), str(os.getpid()), mode],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_ENVIRONMENT,
                cwd="/",
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise tool_failed(error.strerror or str(error)) from error
        finally:
            theirs.close()
        host = cls(process, ours)
        try:
            async with asyncio.timeout(_START_SECONDS):
                host.gaps = await host._hello
        except TimeoutError as error:
            await host.close()
            raise tool_failed("it does not start") from error
        except BaseException:
            await host.close()
            raise
        return host

    @property
    def alive(self) -> bool:
        return self._closing is None

    @property
    def process_id(self) -> int:
        return self._process.pid

    async def fork(self, limits: Limits) -> Child:
        """A new child. Raises MEDIA_TOOL_FAILED. The caller must `end` it."""
        if not self.alive:
            raise tool_failed("its host process has ended")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        number = next(self._numbers)
        child = self._children[number] = Child(self, number, ours)
        order = ORDER.pack(Order.START, number, limits.memory_bytes, limits.cpu_seconds, limits.background)
        try:
            with theirs:
                await self._send(order, theirs.fileno())
        except BaseException:  # it was not started
            self._children.pop(number, None)
            ours.close()
            raise
        try:
            async with asyncio.timeout(_START_SECONDS):
                await asyncio.shield(child.process_id)
        except TimeoutError as error:
            await child.end()
            raise tool_failed("its host process does not respond") from error
        except BaseException:
            await child.end()
            raise
        return child

    async def kill(self, number: int) -> None:
        """Have the child of this number killed, if it still runs."""
        await self._send(ORDER.pack(Order.KILL, number, 0, 0, False))

    async def close(self) -> None:
        """End the host and all of its children. Idempotent."""
        await to_the_end(self._lost())

    async def _send(self, order: bytes, descriptor: int | None = None) -> None:
        ancillary = []
        if descriptor is not None:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        while True:
            if not self.alive:
                raise tool_failed("its host process has ended")
            try:
                self._control.sendmsg([order], ancillary)
            except BlockingIOError:
                await _writable(self._control)
            except OSError:
                self._lost()
            else:
                return

    def _read_reports(self) -> None:
        while self.alive:
            try:
                packet = self._control.recv(PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if len(packet) < REPORT.size:
                self._lost()
                return
            self._note(packet)

    def _note(self, packet: bytes) -> None:
        what, number, value, cpu_micros, waited_micros = REPORT.unpack_from(packet)
        if what == Report.HELLO:
            _settle(self._hello, tuple(json.loads(packet[REPORT.size :])))
            return
        child = self._children[number]
        if what == Report.STARTED:
            _settle(child.process_id, value)
            return
        del self._children[number]
        if what == Report.ENDED:
            _settle(child.ended, Ended(os.waitstatus_to_exitcode(value), cpu_micros / 1e6, waited_micros / 1e6))
        else:
            _fail(child.process_id, tool_failed(os.strerror(value)))
            _settle(child.ended, Ended(None, 0.0, 0.0))

    def _lost(self) -> asyncio.Future[int]:
        """The host has ended, or has to: every child is dead or dies with it. Done when the host is reaped."""
        if self._closing is not None:
            return self._closing
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._control)
        loop.remove_writer(self._control)
        self._control.close()
        self._process.kill()
        failure = tool_failed("its host process has ended")
        _fail(self._hello, failure)
        for child in self._children.values():
            _fail(child.process_id, failure)
            _settle(child.ended, Ended(None, 0.0, 0.0))
        self._children.clear()
        self._closing = loop.run_in_executor(None, self._process.wait)
        return self._closing


def _settle(future: asyncio.Future[T], value: T) -> None:
    """Does nothing if it is done: the task that waited for it may have been cancelled."""
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any], failure: Exception) -> None:
    if not future.done():
        future.set_exception(failure)
        future.exception()  # read, so that asyncio does not log it


async def _writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(sock, _settle, ready, None)
    try:
        await ready
    finally:
        loop.remove_writer(sock)
