"""Small files that cost a lot to read. Each occupied a worker for a long time, or did so in another parser. They are
made once per test session."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Mapping

from tests.harness.media_samples import directory, sample
from tests.harness.media_stills import interlaced_png
from tests.harness.session import made_once

_TAGS = 100_000
_VOIDS = 230_000
_VOIDS_PER_CLUSTER = 4000


def flac_with_tags() -> bytes:
    """100,000 tags in a FLAC of 1.2 MB (RFC 9639, 8.6)."""
    tags = b"".join(struct.pack("<I", 7) + b"T%05d=" % number for number in range(_TAGS))
    comment = struct.pack("<I", 0) + struct.pack("<I", _TAGS) + tags
    flac = sample("flac").read_bytes()
    stream_info = flac[4 : 4 + 4 + 34]
    last = bytes([0x80 | 4]) + len(comment).to_bytes(3, "big") + comment
    audio = flac[_audio_start(flac) :]
    return b"fLaC" + bytes([stream_info[0] & 0x7F]) + stream_info[1:] + last + audio


def webm_with_voids() -> bytes:
    """A live WebM of 2.1 MB whose clusters consist of Void elements in Void elements (RFC 8794, 11.3.2): each reaches
    to the end of the file."""
    head = sample("webm_recorder").read_bytes()
    clusters = []
    left_bytes = _VOIDS * 9
    for number in range(_VOIDS):
        left_bytes -= 9
        if number % _VOIDS_PER_CLUSTER == 0:
            clusters.append(b"\x1f\x43\xb6\x75\x01" + b"\xff" * 7 + b"\xe7\x81\x00")  # of unknown length
        clusters.append(b"\xec\x01" + left_bytes.to_bytes(7, "big"))
    return head[: head.find(b"\x1f\x43\xb6\x75")] + b"".join(clusters)


def png_of_16000() -> bytes:
    """An interlaced PNG of 16,000 x 16,000."""
    return interlaced_png(16_000, 16_000)


def _audio_start(flac: bytes) -> int:
    at = 4
    while True:
        is_last, length = flac[at] & 0x80, int.from_bytes(flac[at + 1 : at + 4], "big")
        at += 4 + length
        if is_last:
            return at


def _kept(make: Callable[[], bytes]) -> bytes:
    return made_once(directory() / make.__name__, lambda path: path.write_bytes(make())).read_bytes()


EXPENSIVE: Mapping[str, Callable[[], bytes]] = {
    make.__name__: functools.partial(_kept, make) for make in (flac_with_tags, webm_with_voids, png_of_16000)
}
