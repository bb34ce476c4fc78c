"""Objects in a store: their names, what the store holds, and the requests by which clients write and read them. Frozen;
sizes in bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from pipeline.core.segments import SegmentPlan

COMPARES_MD5 = frozenset({"swift", "s3"})
"""The stores that compare a segment with an MD5 that is sent with it, and keep nothing where it differs."""

KEEPS_CRC32C = frozenset({"s3"})
"""The stores that may keep a CRC-32C of a whole object, which `head` then returns."""

OWN_PREFIX = "contents/"
"""Prefix of every object that Sluice creates in its own container."""

_LATER_THUMBNAIL = re.compile(rf"{OWN_PREFIX}[^/]+/thumbnail-([0-9a-f]{{32}})\.jpg")


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


def later_thumbnail_key(upload_id: str, token: UUID) -> str:
    """The name of a thumbnail that replaces another. `token` is a new UUIDv7, so this name is not reused either."""
    return f"{OWN_PREFIX}{upload_id}/thumbnail-{token.hex}.jpg"


def replaced_at_ms(key: str) -> int | None:
    """When a thumbnail replaced another, in milliseconds since 1970; None: it is the first one."""
    found = _LATER_THUMBNAIL.fullmatch(key)
    return int(found[1][:12], 16) if found else None  # RFC 9562 section 5.7: 48 bits of time


@dataclass(frozen=True, slots=True)
class Place:
    """Under which upload and number a segment is stored: of a file joined from several, those of a partial upload."""

    upload_id: str
    number: int


@dataclass(frozen=True, slots=True)
class ObjectTarget:
    """Where an upload's object is stored. `key` is the object's name; segments are stored separately, under names
    derived from `upload_id`. `session` is what the store returned from `begin`. `partial`: there will be no object,
    only segments. `parts`: the uploads whose segments it consists of, one for each of `plan.runs`."""

    upload_id: str
    key: str
    content_type: str
    plan: SegmentPlan
    session: str = ""
    partial: bool = False
    parts: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether its only segment is the object itself, without a manifest."""
        return self.plan.count == 1 and not self.partial and not self.parts

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The uploads under which its segments may be stored."""
        return (self.upload_id, *self.parts)

    def place(self, number: int) -> Place:
        """Where segment `number` is stored. Raises RequestError SEGMENT_OUT_OF_RANGE."""
        if not self.parts:
            return Place(self.upload_id, number)
        index, inside = self.plan.run_of(number)
        return Place(self.parts[index], inside)

    @property
    def places(self) -> Sequence[Place]:
        """Where each segment of the plan is stored, in order."""
        return [self.place(number) for number in range(1, self.plan.count + 1)]


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment that the store has acknowledged. `etag` is the store's digest of it, unquoted. `place`: where it is
    stored, if not under its own upload and number. `crc32c`: of its bytes as they arrived at the gateway; None: they
    did not pass it, or it is not asked for here."""

    number: int
    size_bytes: int
    etag: str
    place: Place | None = field(default=None, compare=False)
    crc32c: int | None = field(default=None, compare=False)


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
    reports about an object that it was asked about, in any form; "" otherwise. `crc32c`: of all of its bytes; None
    where it is not known."""

    store: str
    container: str
    key: str
    size_bytes: int
    etag: str
    segments: tuple[StoredSegment, ...] = ()
    content_type: str = field(default="", compare=False)
    crc32c: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """An object that is imported. It was not created by Sluice, so it is only read, never changed or deleted."""

    container: str
    key: str
    etag: str
