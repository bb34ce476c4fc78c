"""Attacks on files and sockets."""

from __future__ import annotations

import mmap
import os
import signal
import socket
import struct
from typing import Any

from tests.harness.attacks.calls import AT_FDCWD, attack, buffer, call, content_of, path_in


@attack
def open_a_file(target: dict[str, Any]) -> object:
    return content_of(call("open", path_in(target, "canary"), os.O_RDONLY))


@attack
def openat_a_file(target: dict[str, Any]) -> object:
    return content_of(call("openat", AT_FDCWD, path_in(target, "canary"), os.O_RDONLY))


@attack
def openat2_a_file(target: dict[str, Any]) -> object:
    how = buffer(struct.pack("<QQQ", os.O_RDONLY, 0, 0))
    return content_of(call("openat2", AT_FDCWD, path_in(target, "canary"), how, len(how)))


@attack
def read_its_environment(target: dict[str, Any]) -> object:
    return call("open", b"/proc/self/environ", os.O_RDONLY)


@attack
def read_the_workers_environment(target: dict[str, Any]) -> object:
    return content_of(call("open", b"/proc/%d/environ" % target["worker"], os.O_RDONLY))


@attack
def overwrite_a_file(target: dict[str, Any]) -> object:
    return call("open", path_in(target, "overwritten"), os.O_WRONLY | os.O_TRUNC)


@attack
def creat_a_file(target: dict[str, Any]) -> object:
    return call("creat", path_in(target, "created"), 0o600)


@attack
def unlink_a_file(target: dict[str, Any]) -> object:
    return call("unlink", path_in(target, "unlinked"))


@attack
def unlinkat_a_file(target: dict[str, Any]) -> object:
    return call("unlinkat", AT_FDCWD, path_in(target, "unlinked-at"), 0)


@attack
def rename_a_file(target: dict[str, Any]) -> object:
    return call("rename", path_in(target, "renamed"), path_in(target, "elsewhere"))


@attack
def renameat2_a_file(target: dict[str, Any]) -> object:
    return call("renameat2", AT_FDCWD, path_in(target, "renamed-at"), AT_FDCWD, path_in(target, "elsewhere-at"), 0)


@attack
def truncate_a_file(target: dict[str, Any]) -> object:
    return call("truncate", path_in(target, "truncated"), 0)


@attack
def link_a_file(target: dict[str, Any]) -> object:
    return call("link", path_in(target, "canary"), path_in(target, "linked"))


@attack
def symlink_a_file(target: dict[str, Any]) -> object:
    return call("symlink", path_in(target, "canary"), path_in(target, "symlinked"))


@attack
def make_a_directory(target: dict[str, Any]) -> object:
    return call("mkdir", path_in(target, "made"), 0o700)


@attack
def chmod_a_file(target: dict[str, Any]) -> object:
    return call("chmod", path_in(target, "chmodded"), 0o777)


@attack
def stat_a_file(target: dict[str, Any]) -> object:
    return call("statx", AT_FDCWD, path_in(target, "canary"), 0, 0, buffer(bytes(256)))


@attack
def list_a_directory(target: dict[str, Any]) -> object:
    return os.listdir(target["directory"])


# A file that was inherited by accident


@attack
def write_to_an_inherited_file(target: dict[str, Any]) -> object:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    return call("write", target["inherited"], b"overwritten", 11)


@attack
def pwrite_to_an_inherited_file(target: dict[str, Any]) -> object:
    return call("pwrite64", target["inherited"], b"overwritten", 11, 0)


@attack
def truncate_an_inherited_file(target: dict[str, Any]) -> object:
    return call("ftruncate", target["inherited"], 0)


@attack
def map_an_inherited_file_to_write(target: dict[str, Any]) -> object:
    protection = mmap.PROT_READ | mmap.PROT_WRITE
    return call("mmap", 0, mmap.PAGESIZE, protection, mmap.MAP_SHARED, target["inherited"], 0)


@attack
def map_an_inherited_file_to_read(target: dict[str, Any]) -> object:
    return call("mmap", 0, mmap.PAGESIZE, mmap.PROT_READ, mmap.MAP_PRIVATE, target["inherited"], 0)


# Sockets


@attack
def create_a_tcp_socket(target: dict[str, Any]) -> object:
    return call("socket", socket.AF_INET, socket.SOCK_STREAM, 0)


@attack
def connect_to_a_tcp_port(target: dict[str, Any]) -> object:
    descriptor = call("socket", socket.AF_INET, socket.SOCK_STREAM, 0)
    address = struct.pack("<H", socket.AF_INET) + struct.pack(">H4B8x", target["port"], 127, 0, 0, 1)
    return call("connect", descriptor, buffer(address), len(address))


@attack
def connect_to_a_unix_socket(target: dict[str, Any]) -> object:
    descriptor = call("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0)
    address = struct.pack("<H", socket.AF_UNIX) + path_in(target, "socket") + b"\0"
    return call("connect", descriptor, buffer(address), len(address))


@attack
def create_a_pair_of_sockets(target: dict[str, Any]) -> object:
    return call("socketpair", socket.AF_UNIX, socket.SOCK_STREAM, 0, buffer(bytes(8)))


@attack
def copy_a_descriptor(target: dict[str, Any]) -> object:
    return call("dup", 0)
