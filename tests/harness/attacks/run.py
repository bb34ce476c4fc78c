"""Runs every attack twice, in the real sandbox and without it, and prints what came of it as JSON.

    python -m tests.harness.attacks.run [--without-namespaces]

The files, sockets and processes that the attacks aim at are this program's own, in a directory that everybody may
write to: so nothing but the sandbox can refuse them. With --without-namespaces the program first forbids itself, by a
seccomp filter as container runtimes have one, to create namespaces.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import pyseccomp

from pipeline.adapters.media.reader import ReaderRules, SandboxedReader
from pipeline.core.errors import MediaError
from pipeline.logs import configure_logging
from tests.harness.attacks.catalogue import ATTACKS

CONFINED: Final = "tests.harness.attacks.confined"
UNCONFINED: Final = "tests.harness.attacks.unconfined"
_FILES: Final = ("canary", "overwritten", "unlinked", "unlinked-at", "renamed", "renamed-at", "truncated", "chmodded")
_SECRET: Final = "a secret"

SELF_INFLICTED: Final = {"write_to_an_inherited_file": "EFBIG"}
"""Attacks that a limit refuses, and not the filter: writing to a descriptor that is there is permitted."""

KILLED: Final = frozenset({"call_with_32_bits", "call_with_the_numbers_of_x32"})
"""Attacks by which a process ends at once."""


class Bytes:
    """A `ByteSource` of bytes in memory."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    @property
    def size_bytes(self) -> int:
        return len(self.content)

    async def read(self, offset: int, length: int) -> bytes:
        return self.content[offset : offset + length]


def ordered(**order: Any) -> Bytes:
    """A file that orders a child of an attacking host about."""
    return Bytes(json.dumps(order).encode())


class Target:
    """What there is to attack, and what has become of it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.chmod(0o777)
        for name in _FILES:
            (directory / name).write_text(_SECRET)
            (directory / name).chmod(0o666)
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self._unix = socket.socket(socket.AF_UNIX)
        self._unix.bind(str(directory / "socket"))
        (directory / "socket").chmod(0o777)
        self._unix.listen()
        self._before = self._state()
        self._process = self._start()
        self._killed = False

    def described(self) -> dict[str, Any]:
        if self._process.poll() is not None:
            self._killed = True
            self._process = self._start()
        return {
            "directory": str(self._directory),
            "port": self._tcp.getsockname()[1],
            "process": self._process.pid,
            "worker": os.getpid(),
        }

    def harmed(self) -> list[str]:
        """What an attack has changed, or connected to, or killed."""
        found = [name for name, connected in (("tcp", self._tcp), ("unix", self._unix)) if _has_connection(connected)]
        found += [str(name) for name, _ in self._before ^ self._state()]
        if self._killed or self._process.poll() is not None:
            found.append("process")
        return sorted(set(found))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._tcp.close()
        self._unix.close()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["/bin/sleep", "1000"])

    def _state(self) -> frozenset[tuple[str, str]]:
        return frozenset(
            (path.name, f"{path.stat().st_mode} {path.read_text() if path.is_file() else ''}")
            for path in self._directory.iterdir()
        )


def _has_connection(server: socket.socket) -> bool:
    server.setblocking(False)
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


async def _attempt(reader: SandboxedReader, name: str, target: Target) -> dict[str, str]:
    try:
        await reader.read(ordered(do="attack", attack=name, target=target.described()))
    except MediaError as error:
        with contextlib.suppress(ValueError):
            reported: dict[str, str] = json.loads(error.detail["reason"])
            return reported
        return {"ended": str(error.detail["reason"])}
    return {"ended": "with a result"}


async def run() -> dict[str, Any]:
    """By mode, `confined` and `unconfined`: what each attack reported, what was harmed, and whether a process survived.
    Of the confined mode also what a child is and has, and the system calls that are wrongly permitted."""
    found: dict[str, Any] = {}
    for mode, module in (("confined", CONFINED), ("unconfined", UNCONFINED)):
        with tempfile.TemporaryDirectory(prefix="sluice-attacks-") as directory:
            target = Target(Path(directory))
            try:
                async with SandboxedReader(ReaderRules(required=mode == "confined"), module) as reader:
                    found[mode] = {name: await _attempt(reader, name, target) for name in ATTACKS}
                    found[f"{mode}_survivor"] = _end_survivor(found[mode]["survive_in_a_session_of_its_own"])
                    if mode == "confined":
                        found["tells"] = json.loads(await _reason(reader, ordered(do="tell")))
                        found["through"] = json.loads(await _reason(reader, ordered(do="try every call")))
                found[f"{mode}_harmed"] = target.harmed()
            finally:
                target.close()
    return found


def _end_survivor(report: dict[str, str]) -> bool:
    """Whether the process of this attack has outlived its reading."""
    if "gained" not in report:
        return False
    process = int(report["gained"])
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


async def _reason(reader: SandboxedReader, source: Bytes) -> str:
    try:
        await reader.read(source)
    except MediaError as error:
        return str(error.detail["reason"])
    raise AssertionError("it did not report")


def forbid_namespaces() -> None:
    """As the default seccomp profiles of container runtimes do."""
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    refusal = pyseccomp.ERRNO(errno.EPERM)
    for name in ("unshare", "setns", "mount", "pivot_root"):
        rules.add_rule(refusal, name)
    for flag in (0x10000000, 0x20000000, 0x40000000, 0x00020000):  # CLONE_NEWUSER, NEWPID, NEWNET, NEWNS
        rules.add_rule(refusal, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, flag, flag))
    rules.load()


if __name__ == "__main__":
    configure_logging("console", "warning")
    if "--without-namespaces" in sys.argv:
        forbid_namespaces()
    json.dump({**asyncio.run(run()), "user": os.getuid()}, sys.stdout, indent=1)
