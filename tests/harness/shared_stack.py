"""Servers that all processes of one test session share: an embedded stack, or Ceph.

Guarantee: each kind of stack runs at most once per session. It starts when the first process asks for it and stops when
the last process has left, however that process ended: `kill -9` of every pytest process leaves nothing running.

A supervisor, `python -m tests.harness.shared_stack DIRECTORY KIND`, holds the stack, so that the servers outlive the
pytest worker that asked first. Every process that uses the stack keeps a named pipe open for writing; the kernel closes
it when the process ends, and the supervisor stops the stack when no writer is left. `DIRECTORY` holds:

    lock        taken to start, to join and to stop
    users       the named pipe
    servers     the servers' addresses, as JSON, once they respond
    alive       locked by the supervisor until its servers have stopped
    log         what the supervisor printed
    stack/      the stack's own directory
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter

from deploy.cli.processes import import_path
from deploy.embedded import EmbeddedStack, KeystoneEndpoint, StackError, StackOptions
from deploy.embedded.endpoints import SwiftEndpoint
from tests.harness.ceph import Ceph, CephEndpoint
from tests.harness.session import locked

_POLL_SECONDS = 0.05


class Servers(Protocol):
    """What a cell needs of a stack, be it shared or a test's own `EmbeddedStack`."""

    @property
    def redis_url(self) -> str: ...

    @property
    def database_url(self) -> str: ...

    @property
    def swift(self) -> SwiftEndpoint: ...

    def environment(self) -> dict[str, str]: ...


@dataclass(frozen=True)
class SharedStack:
    """The addresses of a stack that a supervisor holds."""

    variables: dict[str, str]
    swift_endpoint: SwiftEndpoint | None = None
    keystone: KeystoneEndpoint | None = None
    ceph_endpoint: CephEndpoint | None = None

    @classmethod
    def of(cls, stack: EmbeddedStack) -> SharedStack:
        try:
            swift = stack.swift
        except StackError:  # SLUICE_SWIFT_AUTH_URL names another one
            swift = None
        return cls(stack.environment(), swift, stack.keystone)

    @property
    def redis_url(self) -> str:
        return self.variables["SLUICE_REDIS_URL"]

    @property
    def database_url(self) -> str:
        return self.variables["SLUICE_DATABASE_URL"]

    @property
    def swift(self) -> SwiftEndpoint:
        """Raises StackError when the session runs no Swift."""
        if self.swift_endpoint is None:
            raise StackError("this session runs no Swift")
        return self.swift_endpoint

    @property
    def ceph(self) -> CephEndpoint:
        """Raises StackError when the session runs no Ceph."""
        if self.ceph_endpoint is None:
            raise StackError("this session runs no Ceph")
        return self.ceph_endpoint

    def environment(self) -> dict[str, str]:
        """SLUICE_* variables for a gateway and its workers."""
        return dict(self.variables)


_FORMAT = TypeAdapter(SharedStack)


@contextmanager
def _embedded(options: StackOptions) -> Iterator[SharedStack]:
    with EmbeddedStack(options) as stack:
        yield SharedStack.of(stack)


@contextmanager
def _ceph(directory: Path) -> Iterator[SharedStack]:
    with Ceph(directory) as ceph:
        yield SharedStack({}, ceph_endpoint=ceph.endpoint)


KINDS: Mapping[str, Callable[[Path], AbstractContextManager[SharedStack]]] = {
    "servers": lambda directory: _embedded(StackOptions(directory, fast=True)),
    "keystone": lambda directory: _embedded(
        StackOptions(directory, postgres=False, redis=False, keystone=True, fast=True)
    ),
    "redis": lambda directory: _embedded(StackOptions(directory, postgres=False, swift=False, fast=True)),
    "ceph": _ceph,
}
"""`servers`: Redis, PostgreSQL and Swift. `keystone`: Swift and Keystone, with the caches that a production has.
`redis`: the smallest, for the tests of this module. `ceph`: Ceph's object gateway alone, with S3 and Swift."""


@contextmanager
def shared_stack(session_directory: Path, kind: str) -> Iterator[SharedStack]:
    """Join the session's stack of this kind, and start it if no process has. Raises StackError when it does not
    start."""
    directory = session_directory / f"shared-{kind}"
    directory.mkdir(exist_ok=True)
    with locked(directory / "lock"):
        membership = _join(directory)
        if membership is None:
            membership = _start(directory, kind)
    try:
        yield _FORMAT.validate_json((directory / "servers").read_bytes())
    finally:
        os.close(membership)


def wait_until_stopped(session_directory: Path, seconds: float = 60) -> None:
    """Wait until no shared stack of this session runs any more. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    for path in session_directory.glob("shared-*/alive"):
        with path.open() as file:
            while not _try_lock(file.fileno()):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the servers below {path.parent} did not stop within {seconds:.0f} s")
                time.sleep(_POLL_SECONDS)


def _join(directory: Path) -> int | None:
    """The pipe's end of one more user; None when no supervisor reads the other end."""
    try:
        return os.open(directory / "users", os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENXIO):
            return None
        raise


def _start(directory: Path, kind: str) -> int:
    """Start the supervisor and wait for its servers; the pipe's end of the first user."""
    pipe, servers, log = directory / "users", directory / "servers", directory / "log"
    for path in (pipe, servers):
        path.unlink(missing_ok=True)
    os.mkfifo(pipe)
    first = os.open(pipe, os.O_RDWR)  # does not wait for a reader; the supervisor finds a user from the start
    try:
        supervisor = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "tests.harness.shared_stack", str(directory), kind],
            {**os.environ, "PYTHONPATH": import_path()},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,  # a Ctrl-C in the terminal is for pytest, which then leaves the stack
        )
        while not servers.exists():
            if os.waitpid(supervisor, os.WNOHANG) != (0, 0):
                raise StackError(f"the shared stack did not start:\n{log.read_text()[-4000:]}")
            time.sleep(_POLL_SECONDS)
        membership = _join(directory)
    finally:
        os.close(first)  # it also reads, which would hide the supervisor's end from those who join
    if membership is None:
        raise StackError(f"the shared stack ended as soon as it had started:\n{log.read_text()[-4000:]}")
    return membership


def _supervise(directory: Path, kind: str) -> None:
    """Hold the stack until no process uses it."""
    users = os.open(directory / "users", os.O_RDONLY | os.O_NONBLOCK)
    with (directory / "alive").open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        with KINDS[kind](directory / "stack") as stack:
            unfinished = directory / "servers-unfinished"
            unfinished.write_bytes(_FORMAT.dump_json(stack))
            unfinished.rename(directory / "servers")
            while True:
                _has_no_users(users, timeout_ms=None)
                with locked(directory / "lock"):  # so that no process joins a stack that is stopping
                    if _has_no_users(users, timeout_ms=0):
                        os.close(users)
                        break


def _has_no_users(users: int, timeout_ms: int | None) -> bool:
    """Whether no process has the pipe open for writing, within the time; None waits until none has."""
    poll = select.poll()
    poll.register(users, 0)  # POLLHUP is always reported
    return bool(poll.poll(timeout_ms))


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    _supervise(Path(sys.argv[1]), sys.argv[2])
