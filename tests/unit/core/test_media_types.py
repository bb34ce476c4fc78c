"""Media types: what may be declared, and what a recognised file gets."""

from __future__ import annotations

import pytest

from pipeline.adapters.media.inside import formats
from pipeline.core.media_types import is_generic, may_be_media, recognised_type, type_of_name
from schemas.media_types import UNKNOWN

pytestmark = pytest.mark.unit

CONTAINERS = sorted(
    {name.split(",")[0] for name in (*formats.VIDEO_FORMATS, *formats.AUDIO_FORMATS)}
    | formats.IMAGES
    | {"mp4", "m4a", "3gp", "3g2", "webm", "matroska"}
)


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_accepted_format_has_a_type_that_may_be_declared(container: str) -> None:
    for kind in ("video", "audio", "image"):
        own = recognised_type(UNKNOWN, container, kind)
        assert not is_generic(own)
        assert may_be_media(own)
        assert recognised_type(own, container, kind) == own


@pytest.mark.parametrize("declared", ["", UNKNOWN, "binary/octet-stream", "Application/Octet-Stream; x=1"])
def test_a_type_that_says_nothing_is_replaced(declared: str) -> None:
    assert may_be_media(declared)
    assert recognised_type(declared, "mp4", "video") == "video/mp4"
    assert recognised_type(declared, "webm", "audio") == "audio/webm"
    assert recognised_type(declared, "jpeg", "image") == "image/jpeg"


@pytest.mark.parametrize(
    ("declared", "container", "kind"),
    [
        ("video/mp4", "mp4", "video"),
        ('video/webm;codecs="vp9,opus"', "webm", "video"),
        ("Video/MP4", "mp4", "video"),
        ("video/x-matroska", "matroska", "video"),
        ("audio/mp3", "mp3", "audio"),
        ("audio/x-m4a", "m4a", "audio"),
        ("application/ogg", "ogg", "video"),
        ("application/mxf", "mxf", "video"),
        ("image/jpg", "jpeg", "image"),
        ("image/heif", "heic", "image"),
        ("image/apng", "png", "image"),
        ("video/x-ms-wmv", "asf", "video"),
    ],
)
def test_a_type_that_names_the_format_is_kept(declared: str, container: str, kind: str) -> None:
    assert recognised_type(declared, container, kind) == declared


@pytest.mark.parametrize(
    ("declared", "container", "kind", "expected"),
    [
        ("image/png", "jpeg", "image", "image/jpeg"),
        ("video/mp4", "webm", "video", "video/webm"),
        ("video/mp4", "mov", "video", "video/quicktime"),
        ("video/mp4", "mp4", "audio", "audio/mp4"),
        ("audio/mp4", "mp4", "video", "video/mp4"),
        ("audio/x-m4a", "m4a", "video", "video/mp4"),
        ("audio/ogg", "ogg", "video", "video/ogg"),
        ("video/webm;codecs=opus", "webm", "audio", "audio/webm"),
        ("image/jpeg", "mp4", "video", "video/mp4"),
        ("video/x-something", "mp4", "video", "video/mp4"),
        ("video/3gpp", "mp4", "video", "video/mp4"),
        ("text/html", "jpeg", "image", "image/jpeg"),
    ],
)
def test_a_type_that_contradicts_the_file_is_replaced(declared: str, container: str, kind: str, expected: str) -> None:
    assert recognised_type(declared, container, kind) == expected


def test_a_format_without_a_type_keeps_what_was_declared() -> None:
    assert recognised_type("video/x-new", "unknown", "video") == "video/x-new"
    assert recognised_type("", "unknown", "video") == UNKNOWN


@pytest.mark.parametrize(
    "declared",
    [
        "application/x-msdownload", "application/pdf", "application/zip", "application/json", "application/x-sh",
        "application/vnd.apple.mpegurl", "application/dash+xml", "application/x-shockwave-flash", "text/html",
        "text/plain; charset=utf-8", "font/woff2", "model/gltf+json", "message/rfc822", "multipart/form-data",
        "image/svg+xml", "IMAGE/SVG+XML", "audio/x-mpegurl", "audio/midi",
    ],
)  # fmt: skip
def test_what_cannot_be_media_is_refused(declared: str) -> None:
    assert not may_be_media(declared)


@pytest.mark.parametrize(
    "declared",
    ["video/x-new", "audio/x-new", "image/x-new", "application/mp4", "application/ogg", "application/mxf",
     "application/vnd.ms-asf", "application/x-matroska", "Application/MP4;profile=a"],
)  # fmt: skip
def test_what_may_be_media_is_accepted(declared: str) -> None:
    assert may_be_media(declared)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.mp4", "video/mp4"), ("b/c.TS", "video/mp2t"), ("x.HEIC", "image/heic"), ("notes.txt", "text/plain"),
     ("mp4", UNKNOWN), ("a.tar.mkv", "video/matroska"), ("a", UNKNOWN), (".webm", "video/webm")],
)  # fmt: skip
def test_the_type_of_a_name(name: str, expected: str) -> None:
    assert type_of_name(name) == expected
