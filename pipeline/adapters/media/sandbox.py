"""Runs one media tool on one open file, in a child process with bounded resources, no network and no privileges.

Guarantees
- The tool does not receive the file's name, only an open descriptor as standard input. A name with `%03d`, a leading
  dash or a line feed has no effect, and no message can leak it. The callers allow the tools only the `fd:` protocol, so
  a script or playlist inside the file cannot make them open another file.
- No shell and an almost empty environment. With `prlimit`: bounded address space, CPU time and number of open files, no
  bytes written to regular files, no core dump. With `unshare`, where the kernel permits: no network. With `setpriv`: no
  new privileges, the kernel kills the tool when this process dies and, where permitted, no capabilities.
- When `run` returns or raises, also by timeout and cancellation, the tool is reaped and its process group is killed.
- Output beyond its limit ends the run instead of filling memory.

What it does not prevent: the tool runs as the user of this process and shares its files, processes and Unix sockets. A
hostile file that makes the tool execute foreign code can therefore read every file of this user, such as other temp
files, and rename, truncate or remove them; connect to Unix sockets; signal this user's processes; and start processes
outside the process group, which survive the run. Run the workers as a separate user or in a container to limit that.

Why a chain of util-linux tools (`prlimit`, `unshare`, `setpriv`, each of which executes the next; essential packages in
Debian): it runs no Python between fork and exec, which is unsafe in a process with threads. Measured around a 1.6 ms
ffprobe on a small JPEG, with a parent of 300 MB on 2 cores, median: no wrapper 1.6 ms, the chain 4.8 ms, `preexec_fn`
10.3 ms (it forces fork() instead of vfork(), whose cost grows with the parent), a `python -I -S` wrapper 12 to 14 ms.

What is active is detected once, on first use; see `confinement()`.
"""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

NetworkConfinement = Literal["namespace", "user-namespace", "none"]

_ENVIRONMENT = {"LC_ALL": "C", "AV_LOG_FORCE_NOCOLOR": "1"}
_STDERR_LIMIT_BYTES = 16 * 1024
_SUBSTITUTE = "/bin/true"  # run for detection, instead of a media tool


@dataclass(frozen=True, slots=True)
class Confinement:
    """What confines the tools on this machine."""

    limits: bool
    """Memory, CPU, open files, file size and core dumps are bounded (`prlimit`)."""
    network: NetworkConfinement
    """`none`: the tool is kept from the network only by the protocol whitelist."""
    privileges: bool
    """No new privileges, no capabilities, and the tool dies with this process (`setpriv`)."""
    wrapper: tuple[str, ...]
    """The arguments before the tool's own. `{cpu_seconds}` is filled in for each run."""

    @property
    def complete(self) -> bool:
        """Whether every confinement is active, except that capabilities may remain where they cannot be dropped."""
        return self.limits and self.privileges and self.network != "none"

    def describe(self) -> str:
        """One line for people, such as `sluice doctor` shows."""
        words = {
            "namespace": "no network",
            "user-namespace": "no network (user namespace)",
            "none": "NETWORK REACHABLE",
        }
        return ", ".join(
            (
                "limits" if self.limits else "NO LIMITS (prlimit missing)",
                words[self.network],
                "no privileges" if self.privileges else "PRIVILEGES KEPT (setpriv missing or refused)",
            )
        )


@dataclass(frozen=True, slots=True)
class ToolResult:
    """How a run ended. `exit_code` is negative for a signal, as in `subprocess`."""

    exit_code: int
    stdout: bytes
    stderr: str
    stdout_overflowed: bool
    """The tool wrote more than the limit and was killed; `stdout` is the beginning of its output."""


