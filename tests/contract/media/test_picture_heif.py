"""`picture` of HEIF items: overlays, damaged compositions, and limits."""

from __future__ import annotations

import io

import pytest

from pipeline.adapters.media.inside.heif_items import read_items
from pipeline.adapters.media.inside.picture_heif import heif_picture
from tests.harness.media_heif import heif
from tests.harness.media_samples import QUARTERS, coded_picture, sample
from tests.harness.media_thumbnails import BLUE, GREEN, RED, WHITE, shown, thumbnail

pytestmark = pytest.mark.contract

_CODECS = ("hevc", "av1")
_GREY = (128, 128, 128)


@pytest.mark.parametrize("codec", _CODECS)
def test_an_overlay_shows_its_parts_where_they_belong(codec: str) -> None:
    """Tiles of 160 x 128 on a canvas of 400 x 400; the third one covers the second one, the fourth is cut off."""
    tiles = [coded_picture(codec, colour) for colour in QUARTERS]
    content = heif(tiles, size=(400, 400), overlaid=[(20, 20), (220, 20), (240, 40), (-100, 300)])
    found = shown(content)
    assert found.size == (400, 400)
    assert found.shows((RED, BLUE, _GREY, _GREY)), found.quarters
    content = heif(tiles, size=(400, 400), overlaid=[(20, 20), (220, 20), (-100, 250), (320, 250)])
    found = shown(content)
    assert found.shows((RED, GREEN, _GREY, _GREY)), found.quarters


@pytest.mark.parametrize("codec", _CODECS)
def test_the_composition_is_that_of_the_library(codec: str) -> None:
    """The items of an AVIF, which Pillow composes too."""
    tiles = [coded_picture(codec, colour) for colour in QUARTERS]
    content = heif(tiles, columns=2, size=(310, 250))
    image = heif_picture(io.BytesIO(content), len(content), (310, 250))
    assert image is not None
    assert image.size == (310, 250)
    at = ((77, 62), (232, 62), (77, 187), (232, 187))
    for point, colour in zip(at, (RED, GREEN, BLUE, WHITE), strict=True):
        seen = image.getpixel(point)
        assert isinstance(seen, tuple)
        assert all(abs(one - other) <= 8 for one, other in zip(seen, colour, strict=True)), seen


@pytest.mark.parametrize("table", [b"iloc", b"ipma", b"ipco", b"iinf", b"iref", b"pitm", b"idat", b"hvcC", b"ispe"])
def test_a_damaged_table_gives_a_picture_or_none(table: bytes) -> None:
    content = sample("heic_grid").read_bytes()
    at = content.find(table)
    for offset in range(4, 24):
        for value in (0, 0x7F, 0xFF):
            damaged = bytearray(content)
            damaged[at + offset] = value
            image = heif_picture(io.BytesIO(damaged), len(damaged), (64, 48))
            assert image is None or image.size == (64, 48)


def test_an_item_that_contains_itself_ends() -> None:
    content = sample("heic_grid").read_bytes()
    at = content.find(b"dimg")
    main = int.from_bytes(content[at + 4 : at + 6], "big")
    looped = content[: at + 8] + main.to_bytes(2, "big") * 4 + content[at + 16 :]
    items = read_items(io.BytesIO(looped), len(looped))
    assert items is not None
    assert items.by_number[main].refers[b"dimg"] == [main] * 4
    assert heif_picture(io.BytesIO(looped), len(looped), (64, 48)) is None


def test_a_missing_item_shows_no_picture() -> None:
    content = sample("heic_grid").read_bytes()
    at = content.find(b"dimg")
    assert thumbnail(content[: at + 8] + b"\x00\x63" * 4 + content[at + 16 :]) is None
