"""Formats a content for people: its metadata row, its object and its thumbnail."""

from __future__ import annotations

from deploy.cli.formatting import format_bytes, format_media, format_stream, format_time
from schemas.content import Content, ContentObject


def content_lines(content: Content) -> list[tuple[str, str]]:
    """(name, text) of each field: the metadata row, then the object and the thumbnail."""
    stored = content.object
    return [
        ("content", content.id),
        ("file", f"{content.filename} · {content.content_type} · {format_bytes(content.media.size_bytes)}"),
        ("media", format_media(content.media)),
        *((f"stream {stream.index}", f"{stream.type}: {format_stream(stream)}") for stream in content.media.streams),
        *{**content.media.tags, **content.metadata}.items(),
        ("created", format_time(content.created_at)),
        ("object", f"{stored.container}/{stored.key}"),
        ("store", f"{stored.store} · {format_bytes(stored.size_bytes)} · etag {stored.etag}"),
        ("segments", f"{stored.segment_count}" + (", joined by a manifest" if stored.segment_count > 1 else "")),
        ("thumbnail", _place(content.thumbnail) if content.thumbnail else "none"),
    ]


def _place(stored: ContentObject) -> str:
    return f"{stored.container}/{stored.key} · {format_bytes(stored.size_bytes)}"
