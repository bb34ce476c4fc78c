"""The temp volume: there, writable, able to set bytes aside, and large enough for its budget."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deploy.cli.doctor.findings import Findings
from deploy.cli.wording import say_bytes
from pipeline.adapters.volume.disk import fallocate
from pipeline.adapters.volume.temp_volume import DirectoryTempVolume
from pipeline.settings import Settings

_PROBE_BYTES = 1024 * 1024
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_OVER_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse.s3fs"})


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a directory is mounted from."""

    point: str
    kind: str
    source: str


async def check_temp_volume(settings: Settings, findings: Findings) -> None:
    """Makes one probe file and removes it."""
    if await asyncio.to_thread(_check_directory, settings, findings):
        volume = DirectoryTempVolume(settings.volume, settings.temp_dir)
        held_bytes = sum(size_bytes for size_bytes, _ in (await volume.list()).values())
        judge_room(await volume.free_bytes(), held_bytes, await volume.total_bytes(), settings, findings)


def _check_directory(settings: Settings, findings: Findings) -> bool:
    """False: there is none, and nothing more to be said."""
    directory = settings.temp_dir
    if not directory.is_dir():
        findings.error(
            f"{directory} is no directory" if directory.exists() else f"{directory} is not there",
            "Make it, or mount the volume there, for Sluice's user; SLUICE_TEMP_DIR names it.",
        )
        return False
    mount = find_mount(directory.resolve(), Path("/proc/self/mounts").read_text().splitlines())
    findings.ok(
        f"{directory} is on {mount.source} ({mount.kind}, mounted at {mount.point}); every gateway and disk-bound"
        f" worker of SLUICE_VOLUME={settings.volume} must see this same directory"
    )
    if mount.kind in _IN_MEMORY:
        findings.warning("is in memory", "A restart of the machine loses what is under way.")
    if mount.kind in _OVER_NETWORK:
        findings.warning("is on a network filesystem", "Every byte crosses the network again: a local disk is faster.")
    _check_writable(directory, findings)
    return True


def _check_writable(directory: Path, findings: Findings) -> None:
    probe = directory / f".doctor-{secrets.token_hex(8)}"
    try:
        descriptor = os.open(probe, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        findings.error(
            f"cannot be written to: {error.strerror}",
            f"Run this as the user that Sluice runs as; make {directory} writable for it.",
        )
        return
    try:
        try:
            fallocate(descriptor, _PROBE_BYTES)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
                findings.error(
                    f"cannot set {say_bytes(_PROBE_BYTES)} aside: {error.strerror}", "Is it full, or over a quota?"
                )
                return
            findings.warning(
                "can be written to, but cannot set bytes aside (fallocate)",
                "Every file is written twice, and the disk can fill up under it: use ext4, xfs, btrfs or tmpfs.",
            )
        else:
            findings.ok("can be written to, and sets bytes aside (fallocate)")
    finally:
        os.close(descriptor)
        probe.unlink()


def judge_room(free_bytes: int, held_bytes: int, total_bytes: int, settings: Settings, findings: Findings) -> None:
    """Whether the disk can hold the budget: ever, if it were empty; and now, with what is free and what uploads hold
    already. Both without the headroom."""
    capacity = total_bytes - settings.temp_headroom_bytes
    usable = free_bytes + held_bytes - settings.temp_headroom_bytes
    budget = say_bytes(settings.temp_budget_bytes)
    facts = f"{say_bytes(free_bytes)} free, {say_bytes(held_bytes)} held by uploads, budget {budget}"
    if usable <= 0:
        findings.error(f"no room: {facts}", "Free the disk, or lower SLUICE_TEMP_HEADROOM_BYTES.")
    elif capacity < settings.temp_budget_bytes:
        findings.warning(
            f"its budget is more than the disk can ever give: {facts}, {say_bytes(total_bytes)} in all",
            f"Uploads above {say_bytes(capacity)} are refused, whatever the budget says. Lower"
            " SLUICE_TEMP_BUDGET_BYTES to that, or take a larger disk.",
        )
    elif usable < settings.temp_budget_bytes:
        findings.warning(
            f"smaller than its budget: {facts}",
            f"Something else fills the disk. Admission hands out what is left, {say_bytes(usable)}; a larger upload"
            " waits at the head of the queue, and holds up those behind it. Free the disk, or lower"
            " SLUICE_TEMP_BUDGET_BYTES, so that what does not fit is refused at once.",
        )
    else:
        findings.ok(facts)


def find_mount(path: Path, mounts: Iterable[str]) -> Mount:
    """The mount that holds `path`, from lines as in /proc/self/mounts;

    the longest matching mount point, the later of two.
    """
    best = Mount("/", "unknown", "unknown")
    for line in mounts:
        source, point, kind, *_ = (field.replace("\\040", " ") for field in line.split(" "))
        if path.is_relative_to(point) and len(point) >= len(best.point):
            best = Mount(point, kind, source)
    return best
