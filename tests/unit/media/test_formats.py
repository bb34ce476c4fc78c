"""The formats that are not accepted."""

from __future__ import annotations

import pytest

from pipeline.adapters.media.inside.formats import FORMAT_WHITELIST

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "name",
    [
        *("hls", "dash", "concat", "concatf", "image2", "lavfi", "sdp", "rtsp", "tty", "srt", "svg_pipe"),
        *("ffmetadata", "webm_dash_manifest", "imf", "mpjpeg", "libopenmpt"),
    ],
)
def test_formats_that_refer_to_other_files_are_not_on_the_whitelist(name: str) -> None:
    assert name not in FORMAT_WHITELIST.split(",")
