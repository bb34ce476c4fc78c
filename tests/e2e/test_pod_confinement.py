"""Processes start, and the sandbox of the media reader works, under what deploy/kubernetes gives a container."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from tests.harness.cell import eventually
from tests.harness.manifests import containers

pytestmark = pytest.mark.e2e

REPOSITORY = Path(__file__).parents[2]
USER = 10001
_SECONDS = 60.0
# What the runtime does before it executes a command: it changes the user, who has no capabilities then, permits
# no new privileges, and refuses the system calls that the profile RuntimeDefault refuses to a container without
# capabilities. clone3 does not exist there, since a filter cannot read its flags; clone may make no namespace.
_RUNTIME = """
import errno, os, sys, pyseccomp as s
rules = s.SyscallFilter(s.ALLOW)
for name in (
    "acct add_key bpf clock_adjtime clock_settime create_module delete_module finit_module fsconfig fsmount "
    "fsopen fspick init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kexec_file_load "
    "kexec_load keyctl lookup_dcookie mbind mount mount_setattr move_mount move_pages open_by_handle_at "
    "open_tree perf_event_open pivot_root quotactl reboot request_key set_mempolicy setdomainname sethostname "
    "setns settimeofday swapoff swapon syslog umount umount2 unshare uselib userfaultfd vhangup "
).split():
    if s.resolve_syscall(s.Arch.NATIVE, name) >= 0:
        rules.add_rule(s.ERRNO(errno.EPERM), name)
rules.add_rule(s.ERRNO(errno.ENOSYS), "clone3")
for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
    rules.add_rule(s.ERRNO(errno.EPERM), "clone", s.Arg(0, s.MASKED_EQ, flag, flag))
user = int(sys.argv[1])
if os.getuid() == 0:
    os.setgroups([user])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
rules.load()
os.execv(sys.executable, [sys.executable, "-m", "deploy.cli", *sys.argv[2:]])
"""


@pytest.fixture
def volume() -> Iterator[Path]:
    """A directory of the container's user."""
    directory = Path(tempfile.mkdtemp(prefix="sluice-pod-"))
    if os.getuid() == 0:
        os.chown(directory, USER, USER)
    yield directory
    shutil.rmtree(directory)


def _user() -> int:
    """The container's user, unless it may not read this repository or Python's environment."""
    needed = {*REPOSITORY.resolve().parents, *Path(sys.executable).resolve().parents, REPOSITORY}
    return USER if all(path.stat().st_mode & 0o001 for path in needed) else os.getuid()


@pytest.mark.parametrize("name", ["gateway", "probe", "persist"])
async def test_a_process_starts_as_in_a_pod(redis_url: str, redis_namespace: str, volume: Path, name: str) -> None:
    (container,) = [item for item in containers("single-cell") if item.spec["name"] == name]
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("SLUICE_")},
        **container.settings,
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/nonexistent",
        "SLUICE_HOST": "127.0.0.1",
        "SLUICE_PORT": "0",
        "SLUICE_METRICS_PORT": "0",
        "SLUICE_SIGNING_SECRET": "s" * 32,
        "SLUICE_TEMP_DIR": str(volume / "temp"),
        "SLUICE_REDIS_URL": redis_url,
        "SLUICE_REDIS_NAMESPACE": redis_namespace,
        "SLUICE_S3_ACCESS_KEY": "key",
        "SLUICE_S3_SECRET_KEY": "secret",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _RUNTIME, str(_user()), *container.command[1:]),
        env=environment,
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        line = await asyncio.wait_for(process.stderr.readline(), _SECONDS)
        started = json.loads(line)
        assert started["event"] == "process.started", line
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status
        if _user() == USER:
            assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}" in status
            assert "CapEff:\t0000000000000000" in status
        base = started["url" if name == "gateway" else "metrics"]
        probes = [
            container.spec[f"{probe}Probe"]
            for probe in ("startup", "liveness", "readiness")
            if f"{probe}Probe" in container.spec
        ]
        async with aiohttp.ClientSession() as http:
            for path in {probe["httpGet"]["path"] for probe in probes}:

                async def passes(path: str = path) -> bool:
                    async with http.get(base + path) as response:
                        return response.status == 200

                await eventually(passes, _SECONDS, partial(str, f"{path} to respond 200"))
    finally:
        if process.returncode is None:
            process.terminate()
        _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
