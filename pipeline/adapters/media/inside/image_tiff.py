"""TIFF: the orientation in the first directory, which may lie anywhere in the file (TIFF 6.0, section 2)."""

from __future__ import annotations

from typing import BinaryIO, Literal

from pipeline.adapters.media.inside.image_header import ImageHeader
from pipeline.adapters.media.inside.iso_boxes import read_at
from pipeline.adapters.media.inside.orientation import UPRIGHT, of_directory

SIGNATURES = (b"II*\0", b"MM\0*")


def read_tiff(file: BinaryIO) -> ImageHeader:
    """The header."""
    head = read_at(file, 0, 8)
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    at = int.from_bytes(head[4:8], order)
    entries = int.from_bytes(read_at(file, at, 2), order)
    found = of_directory(read_at(file, at + 2, 12 * min(entries, 4096)), "<" if order == "little" else ">")
    return ImageHeader(orientation=found or UPRIGHT)
