"""One child process: starts it, waits until it is ready, and stops it together with every process it has started.

Guarantee: the child cannot outlive this process (see child.py).

Waiting is cooperative: a generator yields until its condition holds, and `side_by_side` runs several generators in
turn. So servers start concurrently although the main thread starts every child. It has to, because the kernel sends
the parent-death signal when the thread that started the child ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.embedded import child, process_tree
from deploy.embedded.errors import ServerFailedError, StackError
from deploy.embedded.users import SystemUser

if TYPE_CHECKING:
    import psutil

POLL_SECONDS = 0.01
_TOOL_SECONDS = 120.0

BringUp = Generator[None, None, None]
"""Yields while it waits. Returns when the server is ready; raises ServerFailedError when it fails to start."""


def side_by_side(bring_ups: Iterable[BringUp]) -> BringUp:
    """Runs all of them in turn until each has returned. The first error closes the others and is raised."""
    pending = list(bring_ups)
    try:
        while pending:
            for bring_up in list(pending):
                try:
                    next(bring_up)
                except StopIteration:
                    pending.remove(bring_up)
            if pending:
                yield
    finally:
        for bring_up in pending:
            bring_up.close()


def run_all(bring_ups: Iterable[BringUp]) -> None:
    """Runs all of them concurrently until each has returned. Raises the first error."""
    for _ in side_by_side(bring_ups):
        time.sleep(POLL_SECONDS)


def stop_all(children: Iterable[ChildProcess]) -> None:
    """Stops all of them at the same time."""
    stopping = list(children)
    for process in stopping:
        process.ask_to_stop()
    for process in stopping:
        process.stop()


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Polls until the condition holds. False when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


@dataclass
class ChildProcess:
    """A server, or a tool that runs to its end. Its output is appended to `log_path`."""

    name: str
    command: list[str]
    log_path: Path
    environment: Mapping[str, str]
    is_ready: Callable[[], bool] = field(default=lambda: True)
    ready_seconds: float = 90.0
    user: SystemUser | None = None
    """The system user that it runs as. None: the current user."""
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = 10.0
    death_signal: int = signal.SIGKILL
    """The signal that the kernel sends it when this process ends."""
    _stopped_with: int | None = field(default=None, init=False, repr=False)
    _is_stopping: bool = field(default=False, init=False, repr=False)
    _descendants: list[psutil.Process] = field(default_factory=list, init=False, repr=False)
    _popen: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def pid(self) -> int | None:
        """The process id while it runs, else None."""
        return self._popen.pid if self._popen is not None and self._popen.poll() is None else None

    @property
    def exit_status(self) -> int | None:
        """Its last exit status, or minus a signal's number. None while it runs and before its first start."""
        return self._stopped_with if self._popen is None else self._popen.poll()

    def start(self) -> None:
        """Starts it and returns at once. It gets its own session, so that Ctrl-C in the terminal does not reach it."""
        if self.pid is not None:
            raise StackError(f"{self.name} is already running")
        if threading.current_thread() is not threading.main_thread():
            raise StackError(
                f"{self.name} must be started from the main thread, because it ends with the thread that started it"
            )
        process_tree.load_psutil()  # `stop` needs it, so a missing psutil must be noticed before anything runs
        credentials = "-" if self.user is None else f"{self.user.uid}:{self.user.gid}"
        wrapper = [sys.executable, "-I", "-S", child.__file__]
        wrapper += [str(os.getpid()), str(int(self.death_signal)), credentials]
        self._is_stopping, self._descendants, self._stopped_with = False, [], None
        with open(self.log_path, "ab", opener=_private) as log:
            self._popen = subprocess.Popen(
                wrapper + self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.environment),
                cwd="/",
                start_new_session=True,
            )

    def bring_up(self) -> BringUp:
        """Starts it and waits until it is ready."""
        self.start()
        deadline = time.monotonic() + self.ready_seconds
        while not self.is_ready():
            self._raise_if_ended()
            if time.monotonic() > deadline:
                raise ServerFailedError(self.name, f"did not respond within {self.ready_seconds:.0f} s", self.log_path)
            yield
        self._raise_if_ended()

    def run_to_end(self) -> BringUp:
        """Starts it and waits until it has ended with exit status 0."""
        self.start()
        assert self._popen is not None  # noqa: S101 -- start() has just set it
        deadline = time.monotonic() + _TOOL_SECONDS
        try:
            while self._popen.poll() is None:
                if time.monotonic() > deadline:
                    raise ServerFailedError(self.name, f"did not end within {_TOOL_SECONDS:.0f} s", self.log_path)
                yield
            if self._popen.returncode != 0:
                raise ServerFailedError(self.name, f"ended with {_describe(self._popen.returncode)}", self.log_path)
        finally:
            self.stop(signal.SIGKILL)  # does nothing when it has ended

    def ask_to_stop(self, signal_number: int | None = None) -> None:
        """Sends the signal without waiting, so that several servers can end at the same time. `stop` must follow."""
        if self._popen is not None and self._popen.poll() is None and not self._is_stopping:
            self._descendants = process_tree.descendants(self._popen.pid)
            self._popen.send_signal(self.stop_signal if signal_number is None else signal_number)
            self._is_stopping = True

    def stop(self, signal_number: int | None = None) -> None:
        """Ends it and every process it started, with SIGKILL for those that run after `stop_seconds`. Idempotent."""
        if self._popen is None:
            return
        self.ask_to_stop(signal_number)
        try:
            self._popen.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        # Helpers end by themselves once their parent has ended (PostgreSQL's within milliseconds). Wait for them: the
        # server cannot be restarted on the same data before they have ended.
        if not wait_until(self._descendants_have_ended, self.stop_seconds):
            for member in self._descendants:
                process_tree.kill(member)
            wait_until(self._descendants_have_ended, self.stop_seconds)
        self._stopped_with = self._popen.returncode
        self._popen = None

    def _descendants_have_ended(self) -> bool:
        return not any(process_tree.is_alive(member) for member in self._descendants)

    def _raise_if_ended(self) -> None:
        if self._popen is not None and self._popen.poll() is not None:
            raise ServerFailedError(self.name, f"ended with {_describe(self._popen.returncode)}", self.log_path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _describe(return_code: int) -> str:
    return f"exit status {return_code}" if return_code >= 0 else signal.Signals(-return_code).name
