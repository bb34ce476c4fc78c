"""What a child of the attacking host does: its file is an order in JSON, `{"do": NAME, ...}`, which it carries out.

It reports what it has learned as the reason of a NOT_MEDIA, which is JSON too.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import resource
import signal
import time
from collections.abc import Callable
from typing import Any, Final

from pyseccomp import Arch, resolve_syscall

from pipeline.adapters.media.child import send
from pipeline.adapters.media.child import serve as serve_job
from pipeline.adapters.media.confinement import Confinement, Limits, die_with
from pipeline.adapters.media.protocol import CHILD_SOCKET_FD, HEADER, Said
from pipeline.adapters.media.ranges import RangeFile, write_all
from pipeline.adapters.media.system_calls import CHECKED, PERMITTED
from schemas.media import MediaMetadata
from tests.harness.attacks.calls import call_number
from tests.harness.attacks.catalogue import ATTACKS

_NUMBERS: Final = 1024
_ORDER_BYTES: Final = 64 * 1024
"""The order is at the beginning of the file, padded with NUL."""
# uretprobe and uprobe of x86-64, which the kernel does not show to filters. Outside of a trampoline that a tracer has
# placed, the first one is SIGILL and the second one an error.
_UNFILTERED: Final = frozenset({335, 336})
_inherited = -1


class Confined(Confinement):
    """The real confinement, with a file that every child has inherited."""

    def apply(self, limits: Limits, parent: int) -> list[str]:
        _inherit_file()
        return super().apply(limits, parent)


class Unconfined(Confinement):
    """None at all: it shows that an attack would succeed. The child still dies with its host."""

    def apply(self, limits: Limits, parent: int) -> list[str]:
        _inherit_file()
        die_with(parent)
        return []


def _inherit_file() -> None:
    global _inherited
    _inherited = os.memfd_create("inherited")
    os.write(_inherited, b"inherited")


def serve() -> None:
    """Do what the file says."""
    serve_job(_obey)


def _obey(job: dict[str, Any]) -> None:
    order = json.loads(RangeFile(CHILD_SOCKET_FD, job["size_bytes"]).read(_ORDER_BYTES).rstrip(b"\0"))
    _MISDEEDS[order["do"]](order, job)


def _report(content: object) -> None:
    send(Said.NOT_MEDIA, json.dumps(content).encode())


def _describe(job: dict[str, Any]) -> None:
    metadata = MediaMetadata(kind="image", container="gif", size_bytes=job["size_bytes"])
    send(Said.METADATA, metadata.model_dump_json().encode())


def _attack(order: dict[str, Any], job: dict[str, Any]) -> None:
    target = {**order["target"], "inherited": _inherited}
    try:
        gained = ATTACKS[order["attack"]](target)
    except OSError as error:
        _report({"refused": errno.errorcode[error.errno or 0]})
    except Exception as error:  # noqa: BLE001  # a mistake of the attack's own
        _report({"failed": repr(error)})
    else:
        _report({"gained": str(gained)})


def _try_every_call(order: dict[str, Any], job: dict[str, Any]) -> None:
    """Reports the number of every system call that is not on the list and not refused with EPERM."""
    permitted = {resolve_syscall(Arch.NATIVE, name) for name in (*PERMITTED, *CHECKED)}
    through = []
    for number in set(range(_NUMBERS)) - permitted - _UNFILTERED:
        try:
            call_number(number, 0, 0, 0, 0, 0, 0)
        except OSError as error:
            if error.errno == errno.EPERM:
                continue
        through.append(number)
    _report(through)


def _tell(order: dict[str, Any], job: dict[str, Any]) -> None:
    """Reports who it is and what it has."""
    descriptors = []
    for number in range(256):
        try:
            fcntl.fcntl(number, fcntl.F_GETFD)
        except OSError:
            continue
        descriptors.append(number)
    limits = {
        name: resource.getrlimit(getattr(resource, name))[0]
        for name in ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_CORE")
    }
    _report(
        {
            "pid": os.getpid(),
            "host": os.getppid(),
            "user": os.getuid(),
            "group": os.getgid(),
            "environment": dict(os.environ),
            "descriptors": [number for number in descriptors if number != _inherited],
            "limits": limits,
        }
    )


def _spin(order: dict[str, Any], job: dict[str, Any]) -> None:
    if order.get("describes"):
        _describe(job)
    if order.get("ignores"):
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    if order.get("closes"):
        os.close(CHILD_SOCKET_FD)
    while True:
        pass


def _sleep(order: dict[str, Any], job: dict[str, Any]) -> None:
    if order.get("closes"):
        os.close(CHILD_SOCKET_FD)
    time.sleep(600)


def _die(order: dict[str, Any], job: dict[str, Any]) -> None:
    if order.get("describes"):
        _describe(job)
    match order["how"]:
        case "fault":
            ctypes.string_at(0)
        case "abort":
            os.abort()
        case "exit":
            os._exit(order["status"])
        case "memory":
            bytearray(64 * 1024**3)
        case "stack":
            ctypes.memmove(ctypes.addressof(ctypes.c_char(0)), b"x" * 2**20, 2**20)


def _raise(order: dict[str, Any], job: dict[str, Any]) -> None:
    if order.get("describes"):
        _describe(job)
    raise ValueError("an error that nobody expects")


def _send(order: dict[str, Any], job: dict[str, Any]) -> None:
    """Send messages as they are given: `[kind, offset, length, content]`."""
    for kind, offset, length, content in order["messages"]:
        write_all(CHILD_SOCKET_FD, HEADER.pack(kind, offset, length) + content.encode("latin-1"))


def _show(order: dict[str, Any], job: dict[str, Any]) -> None:
    """Proper metadata, with fields of the order, and then the content of the order as a picture."""
    metadata = {"kind": "image", "container": "gif", "size_bytes": job["size_bytes"], **order.get("metadata", {})}
    send(Said.METADATA, json.dumps(metadata).encode())
    send(Said.JPEG, order["jpeg"].encode("latin-1"))


def _read_ranges(order: dict[str, Any], job: dict[str, Any]) -> None:
    """Read ranges after the metadata is sent, if `describes`, and then be done."""
    if order.get("describes"):
        _describe(job)
    file = RangeFile(CHILD_SOCKET_FD, job["size_bytes"])
    for offset, length in order["ranges"]:
        file.seek(offset)
        file.read(length)
    _report("done")


_MISDEEDS: Final[dict[str, Callable[[dict[str, Any], dict[str, Any]], None]]] = {
    "attack": _attack,
    "try every call": _try_every_call,
    "tell": _tell,
    "spin": _spin,
    "sleep": _sleep,
    "die": _die,
    "raise": _raise,
    "send": _send,
    "show": _show,
    "read": _read_ranges,
}
