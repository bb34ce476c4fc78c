"""Converts frames of PyAV to scaled images.

Guarantee: the image has the asked size and mode RGB and is sRGB. The matrix and the range of the frame are respected.

Moving pictures without a stated matrix are BT.709 from 720 lines on and BT.601 below, as players assume.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation
from numpy.typing import NDArray
from PIL import Image

from pipeline.adapters.media.inside.picture_colour import UNSPECIFIED, Tagged, in_srgb
from pipeline.adapters.media.inside.picture_light import is_hdr, standard_range

_SWSCALE_MATRIX = {  # ITU-T H.273 -> swscale; BT.2020 with constant luminance is treated as the common one
    1: int(Colorspace.ITU709),
    4: int(Colorspace.FCC),
    5: int(Colorspace.ITU601),
    6: int(Colorspace.ITU601),
    7: int(Colorspace.SMPTE240M),
    9: int(Colorspace.BT2020),
    10: int(Colorspace.BT2020),
}
_RANGES = {None: None, True: ColorRange.JPEG, False: ColorRange.MPEG}
Size = tuple[int, int]
_HIGH_DEFINITION_LINES = 720
STILL_LINES = 2**31
"""Still pictures without a stated matrix are BT.601 at any size, like JPEG."""

_SCALING = Interpolation.AREA | Interpolation.ACCURATE_RND


def image_of_frame(frame: VideoFrame, size: Size, *, hdr: bool, still: bool) -> Image.Image:
    """A frame of a moving or still picture. `hdr`: the file declares HDR, for frames without a stated transfer."""
    tagged = Tagged(frame.color_primaries, frame.color_trc, frame.colorspace)
    if hdr and tagged.transfer == UNSPECIFIED:
        tagged = Tagged(int(ColorPrimaries.BT2020), int(ColorTrc.SMPTE2084), frame.colorspace)
    pixels = pixels_of_frame(frame, size, tagged, STILL_LINES if still else _HIGH_DEFINITION_LINES)
    return image_of_pixels(pixels, tagged)


def pixels_of_frame(frame: VideoFrame, size: Size, tagged: Tagged, high_definition_lines: int) -> NDArray[Any]:
    """The scaled frame as RGB or RGBA in full range: 16 bits for HDR, 8 bits otherwise. From so many lines on, a matrix
    that is not stated is BT.709."""
    width, height = size
    alpha = frame.format.name == "pal8" or any(component.is_alpha for component in frame.format.components)
    layout = ("rgba", "rgba64le") if alpha else ("rgb24", "rgb48le")
    unstated = Colorspace.ITU709 if frame.height >= high_definition_lines else Colorspace.ITU601
    pixels = frame.reformat(
        width,
        frame.height if frame.interlaced_frame else height,
        layout[is_hdr(tagged.transfer)],
        src_colorspace=int(unstated) if tagged.matrix == UNSPECIFIED else _SWSCALE_MATRIX.get(tagged.matrix),
        src_color_range=_RANGES[tagged.full_range],
        dst_color_range=ColorRange.JPEG,
        interpolation=_SCALING,
        threads=1,
    ).to_ndarray()
    if not frame.interlaced_frame:
        return pixels
    return _one_field(pixels, height)


def image_of_pixels(pixels: NDArray[Any], tagged: Tagged) -> Image.Image:
    """What `pixels_of_frame` returns, as sRGB."""
    if is_hdr(tagged.transfer):
        alpha = (pixels[..., 3:] >> 8).astype(np.uint8)
        standard = standard_range(pixels[..., :3], tagged.transfer, tagged.primaries)
        pixels, tagged = np.concatenate([standard, alpha], axis=-1), Tagged()
    return in_srgb(Image.fromarray(np.ascontiguousarray(pixels)), tagged)


def _one_field(pixels: NDArray[Any], height: int) -> NDArray[Any]:
    """`height` lines from every second line of an interlaced frame: its two fields are two moments, which show as
    combs."""
    field = pixels[::2]
    at = np.clip((np.arange(height) + 0.5) * len(field) / height - 0.5, 0, len(field) - 1)
    above = at.astype(np.intp)
    below = np.minimum(above + 1, len(field) - 1)
    share = (at - above)[:, None, None]
    return (field[above] * (1 - share) + field[below] * share + 0.5).astype(pixels.dtype)
