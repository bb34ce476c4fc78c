"""The intact files that a hostile run damages, and scripts and playlists that refer to the canaries."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from tests.harness.media_corpus import corpus_files
from tests.harness.media_expensive import EXPENSIVE
from tests.harness.media_films import film, heic_sequence
from tests.harness.media_samples import NAMES, playlists, sample
from tests.harness.media_stills import COLOURED, GREY, TRANSLUCENT, interlaced_png
from tests.programs.hostile.canaries import Canaries

_FILMS = ("ogg_theora", "asf_wmv2", "prores", "av1_10_bits", "vp9", "flash_screen", "ffv1", "motion_jpeg", "odd_size")
_COVERS = ("m4a_png_cover", "mp3_png_cover", "flac_png_cover")
_TOO_LARGE = 3 * 1024 * 1024


def load(canaries: Canaries) -> Mapping[str, bytes]:
    """All of them by name."""
    files = {name: sample(name).read_bytes() for name in NAMES}
    for group, makers in (("coloured", COLOURED), ("translucent", TRANSLUCENT), ("grey", GREY)):
        files |= {f"{group}_{name}": make() for name, make in makers.items()}
    files |= {name: film(name) for name in (*_FILMS, *_COVERS)}
    files |= {"heic_sequence": heic_sequence(), "png_interlaced_large": interlaced_png(6400, 6400)}
    for target in (str(canaries.path), f"file:{canaries.path}", canaries.address):
        files |= {f"{name}_{target}": content for name, content in playlists(target).items()}
        files[f"mov_{target}"] = _referring(sample("mov").read_bytes(), target)
    files |= {f"corpus_{name}": path.read_bytes() for name, path in corpus_files().items()}
    files |= {name: make() for name, make in EXPENSIVE.items()}
    return {name: content for name, content in files.items() if 0 < len(content) < _TOO_LARGE}


def _referring(mov: bytes, target: str) -> bytes:
    """A movie whose samples are in another file (ISO/IEC 14496-12, 8.7.2: a data entry that is not self-contained)."""
    place = target.encode() + b"\0"
    for name in (b"alis", b"url "):
        at = mov.find(name + b"\0\0\0\1")
        if at >= 4:
            entry = struct.pack(">I4sI", 12 + len(place), b"url ", 0) + place
            return mov[: at - 4] + entry + mov[at + 8 :]
    raise ValueError("the movie has no data reference")
