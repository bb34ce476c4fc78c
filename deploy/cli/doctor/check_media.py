"""Checks the media reader: whether its sandbox works on this machine, and whether it reads a picture."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

from deploy.cli.doctor.findings import Findings
from pipeline.adapters.media.reader import ReaderRules, SandboxedReader
from pipeline.core.errors import SluiceError
from pipeline.settings import Settings

_TINY_GIF: Final = base64.b64decode("R0lGODdhAgACAIAAAAAAAP///ywAAAAAAgACAAACAoRRADs=")
_INSTALL: Final = "Install Sluice and what it requires once more: the media libraries come with it."
_ALLOW: Final = (
    "Install libseccomp 2.5 (Debian: libseccomp2), and allow seccomp filters and a change of user in the container."
)


class _Picture:
    """A `ByteSource` of four pixels."""

    size_bytes = len(_TINY_GIF)

    async def read(self, offset: int, length: int) -> bytes:
        return _TINY_GIF[offset : offset + length]


async def check_media(settings: Settings, findings: Findings) -> None:
    """Start the reader as a worker does, and read a picture of four pixels in its sandbox."""
    rules = ReaderRules(required=False, memory_bytes=settings.media_memory_bytes)
    try:
        async with SandboxedReader(rules) as reader:
            judge_gaps(reader.gaps, settings.media_confinement == "required", findings)
            reading = await reader.read(_Picture())
    except SluiceError as error:
        findings.error(f"cannot read a simple picture: {error.message}", _INSTALL)
        return
    if reading.frame is None or reading.frame.jpeg is None:
        findings.error("makes no thumbnail of a simple picture", _INSTALL)
    else:
        findings.ok("reads a picture and makes a thumbnail of it")


def judge_gaps(gaps: Sequence[str], required: bool, findings: Findings) -> None:
    """Judge what the self-test of the sandbox has found missing."""
    if not gaps:
        findings.ok("sandboxed: opens no files, no sockets, starts no processes, bounded memory and CPU time")
        return
    what = f"the sandbox is incomplete: {'; '.join(gaps)}"
    if required:
        findings.error(what, f"Probe and thumbnail workers do not start. {_ALLOW}")
    else:
        findings.warning(what, f"A hostile file may do harm on this machine. {_ALLOW}")
