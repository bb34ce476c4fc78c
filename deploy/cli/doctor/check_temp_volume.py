"""Checks that the temp volume exists, is writable, can preallocate files and remove ranges of them, and is large enough
for its budget."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deploy.cli.doctor.findings import Findings
from deploy.cli.formatting import format_bytes
from pipeline.adapters.volume.disk import fallocate
from pipeline.adapters.volume.holes import CANNOT_PUNCH
from pipeline.adapters.volume.temp_volume import DirectoryTempVolume
from pipeline.core.errors import TempVolumeError
from pipeline.core.windows import BLOCK_BYTES
from pipeline.settings import Settings

_PROBE_BYTES = 1024 * 1024
_SECTOR_BYTES = 512  # the unit of st_blocks
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_OVER_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse.s3fs"})


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted filesystem, as in /proc/self/mounts."""

    point: str
    kind: str
    source: str


async def check_temp_volume(settings: Settings, findings: Findings) -> None:
    """Create one probe file and remove it."""
    if await asyncio.to_thread(_check_directory, settings, findings):
        volume = DirectoryTempVolume(settings.volume, settings.temp_dir)
        await _check_holes(volume, settings, findings)
        held_bytes = sum(size_bytes for size_bytes, _ in (await volume.list()).values())
        judge_room(await volume.free_bytes(), held_bytes, await volume.total_bytes(), settings, findings)


def _check_directory(settings: Settings, findings: Findings) -> bool:
    """False when there is no such directory, so that nothing else can be checked."""
    directory = settings.temp_dir
    if not directory.is_dir():
        findings.error(
            f"{directory} is not a directory" if directory.exists() else f"{directory} does not exist",
            "Create it, or mount the volume there, and make it writable for Sluice's user. SLUICE_TEMP_DIR names it.",
        )
        return False
    mount = find_mount(directory.resolve(), Path("/proc/self/mounts").read_text().splitlines())
    findings.ok(
        f"{directory} is on {mount.source} ({mount.kind}, mounted at {mount.point}); every gateway and disk-bound"
        f" worker with SLUICE_VOLUME={settings.volume} must see the same directory"
    )
    if mount.kind in _IN_MEMORY:
        findings.warning("is in memory", "A restart of the machine loses the uploads in flight. Use a disk.")
    if mount.kind in _OVER_NETWORK:
        findings.warning("is on a network filesystem", "Every byte crosses the network again. A local disk is faster.")
    _check_writable(directory, findings)
    return True


def _check_writable(directory: Path, findings: Findings) -> None:
    probe = directory / f".doctor-{secrets.token_hex(8)}"
    try:
        descriptor = os.open(probe, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        findings.error(
            f"cannot be written to: {error.strerror}",
            f"Run this as the user that Sluice runs as, and make {directory} writable for that user.",
        )
        return
    try:
        try:
            fallocate(descriptor, 1)
            block_bytes = os.fstat(descriptor).st_blocks * _SECTOR_BYTES
            fallocate(descriptor, _PROBE_BYTES)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
                findings.error(
                    f"cannot preallocate {format_bytes(_PROBE_BYTES)}: {error.strerror}",
                    "Check whether the disk is full or over a quota.",
                )
                return
            findings.warning(
                "is writable, but cannot preallocate files (fallocate)",
                "Every file is written twice, and the disk can fill up under uploads. Use ext4, xfs, btrfs or tmpfs.",
            )
        else:
            findings.ok("is writable and can preallocate files (fallocate)")
            _judge_block(block_bytes, findings)
    finally:
        os.close(descriptor)
        probe.unlink()


def _judge_block(block_bytes: int, findings: Findings) -> None:
    """Judge what the filesystem allocates for one byte."""
    if block_bytes > BLOCK_BYTES:
        unit = format_bytes(BLOCK_BYTES)
        findings.warning(
            f"allocates {format_bytes(block_bytes)} for one byte",
            f"Room is reserved in blocks of {unit}, so uploads occupy more of the disk than they reserve. Use a"
            f" filesystem with blocks of at most {unit}, or raise SLUICE_TEMP_HEADROOM_BYTES.",
        )


async def _check_holes(volume: DirectoryTempVolume, settings: Settings, findings: Findings) -> None:
    try:
        can_punch = await volume.can_punch()
    except TempVolumeError:  # reported by the checks before and after this one
        return
    if can_punch:
        findings.ok(
            "can remove ranges of files, so files larger than the disk can pass and stored segments leave it early"
        )
    else:
        findings.warning(
            f"cannot remove ranges of files: {CANNOT_PUNCH}",
            f"Files larger than the budget ({format_bytes(settings.temp_budget_bytes)}) are refused with"
            " TEMP_VOLUME_FAILED, and a file occupies the disk until it is ready. Use ext4, xfs, btrfs or tmpfs.",
        )


def judge_room(free_bytes: int, held_bytes: int, total_bytes: int, settings: Settings, findings: Findings) -> None:
    """Judge whether the disk can hold the budget: when it is empty, and now, with what is free or held by uploads. The
    headroom is subtracted from both."""
    capacity = total_bytes - settings.temp_headroom_bytes
    usable = free_bytes + held_bytes - settings.temp_headroom_bytes
    budget = format_bytes(settings.temp_budget_bytes)
    facts = f"{format_bytes(free_bytes)} free, {format_bytes(held_bytes)} held by uploads, budget {budget}"
    if usable <= 0:
        findings.error(f"no space: {facts}", "Free space on the disk, or lower SLUICE_TEMP_HEADROOM_BYTES.")
    elif capacity < settings.temp_budget_bytes:
        findings.warning(
            f"its budget is larger than the disk: {facts}, {format_bytes(total_bytes)} in total",
            f"Admission can use only {format_bytes(max(0, capacity))} of it. Lower SLUICE_TEMP_BUDGET_BYTES to that"
            " size, or use a larger disk.",
        )
    elif usable < settings.temp_budget_bytes:
        findings.warning(
            f"has less space than its budget: {facts}",
            f"Something else uses the disk. Admission can use only {format_bytes(usable)}; an upload that reserves more"
            " waits at the head of the queue and delays the uploads behind it. Free space on the disk, or lower"
            " SLUICE_TEMP_BUDGET_BYTES so that large files reserve less.",
        )
    else:
        findings.ok(facts)


def find_mount(path: Path, mounts: Iterable[str]) -> Mount:
    """The mount that holds `path`, from lines of /proc/self/mounts: the longest matching mount point, the later of two
    equal ones."""
    best = Mount("/", "unknown", "unknown")
    for line in mounts:
        source, point, kind, *_ = (field.replace("\\040", " ") for field in line.split(" "))
        if path.is_relative_to(point) and len(point) >= len(best.point):
            best = Mount(point, kind, source)
    return best
