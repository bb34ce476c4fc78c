"""Handwritten ffprobe JSON is converted into metadata."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.adapters.media.image_header import ImageHeader
from pipeline.adapters.media.parse import build_metadata, with_duration
from pipeline.core.errors import MediaError
from schemas.media import AudioStream, MediaMetadata, VideoStream

pytestmark = pytest.mark.unit

MP4 = {"format_name": "mov,mp4,m4a,3gp,3g2,mj2", "probe_score": 100, "duration": "10.5", "bit_rate": "800000"}
HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"


def video(**fields: Any) -> dict[str, Any]:
    return {"index": 0, "codec_type": "video", "codec_name": "h264", "width": 1920, "height": 1080, **fields}


def build(*streams: Any, form: dict[str, Any] | None = None, head: bytes = HEAD, **more: Any) -> MediaMetadata:
    probe = {"format": {**MP4, **(form or {})}, "streams": list(streams), **more}
    return build_metadata(probe, size_bytes=1_000_000, head=head)


def picture(metadata: MediaMetadata) -> VideoStream:
    assert metadata.picture is not None
    return metadata.picture


def matrix(*rows: int) -> str:
    """A display matrix as ffprobe prints it."""
    lines = ("".join(f"{value:12d}" for value in rows[at : at + 3]) for at in (0, 3, 6))
    return "\n" + "".join(f"{number:08d}: {line}\n" for number, line in enumerate(lines))


ONE = 1 << 16
LAST = (0, 0, 1 << 30)


@pytest.mark.parametrize(
    ("side_data", "tags", "rotation", "mirrored"),
    [
        ({"rotation": -90}, {}, 90, False),
        ({"rotation": 90}, {}, 270, False),
        ({"rotation": -270}, {}, 270, False),
        ({"rotation": 180}, {}, 180, False),
        ({"rotation": -180}, {}, 180, False),
        ({"rotation": "-90"}, {}, 90, False),
        ({"rotation": 0}, {}, 0, False),
        ({"rotation": -89.7}, {}, 90, False),
        ({"rotation": "nan"}, {}, 0, False),
        ({}, {"rotate": "90"}, 90, False),
        ({}, {"rotate": "-90"}, 270, False),
        ({"displaymatrix": matrix(0, ONE, 0, -ONE, 0, 0, *LAST), "rotation": -90}, {}, 90, False),
        ({"displaymatrix": matrix(0, -ONE, 0, ONE, 0, 0, *LAST), "rotation": 90}, {}, 270, False),
        ({"displaymatrix": matrix(-ONE, 0, 0, 0, -ONE, 0, *LAST), "rotation": -180}, {}, 180, False),
        ({"displaymatrix": matrix(-ONE, 0, 0, 0, ONE, 0, *LAST), "rotation": -180}, {}, 0, True),
        ({"displaymatrix": matrix(ONE, 0, 0, 0, -ONE, 0, *LAST), "rotation": 0}, {}, 180, True),
    ],
)
def test_rotation_is_counted_clockwise(
    side_data: dict[str, Any], tags: dict[str, str], rotation: int, mirrored: bool
) -> None:
    stream = picture(build(video(side_data_list=[side_data], tags=tags)))
    assert (stream.rotation, stream.mirrored) == (rotation, mirrored)
    assert (stream.width, stream.height) == ((1080, 1920) if rotation in (90, 270) else (1920, 1080))
    assert (stream.coded_width, stream.coded_height) == (1920, 1080)


def test_the_pixel_aspect_ratio_is_applied_before_rotation() -> None:
    stream = picture(
        build(video(width=720, height=576, sample_aspect_ratio="64:45", side_data_list=[{"rotation": -90}]))
    )
    assert (stream.width, stream.height) == (576, 1024)


@pytest.mark.parametrize("aspect", ["0:1", "1:0", "N/A", "", "1:100000", "100000:1", None, 7, "-4:3"])
def test_an_invalid_pixel_aspect_ratio_counts_as_square(aspect: Any) -> None:
    stream = picture(build(video(sample_aspect_ratio=aspect)))
    assert (stream.width, stream.sample_aspect_ratio) == (1920, 1.0)


@pytest.mark.parametrize(
    ("nominal", "average", "rate"),
    [
        ("30000/1001", "30000/1001", 29.97003),
        ("50/1", "25/1", 25.0),  # fields
        ("90000/1", "24/1", 24.0),  # the clock
        ("30/1", "0/0", 30.0),
        ("0/0", "0/0", None),
        ("120/1", "29/1", 29.0),  # a variable rate
        (None, None, None),
    ],
)
def test_frame_rate(nominal: str | None, average: str | None, rate: float | None) -> None:
    stream = picture(build(video(r_frame_rate=nominal, avg_frame_rate=average)))
    assert stream.frame_rate == (None if rate is None else pytest.approx(rate))


@pytest.mark.parametrize(
    ("fields", "depth"),
    [
        ({"pix_fmt": "yuv420p"}, 8),
        ({"pix_fmt": "yuv420p10le"}, 10),
        ({"pix_fmt": "gbrp12le"}, 12),
        ({"pix_fmt": "p010le"}, 10),
        ({"pix_fmt": "rgb48be"}, 16),
        ({"pix_fmt": "gray16le"}, 16),
        ({"pix_fmt": "monob"}, 1),
        ({"pix_fmt": "rgba", "bits_per_raw_sample": "8"}, 8),
        ({}, None),
    ],
)
def test_bit_depth(fields: dict[str, Any], depth: int | None) -> None:
    assert picture(build(video(**fields))).bit_depth == depth


@pytest.mark.parametrize(
    ("fields", "hdr"),
    [
        ({"color_transfer": "smpte2084"}, True),
        ({"color_transfer": "arib-std-b67"}, True),
        ({"color_transfer": "bt709"}, False),
        ({"side_data_list": [{"side_data_type": "DOVI configuration record"}]}, True),
        ({}, False),
    ],
)
def test_hdr(fields: dict[str, Any], hdr: bool) -> None:
    assert picture(build(video(**fields))).hdr is hdr


def test_missing_fields_are_none() -> None:
    metadata = build(video(), {"index": 1, "codec_type": "audio"}, form={"duration": None, "bit_rate": None})
    assert (metadata.duration_seconds, metadata.bit_rate) == (None, None)
    sound = metadata.streams[1]
    assert isinstance(sound, AudioStream)
    assert (sound.codec, sound.channels, sound.sample_rate, sound.language) == ("unknown", None, None, None)


def test_a_missing_bit_rate_is_computed_from_size_and_duration() -> None:
    assert build(video(), form={"bit_rate": None, "duration": "8"}).bit_rate == 1_000_000
    found = with_duration(build(video(), form={"bit_rate": None, "duration": None}), 4.0)
    assert (found.duration_seconds, found.bit_rate) == (4.0, 2_000_000)


@pytest.mark.parametrize(
    ("stream", "duration"),
    [
        ({"duration": "3.5"}, 3.5),
        ({"tags": {"DURATION": "00:01:02.500000000"}}, 62.5),
        ({"tags": {"DURATION": "gibberish"}}, None),
        ({"duration": "-1"}, None),
        ({"duration": "inf"}, None),
    ],
)
def test_a_missing_duration_is_taken_from_a_stream(stream: dict[str, Any], duration: float | None) -> None:
    assert build(video(**stream), form={"duration": None}).duration_seconds == duration


def test_only_known_tags_are_kept_printable_and_short() -> None:
    metadata = build(
        video(),
        form={
            "tags": {
                "TITLE": "Water\x00\x1b[31m \ud800gate\n",
                "comment": "x" * 5000,
                "location": "+52.5+13.4/",
                "com.apple.quicktime.make": "Pear",
                "com.apple.quicktime.location.ISO6709": "+52.5+13.4/",
                "handler": "x",
            }
        },
    )
    assert metadata.tags == {"title": "Water [31m gate", "comment": "x" * 256, "make": "Pear"}


@pytest.mark.parametrize(
    ("head", "container"),
    [
        (b"\0\0\0\x14ftypisom\0\0\0\0isom", "mp4"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "mov"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "mov"),
        (b"\0\0\0\x14ftyp3gp5\0\0\0\0isom", "3gp"),
        (b"\0\0\0\x14ftypM4A \0\0\0\0M4A ", "m4a"),
        (b"", "mov"),
    ],
)
def test_container_of_the_iso_family(head: bytes, container: str) -> None:
    assert build(video(), head=head).container == container


@pytest.mark.parametrize(
    ("head", "container"),
    [
        (b"\0\0\0\x14ftypheic\0\0\0\0mif1", "heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "avif"),
        (b"\0\0\0\x14ftypavis\0\0\0\0avif", "avif"),
        (b"\0\0\0\x14ftypmif1\0\0\0\0mif1", "heif"),
    ],
)
def test_still_pictures_of_the_iso_family(head: bytes, container: str) -> None:
    metadata = build(video(r_frame_rate="1/1"), head=head)
    assert (metadata.kind, metadata.container, metadata.duration_seconds) == ("image", container, None)
    assert picture(metadata).frame_rate is None


def test_a_tile_grid_has_the_size_of_the_whole_picture() -> None:
    tiles = [video(index=number, width=512, height=512, disposition={"dependent": 1}) for number in range(4)]
    groups = [
        {"index": 0, "type": "Tile Grid", "components": [{"width": 100, "height": 75}]},  # a depth map
        {
            "index": 1,
            "type": "Tile Grid",
            "disposition": {"default": 1},
            "components": [{"width": 1000, "height": 750}],
        },
    ]
    stream = picture(build(*tiles, head=b"\0\0\0\x14ftypheic\0\0\0\0mif1", stream_groups=groups))
    assert (stream.width, stream.height, stream.tiled, stream.index) == (1000, 750, True, 1)


def test_the_main_item_is_the_picture_and_not_its_preview() -> None:
    preview = video(width=160, height=120)
    main = video(index=1, disposition={"default": 1})
    stream = picture(build(preview, main, head=b"\0\0\0\x14ftypheic\0\0\0\0mif1"))
    assert (stream.width, stream.index) == (1920, 1)


def test_the_image_header_supplies_what_ffprobe_lacks() -> None:
    probe = {
        "format": {"format_name": "png_pipe", "probe_score": 99},
        "streams": [{"index": 0, "codec_type": "video", "codec_name": "png", "r_frame_rate": "25/1"}],
    }
    header = ImageHeader(30, 20, "rgba", 8, degrees_clockwise=90, animation_seconds=1.5, frames=3)
    metadata = build_metadata(probe, size_bytes=9, image=header)
    stream = picture(metadata)
    assert (stream.width, stream.height, stream.pixel_format, stream.rotation) == (20, 30, "rgba", 90)
    assert (metadata.kind, metadata.duration_seconds, stream.frame_rate) == ("image", 1.5, 2.0)


def test_a_file_with_cover_art_is_audio() -> None:
    cover = video(index=1, disposition={"attached_pic": 1}, r_frame_rate="90000/1")
    metadata = build({"index": 0, "codec_type": "audio"}, cover, form={"format_name": "mp3"})
    assert (metadata.kind, picture(metadata).attached_picture, picture(metadata).frame_rate) == ("audio", True, None)


def test_the_film_is_the_picture_and_not_its_poster() -> None:
    poster = video(index=0, disposition={"attached_pic": 1})
    film = video(index=1)
    assert picture(build(poster, film)).index == 1


@pytest.mark.parametrize(
    ("streams", "form", "reason"),
    [
        ([], {}, "neither pictures nor sound"),
        ([{"codec_type": "data"}], {}, "neither pictures nor sound"),
        ([{"codec_type": "subtitle"}], {}, "neither pictures nor sound"),
        ([{"codec_type": "video"}], {}, "size of its picture"),
        ([video()], {"format_name": None}, "format is not known"),
        ([{"codec_type": "audio"}], {"format_name": "mp3", "probe_score": 1}, "only resembles"),
        ([video(width=100_000, height=100_000)], {}, "million pixels"),
    ],
)
def test_unusable_files_are_refused(streams: list[Any], form: dict[str, Any], reason: str) -> None:
    with pytest.raises(MediaError) as caught:
        build(*streams, form=form)
    assert caught.value.code == "NOT_MEDIA"
    assert reason in caught.value.message


def test_the_number_of_streams_is_limited() -> None:
    assert len(build(*[{"index": number, "codec_type": "audio"} for number in range(1000)]).streams) == 64
