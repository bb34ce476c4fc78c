"""Converts scaled pictures of any colour to sRGB on white.

Guarantee: the image has mode RGB. HDR (PQ and HLG) is tone-mapped, ICC profiles and wide gamuts are converted, and
transparent pixels are shown on white.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from pipeline.adapters.media.inside.picture_light import is_hdr, is_wide, standard_range

UNSPECIFIED = 2


@dataclass(frozen=True, slots=True)
class Tagged:
    """What the file says about its colours: code points of ITU-T H.273, and an ICC profile, which precedes them. A
    range of None is not stated."""

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    full_range: bool | None = None
    profile: bytes | None = None


def in_srgb(image: Image.Image, tagged: Tagged) -> Image.Image:
    """An image in mode L, RGB, RGBA, CMYK or LAB as sRGB in mode RGB."""
    if image.mode != "RGBA":
        return _converted(image, tagged)
    paper = Image.new("RGB", image.size, "white")
    paper.paste(_converted(image.convert("RGB"), tagged), mask=image.getchannel("A"))
    return paper


def _converted(image: Image.Image, tagged: Tagged) -> Image.Image:
    if is_hdr(tagged.transfer) or (tagged.profile is None and is_wide(tagged.primaries)):
        pixels = np.asarray(image.convert("RGB"))
        return Image.fromarray(standard_range(pixels, tagged.transfer, tagged.primaries), "RGB")
    if tagged.profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(tagged.profile))
            converted = ImageCms.profileToProfile(image, source, _srgb(), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # it is damaged, or for another kind of image
            converted = None
        if converted is not None:
            return converted
    if image.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(image, lab, _srgb(), outputMode="RGB") or image.convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")  # which would copy it


@cache
def _srgb() -> Any:
    return ImageCms.createProfile("sRGB")
