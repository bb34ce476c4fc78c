"""The reader host: a small process beside each worker, which forks one confined child per file.

`HostProcess` starts it: `main` gets the number of the control socket, the worker's process id, and `required` or
`best-effort`.

Guarantee: it reads no file. Each child gets one socket and nothing else. The host reaps every child and reports how it
ended. It ends, and its children with it, when the worker ends or closes the control socket. It is started with an empty
environment by a new program, so no secret of the worker is in its memory, nor in that of a child.

It has one thread, since a child of a process with several may find locks that nobody will release. It imports once what
the children need, because they can open no file: a fork takes about a millisecond, the imports a third of a second. It
tests the confinement when it starts, and imports before its first child: until then, and so in a worker whose files
another one reads, it needs a third of the memory.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import resource
import select
import signal
import socket
from collections.abc import Callable
from typing import Final, NoReturn

from pipeline.adapters.media.confinement import Confinement, Limits, die_with
from pipeline.adapters.media.protocol import (
    CHILD_SOCKET_FD,
    EXIT_UNCONFINED,
    MAX_DESCRIPTORS,
    ORDER,
    PACKET_BYTES,
    REPORT,
    Order,
    Report,
)
from pipeline.adapters.media.self_test import find_gaps

_TEST_LIMITS: Final = Limits(memory_bytes=1024**3, cpu_seconds=10)
# The kernel ends a child before it ends a worker, when memory is short.
_OOM_SCORE: Final = b"1000"
# Modules of av that need a display or a device, or that start a program.
_NOT_IMPORTED: Final = ("av.__main__", "av.device")


class Host:
    """The loop of this process."""

    def __init__(
        self, control: socket.socket, confinement: Confinement, required: bool, load: Callable[[], Callable[[], None]]
    ) -> None:
        self._control = control
        self._confinement = confinement
        self._required = required
        self._jobs: dict[int, int] = {}
        """Process id -> the job's number."""
        self._waited_micros: dict[int, int] = {}
        self._load = load
        self._serve: Callable[[], None] | None = None

    def run(self) -> None:
        """Until the worker closes the control socket."""
        waking, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(waking, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if waking in ready:
                os.read(waking, PACKET_BYTES)
                self._reap()
            if self._control.fileno() in ready and not self._take_order():
                break
        for process in self._jobs:
            os.kill(process, signal.SIGKILL)

    def _take_order(self) -> bool:
        """False: the worker has gone."""
        packet, ancillary, _, _ = self._control.recvmsg(ORDER.size, socket.CMSG_SPACE(array.array("i").itemsize))
        if len(packet) != ORDER.size:
            return False
        what, number, memory_bytes, cpu_seconds, background = ORDER.unpack(packet)
        if what == Order.KILL:
            self._kill(number)
        else:
            descriptor = array.array("i", ancillary[0][2][:4])[0]
            self._start(number, descriptor, Limits(memory_bytes, cpu_seconds, background))
        return True

    def _start(self, number: int, descriptor: int, limits: Limits) -> None:
        if self._serve is None:
            self._serve = self._load()
            gc.collect()
            gc.freeze()  # a collection in a child would write to, and so copy, the pages of every object
        host = os.getpid()
        try:
            process = os.fork()
        except OSError as error:
            os.close(descriptor)
            self._report(Report.NOT_STARTED, number, error.errno or 0)
            return
        if not process:
            self._be_child(self._serve, descriptor, limits, host)
        os.close(descriptor)
        self._jobs[process] = number
        self._report(Report.STARTED, number, process)

    def _be_child(self, serve: Callable[[], None], descriptor: int, limits: Limits, host: int) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(descriptor, CHILD_SOCKET_FD)
            os.closerange(CHILD_SOCKET_FD + 1, MAX_DESCRIPTORS)
            gaps = self._confinement.apply(limits, host)
            if gaps and self._required:
                os._exit(EXIT_UNCONFINED)
            serve()
            os._exit(0)
        finally:
            os._exit(1)

    def _kill(self, number: int) -> None:
        """SIGKILL to the child of this job, unless it is reaped: only then could its process id be another's."""
        for process, job in self._jobs.items():
            if job == number:
                self._waited_micros[process] = _waited_for_cpu(process)
                os.kill(process, signal.SIGKILL)

    def _reap(self) -> None:
        while self._jobs:
            process, status, usage = os.wait4(-1, os.WNOHANG)
            if not process:
                return
            number = self._jobs.pop(process, 0)
            cpu_micros = round((usage.ru_utime + usage.ru_stime) * 1e6)
            self._report(Report.ENDED, number, status, cpu_micros, self._waited_micros.pop(process, 0))

    def _report(self, what: Report, number: int, value: int, cpu_micros: int = 0, waited_micros: int = 0) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the loop reads the end of the socket
            self._control.send(REPORT.pack(what, number, value, cpu_micros, waited_micros))


def _waited_for_cpu(process: int) -> int:
    """Microseconds that a process was ready to run and had no CPU; 0 if the kernel does not count them."""
    try:
        with open(f"/proc/{process}/schedstat", encoding="ascii") as counters:
            return int(counters.read().split()[1]) // 1000
    except (OSError, ValueError, IndexError):
        return 0


def import_readers() -> Callable[[], None]:
    """Import everything that a child may need; what it calls."""
    import av
    import numpy.linalg  # noqa: F401  # numpy imports it at first use
    import PIL.Image

    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.startswith(_NOT_IMPORTED):
            importlib.import_module(module.name)
    PIL.Image.init()
    from pipeline.adapters.media.child import serve

    return serve


def main(
    arguments: list[str],
    load: Callable[[], Callable[[], None]] = import_readers,
    confinement: Confinement | None = None,
) -> None:
    """The whole life of this process. `load` returns what a child does; tests have it attack `confinement`."""
    control = socket.socket(fileno=os.dup(int(arguments[0])))
    os.close(int(arguments[0]))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_DESCRIPTORS, MAX_DESCRIPTORS))  # so a child knows what to close
    # The worker decides when this process ends, also when a terminal or a supervisor signals the whole group.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    die_with(int(arguments[1]))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "wb") as score:
        score.write(_OOM_SCORE)
    confinement = confinement or Confinement()
    gaps = find_gaps(confinement, _TEST_LIMITS)
    control.send(REPORT.pack(Report.HELLO, 0, 0, 0, 0) + json.dumps(gaps).encode())
    Host(control, confinement, arguments[2] == "required", load).run()
