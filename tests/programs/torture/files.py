"""The bytes of each upload: media samples, each with a tail that makes the file unique.

Guarantee: the same planned upload gives the same bytes. A media file is recognized by ffprobe however long its tail;
a file that is not media consists of text, zeros or a single byte.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.harness.media_samples import sample
from tests.programs.torture.schedule import PlannedUpload, Scenario

_BOXED = {"mp4": "video/mp4", "mp4_faststart": "video/mp4", "mov": "video/quicktime", "m4a": "audio/mp4"}
_TAILED = {"jpeg": "image/jpeg", "png": "image/png"}


@dataclass(frozen=True, slots=True)
class File:
    """A file on the client's disk."""

    name: str
    content_type: str
    data: bytes


def make_file(upload: PlannedUpload, scale: int) -> File:
    """The file of `upload`, at least 1 byte long, with `scale` times the planned extra bytes."""
    dice = random.Random(upload.seed)
    extra_bytes = upload.extra_bytes * scale
    if upload.scenario is Scenario.NOT_MEDIA:
        return _not_media(upload.number, extra_bytes, dice)
    kind = dice.choice([*_BOXED, *_TAILED])
    head = sample(kind).read_bytes()
    if kind in _BOXED:  # ISO/IEC 14496-12, 8.1.2: a `free` box may be placed anywhere and is ignored
        tail = (8 + extra_bytes).to_bytes(4, "big") + b"free" + dice.randbytes(extra_bytes)
    else:  # bytes after an image must not look like image data
        tail = f"{upload.number}".encode().rjust(extra_bytes, b"\0")
    return File(f"{upload.number}-{kind}", (_BOXED | _TAILED)[kind], head + tail)


def _not_media(number: int, size_bytes: int, dice: random.Random) -> File:
    text = f"Upload {number} is not a film.\n".encode()
    data = dice.choice([b"\0", text * (size_bytes // len(text) + 1)])
    return File(f"{number}-not-media.mp4", "video/mp4", data.ljust(size_bytes, b"\0"))
