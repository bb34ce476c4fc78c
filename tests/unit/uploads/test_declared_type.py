"""The declared type of an upload or an imported object."""

from __future__ import annotations

import pytest

from pipeline.core.errors import RequestError
from pipeline.core.stored_objects import StoredObject
from pipeline.uploads.declared_type import declared_type, require_media_type

pytestmark = pytest.mark.unit


def found(key: str, content_type: str) -> StoredObject:
    return StoredObject("swift", "c", key, 1, "e", content_type=content_type)


@pytest.mark.parametrize(
    ("key", "content_type", "expected"),
    [
        ("raw/a.mp4", "video/mp4", "video/mp4"),
        ("raw/a.mp4", "application/octet-stream", "video/mp4"),
        ("raw/a.mp4", "", "video/mp4"),
        ("raw/a.mp4", "text/plain", "video/mp4"),
        ("raw/setup.exe", "video/mp4", "video/mp4"),
        ("raw/a", "Video/WebM; codecs=vp9", "video/webm;codecs=vp9"),
        ("raw/a.ts", "binary/octet-stream", "video/mp2t"),
        ("raw/a", "binary/octet-stream", "application/octet-stream"),
        ("raw/a", "application/x-www-form-urlencoded", "application/octet-stream"),
        ("raw/a.mp4", "video/mp4;swift_bytes=10", "video/mp4"),
    ],
)
def test_an_object_with_a_media_type_or_a_media_name_is_imported(key: str, content_type: str, expected: str) -> None:
    assert declared_type(found(key, content_type)) == expected


@pytest.mark.parametrize(
    ("key", "content_type", "named"),
    [
        ("raw/notes.txt", "text/plain", "text/plain"),
        ("raw/notes.txt", "", "text/plain"),
        ("raw/report.pdf", "binary/octet-stream", "application/pdf"),
        ("raw/a", "application/x-msdownload", "application/x-msdownload"),
        ("raw/logo.svg", "image/svg+xml", "image/svg+xml"),
    ],
)
def test_any_other_object_is_refused(key: str, content_type: str, named: str) -> None:
    with pytest.raises(RequestError) as raised:
        declared_type(found(key, content_type))
    assert (raised.value.code, raised.value.detail["content_type"]) == ("CONTENT_TYPE_NOT_MEDIA", named)


def test_an_upload_may_be_declared_with_nothing() -> None:
    for content_type in ("", "application/octet-stream", "video/mp4"):
        require_media_type(content_type)
    with pytest.raises(RequestError) as raised:
        require_media_type("application/x-msdownload")
    assert raised.value.http_status == 422
    assert "application/x-msdownload" in raised.value.message
