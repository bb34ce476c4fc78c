"""Examples of request and response bodies, which /openapi.json and /docs show.

Guarantee: each is valid against the schema that it illustrates; a test validates every one. They tell one story: the
upload of `holiday.mp4`, 70 MiB in seven segments, and the content that it becomes. Secrets in them are shortened with
dots, so that nobody mistakes them for real ones.
"""

from __future__ import annotations

from typing import Any, Final

Example = dict[str, Any]

SERVER: Final = "https://sluice.example.com"
EXAMPLE_ID: Final = "01a21cbf-43aa-7d0b-b05d-7bf19f1769a1"
_UPLOAD_URL: Final = f"{SERVER}/v1/uploads/{EXAMPLE_ID}"
_CONTENT_URL: Final = f"{SERVER}/v1/contents/{EXAMPLE_ID}"
_SIZE: Final = 73_400_320
_SEGMENT_BYTES: Final = 10_485_760
_TOKEN: Final = "eyJhbGciOiJIUzI1NiIs...t5qWYt"  # noqa: S105  # no secret: it is cut
_SIGNATURE: Final = "temp_url_sig=4f1c...&temp_url_expires=1795782226"

_STAGES: Final = ("transfer", "seal", "assemble", "probe", "thumbnail", "persist")


def _stage(state: str, started: str | None = None, finished: str | None = None) -> Example:
    times = {"started_at": started, "finished_at": finished}
    return {"state": state, "attempts": 0 if started is None else 1, **times, "error_code": None}


_VIDEO: Final[Example] = {
    "index": 0,
    "type": "video",
    "codec": "h264",
    "profile": "High",
    "language": None,
    "default": True,
    "width": 1920,
    "height": 1080,
    "coded_width": 1920,
    "coded_height": 1080,
    "sample_aspect_ratio": 1.0,
    "rotation": 0,
    "mirrored": False,
    "frame_rate": 29.97003,
    "average_frame_rate": 29.97003,
    "pixel_format": "yuv420p",
    "bit_depth": 8,
    "colour": {"primaries": "bt709", "transfer": "bt709", "matrix": "bt709", "range": "tv"},
    "hdr": False,
    "bit_rate": 9_650_000,
    "attached_picture": False,
    "tiled": False,
}
_AUDIO: Final[Example] = {
    "index": 1,
    "type": "audio",
    "codec": "aac",
    "profile": "LC",
    "language": "eng",
    "default": True,
    "channels": 2,
    "channel_layout": "stereo",
    "sample_rate": 48_000,
    "bit_depth": None,
    "bit_rate": 128_000,
}
_MEDIA: Final[Example] = {
    "kind": "video",
    "container": "mp4",
    "duration_seconds": 60.0,
    "bit_rate": 9_786_709,
    "size_bytes": _SIZE,
    "tags": {"title": "Holiday"},
    "streams": [_VIDEO, _AUDIO],
}

CREATE_UPLOAD: Final[Example] = {
    "filename": "holiday.mp4",
    "size": _SIZE,
    "content_type": "video/mp4",
    "metadata": {"album": "Norway"},
}

_LINKS: Final[Example] = {
    "self": _UPLOAD_URL,
    "events": f"{_UPLOAD_URL}/events",
    "tickets": f"{_UPLOAD_URL}/tickets",
    "segment": f"{_UPLOAD_URL}/segments/{{number}}",
    "grants": None,
    "complete": None,
    "content": None,
}

UPLOAD_CREATED: Final[Example] = {
    "id": EXAMPLE_ID,
    "owner": "default",
    "status": "admitted",
    "queue_position": None,
    **CREATE_UPLOAD,
    "transport": "gateway",
    "digest": None,
    "segment_size": _SEGMENT_BYTES,
    "segment_count": 7,
    "bytes_received": 0,
    "bytes_stored": 0,
    "missing_segments": [[1, 7]],
    "wanted_segments": [],
    "window_size": None,
    "stages": {name: _stage("skipped" if name == "assemble" else "pending") for name in _STAGES},
    "error": None,
    "media": None,
    "content_id": None,
    "created_at": "2026-11-27T11:23:46.477Z",
    "updated_at": "2026-11-27T11:23:46.480Z",
    "expires_at": "2026-11-27T11:24:46.480Z",
    "deadline_at": "2026-11-28T11:23:46.480Z",
    "links": _LINKS,
    "upload_token": {"token": _TOKEN, "expires_at": "2026-11-29T11:23:46Z"},
    "grants": None,
}
"""Response to the creation."""

UPLOAD: Final[Example] = {
    **UPLOAD_CREATED,
    "status": "receiving",
    "bytes_received": 5 * _SEGMENT_BYTES,
    "bytes_stored": 3 * _SEGMENT_BYTES,
    "missing_segments": [[4, 4], [7, 7]],
    "wanted_segments": [[7, 7]],
    "stages": {
        **UPLOAD_CREATED["stages"],
        "transfer": _stage("running", "2026-11-27T11:23:47.102Z"),
        "probe": _stage("done", "2026-11-27T11:23:47.632Z", "2026-11-27T11:23:47.735Z"),
    },
    "media": _MEDIA,
    "updated_at": "2026-11-27T11:23:51.018Z",
    "upload_token": None,
}
"""An upload whose metadata is known, and of which two segments are missing."""

UPLOAD_CANCELLED: Final[Example] = {
    **UPLOAD,
    "status": "cancelled",
    "missing_segments": [],
    "wanted_segments": [],
    "stages": {**UPLOAD["stages"], "transfer": _stage("stopped", "2026-11-27T11:23:47.102Z")},
    "error": {"code": "UPLOAD_CANCELLED", "message": "The upload was cancelled by its client."},
    "expires_at": None,
    "deadline_at": None,
    "links": {**_LINKS, "segment": None},
}

