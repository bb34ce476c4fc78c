"""Static Large Object manifests: written, and the response to them read. Formats from swift.common.middleware.slo.

Guarantee: a manifest names every segment of the plan once, in order, with size and MD5, so that Swift checks each of
them. It is never empty (Swift responds 201 to an empty one). The ETag that Swift must return is known before: the MD5
over the segments' MD5s in hex.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.adapters.object_store.http.errors import on_one_line
from pipeline.adapters.object_store.http.verdicts import refused
from pipeline.adapters.object_store.integrity import etag_of_etags, md5_hex, require_etag, unquoted
from pipeline.adapters.object_store.swift.errors import swift_verdict
from pipeline.adapters.object_store.swift.layout import SwiftLayout, location_path
from pipeline.core.errors import StoreError, StoreUnavailable, StoreUnsupported
from pipeline.core.stored_objects import ObjectTarget, StoredSegment


def manifest_json(layout: SwiftLayout, target: ObjectTarget, segments: Sequence[StoredSegment]) -> bytes:
    return json.dumps(
        [
            {
                "path": layout.manifest_location(place),
                "etag": segment.etag,
                "size_bytes": segment.size_bytes,
            }
            for segment, place in zip(segments, target.places, strict=True)
        ]
    ).encode()


@dataclass(frozen=True, slots=True)
class ManifestResponse:
    """What Swift says of a manifest. `status` is the final one, also where the HTTP status was 202; `errors` are pairs
    of a segment's path and what is wrong with it. `checked`: the server knows heartbeats, so it is a Swift that checks
    every segment."""

    status: int
    etag: str
    errors: tuple[tuple[str, str], ...] = ()
    said: str = ""
    checked: bool = False


def parse_response(status: int, etag: str, body: bytes) -> ManifestResponse:
    """Read the response to a manifest.

    With `heartbeat=on` Swift sends 202 at once, white space while it works, then the final status as JSON. A server
    that does not know heartbeats responds 201 or 400 as usual. Raises StoreUnavailable when the body of a 202 is cut
    short.
    """
    if status != 202:
        return ManifestResponse(status, unquoted(etag), said=on_one_line(body))
    try:
        final: Any = json.loads(body)
        return ManifestResponse(
            status=int(str(final["Response Status"]).split()[0]),
            etag=unquoted(final.get("Etag")),
            errors=tuple((str(path), str(why)) for path, why in final.get("Errors", [])),
            said=str(final.get("Response Body", "")),
            checked=True,
        )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise StoreUnavailable(reason=f"the response to the manifest is incomplete: {error!r}"[:500]) from error


def raise_unless_sealed(
    response: ManifestResponse, layout: SwiftLayout, target: ObjectTarget, segments: Sequence[StoredSegment]
) -> None:
    """Raises StoreError MANIFEST_REFUSED (`segments` in its detail: the missing or changed ones, to be sent again) or
    STORE_REJECTED, StoreUnsupported by a server that does not know manifests, and StoreUnavailable."""
    if response.status == 201:
        if response.etag == md5_hex(manifest_json(layout, target, segments)):
            raise StoreUnsupported(reason=f"PUT {target.key}: the manifest was stored as a file: there is no slo here")
        require_etag(f"manifest of {target.key}", response.etag, etag_of_etags(segments))
        return
    reason = f"{response.status} {response.said}".strip()
    if response.errors:
        reason += ": " + "; ".join(f"{path} {why}" for path, why in response.errors[:3])
    if response.status == 400:
        # A segment that Swift could not check (5xx, or the token expired meanwhile) need not be wrong.
        if any(why.startswith(("5", "401")) for _, why in response.errors):
            raise StoreUnavailable(reason=reason)
        raise StoreError("MANIFEST_REFUSED", reason=reason, segments=refused_numbers(response, layout, target))
    raise refused(swift_verdict(response.status), reason, key=target.key, headers={})


def refused_numbers(response: ManifestResponse, layout: SwiftLayout, target: ObjectTarget) -> list[int]:
    """The numbers of the segments in `errors`, where Swift quotes their names."""
    places = enumerate(target.places, 1)
    by_location = {location_path(layout.manifest_location(place)): number for number, place in places}
    return sorted({by_location[path] for path, _ in response.errors if path in by_location})
