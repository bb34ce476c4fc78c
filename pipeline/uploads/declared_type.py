"""The media type that a file is declared with: by its client, or by the store that an object is imported from.

Guarantee: a file whose declared type cannot be media is refused before any of its bytes are transferred, with
RequestError CONTENT_TYPE_NOT_MEDIA, whatever the transport.
"""

from __future__ import annotations

from pipeline.core.errors import RequestError
from pipeline.core.media_types import is_generic, may_be_media, type_of_name
from pipeline.core.stored_objects import StoredObject
from schemas.media_types import UNKNOWN, parse_stored


def require_media_type(content_type: str) -> None:
    """Raises RequestError CONTENT_TYPE_NOT_MEDIA."""
    if not may_be_media(content_type):
        raise RequestError("CONTENT_TYPE_NOT_MEDIA", content_type=content_type)


def declared_type(found: StoredObject) -> str:
    """The type of an object that is to be imported: the store's if it is a media type, else what its name stands for.

    Programs that fill buckets often set no type or a wrong one, so an object is accepted if one of the two says media.
    Raises RequestError CONTENT_TYPE_NOT_MEDIA if none does and one says something else."""
    candidates = (parse_stored(found.content_type), type_of_name(found.key))
    known = [name for name in candidates if not is_generic(name)]
    for name in known:
        if may_be_media(name):
            return name
    if known:
        raise RequestError("CONTENT_TYPE_NOT_MEDIA", content_type=known[0])
    return UNKNOWN
