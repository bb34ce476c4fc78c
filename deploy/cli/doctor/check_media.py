"""Checks that ffprobe and ffmpeg exist, are new enough, run in the sandbox, and can do what the workers need."""

from __future__ import annotations

import asyncio
import base64
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deploy.cli.doctor.findings import Findings, Level
from pipeline.adapters.media.ffmpeg import FfmpegThumbnailer
from pipeline.adapters.media.ffprobe import FfprobeMediaProbe
from pipeline.adapters.media.sandbox import Sandbox
from pipeline.core.errors import SluiceError
from pipeline.settings import Settings

OLDEST_VERSION = (7, 1)
"""The first with stream groups (HEIC grids) and with standard input through `fd:`."""
SAFE_PLAYLISTS_VERSION = (8, 1, 3)
"""The first whose checks of HLS playlists have no known bypass."""

_TINY_GIF = base64.b64decode("R0lGODdhAgACAIAAAAAAAP///ywAAAAAAgACAAACAoRRADs=")

_JPEG = b"\xff\xd8\xff"
_INSTALL = "Install a complete build of ffmpeg, and set SLUICE_FFMPEG and SLUICE_FFPROBE to it."


async def check_media(settings: Settings, findings: Findings) -> None:
    """Run each with -version, then both on a picture of four pixels in the workers' sandbox, and check what ffmpeg was
    built with."""
    for executable, name in ((settings.ffprobe, "ffprobe"), (settings.ffmpeg, "ffmpeg")):
        await _check_version(executable, name, findings)
    if any(finding.level is Level.ERROR for finding in findings.all):
        return
    sandbox = Sandbox()
    confinement = await sandbox.confinement()
    if confinement.complete:
        findings.ok(f"confined: {confinement.describe()}")
    else:
        findings.warning(
            f"only partly confined: {confinement.describe()}",
            "Install util-linux (prlimit, setpriv, unshare). In a container, allow user namespaces.",
        )
    with tempfile.TemporaryDirectory(prefix="sluice-doctor-") as directory:
        picture = Path(directory) / "picture.gif"
        picture.write_bytes(_TINY_GIF)
        try:
            probe = FfprobeMediaProbe(settings.ffprobe, settings.probe_timeout_seconds, sandbox)
            metadata = await probe.probe(picture)
            thumbnailer = FfmpegThumbnailer(settings.ffmpeg, settings.thumbnail_timeout_seconds, sandbox)
            thumbnail = await thumbnailer.thumbnail(picture, metadata)
            missing = await thumbnailer.missing_abilities()
        except SluiceError as error:
            findings.error(f"cannot read a simple picture: {error}", _INSTALL)
            return
    if thumbnail is None or not thumbnail.startswith(_JPEG):
        findings.error("makes no thumbnail of a simple picture", _INSTALL)
    else:
        findings.ok("reads a picture and makes a thumbnail of it")
    judge_abilities(missing, findings)


async def _check_version(executable: str, name: str, findings: Findings) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            executable,
            "-version",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        findings.error(
            f"{name} cannot be run: {error.strerror} ({executable})",
            f"Install ffmpeg, or set SLUICE_{name.upper()} to the executable.",
        )
        return
    output, _ = await process.communicate()
    judge_version(name, output.decode("utf-8", "replace").partition("\n")[0], findings)


def judge_abilities(missing: Sequence[str], findings: Findings) -> None:
    """Judge what this build of ffmpeg lacks, as `FfmpegThumbnailer.missing_abilities` names it."""
    filters = [ability for ability in missing if ability.startswith("filter ")]
    readers = [ability for ability in missing if ability not in filters]
    if readers:
        findings.warning(
            f"this ffmpeg lacks: {', '.join(readers)}",
            f"Files that need one of them are accepted but get no thumbnail. {_INSTALL}",
        )
    if filters:
        findings.warning(
            f"this ffmpeg lacks: {', '.join(filters)}", f"Thumbnails of HDR files have wrong colours. {_INSTALL}"
        )
    if not missing:
        findings.ok("has every decoder and filter that common files need")


def judge_version(name: str, line: str, findings: Findings) -> None:
    """Judge the first line of `ffmpeg -version`. A build from git has no number and counts as new."""
    number = re.search(r"version n?(\d+(?:\.\d+)+)", line)
    if not line.startswith(f"{name} version"):
        findings.error(f"SLUICE_{name.upper()} does not name {name}", f"Set it to the {name} executable.")
        return
    if number is None:
        findings.ok(line)
        return
    version = tuple(int(part) for part in number[1].split("."))
    if version < OLDEST_VERSION:
        findings.error(f"{name} {number[1]}", f"Sluice needs {'.'.join(map(str, OLDEST_VERSION))} or newer.")
    elif version < SAFE_PLAYLISTS_VERSION:
        findings.warning(
            f"{name} {number[1]}: its checks of playlists can be bypassed",
            "Sluice itself rejects playlist formats (HLS, DASH, concat), so this alone cannot be exploited. Update to"
            f" {'.'.join(map(str, SAFE_PLAYLISTS_VERSION))} when you can, to have both protections.",
        )
    else:
        findings.ok(f"{name} {number[1]}")
