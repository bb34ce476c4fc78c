"""Names and paths in a Swift account.

    <container>            target.key                       the manifest, or the plain object of a one-segment upload
    <container>_segments   <upload_id>/<number, 8 digits>   the segments

Segments have a container of their own, so that a listing of objects shows only objects, and the right to list one
container does not show the other.

Guarantee: a name arrives at Swift byte for byte. Every byte that is neither unreserved (RFC 3986 section 2.3) nor a
slash is percent-encoded here and the URL is marked as encoded; otherwise yarl would resolve `..` and re-quote names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from yarl import URL

from pipeline.adapters.object_store.names import segment_name
from pipeline.core.errors import StoreError
from pipeline.core.stored_objects import ObjectTarget, Place

# swift.conf: max_container_name_length, max_object_name_length, in bytes of UTF-8.
CONTAINER_NAME_BYTES = 256
OBJECT_NAME_BYTES = 1024


@dataclass(frozen=True, slots=True)
class SwiftLayout:
    """The names of one store. Paths are quoted, begin with a slash and are relative to the account's URL. Raises
    StoreError STORE_REJECTED when `container` cannot be a container's name."""

    container: str

    def __post_init__(self) -> None:
        if not self.container or "/" in self.container:
            raise StoreError("STORE_REJECTED", reason=f"'{self.container}' is not a container name")
        if len(self.segment_container.encode()) > CONTAINER_NAME_BYTES:
            raise StoreError("STORE_REJECTED", reason=f"container name '{self.container}' is too long")

    @property
    def segment_container(self) -> str:
        return f"{self.container}_segments"

    def object_path(self, key: str) -> str:
        """Raises StoreError STORE_REJECTED for a name that Swift does not allow."""
        if not key or len(key.encode()) > OBJECT_NAME_BYTES:
            raise StoreError("STORE_REJECTED", reason=f"an object name has 1 to {OBJECT_NAME_BYTES} bytes")
        return f"{container_path(self.container)}/{quote_name(key)}"

    def segment_path(self, upload_id: str, number: int) -> str:
        return self.named_segment_path(segment_name(upload_id, number))

    def named_segment_path(self, name: str) -> str:
        """The path of a segment by its name in a listing."""
        return f"{container_path(self.segment_container)}/{quote_name(name)}"

    def destination(self, target: ObjectTarget, number: int) -> tuple[str, str]:
        """Path and content type to PUT a segment with; an upload of one segment is the object itself."""
        if target.is_plain:
            return self.object_path(target.key), target.content_type
        place = target.place(number)
        return self.segment_path(place.upload_id, place.number), "application/octet-stream"

    def manifest_location(self, place: Place) -> str:
        """A segment as a manifest names it: `/container/name`, not quoted (slo middleware, "path")."""
        return f"/{self.segment_container}/{segment_name(place.upload_id, place.number)}"


def container_path(container: str) -> str:
    return "/" + quote(container, safe="")


def quote_name(name: str) -> str:
    return quote(name, safe="/")


def location_path(location: str) -> str:
    """The path of a manifest's `/container/name`."""
    return quote_name(location)


def account_url(storage_url: str, path: str, query: Mapping[str, str] | None = None) -> URL:
    return URL(storage_url + path + ("?" + urlencode(query, quote_via=quote) if query else ""), encoded=True)
