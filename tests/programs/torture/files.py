"""The bytes of each upload: media samples, each with a tail that makes the file unique.

Guarantee: the same planned upload gives the same bytes. A media file is recognized by ffprobe however long its tail;
a file that is not media consists of text, zeros or a single byte.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.harness.media_samples import sample
from tests.programs.torture.schedule import PlannedUpload, Scenario

INDEX_LAST = ("mp4", "mov", "m4a")
_BOXED = {"mp4": "video/mp4", "mp4_faststart": "video/mp4", "mov": "video/quicktime", "m4a": "audio/mp4"}
_TAILED = {"jpeg": "image/jpeg", "png": "image/png"}
_GAP_PROBABILITY = 0.5


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
        if kind in INDEX_LAST and dice.random() < _GAP_PROBABILITY:
            return File(f"{upload.number}-{kind}", _BOXED[kind], with_gap(head, tail))
    else:  # bytes after an image must not look like image data
        tail = f"{upload.number}".encode().rjust(extra_bytes, b"\0")
    return File(f"{upload.number}-{kind}", (_BOXED | _TAILED)[kind], head + tail)


def with_gap(data: bytes, gap: bytes) -> bytes:
    """The file with `gap` in front of its `mdat` box, so that its index is far behind, in the last segment."""
    at = data.index(b"mdat") - 4
    patched = bytearray(data)
    place = data.find(b"stco", at)
    while place >= 0:  # the offsets of chunks in the file (ISO/IEC 14496-12, 8.7.5)
        count = int.from_bytes(data[place + 8 : place + 12], "big")
        for entry in range(place + 12, place + 12 + 4 * count, 4):
            moved = int.from_bytes(data[entry : entry + 4], "big") + len(gap)
            patched[entry : entry + 4] = moved.to_bytes(4, "big")
        place = data.find(b"stco", place + 4)
    return bytes(patched[:at]) + gap + bytes(patched[at:])


def _not_media(number: int, size_bytes: int, dice: random.Random) -> File:
    text = f"Upload {number} is not a film.\n".encode()
    data = dice.choice([b"\0", text * (size_bytes // len(text) + 1)])
    return File(f"{number}-not-media.mp4", "video/mp4", data.ljust(size_bytes, b"\0"))
