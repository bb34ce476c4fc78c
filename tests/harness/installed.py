"""What an installation looks like to a process in a mount namespace of its own: code in /opt/sluice, state elsewhere.

Guarantee: everything happens in the namespace of the caller, which must not be that of the machine; it ends with the
last process in it. Everything else is read-only: not even root can write to the machine's files or kernel settings.

`/opt/sluice` is an environment with the packages of the one that runs the tests. Its interpreter is in `/opt/python`,
since that of the tests may be in a home directory, which other users cannot enter. Sluice's own packages are in
`/opt/code`, which PYTHONPATH names.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.harness.system_packages import REQUIRE_SERVERS, require_programs

CODE: Final = "/opt/code"
STATE: Final = "/var/lib/sluice"
_REPOSITORY: Final = Path(__file__).parents[2]
_PACKAGES: Final = ("deploy", "gateway", "pipeline", "schemas", "workers")
_COMMAND: Final = "#!/opt/sluice/bin/python\nfrom deploy.cli import main\n\nmain()\n"
# mount_setattr(2), linux/mount.h and fcntl.h
_SYS_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1


def require_namespaces() -> None:
    """Skip the test where namespaces cannot be made; fail it where REQUIRE_SERVERS is set."""
    require_programs(["unshare", "nsenter", "setpriv"], ["util-linux"])
    made = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--mount-proc", "true"], capture_output=True)
    if made.returncode == 0 and os.geteuid() == 0:
        return
    reason = "only root can make mount and pid namespaces here"
    if os.environ.get(REQUIRE_SERVERS):
        pytest.fail(reason)
    pytest.skip(reason)


def mount(*arguments: str) -> None:
    """mount(8). Raises CalledProcessError."""
    subprocess.run(["mount", *arguments], check=True)


def mount_installation(state: Path) -> None:
    """Make everything read-only. Then mount the code, `state` at /var/lib/sluice, and an empty /tmp, which is writable.

    Raises RuntimeError when something could still be written."""
    mount("--make-rprivate", "/")
    make_read_only("/", recursive=True)
    for path in ("/", "/proc", "/sys", "/tmp"):
        if not os.statvfs(path).f_flag & os.ST_RDONLY:
            raise RuntimeError(f"{path} is not read-only")
    os.umask(0o022)
    mount_tmpfs("/opt")
    for package in _PACKAGES:
        os.makedirs(f"{CODE}/{package}")
        mount("--bind", str(_REPOSITORY / package), f"{CODE}/{package}")
    _mount_environment()
    mount_tmpfs("/var")
    os.mkdir("/var/tmp")
    os.makedirs(STATE)
    mount("--bind", str(state), STATE)
    make_writable(STATE)
    mount_tmpfs("/tmp", "1777")  # last: `state` may be in it


def mount_tmpfs(path: str, mode: str = "755") -> None:
    """An empty directory at `path`."""
    mount("-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", path)


def _mount_environment() -> None:
    os.makedirs("/opt/python")
    mount("--bind", sys.base_prefix, "/opt/python")
    # An interpreter with a shared library finds it by an absolute path, which may be in the same home directory.
    Path("/opt/ld.so.conf").write_text("/opt/python/lib\ninclude /etc/ld.so.conf\n")
    caches = ["-X", "-i", "-f", "/opt/ld.so.conf", "-C", "/opt/ld.so.cache"]
    subprocess.run(["/sbin/ldconfig", *caches], check=True, stderr=subprocess.DEVNULL)  # it has another cache in /var
    mount("--bind", "/opt/ld.so.cache", "/etc/ld.so.cache")
    os.makedirs("/opt/sluice/lib")
    mount("--bind", f"{sys.prefix}/lib", "/opt/sluice/lib")
    Path("/opt/sluice/pyvenv.cfg").write_text("home = /opt/python/bin\n")
    os.mkdir("/opt/sluice/bin")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    os.symlink(f"/opt/python/bin/{version}", "/opt/sluice/bin/python")
    command = Path("/opt/sluice/bin/sluice")
    command.write_text(_COMMAND)
    command.chmod(0o755)


def make_read_only(path: str, *, recursive: bool) -> None:
    """Make the mount at `path` read-only, and with `recursive` every mount below it, for this namespace."""
    _set_attributes(path, _MOUNT_ATTR_RDONLY, 0, recursive)


def make_writable(path: str) -> None:
    """Undo `make_read_only` for one mount."""
    _set_attributes(path, 0, _MOUNT_ATTR_RDONLY, recursive=False)


def _set_attributes(path: str, added: int, removed: int, recursive: bool) -> None:
    attributes = (ctypes.c_uint64 * 4)(added, removed, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    libc = ctypes.CDLL(None, use_errno=True)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    if libc.syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(path), flags, ctypes.byref(attributes), size) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
