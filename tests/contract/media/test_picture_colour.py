"""`picture` shows the colours that a viewer sees: matrices, ranges, profiles, wide gamuts and HDR."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from pipeline.adapters.media.inside.metadata import describe
from pipeline.adapters.media.inside.picture import picture
from schemas.media import Colour as Tags
from tests.harness.media_films import patches
from tests.harness.media_stills import coloured, grey, saved
from tests.harness.media_thumbnails import BLACK, BLUE, GREEN, RED, UPRIGHT, WHITE, shown

pytestmark = pytest.mark.contract

_COLOURS = np.array([(192, 128, 64), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (16, 16, 16)], np.uint16)


def seen(content: bytes, count: int, **tags: str) -> list[tuple[int, ...]]:
    """The colours in the middles of so many patches side by side."""
    metadata = describe(io.BytesIO(content), len(content))
    if tags:
        assert metadata.picture is not None
        stream = metadata.picture.model_copy(update={"colour": Tags(**tags)})
        metadata = metadata.model_copy(update={"streams": (stream,)})
    jpeg = picture(io.BytesIO(content), metadata, 640)
    assert jpeg is not None
    with Image.open(io.BytesIO(jpeg)) as image:
        pixels = np.asarray(image).astype(int)
    line = pixels[pixels.shape[0] // 2]
    return [tuple(line[round((number + 0.5) * len(line) / count)]) for number in range(count)]


def assert_near(found: list[tuple[int, ...]], expected: NDArray[np.uint16], tolerance: int) -> None:
    assert np.abs(np.array(found, int) - np.array(expected, int)).max() <= tolerance, found


@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv444p10le"])
@pytest.mark.parametrize("matrix_range", ["tv", "pc"])
@pytest.mark.parametrize(
    ("matrix", "name"), [("bt709", "bt709"), ("bt601", "smpte170m"), ("bt2020", "bt2020nc"), ("smpte240m", "smpte240m")]
)
def test_matrix_and_range_are_respected(matrix: str, name: str, matrix_range: str, pixel_format: str) -> None:
    content = patches(
        _COLOURS * 257,
        *("-vf", f"scale=out_color_matrix={matrix}:out_range={matrix_range},format={pixel_format}"),
        *("-c:v", "libx264", "-qp", "1", "-colorspace", name, "-color_range", matrix_range),
    )
    assert_near(seen(content, len(_COLOURS)), _COLOURS, 8)


def pq(nits: float) -> float:
    """SMPTE ST 2084: the code value of a level."""
    power = (nits / 10_000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def hdr(codes: list[tuple[float, float, float]], transfer: str) -> bytes:
    tags = f"colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    return patches(
        np.round(np.array(codes) * 65535).astype(np.uint16),
        *("-vf", "scale=out_color_matrix=bt2020:out_range=tv,format=yuv444p10le"),
        *("-c:v", "libx265", "-x265-params", f"log-level=none:lossless=1:{tags}"),
    )


def test_pq_is_tone_mapped() -> None:
    """White paper (203 cd/m2) is nearly white beside highlights, and middle grey keeps its level."""
    levels = (0.1, 26, 100, 203, 400, 1000)
    found = seen(hdr([(pq(nits),) * 3 for nits in levels], "smpte2084"), len(levels))
    greys = [sum(colour) / 3 for colour in found]
    assert greys == sorted(greys)
    assert greys[0] < 12
    assert 90 <= greys[1] <= 115
    assert 170 <= greys[2] <= 195
    assert 215 <= greys[3] <= 240
    assert greys[5] > 250


def test_hlg_is_tone_mapped() -> None:
    """HLG shows white paper at 75 % (ITU-R BT.2408)."""
    found = seen(hdr([(level,) * 3 for level in (0.0, 0.25, 0.5, 0.75, 1.0)], "arib-std-b67"), 5)
    greys = [sum(colour) / 3 for colour in found]
    assert greys == sorted(greys)
    assert greys[0] < 8
    assert 120 <= greys[2] <= 155
    assert 215 <= greys[3] <= 240
    assert greys[4] > 250


def test_hdr_keeps_its_hues() -> None:
    dark, bright = pq(0.01), pq(203)
    found = seen(hdr([(bright, dark, dark), (dark, bright, dark), (dark, dark, bright)], "smpte2084"), 3)
    assert_near(found, np.array([RED, GREEN, BLUE], np.uint16), 12)


def test_a_picture_without_highlights_uses_the_whole_range() -> None:
    assert_near(seen(hdr([(pq(203),) * 3] * 2, "smpte2084"), 2), np.array([WHITE] * 2, np.uint16), 3)


def _display_p3() -> bytes:
    """A profile with the primaries of Display P3."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    content = bytearray(profile.tobytes())
    columns = {b"rXYZ": (0.5151, 0.2412, -0.0011), b"gXYZ": (0.2920, 0.6922, 0.0419), b"bXYZ": (0.1571, 0.0666, 0.7841)}
    for number in range(int.from_bytes(content[128:132], "big")):
        entry = 132 + 12 * number
        if (values := columns.get(bytes(content[entry : entry + 4]))) is not None:
            at = int.from_bytes(content[entry + 4 : entry + 8], "big") + 8
            for offset, value in enumerate(values):
                content[at + 4 * offset : at + 4 * offset + 4] = round(value * 65536).to_bytes(4, "big", signed=True)
    return bytes(content)


@pytest.mark.parametrize(("form", "tolerance"), [("JPEG", 8), ("PNG", 5), ("TIFF", 5), ("WEBP", 8), ("AVIF", 8)])
def test_icc_profiles_are_converted(form: str, tolerance: int) -> None:
    """(180, 120, 80) of Display P3 is (188, 119, 73) in sRGB: more saturated than the same numbers."""
    image = Image.new("RGB", (320, 64), (180, 120, 80))
    content = saved(image, form, icc_profile=_display_p3(), quality=95)
    assert_near(seen(content, 1), np.array([(188, 119, 73)], np.uint16), tolerance)


def test_a_grey_image_with_a_profile_for_colours_stays_grey() -> None:
    content = saved(grey(), "PNG", icc_profile=_display_p3())
    assert shown(content).shows(((0, 0, 0), (85, 85, 85), (170, 170, 170), WHITE))


def test_a_damaged_profile_is_ignored() -> None:
    assert shown(saved(coloured(), "PNG", icc_profile=_display_p3()[:200])).shows(UPRIGHT)


def test_wide_gamuts_without_a_profile_are_converted() -> None:
    content = saved(Image.new("RGB", (320, 64), (180, 120, 80)), "PNG")
    assert_near(seen(content, 1, primaries="smpte432"), np.array([(188, 119, 73)], np.uint16), 5)
    assert_near(seen(content, 1, primaries="bt709"), np.array([(180, 120, 80)], np.uint16), 5)


def test_lab_is_converted() -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(coloured(), srgb, lab, outputMode="LAB")
    assert image is not None
    described = describe(io.BytesIO(saved(coloured(), "TIFF")), 1)
    assert shown(saved(image, "TIFF"), metadata=described).shows(UPRIGHT, 24)


def test_a_transparent_grey_of_16_bits_shows_on_white() -> None:
    image = Image.fromarray(np.zeros((240, 320), np.uint16))
    assert shown(saved(image, "PNG", transparency=0)).shows((WHITE,) * 4)
    assert shown(saved(image, "PNG", transparency=1)).shows((BLACK,) * 4)
