"""Light: the transfer functions of PQ, HLG and sRGB, and the mapping of HDR and wide gamuts to sRGB.

Guarantee: pure arithmetic on arrays. HDR is mapped by the curve of ITU-R BT.2390, 5.4, on the largest component, which
keeps the hue. White paper (203 cd/m2, ITU-R BT.2408) becomes white in a picture without brighter parts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc
from numpy.typing import NDArray

Array = NDArray[np.float32]

_REFERENCE_WHITE_NITS = 203.0
_PEAK_NITS = 10_000.0
_HIGHLIGHT_SHARE = 0.998  # of the pixels; what is brighter than those may be clipped

# Linear RGB of other primaries -> linear RGB of BT.709 (ITU-R BT.2087 for BT.2020, SMPTE EG 432-1 for P3)
_TO_BT709 = {
    int(ColorPrimaries.BT2020): ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    int(ColorPrimaries.SMPTE432): ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)),
    int(ColorPrimaries.SMPTE431): ((1.1575, -0.1549, -0.0026), (-0.0415, 1.0453, -0.0038), (-0.0181, -0.0785, 1.0966)),
}


def is_hdr(transfer: int) -> bool:
    """Whether this transfer (ITU-T H.273) is PQ or HLG."""
    return transfer in (int(ColorTrc.SMPTE2084), int(ColorTrc.ARIB_STD_B67))


def is_wide(primaries: int) -> bool:
    """Whether colours of these primaries (ITU-T H.273) need a conversion."""
    return primaries in _TO_BT709


def standard_range(pixels: NDArray[Any], transfer: int, primaries: int) -> NDArray[np.uint8]:
    """RGB code values (8 or 16 bits, full range) of PQ, HLG or a wide gamut as 8-bit sRGB. `transfer` and `primaries`
    are code points of ITU-T H.273."""
    if transfer == int(ColorTrc.SMPTE2084):
        nits = _through(_pq_nits, pixels)
    elif transfer == int(ColorTrc.ARIB_STD_B67):
        nits = _hlg_nits(_through(_hlg_scene, pixels))
    else:
        linear = _through(_srgb_linear, pixels)
        return _encoded(_bt709(linear, primaries))
    largest = np.max(nits, axis=-1)
    rank = int((largest.size - 1) * _HIGHLIGHT_SHARE)
    peak = max(_REFERENCE_WHITE_NITS, float(np.partition(largest, rank, axis=None)[rank]))
    gain = _rolled_off(largest, peak) / np.maximum(largest, 1e-6)
    return _encoded(_bt709(nits * gain[..., None] / _REFERENCE_WHITE_NITS, primaries))


def _through(function: Callable[[Array], Array], pixels: NDArray[Any]) -> Array:
    """`function` of each code value, by a table."""
    levels = 256 if pixels.dtype == np.uint8 else 65536
    table = function(np.linspace(0, 1, levels, dtype=np.float32)).astype(np.float32)
    result: Array = table[pixels]
    return result


def _pq_nits(code: Array) -> Array:
    """ITU-R BT.2100, table 4: the EOTF of PQ."""
    power = np.power(code.astype(np.float64), 32 / 2523)
    linear = np.maximum(power - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * power)
    result: Array = (_PEAK_NITS * np.power(linear, 8192 / 1305)).astype(np.float32)
    return result


def _pq_code(nits: NDArray[Any] | float) -> NDArray[Any]:
    """The inverse of `_pq_nits`."""
    power = np.power(np.maximum(nits, 0) / _PEAK_NITS, 1305 / 8192)
    return np.asarray(np.power((107 / 128 + 2413 / 128 * power) / (1 + 2392 / 128 * power), 2523 / 32))


def _hlg_scene(code: Array) -> Array:
    """ITU-R BT.2100, table 5: the inverse OETF of HLG."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    result: Array = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    return result


def _hlg_nits(scene: Array) -> Array:
    """ITU-R BT.2100, table 5: the OOTF for a display of 1,000 cd/m2."""
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593], np.float32)
    result: Array = 1000 * scene * np.power(np.maximum(luminance, 1e-6), 0.2)[..., None]
    return result


def _rolled_off(nits: Array, peak: float) -> Array:
    """ITU-R BT.2390, 5.4.1: levels up to `peak` on a display of 203 cd/m2; dark and middle levels stay."""
    top = float(_pq_code(peak))
    largest = float(_pq_code(_REFERENCE_WHITE_NITS)) / top
    knee = 1.5 * largest - 0.5
    code = np.minimum(_pq_code(nits) / top, 1).astype(np.float32)
    if knee < 1:
        t = np.clip((code - knee) / (1 - knee), 0, 1)
        curve = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * largest
        code = np.where(code < knee, code, curve)
    return _pq_nits(code * top)


def _bt709(linear: Array, primaries: int) -> Array:
    matrix = _TO_BT709.get(primaries)
    return linear if matrix is None else linear @ np.array(matrix, np.float32).T


def _srgb_linear(code: Array) -> Array:
    result: Array = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    return result


def _encoded(linear: Array) -> NDArray[np.uint8]:
    """IEC 61966-2-1: 8-bit sRGB of linear light, clipped."""
    table = _srgb_table()
    result: NDArray[np.uint8] = table[(np.clip(linear, 0, 1) * (len(table) - 1) + 0.5).astype(np.int32)]
    return result


@cache
def _srgb_table() -> NDArray[np.uint8]:
    linear = np.linspace(0, 1, 4096)
    code = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (code * 255 + 0.5).astype(np.uint8)
