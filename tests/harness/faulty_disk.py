"""A disk that fails on command: a directory mounted through FUSE that injects errors in front of another directory.

    python -m tests.harness.faulty_disk BACKING MOUNT_POINT

It speaks the kernel's protocol itself (linux/fuse.h, version 7), so that no library has to be installed. Mounting needs
root. Every read and write arrives here: nothing stays in the page cache. Commands are lines on standard input, each
acknowledged by one line: `fail OPERATION ERRNO [AFTER_BYTES]` (operation: read, write, fsync, fallocate, punch,
unlink), `delay OPERATION SECONDS` and `heal`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.adapters.volume.disk import fallocate, punch_hole

_IN = struct.Struct("<IIQQIIIHH")
_OUT = struct.Struct("<IiQ")
_ATTR = struct.Struct("<6Q10I")
_ENTRY = struct.Struct("<4Q2I")
_ROOT = 1
_MAX_WRITE = 1024 * 1024
_BIG_WRITES, _MAX_PAGES = 1 << 5, 1 << 22
_DIRECT_IO = 1
_DETACH = 2
_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_SET_MODE, _SET_SIZE, _SET_FH = 1, 8, 64
_NO_REPLY = frozenset({2, 36, 42})  # FORGET, INTERRUPT, BATCH_FORGET


class FaultyDisk:
    """The file system over `backing`. Nodes are paths; the kernel names them by number."""

    def __init__(self, backing: Path) -> None:
        self._paths: dict[int, Path] = {_ROOT: backing}
        self._numbers: dict[Path, int] = {backing: _ROOT}
        self._last = _ROOT
        self._faults: dict[str, tuple[int, int]] = {}
        self._delays: dict[str, float] = {}
        self._operations: dict[int, Callable[[int, bytes], bytes]] = {
            1: lambda node, data: self._entry(self._child(node, data)),
            3: self._getattr,
            4: self._setattr,
            9: self._mkdir,
            10: self._unlink,
            11: self._rmdir,
            12: lambda node, data: self._rename(node, data, 8),
            13: self._link,
            14: self._open,
            15: self._read,
            16: self._write,
            17: self._statfs,
            18: self._release,
            20: self._fsync,
            25: lambda node, data: b"",  # FLUSH
            26: self._init,
            27: lambda node, data: struct.pack("<QII", 0, 0, 0),  # OPENDIR
            28: self._readdir,
            29: lambda node, data: b"",  # RELEASEDIR
            35: self._create,
            43: self._fallocate,
            45: lambda node, data: self._rename(node, data, 16),
        }

    def order(self, line: str) -> None:
        verb, *words = line.split()
        if verb == "heal":
            self._faults.clear()
            self._delays.clear()
        elif verb == "delay":
            self._delays[words[0]] = float(words[1])
        else:
            self._faults[words[0]] = (int(words[1]), int(words[2]) if len(words) > 2 else 0)

    def answer(self, request: bytes) -> bytes | None:
        """The reply to the kernel; None where it expects none."""
        _, code, unique, node, *_ = _IN.unpack_from(request)
        if code in _NO_REPLY:
            return None
        failed, body = 0, b""
        try:
            operation = self._operations.get(code)
            if operation is None:
                raise OSError(errno.ENOSYS, "")
            body = operation(node, request[_IN.size :])
        except OSError as error:
            failed, body = error.errno or errno.EIO, b""
        return _OUT.pack(_OUT.size + len(body), -failed, unique) + body

    def _meet(self, operation: str, size_bytes: int = 0) -> None:
        time.sleep(self._delays.get(operation, 0))
        if fault := self._faults.get(operation):
            number, left_bytes = fault
            fails = size_bytes > left_bytes or not left_bytes
            self._faults[operation] = (number, 0 if fails else left_bytes - size_bytes)
            if fails:
                raise OSError(number, "")

    def _child(self, node: int, name: bytes) -> Path:
        return self._paths[node] / os.fsdecode(name.split(b"\0", 1)[0])

    def _number(self, path: Path) -> int:
        if path not in self._numbers:
            self._last += 1
            self._numbers[path] = self._last
            self._paths[self._last] = path
        return self._numbers[path]

    def _forget(self, path: Path) -> None:
        self._numbers.pop(path, None)

    @staticmethod
    def _attr(facts: os.stat_result) -> bytes:
        times = [int(facts.st_atime), int(facts.st_mtime), int(facts.st_ctime)]
        nanos = [moment % 10**9 for moment in (facts.st_atime_ns, facts.st_mtime_ns, facts.st_ctime_ns)]
        rest = [facts.st_mode, facts.st_nlink, facts.st_uid, facts.st_gid, 0, 4096, 0]
        return _ATTR.pack(facts.st_ino, facts.st_size, facts.st_blocks, *times, *nanos, *rest)

    def _entry(self, path: Path) -> bytes:
        facts = path.lstat()
        return _ENTRY.pack(self._number(path), 0, 0, 0, 0, 0) + self._attr(facts)

    def _getattr(self, node: int, data: bytes) -> bytes:
        flags, _, handle = struct.unpack_from("<IIQ", data)
        facts = os.fstat(handle) if flags & 1 else self._paths[node].lstat()
        return struct.pack("<QII", 0, 0, 0) + self._attr(facts)

    def _setattr(self, node: int, data: bytes) -> bytes:
        valid, _, handle, size = struct.unpack_from("<IIQQ", data)
        target: int | Path = handle if valid & _SET_FH else self._paths[node]
        if valid & _SET_MODE:
            os.chmod(target, struct.unpack_from("<I", data, 68)[0] & 0o7777)
        if valid & _SET_SIZE:
            os.truncate(target, size)
        return struct.pack("<QII", 0, 0, 0) + self._attr(os.stat(target))

    def _mkdir(self, node: int, data: bytes) -> bytes:
        path = self._child(node, data[8:])
        path.mkdir(struct.unpack_from("<I", data)[0])
        return self._entry(path)

    def _unlink(self, node: int, data: bytes) -> bytes:
        self._meet("unlink")
        path = self._child(node, data)
        path.unlink()
        self._forget(path)
        return b""

    def _rmdir(self, node: int, data: bytes) -> bytes:
        path = self._child(node, data)
        path.rmdir()
        self._forget(path)
        return b""

    def _rename(self, node: int, data: bytes, names_at: int) -> bytes:
        old, new = data[names_at:].split(b"\0")[:2]
        source, target = self._child(node, old), self._child(struct.unpack_from("<Q", data)[0], new)
        source.rename(target)
        if (number := self._numbers.pop(source, None)) is not None:
            self._numbers[target], self._paths[number] = number, target
        return b""

    def _link(self, node: int, data: bytes) -> bytes:
        path = self._child(node, data[8:])
        os.link(self._paths[struct.unpack_from("<Q", data)[0]], path)
        return self._entry(path)

    def _open(self, node: int, data: bytes) -> bytes:
        flags = struct.unpack_from("<I", data)[0] & ~(os.O_EXCL | os.O_CREAT | os.O_APPEND)
        return struct.pack("<QII", os.open(self._paths[node], flags | os.O_CLOEXEC), _DIRECT_IO, 0)

    def _create(self, node: int, data: bytes) -> bytes:
        flags, mode, umask, _ = struct.unpack_from("<4I", data)
        path = self._child(node, data[16:])
        handle = os.open(path, (flags & ~os.O_APPEND) | os.O_CREAT | os.O_CLOEXEC, mode & ~umask)
        return self._entry(path) + struct.pack("<QII", handle, _DIRECT_IO, 0)

    def _read(self, node: int, data: bytes) -> bytes:
        handle, offset, size = struct.unpack_from("<QQI", data)
        self._meet("read", size)
        return os.pread(handle, size, offset)

    def _write(self, node: int, data: bytes) -> bytes:
        handle, offset, size = struct.unpack_from("<QQI", data)
        self._meet("write", size)
        return struct.pack("<II", os.pwrite(handle, data[40 : 40 + size], offset), 0)

    def _fallocate(self, node: int, data: bytes) -> bytes:
        handle, offset, length, mode = struct.unpack_from("<QQQI", data)
        if mode == _PUNCH_HOLE | _KEEP_SIZE:
            self._meet("punch")
            punch_hole(handle, offset, length)
            return b""
        self._meet("fallocate", length)
        if mode not in (0, _KEEP_SIZE):
            raise OSError(errno.EOPNOTSUPP, "")
        fallocate(handle, length, offset=offset, keep_size=mode == _KEEP_SIZE)
        return b""

    def _fsync(self, node: int, data: bytes) -> bytes:
        self._meet("fsync")
        self._meet("write")
        return b""

    def _release(self, node: int, data: bytes) -> bytes:
        os.close(struct.unpack_from("<Q", data)[0])
        return b""

    def _statfs(self, node: int, data: bytes) -> bytes:
        facts = os.statvfs(self._paths[_ROOT])
        counts = (facts.f_blocks, facts.f_bfree, facts.f_bavail, facts.f_files, facts.f_ffree)
        return struct.pack("<5Q4I", *counts, facts.f_bsize, facts.f_namemax, facts.f_frsize, 0) + bytes(24)

    def _readdir(self, node: int, data: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", data)
        listed = b""
        for index, name in enumerate(sorted(os.listdir(self._paths[node]))[offset:], offset + 1):
            raw = os.fsencode(name)
            entry = struct.pack("<QQII", index, index, len(raw), 0) + raw
            entry += bytes(-len(entry) % 8)
            if len(listed) + len(entry) > size:
                break
            listed += entry
        return listed

    def _init(self, node: int, data: bytes) -> bytes:
        flags = struct.unpack_from("<4I", data)[3] & (_BIG_WRITES | _MAX_PAGES)
        pages = _MAX_WRITE // 4096
        return struct.pack("<4I2H2I2HI", 7, 31, 0, flags, 16, 12, _MAX_WRITE, 1, pages, 0, 0) + bytes(28)


def mount(device: int, point: Path) -> None:
    """mount(2) itself. Raises OSError."""
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"faulty", os.fsencode(point), b"fuse.faulty", 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), "mount")


def serve(backing: Path, point: Path) -> None:
    """Serve until the input ends, then unmount the disk."""
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    mount(device, point)
    try:
        _serve(device, FaultyDisk(backing))
    finally:
        ctypes.CDLL(None).umount2(os.fsencode(point), _DETACH)


def _serve(device: int, disk: FaultyDisk) -> None:
    sys.stdout.write("mounted\n")
    sys.stdout.flush()
    while True:
        readable, _, _ = select.select([device, sys.stdin], [], [])
        if device in readable:
            try:
                request = os.read(device, _MAX_WRITE + 65536)
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return
                if error.errno in (errno.ENOENT, errno.EINTR):  # the caller has ended
                    continue
                raise
            if (answer := disk.answer(request)) is not None:
                try:
                    os.write(device, answer)
                except OSError as error:
                    if error.errno != errno.ENOENT:
                        raise
        elif sys.stdin in readable:
            line = sys.stdin.readline()
            if not line:
                return
            disk.order(line)
            sys.stdout.write("done\n")
            sys.stdout.flush()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