class Sandbox:
    """Runs tools under one set of limits. Its only state is what was detected about this machine."""

    def __init__(self, *, memory_bytes: int = 2 * 1024**3, open_files: int = 64, isolate_network: bool = True) -> None:
        """`memory_bytes` limits the tool's address space, not only its resident memory. `isolate_network` False omits
        the network namespace, as on kernels that do not permit one."""
        self._isolate_network = isolate_network
        self._memory_bytes = memory_bytes
        self._open_files = open_files
        self._detected: Confinement | None = None
        self._detecting = asyncio.Lock()

    async def confinement(self) -> Confinement:
        """What confines the tools on this machine. Detected on the first call (about 20 ms), then cached."""
        async with self._detecting:
            if self._detected is None:
                self._detected = await self._detect()
            return self._detected

    async def run(
        self, argv: Sequence[str], *, stdin: Path, timeout_seconds: float, stdout_limit_bytes: int
    ) -> ToolResult:
        """Run `argv` with the file `stdin` as its standard input.

        Raises TimeoutError after `timeout_seconds`, and OSError when the file cannot be opened or the program cannot be
        started.
        """
        confinement = await self.confinement()
        executable = shutil.which(argv[0])
        if executable is None:
            raise FileNotFoundError(f"program {Path(argv[0]).name} not found")
        cpu_seconds = math.ceil(timeout_seconds) + 1
        wrapper = [part.format(cpu_seconds=cpu_seconds) for part in confinement.wrapper]
        with stdin.open("rb") as content:
            return await _run([*wrapper, executable, *argv[1:]], content.fileno(), timeout_seconds, stdout_limit_bytes)

    async def _detect(self) -> Confinement:
        limits: tuple[str, ...] = ()
        if prlimit := shutil.which("prlimit"):
            limits = (
                prlimit,
                f"--as={self._memory_bytes}",
                "--cpu={cpu_seconds}",
                "--fsize=0",
                f"--nofile={self._open_files}",
                "--core=0",
                "--",
            )
        privileges: tuple[str, ...] = ()
        if setpriv := shutil.which("setpriv"):
            base = (setpriv, "--pdeathsig", "KILL", "--no-new-privs")
            capless = (*base, "--inh-caps=-all", "--bounding-set=-all", "--")
            # Dropping capabilities needs CAP_SETPCAP, which root in a container may lack.
            for wrapper in (capless, (*base, "--")):
                if await _works(wrapper):
                    privileges = wrapper
                    break
        network: NetworkConfinement = "none"
        isolation: tuple[str, ...] = ()
        if self._isolate_network and (unshare := shutil.which("unshare")):
            # A user namespace changes credentials, which clears the parent death signal: setpriv must come after it.
            for name, flags in (("namespace", ("--net",)), ("user-namespace", ("--user", "--net"))):
                candidate = (unshare, *flags, "--")
                if await _works((*candidate, *privileges)):
                    network, isolation = cast(NetworkConfinement, name), candidate
                    break
        return Confinement(bool(limits), network, bool(privileges), (*limits, *isolation, *privileges))


async def _works(wrapper: Sequence[str]) -> bool:
    try:
        result = await _run([*wrapper, _SUBSTITUTE], asyncio.subprocess.DEVNULL, 10, stdout_limit_bytes=1024)
    except OSError:  # includes TimeoutError
        return False
    return result.exit_code == 0


class _Collector(asyncio.SubprocessProtocol):
    """Collects both outputs up to their limits. `ended` is done when the process is reaped and its pipes are closed."""

    def __init__(self, stdout_limit_bytes: int) -> None:
        self.outputs = {1: bytearray(), 2: bytearray()}
        self.limits = {1: stdout_limit_bytes, 2: _STDERR_LIMIT_BYTES}
        self.overflowed = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        room = self.limits[fd] - len(self.outputs[fd])
        self.outputs[fd] += data[:room]
        if fd == 1 and len(data) > room and not self.overflowed:
            self.overflowed = True
            self.kill_group()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def kill_group(self) -> None:
        if self.transport is not None and (pid := self.transport.get_pid()) is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)


async def _run(argv: Sequence[str], stdin_fd: int, timeout_seconds: float, stdout_limit_bytes: int) -> ToolResult:
    loop = asyncio.get_running_loop()
    starting = asyncio.ensure_future(
        loop.subprocess_exec(
            lambda: _Collector(stdout_limit_bytes),
            *argv,
            stdin=stdin_fd,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
    )
    try:
        # Shielded: asyncio would leave the group running if the start were cancelled midway, and would then wait
        # forever for the end of pipes that it never connected.
        transport, collector = await asyncio.shield(starting)
        async with asyncio.timeout(timeout_seconds):
            await asyncio.shield(collector.ended)
    except BaseException:
        await _wait_until_done(starting)
        if starting.exception() is None:
            transport, collector = starting.result()
            collector.kill_group()
            transport.close()  # closes our ends of the pipes: a process that left the group may hold the others
            await _wait_until_done(collector.ended)
        raise
    transport.close()
    return ToolResult(
        exit_code=transport.get_returncode() or 0,
        stdout=bytes(collector.outputs[1]),
        stderr=collector.outputs[2].decode("utf-8", "replace"),
        stdout_overflowed=collector.overflowed,
    )


async def _wait_until_done(future: asyncio.Future[Any]) -> None:
    """Wait for `future` even if the caller is cancelled; a process start and a SIGKILL take milliseconds."""
    while not future.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait((future,))
