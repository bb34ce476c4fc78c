"""The limits of a permit: checked when its upload is created, and again when the metadata of the file is known."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.core.access import DEFAULT_OWNER, Caller, MediaLimits, Permit
from pipeline.core.errors import AccessError, MediaError
from schemas import media_types
from schemas.media import MediaMetadata, VideoStream
from schemas.uploads import CreateUpload

_UNKNOWN_TYPE = "application/octet-stream"


def require_permitted(request: CreateUpload, permit: Permit) -> None:
    """Raises AccessError PERMIT_EXCEEDED for a file that is too large, or of a declared type that is not allowed.
    `application/octet-stream` declares nothing: the metadata will show what it is."""
    require_permitted_size(request.size, permit)
    declared = _essence(request.content_type)
    if declared != _UNKNOWN_TYPE and not _matches(declared, permit.media.content_types):
        raise AccessError("PERMIT_EXCEEDED", reason=f"files of the type {declared} are not among those it allows")


def require_permitted_size(size_bytes: int, permit: Permit | None) -> None:
    """Raises AccessError PERMIT_EXCEEDED for a file that is too large."""
    if permit is not None and permit.max_size_bytes is not None and size_bytes > permit.max_size_bytes:
        raise AccessError("PERMIT_EXCEEDED", reason=f"its files have at most {permit.max_size_bytes} bytes")


def require_within(limits: MediaLimits, media: MediaMetadata, content_type: str) -> None:
    """Raises MediaError MEDIA_NOT_PERMITTED with the first limit that the file breaks. `content_type`: of the format
    that was recognised."""
    for reason in _broken(limits, media, _essence(content_type)):
        raise MediaError("MEDIA_NOT_PERMITTED", reason=reason)


def scoped_key(idempotency_key: str | None, caller: Caller) -> str | None:
    """An Idempotency-Key that differs from every key of other owners and permits: clients with different permits may
    choose the same one. A client cannot send the space in it."""
    if idempotency_key is None:
        return None
    if caller.permit is not None:
        return f"permit {caller.permit.permit_id} {idempotency_key}"
    return idempotency_key if caller.owner == DEFAULT_OWNER else f"owner {caller.owner} {idempotency_key}"


def _broken(limits: MediaLimits, media: MediaMetadata, content_type: str) -> Iterator[str]:
    if limits.kinds and media.kind not in limits.kinds:
        yield f"its kind is {media.kind}"
    if not _matches(content_type, limits.content_types):
        yield f"its type is {content_type}"
    if limits.max_duration_seconds is not None:
        yield from _too_long(limits.max_duration_seconds, media)
    for stream in media.streams:
        if stream.type == "subtitle" or (stream.type == "video" and stream.attached_picture):
            continue
        allowed = limits.video_codecs if stream.type == "video" else limits.audio_codecs
        if allowed and stream.codec not in allowed:
            yield f"a stream has the codec {stream.codec}"
        if stream.type == "video":
            yield from _too_large(limits, stream)


def _too_long(most_seconds: float, media: MediaMetadata) -> Iterator[str]:
    """Of a video or a sound whose duration is not known, nobody can say that it is short enough."""
    if media.duration_seconds is None:
        if media.kind != "image":
            yield "its duration is unknown"
    elif media.duration_seconds > most_seconds:
        yield f"it lasts {media.duration_seconds} s, more than {most_seconds}"


def _too_large(limits: MediaLimits, stream: VideoStream) -> Iterator[str]:
    if limits.max_width is not None and stream.width > limits.max_width:
        yield f"a picture is {stream.width} pixels wide, more than {limits.max_width}"
    if limits.max_height is not None and stream.height > limits.max_height:
        yield f"a picture is {stream.height} pixels high, more than {limits.max_height}"


def _matches(essence: str, allowed: tuple[str, ...]) -> bool:
    """Whether a media type is one of those allowed; `video/*` allows every video type. Empty: all are allowed."""
    return not allowed or any(
        essence == item or (item.endswith("/*") and essence.startswith(item[:-1])) for item in allowed
    )


def _essence(content_type: str) -> str:
    return media_types.essence(media_types.parse(content_type))
