"""How `list_keys` names what is not an object, so that an orphan can be told from an object and handed back to
`delete`.

`segment:UPLOAD/00000001` is a segment that lies apart from its object, `multipart:KEY:SESSION` an open multipart
upload of S3 (the session holds no colon, the key may). Object keys are made by `core.model.object_key`; none of them
begins with either word.
"""

from __future__ import annotations

SEGMENT_PREFIX = "segment:"
MULTIPART_PREFIX = "multipart:"


def segment_name(upload_id: str, number: int) -> str:
    """A segment's name below its container: eight digits, so that names sort as numbers do."""
    return f"{upload_id}/{number:08d}"


def multipart_name(key: str, session: str) -> str:
    return f"{MULTIPART_PREFIX}{key}:{session}"


def split_multipart(name: str) -> tuple[str, str]:
    """`multipart:KEY:SESSION` -> (KEY, SESSION)."""
    key, _, session = name.removeprefix(MULTIPART_PREFIX).rpartition(":")
    return key, session
