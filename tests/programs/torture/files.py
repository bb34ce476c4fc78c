"""The bytes of each upload: media samples with something behind them that makes each unlike all others.

Guarantee: the same planned upload gives the same bytes. What is said to be media is media to ffprobe, however long its
tail; what is said not to be is text, zeros or a single byte.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.harness.media_samples import sample
from tests.programs.torture.schedule import Fate, PlannedUpload

_BOXED = {"mp4": "video/mp4", "mp4_faststart": "video/mp4", "mov": "video/quicktime", "m4a": "audio/mp4"}
_TAILED = {"jpeg": "image/jpeg", "png": "image/png"}


@dataclass(frozen=True, slots=True)
class File:
    """What a client has on its disk."""

    name: str
    content_type: str
    data: bytes


def make_file(upload: PlannedUpload, scale: int) -> File:
    """The file of `upload`, at least 1 byte long, `scale` times as large as planned."""
    dice = random.Random(upload.seed)
    extra_bytes = upload.extra_bytes * scale
    if upload.fate is Fate.NOT_MEDIA:
        return _no_media(upload.number, extra_bytes, dice)
    kind = dice.choice([*_BOXED, *_TAILED])
    head = sample(kind).read_bytes()
    if kind in _BOXED:  # ISO/IEC 14496-12, 8.1.2: a box of type `free` may stand anywhere and is passed over
        tail = (8 + extra_bytes).to_bytes(4, "big") + b"free" + dice.randbytes(extra_bytes)
    else:  # what follows an image must not look like more of it
        tail = f"{upload.number}".encode().rjust(extra_bytes, b"\0")
    return File(f"{upload.number}-{kind}", (_BOXED | _TAILED)[kind], head + tail)


def _no_media(number: int, size_bytes: int, dice: random.Random) -> File:
    text = f"Upload {number} is no film.\n".encode()
    data = dice.choice([b"\0", text * (size_bytes // len(text) + 1)])
    return File(f"{number}-no-media.mp4", "video/mp4", data.ljust(size_bytes, b"\0"))
