"""Any JSON becomes valid metadata or raises NOT_MEDIA."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.adapters.media.parse import build_metadata
from pipeline.core.errors import MediaError
from schemas.media import MediaMetadata

pytestmark = pytest.mark.unit

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=40),
        st.sampled_from(["video", "audio", "1/0", "30000/1001", "-90", "1e999", "\x00", "00:00:01.5", "und"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=4,
)
STREAM_FIELDS = (
    *("index", "codec_type", "codec_name", "profile", "width", "height", "sample_aspect_ratio", "r_frame_rate"),
    *("avg_frame_rate", "pix_fmt", "color_range", "color_space", "color_transfer", "bits_per_raw_sample", "nb_frames"),
    *("bits_per_sample", "bit_rate", "duration", "channels", "channel_layout", "sample_rate", "tags", "disposition"),
    "side_data_list",
)
STREAM = st.fixed_dictionaries({}, optional=dict.fromkeys(STREAM_FIELDS, VALUES)) | st.fixed_dictionaries(
    {
        "codec_type": st.sampled_from(["video", "audio", "subtitle"]),
        "width": st.integers(-5, 2**33) | VALUES,
        "height": st.integers(1, 5000),
        "sample_aspect_ratio": st.builds("{}:{}".format, st.integers(), st.integers()),
        "side_data_list": st.lists(
            st.fixed_dictionaries(
                {}, optional={"rotation": VALUES, "displaymatrix": VALUES | st.just("1 0 0 0 1 0 0 0 1")}
            ),
            max_size=2,
        )
        | VALUES,
        "disposition": st.dictionaries(st.sampled_from(["default", "attached_pic"]), VALUES) | VALUES,
        "tags": st.dictionaries(st.sampled_from(["language", "rotate", "DURATION", "title"]), VALUES) | VALUES,
    },
    optional=dict.fromkeys(("profile", "r_frame_rate", "avg_frame_rate", "pix_fmt", "bit_rate", "duration"), VALUES),
)
FORMAT = st.fixed_dictionaries(
    {"format_name": st.sampled_from(["mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mp3", "png_pipe", "gif"]) | VALUES},
    optional=dict.fromkeys(("probe_score", "duration", "bit_rate", "tags"), VALUES),
)
PROBE = VALUES | st.fixed_dictionaries(
    {"format": FORMAT | VALUES, "streams": st.lists(STREAM | VALUES, max_size=4) | VALUES},
    optional={
        "stream_groups": VALUES
        | st.lists(
            st.fixed_dictionaries(
                {
                    "type": st.just("Tile Grid"),
                    "components": st.lists(st.dictionaries(st.sampled_from(["width", "height"]), VALUES)),
                }
            )
        )
    },
)


@settings(max_examples=60, deadline=None)
@given(
    probe=PROBE,
    size_bytes=st.integers(0, 2**62),
    head=st.binary(max_size=64) | st.just(b"\0\0\0\x14ftypheic\0\0\0\0mif1"),
)
def test_any_json_gives_metadata_or_not_media(probe: Any, size_bytes: int, head: bytes) -> None:
    refusal: MediaError | None = None
    try:
        metadata = build_metadata(probe, size_bytes=size_bytes, head=head)
    except MediaError as error:
        refusal = error
    if refusal is None:
        assert MediaMetadata.model_validate_json(metadata.model_dump_json()) == metadata
    else:
        assert refusal.code == "NOT_MEDIA"
