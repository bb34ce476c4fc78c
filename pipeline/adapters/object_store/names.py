"""How `list_keys` names what is not an object, so that a caller can tell an orphan from an object and pass its name to
`delete`.

`segment:UPLOAD/00000001` is a segment stored apart from its object. `multipart:KEY:SESSION` is an open multipart upload
of S3; the session contains no colon, the key may. `core.model.object_key` makes the keys of objects, and none of them
begins with either prefix.

The segments of a partial upload are objects of their own on S3, too: `contents/UPLOAD/segments/00000001`.
"""

from __future__ import annotations

from pipeline.core.stored_objects import OWN_PREFIX, Place

SEGMENT_PREFIX = "segment:"
MULTIPART_PREFIX = "multipart:"


def segment_name(upload_id: str, number: int) -> str:
    """A segment's name in its container: eight digits, so that names sort as numbers do."""
    return f"{upload_id}/{number:08d}"


def segment_prefix(upload_id: str) -> str:
    """What the keys of an upload's segments begin with in S3."""
    return f"{OWN_PREFIX}{upload_id}/segments/"


def segment_key(place: Place) -> str:
    """The key of a segment that is an object of its own in S3."""
    return f"{segment_prefix(place.upload_id)}{place.number:08d}"


def multipart_name(key: str, session: str) -> str:
    return f"{MULTIPART_PREFIX}{key}:{session}"


def split_multipart(name: str) -> tuple[str, str]:
    """`multipart:KEY:SESSION` -> (KEY, SESSION)."""
    key, _, session = name.removeprefix(MULTIPART_PREFIX).rpartition(":")
    return key, session


def may_match(prefix: str, kind: str) -> bool:
    """Whether a name that begins with `kind` (a prefix of this module) can also begin with `prefix`."""
    return kind.startswith(prefix) or prefix.startswith(kind)