UPLOAD_COMPLETED: Final[Example] = {
    **UPLOAD,
    "status": "processing",
    "transport": "direct",
    "bytes_received": _SIZE,
    "bytes_stored": _SIZE,
    "missing_segments": [],
    "wanted_segments": [],
    "stages": {
        **UPLOAD["stages"],
        "transfer": _stage("skipped"),
        "seal": _stage("running", "2026-11-27T11:23:59.803Z"),
    },
    "expires_at": None,
    "deadline_at": None,
    "links": {**_LINKS, "segment": None, "complete": f"{_UPLOAD_URL}/complete"},
}
"""A direct upload of which the store holds every segment."""

EVENTS: Final = (
    f'event: upload\nid: 1795778631018\ndata: {{"id":"{EXAMPLE_ID}","status":"receiving", ...}}\n\n'
    ": keep-alive\n\n"
    f'event: upload\nid: 1795778639829\ndata: {{"id":"{EXAMPLE_ID}","status":"ready", ...}}\n\n'
    'event: end\nid: 1795778639829-end\ndata: {"status":"ready"}\n\n'
)
"""A stream of events, shortened."""

SEGMENT: Final[Example] = {
    "number": 1,
    "size": _SEGMENT_BYTES,
    "digest": "crc32c=:4waSgw==:",
    "crc32c": "e3069283",
    "repeated": False,
    "upload_status": "receiving",
    "wanted_segments": [[7, 7]],
}

GRANTS_WANTED: Final[Example] = {"segments": [[4, 4], [7, 7]]}

GRANTS: Final[Example] = {
    "expires_in": 3600,
    "segments": [
        {
            "number": number,
            "size": _SEGMENT_BYTES,
            "method": "PUT",
            "url": f"https://swift.example.com/v1/AUTH_sluice/segments/{EXAMPLE_ID}/{number:05d}?{_SIGNATURE}",
            "headers": {"Content-Length": str(_SEGMENT_BYTES)},
        }
        for number in (4, 7)
    ],
    "token": None,
    "storage_url": None,
    "more": [],
}

_OBJECT: Final[Example] = {
    "store": "swift",
    "container": "contents",
    "key": f"contents/{EXAMPLE_ID}/original",
    "size_bytes": _SIZE,
    "etag": "f7ecae63505ca4ec8cef02d9faa01d90",
    "segment_count": 7,
}
_THUMBNAIL: Final[Example] = {
    "store": "swift",
    "container": "contents",
    "key": f"contents/{EXAMPLE_ID}/thumbnail.jpg",
    "size_bytes": 47_195,
    "etag": "e1496abc912fe3f2aa1adc143d4934bf",
    "segment_count": 1,
}

CONTENT: Final[Example] = {
    "id": EXAMPLE_ID,
    "owner": "default",
    "filename": "holiday.mp4",
    "content_type": "video/mp4",
    "created_at": "2026-11-27T11:23:59.819425Z",
    "kind": "video",
    "container_format": "mp4",
    "video_codec": "h264",
    "audio_codec": "aac",
    "duration_seconds": 60.0,
    "width": 1920,
    "height": 1080,
    "rotation": 0,
    "bit_rate": 9_786_709,
    "frame_rate": 29.97003,
    "channels": 2,
    "sample_rate": 48_000,
    "object": {**_OBJECT, "digest": None},
    "thumbnail": {**_THUMBNAIL, "digest": "md5=:4UlqvJEv4/KqGtwUPUk0vw==:"},
    "media": _MEDIA,
    "metadata": {"album": "Norway"},
    "repr_digest": "crc32c=:4waSgw==:",
    "links": {
        "self": _CONTENT_URL,
        "segment": f"{_CONTENT_URL}/segments/{{number}}",
        **{name: f"{_CONTENT_URL}/{name}" for name in ("download", "segments", "thumbnail", "links", "receipt")},
    },
}

CONTENT_FILTERS: Final[Example] = {"kind": "video", "min_height": 1080, "sort": "-duration_seconds"}

SEGMENTS: Final[Example] = {
    "content_id": EXAMPLE_ID,
    "size": _SIZE,
    "etag": "f7ecae63505ca4ec8cef02d9faa01d90",
    "segment_count": 7,
    "expires_at": "2026-11-27T12:23:46Z",
    "segments": [
        {
            "number": number,
            "offset": (number - 1) * _SEGMENT_BYTES,
            "size": _SEGMENT_BYTES,
            "etag": etag,
            "digest": digest,
            "url": f"https://swift.example.com/v1/AUTH_sluice/segments/{EXAMPLE_ID}/{number:05d}?{_SIGNATURE}",
            "headers": {},
        }
        for number, etag, digest in (
            (1, "f91198fd97de441a9594e665d6c190cb", "md5=:+RGY/ZfeRBqVlOZl1sGQyw==:"),
            (2, "1c7b0b918ec1eb1fa8e1145a4722087b", "md5=:HHsLkY7B6x+o4RRaRyIIew==:"),
        )
    ],
    "next_first": 3,
}
"""The first page, of two segments."""

PENDING_DELETION: Final[Example] = {
    "content_id": EXAMPLE_ID,
    "content_type": "video/mp4",
    "owner": "default",
    "object": _OBJECT,
    "thumbnail": _THUMBNAIL,
    "deleted_at": "2026-11-28T08:00:00Z",
    "attempts": 2,
    "due_at": "2026-11-28T08:01:30Z",
    "error_code": "STORE_UNAVAILABLE",
    "error": "The object store is unavailable: connection refused.",
}

DELETION: Final[Example] = {"id": EXAMPLE_ID, "leftover": False}
