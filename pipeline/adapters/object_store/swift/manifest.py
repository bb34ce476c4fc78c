"""Static Large Object manifests: written, answered, read. Formats from swift.common.middleware.slo.

Guarantee: a manifest that is sent names every segment of the plan once, in order, with size and MD5, so that Swift
itself checks each of them; it is never empty (Swift answers 201 to an empty one). The MD5 that Swift must answer is
known before: the MD5 over the segments' MD5s in hex.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.adapters.object_store.swift.errors import PASSING_STATUSES
from pipeline.adapters.object_store.swift.layout import SwiftLayout, location_path
from pipeline.core.errors import StoreError, StoreUnavailable
from pipeline.core.model import ObjectTarget, StoredSegment


def manifest_json(layout: SwiftLayout, target: ObjectTarget, segments: Sequence[StoredSegment]) -> bytes:
    return json.dumps(
        [
            {
                "path": layout.segment_location(target.upload_id, segment.number),
                "etag": segment.etag,
                "size_bytes": segment.size_bytes,
            }
            for segment in segments
        ]
    ).encode()


@dataclass(frozen=True, slots=True)
class ManifestAnswer:
    """What Swift said to a manifest: `status` is the real one, also where the HTTP status was 202."""

    status: int
    etag: str
    errors: tuple[tuple[str, str], ...] = ()
    said: str = ""


def parse_answer(status: int, etag: str, body: bytes) -> ManifestAnswer:
    """The answer to a manifest. With `heartbeat=on` Swift sends 202 at once, white space while it is at work, then
    the real status as JSON; servers that do not know it answer 201 or 400 as ever. Raises StoreUnavailable when a 202
    is cut short."""
    if status != 202:
        return ManifestAnswer(status, etag.strip('"'), said=" ".join(body[:512].decode("utf-8", "replace").split()))
    try:
        answer: dict[str, Any] = json.loads(body)
        return ManifestAnswer(
            status=int(str(answer["Response Status"]).split()[0]),
            etag=str(answer.get("Etag", "")).strip('"'),
            errors=tuple((str(path), str(why)) for path, why in answer.get("Errors", [])),
            said=str(answer.get("Response Body", "")),
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise StoreUnavailable(reason="the answer to the manifest is not whole") from error


def raise_unless_sealed(answer: ManifestAnswer, layout: SwiftLayout, target: ObjectTarget, expected_etag: str) -> None:
    """Raises MANIFEST_REFUSED (`segments` in its detail: those that are missing or changed and have to be sent again),
    StoreUnavailable, STORE_REJECTED."""
    if answer.status == 201:
        if answer.etag != expected_etag:
            raise StoreUnavailable(
                reason=f"the manifest was stored with etag {answer.etag!r}, expected {expected_etag!r}"
            )
        return
    reason = f"{answer.status} {answer.said}".strip()
    if answer.errors:
        reason += ": " + "; ".join(f"{path} {why}" for path, why in answer.errors[:3])
    if answer.status == 400:
        # That a segment could not be asked for (5xx, or the token died meanwhile) is no verdict on it.
        if any(why.startswith(("5", "401")) for _, why in answer.errors):
            raise StoreUnavailable(reason=reason)
        raise StoreError("MANIFEST_REFUSED", reason=reason, segments=_numbers(answer, layout, target))
    if answer.status >= 500 or answer.status in PASSING_STATUSES:
        raise StoreUnavailable(reason=reason)
    raise StoreError("STORE_REJECTED", reason=reason)


def _numbers(answer: ManifestAnswer, layout: SwiftLayout, target: ObjectTarget) -> list[int]:
    """The numbers of the segments that Swift complains of; it quotes their names."""
    numbers = range(1, target.plan.count + 1)
    by_location = {location_path(layout.segment_location(target.upload_id, number)): number for number in numbers}
    return sorted({by_location[path] for path, _ in answer.errors if path in by_location})
