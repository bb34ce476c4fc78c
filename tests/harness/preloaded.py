"""Gateways and workers that start without importing their modules each time.

To import what a gateway or a worker needs takes a second of processor time, and the tests start hundreds. A nursery
process of each pytest worker imports it once; every process of a cell is a fork of it. Such a process has its own
environment, log, session and death signal, like one that `SluiceProcesses` starts, and is a child of the pytest worker:
the nursery forks twice, and Linux hands orphans to their nearest ancestor that asks for them (prctl(2),
PR_SET_CHILD_SUBREAPER).
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NoReturn, cast

from deploy.cli.processes import SluiceProcesses, import_path
from deploy.embedded.child import die_with_parent
from deploy.embedded.errors import StackError
from deploy.embedded.process import ChildProcess

_PR_SET_CHILD_SUBREAPER = 36
_MODULES = (
    *("deploy.cli.root", "deploy.cli.serve", "gateway.server", "workers.process", "pipeline.settings"),
    # What these import when they first need it: half a second of processor time per process.
    *("workers.admission", "workers.notify", "pipeline.bootstrap.admission", "pipeline.bootstrap.notify"),
    *("pipeline.bootstrap.swift", "pipeline.adapters.object_store.s3", "pipeline.adapters.object_store.filesystem"),
    *("pipeline.adapters.media.reader", "pipeline.stages.assemble", "pipeline.stages.persist", "pipeline.stages.probe"),
    *("pipeline.stages.seal", "pipeline.stages.thumbnail", "pipeline.stages.transfer"),
)
_POLL_SECONDS = 0.01
_REQUEST_BYTES = 256 * 1024


class PreloadedProcesses(SluiceProcesses):
    """Sluice's processes as forks of this process' nursery."""

    def _child(self, name: str, arguments: list[str], ready_url: str, own: Mapping[str, str]) -> ChildProcess:
        child = super()._child(name, arguments, ready_url, own)
        return _PreloadedChild(**{each.name: getattr(child, each.name) for each in fields(child) if each.init})


class _PreloadedChild(ChildProcess):
    """A `ChildProcess` that forks instead of executing its command, `python -m deploy.cli ...`."""

    def start(self) -> None:
        if self.pid is not None:
            raise StackError(f"{self.name} is already running")
        self._is_stopping, self._descendants, self._stopped_with = False, [], None
        self.log_path.touch()
        pid = _nursery().fork(
            {
                "arguments": self.command[3:],
                "environment": dict(self.environment),
                "log": str(self.log_path),
                "death_signal": int(self.death_signal),
                "parent": os.getpid(),
            }
        )
        self._popen = cast("subprocess.Popen[bytes]", _Forked(pid))


@dataclass
class _Forked:
    """A child process, with what `ChildProcess` uses of `subprocess.Popen`."""

    pid: int
    returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(_POLL_SECONDS)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Nursery:
    """The pytest worker's end."""

    def __init__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise StackError("start processes from the main thread: they die with the thread that adopts them")
        if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError("prctl(PR_SET_CHILD_SUBREAPER) failed")
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            for end in (self._socket, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _REQUEST_BYTES)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.harness.preloaded", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                env={**os.environ, "PYTHONPATH": import_path(), "PYTHONUNBUFFERED": "1"},
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a Ctrl-C in the terminal is for pytest
            )
        atexit.register(self.close)

    def fork(self, request: Mapping[str, Any]) -> int:
        """Start a process; its id."""
        self._socket.send(json.dumps(request).encode())
        pid = self._socket.recv(32)
        if not pid:
            raise StackError("the nursery of preloaded processes has ended")
        return int(pid)

    def close(self) -> None:
        self._socket.close()
        self._process.wait()


@functools.cache
def _nursery() -> _Nursery:
    return _Nursery()


def _serve(connection: socket.socket) -> Sequence[str] | None:
    """Fork for each request. Returns None at the end of requests, and arguments for `sluice` in each fork."""
    while request := connection.recv(_REQUEST_BYTES):
        order = json.loads(request)
        reader, writer = os.pipe()
        middle = os.fork()
        if not middle:
            os.setsid()
            middle = os.getpid()
            pid = os.fork()
            if pid:  # ends at once, so that the pytest worker becomes the parent of the other
                os.write(writer, str(pid).encode())
                os._exit(0)
            connection.close()
            os.close(reader)
            os.close(writer)
            _become(order, middle)
            arguments: list[str] = order["arguments"]
            return arguments
        os.waitpid(middle, 0)
        connection.send(os.read(reader, 32))
        os.close(reader)
        os.close(writer)
    return None


def _become(order: Mapping[str, Any], first_parent: int) -> None:
    """What `ChildProcess.start` and `child.py` do for a process of its own."""
    while os.getppid() == first_parent:
        time.sleep(0.001)
    die_with_parent(order["death_signal"], order["parent"])
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    for standard in (1, 2):
        os.dup2(log, standard)
    os.close(log)
    os.environ.clear()
    os.environ.update(order["environment"])


def _end(status: int) -> NoReturn:
    """End at once. To take the interpreter down would write to every page that this process shares with the nursery."""
    threading._shutdown()  # type: ignore[attr-defined]  # as the end of an interpreter does; there is no public name
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


def _main() -> None:
    for name in _MODULES:
        importlib.import_module(name)
    importlib.import_module("gateway.app").whole_document()  # what a gateway computes once
    gc.freeze()  # forks share these pages as long as no collection writes to them
    arguments = _serve(socket.socket(fileno=int(sys.argv[1])))
    if arguments is not None:
        from deploy.cli import main

        sys.argv[1:] = arguments
        try:
            main()
        except SystemExit as end:
            _end(end.code if isinstance(end.code, int) else 1)  # the command always gives a number


if __name__ == "__main__":
    _main()
