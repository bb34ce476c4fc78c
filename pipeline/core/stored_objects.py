"""Objects in a store: their names, what the store holds, and the requests by which clients write and read them. Frozen;
sizes in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.core.segments import SegmentPlan

OWN_PREFIX = "contents/"
"""Prefix of every object that Sluice creates in its own container."""


def object_key(upload_id: str) -> str:
    """The object's name. The upload's id becomes the content's id, so a name is never reused and cached copies never
    become stale."""
    return f"{OWN_PREFIX}{upload_id}/original"


def upload_of(key: str) -> str | None:
    """The id of the upload that `key`, an object, segment or thumbnail, belongs to; None: Sluice did not create it."""
    prefix, _, rest = key.partition("/")
    upload_id, _, name = rest.partition("/")
    return upload_id if f"{prefix}/" == OWN_PREFIX and upload_id and name else None


def thumbnail_key(upload_id: str) -> str:
    return f"{OWN_PREFIX}{upload_id}/thumbnail.jpg"


@dataclass(frozen=True, slots=True)
class ObjectTarget:
    """Where an upload's object is stored. `key` is the object's name; segments are stored separately, under names
    derived from `upload_id`. `session` is what the store returned from `begin`."""

    upload_id: str
    key: str
    content_type: str
    plan: SegmentPlan
    session: str = ""


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment that the store has acknowledged. `etag` is the store's digest of it, unquoted."""

    number: int
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class SegmentSpan:
    """One of the `count` segments of a stored object: its bytes `first_byte` to `last_byte`, inclusive."""

    upload_id: str
    number: int
    count: int
    first_byte: int
    last_byte: int


@dataclass(frozen=True, slots=True)
class SegmentRequest:
    """A request by which a client may send one segment to the store. The body is the segment's bytes."""

    number: int
    size_bytes: int
    url: str
    method: str = "PUT"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SegmentLink:
    """A GET by which a client reads exactly one segment from the store; `headers` must be sent with it."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DelegatedToken:
    """A store token for a client, valid for `seconds`, and the requests to send with it. It permits everything that the
    role of its user permits."""

    token: str = field(repr=False)
    storage_url: str
    seconds: int
    segments: tuple[SegmentRequest, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A whole object in the store. `etag` as in the response to HEAD, unquoted. `content_type` is what the store
    reports about an object that it was asked about, in any form; "" otherwise."""

    store: str
    container: str
    key: str
    size_bytes: int
    etag: str
    segments: tuple[StoredSegment, ...] = ()
    content_type: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """An object that is imported. It was not created by Sluice, so it is only read, never changed or deleted."""

    container: str
    key: str
    etag: str
